// @ts-check
// What all parts make pages from.
const root = document.documentElement;

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {(Node | string)[]} children
 */
const create = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
};
const createButton = (text, onClick, className = "") => {
  const button = create("button", className, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
};
const createSwatch = (colour) => {
  const swatch = create("span", "swatch");
  swatch.style.background = colour;
  return swatch;
};
const announce = (text) => { document.getElementById("spoken").textContent = text; };

const download = (name, blob) => {
  const link = create("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // At once would be too early for browsers that ask where to.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};
// As core/texts.py writes cells: no spreadsheet takes one for a formula.
const quoteCsv = (text) => {
  const cell = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? "'" + text : text;
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
};
/** @param {(string | number)[][]} rows */
const writeCsv = (rows) => rows.map((row) => row.map((cell) => quoteCsv(String(cell))).join(",") + "\r\n").join("");

// What can be scrolled can be reached by the keyboard, and has a name.
const watchWidth = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const isCut = target.scrollWidth > target.clientWidth + 1;
    const heading = target.closest("section, article")?.querySelector("h2, h3")?.textContent;
    const title = target.querySelector("table")?.dataset.title ?? heading;
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", title]]) {
      if (isCut) target.setAttribute(name, value); else target.removeAttribute(name);
    }
  }
});
document.querySelectorAll(".scroll").forEach((box) => watchWidth.observe(box));
