// @ts-check
// Long lists: the first few stand there, all of them by one click, so that no list pushes the next one away.
import { $ } from "./dom.js";

/** As style.css has it, by list. */
const SHOWN = { "job-list": 8, "picture-list": 5 };

/**
 * Offer all of a list that is longer than what is shown of it.
 * @param {keyof SHOWN} list
 * @param {string} more the button
 */
export const showMore = (list, more) => {
  const place = $(list), button = $(more);
  if (!button) return;
  const n = place.children.length;
  button.hidden = n <= SHOWN[list];
  const isShort = place.classList.contains("short-list");
  button.textContent = isShort ? `Show all ${n}` : `Show the newest ${SHOWN[list]}`;
  button.ariaExpanded = String(!isShort);
  button.onclick = () => { place.classList.toggle("short-list"); showMore(list, more); };
};
