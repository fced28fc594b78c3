// @ts-check
// The seven emotions: their order, names and colours come with the page from the server.
/**
 * @typedef {{emotion: string, probability: number, uncertain: boolean, probabilities: Record<string, number>,
 *   xyxy: [number, number, number, number], track_id?: number}} Face
 */
/** @type {Record<string, string>} */
const known = JSON.parse(document.body.dataset.emotions);
export const EMOTIONS = Object.keys(known);
export const COLOURS = Object.values(known);

export const percent = (share) =>
  (share > 0 && share < 0.005 ? "<\u00a01" : String(Math.round(100 * share))) + "\u00a0%";

// What is said of one face: never a bare emotion where the network abstains.
/** @type {(face: Face) => string} */
export const describe = ({ emotion, probability, uncertain }) =>
  uncertain ? `uncertain (likeliest: ${emotion}, ${percent(probability)})` : `${emotion}, ${percent(probability)}`;
