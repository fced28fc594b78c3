// @ts-check
// The seven emotions: their order and names come with the page from the server, as does how numbers are printed;
// their colours are in the reports' style sheet, light and dark.
import { createNumbers } from "./numbers.js";

/**
 * @typedef {{emotion: string, probability: number, uncertain: boolean, probabilities: Record<string, number>,
 *   xyxy: [number, number, number, number], track_id?: number}} Face
 */
/** @type {string[]} */
export const EMOTIONS = JSON.parse(document.body.dataset.emotions);
export const COLOURS = EMOTIONS.map((name) => `var(--${name})`);
const styles = getComputedStyle(document.documentElement);
// For a canvas, which knows no variables: now, for the scheme may change.
export const readColours = (end = "") => EMOTIONS.map((name) => styles.getPropertyValue(`--${name}${end}`));

export const { percent, share, signed } = createNumbers(JSON.parse(document.body.dataset.numbers));

// What is said of one face: never a bare emotion where the network abstains.
/** @type {(face: Face) => string} */
export const describe = ({ emotion, probability, uncertain }) =>
  uncertain ? `uncertain (likeliest: ${emotion}, ${percent(probability)})` : `${emotion}, ${percent(probability)}`;
