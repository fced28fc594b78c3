// @ts-check
// Moments: a recording's frames in, the largest joint changes out, as tables/moments.py finds them.

/**
 * @typedef {{time: number, change: number, before: number[], after: number[], rose: number, fell: number, people: number, id: number | null}} Moment
 * @typedef {import("./summary.js").Frame} Frame
 */

/** @type {(rows: number[][]) => number[]} */
const average = (rows) => rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);

/**
 * Who is there in some seconds, with their mean probabilities; null where a second has no frame.
 * @param {(Frame[] | undefined)[]} seconds
 * @param {number} minPresence
 */
const sumUp = (seconds, minPresence) => {
  if (seconds.some((frames) => !frames)) return null;
  const frames = seconds.flat();
  /** @type {Map<number, number[][]>} */
  const seen = new Map();
  for (const { id, p } of frames.flatMap((frame) => frame.faces)) seen.set(id, [...(seen.get(id) ?? []), p]);
  return new Map([...seen].filter(([, rows]) => rows.length >= minPresence * frames.length).map(([id, rows]) => [id, average(rows)]));
};

/**
 * Compare both sides of a second's start.
 * @returns {Moment | null}
 */
const judge = (time, before, after, minChange) => {
  const people = [...before.keys()].filter((id) => after.has(id)).sort((a, b) => a - b);
  if (!people.length) return null;
  const own = people.map((id) => after.get(id).map((value, i) => value - before.get(id)[i])), joint = average(own);
  const change = joint.reduce((sum, value) => sum + Math.abs(value), 0) / 2;
  if (change < minChange) return null;
  const rose = joint.indexOf(Math.max(...joint)), fell = joint.indexOf(Math.min(...joint));
  const joining = people.filter((_, k) => own[k][rose] - own[k][fell] >= (joint[rose] - joint[fell]) / 2);
  const side = (means) => average(people.map((id) => means.get(id)));
  return { time, change, before: side(before), after: side(after), rose, fell, people: joining.length, id: joining.length === 1 ? joining[0] : null };
};

/**
 * Find the moments of largest change.
 * @param {Frame[]} frames
 * @param {Record<string, any>} constants of tables/moments.py
 */
export const findMoments = (frames, { WINDOW_S, MIN_PRESENCE, MIN_CHANGE, MIN_DISTANCE_S, MAX_MOMENTS }) => {
  /** @type {Map<number, Frame[]>} */
  const seconds = new Map();
  for (const frame of frames) {
    const second = Math.max(0, Math.floor(frame.time));
    if (!seconds.has(second)) seconds.set(second, []);
    seconds.get(second).push(frame);
  }
  const look = (start) => sumUp(Array.from({ length: WINDOW_S }, (_, i) => seconds.get(start + i)), MIN_PRESENCE);
  const found = [...seconds.keys()].flatMap((time) => {
    const before = look(time - WINDOW_S), after = look(time);
    return (before && after && judge(time, before, after, MIN_CHANGE)) || [];
  });
  /** @type {Moment[]} */
  const chosen = [];
  for (const moment of found.sort((a, b) => b.change - a.change)) {
    if (chosen.length < MAX_MOMENTS && chosen.every((other) => Math.abs(moment.time - other.time) >= MIN_DISTANCE_S)) chosen.push(moment);
  }
  return chosen.sort((a, b) => a.time - b.time);
};
