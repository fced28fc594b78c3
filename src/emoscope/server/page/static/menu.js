// @ts-check
// Small menus: a button that opens a few more.
import { make } from "./dom.js";

/**
 * @param {string} words on the button
 * @param {string} what it is about, for those who listen
 * @param {(Node | string)[]} items
 */
export const makeMenu = (words, what, ...items) => make("details", { className: "menu" },
  make("summary", { className: "button small" }, words, make("span", { className: "hidden" }, ` ${what}`)),
  make("div", { className: "menu-items" }, ...items));

/** @param {boolean} [withFocus] whether its button is where one goes on */
const close = (menu, withFocus = false) => {
  menu.open = false;
  if (withFocus) menu.querySelector("summary").focus();
};

document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const isOwn = menu.querySelector("summary").contains(/** @type {Node} */ (target));
    if (!isOwn) close(menu);
  }
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) close(menu, menu.contains(document.activeElement));
});
