// @ts-check
// What the network tells apart: names in their order and CSS colours come with the page, as does how numbers are
// printed; what the colours are, light and dark, is in the reports' style sheet.
import { createNumbers } from "./numbers.js";

/**
 * @typedef {{emotion: string, probability: number, uncertain: boolean, probabilities: Record<string, number>,
 *   xyxy: [number, number, number, number], track_id?: number}} Face
 */
/** @type {[string, string][]} */
const classes = JSON.parse(document.body.dataset.emotions);
export const EMOTIONS = classes.map(([name]) => name);
export const COLOURS = classes.map(([, colour]) => colour);
const styles = getComputedStyle(document.documentElement);
// For a canvas, which knows no variables: now, for the scheme may change.
export const readColours = (end = "") => COLOURS.map((colour) => styles.getPropertyValue(colour.slice("var(".length, -1) + end));

export const { percent, share, signed } = createNumbers(JSON.parse(document.body.dataset.numbers));

// What is said of one face: never a bare emotion where the network abstains.
/** @type {(face: Face) => string} */
export const describe = ({ emotion, probability, uncertain }) =>
  uncertain ? `uncertain (likeliest: ${emotion}, ${percent(probability)})` : `${emotion}, ${percent(probability)}`;
