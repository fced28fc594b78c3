// @ts-check
// The seven emotions: their order, names and colours come with the page from the server, as does how numbers are printed.
import { createNumbers } from "./numbers.js";

/**
 * @typedef {{emotion: string, probability: number, uncertain: boolean, probabilities: Record<string, number>,
 *   xyxy: [number, number, number, number], track_id?: number}} Face
 */
/** @type {Record<string, string>} */
const known = JSON.parse(document.body.dataset.emotions);
export const EMOTIONS = Object.keys(known);
export const COLOURS = Object.values(known);

export const { percent } = createNumbers(JSON.parse(document.body.dataset.numbers));

// What is said of one face: never a bare emotion where the network abstains.
/** @type {(face: Face) => string} */
export const describe = ({ emotion, probability, uncertain }) =>
  uncertain ? `uncertain (likeliest: ${emotion}, ${percent(probability)})` : `${emotion}, ${percent(probability)}`;
