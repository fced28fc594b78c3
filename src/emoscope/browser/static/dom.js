// @ts-check
// Small helpers for the document.
/** @type {(id: string) => HTMLElement & Record<string, any>} fields of forms and dialogs are of many kinds */
export const $ = (id) => document.getElementById(id);

// Make an element: properties, then children (elements or text).
/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} properties
 * @param {(Node | string)[]} children
 */
export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Set a text only where it changed: screen readers and the layout are left alone otherwise.
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

// Tell those who listen rather than look.
export const say = (text) => {
  const spoken = $("spoken");
  // The same words twice are only read twice if they went away between.
  spoken.textContent = "";
  setTimeout(() => { spoken.textContent = text; }, 50);
};

// Show a trouble in its place, or take it away.
export const complain = (id, text) => {
  const place = $(id);
  place.hidden = !text;
  place.textContent = text || "";
};

// A canvas's drawing context in CSS pixels, its size and the display's sharpness kept up.
export const fit = (canvas) => {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
};

// Let what is new be seen, without more movement than was asked for.
export const reveal = (element, block = "nearest") => {
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: isCalm ? "auto" : "smooth" });
};
