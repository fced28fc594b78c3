// @ts-check
// The numbers of a recording: its rows in; counts, shares, people and the bins of its curves out, as
// tables/summarize.py and report/binning.py make them. Tests hold both to the same figures.

/**
 * @typedef {{n: number, shares: number[], means: number[], uncertain: number}} Readings
 * @typedef {Readings & {id: number, first: number, last: number, coverage: number, top: number}} Person
 * @typedef {{time: number, faces: Face[]}} Frame
 * @typedef {{id: number, emotion: number, p: number[], shown: number[], uncertain: boolean, below: string[]}} Face
 */
const MAX_BINS = 2400;
const GAP_STEPS = 3;
const LONE_FRAME_S = 0.04;

/** @param {import("./recording.js").Recording} recording */
export const listFrames = (recording) => {
  const { columns, rows, facts } = recording, { emotions } = facts, at = (name) => columns.indexOf(name);
  const [frame, time, id, emotion, uncertain] = ["frame", "time_s", "track_id", "emotion", "uncertain"].map(at);
  const raw = emotions.map((name) => at(`p_${name}`)), smooth = emotions.map((name) => at(`smooth_${name}`));
  const limits = Object.entries(facts.model.limits ?? {}).map(([name, least]) => ({ name, i: at(name), least: Math.fround(Number(least)) }));
  /** @type {Frame[]} */
  const frames = [];
  let last = -1;
  for (const row of rows) {
    if (row[frame] !== last) frames.push({ time: Number(row[time]), faces: [] });
    last = Number(row[frame]);
    if (row[emotion] === null) continue;
    const p = raw.map((i) => Math.fround(Number(row[i])));
    frames.at(-1).faces.push({
      id: Number(row[id]), emotion: emotions.indexOf(row[emotion]), p, uncertain: Boolean(row[uncertain]),
      shown: smooth[0] < 0 ? p : smooth.map((i) => Math.fround(Number(row[i]))),
      below: limits.filter(({ i, least }) => row[i] !== null && Math.fround(Number(row[i])) < least).map(({ name }) => name),
    });
  }
  return frames;
};

/**
 * @param {Face[]} faces
 * @param {number} nClasses
 */
const read = (faces, nClasses) => {
  const n = faces.length, sum = (get) => faces.reduce((total, face) => total + get(face), 0);
  const classes = Array.from({ length: nClasses }, (_, i) => i);
  return {
    n, uncertain: sum((face) => Number(face.uncertain)) / Math.max(n, 1),
    shares: classes.map((i) => sum((face) => Number(face.emotion === i)) / Math.max(n, 1)),
    means: classes.map((i) => sum((face) => face.p[i]) / Math.max(n, 1)),
  };
};

/** The index of the first largest value. */
export const findTop = (values) => values.indexOf(Math.max(...values));

/**
 * @param {Frame[]} frames
 * @param {number} nClasses
 * @param {number[] | null} valence -1, 0 or 1 for each class; null where none is known
 * @param {number} minFrames in a recording of fewer, who is seen in one counts as a person
 */
export const summarize = (frames, nClasses, valence, minFrames) => {
  const faces = frames.flatMap((frame) => frame.faces), n = frames.length;
  /** @type {Map<number, {times: number[], faces: Face[]}>} */
  const seen = new Map();
  for (const frame of frames) {
    for (const face of frame.faces) {
      if (!seen.has(face.id)) seen.set(face.id, { times: [], faces: [] });
      seen.get(face.id).times.push(frame.time);
      seen.get(face.id).faces.push(face);
    }
  }
  const people = [...seen].map(([id, of]) => {
    const readings = read(of.faces, nClasses);
    return { id, ...readings, first: of.times[0], last: of.times.at(-1), coverage: of.faces.length / n, top: findTop(readings.shares) };
  }).filter((person) => n < minFrames || person.n > 1).sort((a, b) => a.id - b.id);
  const everyone = read(faces, nClasses), beyond = faces.filter((face) => face.below.length);
  const reasons = new Map();
  for (const name of beyond.flatMap((face) => face.below)) reasons.set(name, (reasons.get(name) ?? 0) + 1);
  const [positive, neutral, negative] = [1, 0, -1].map((sign) =>
    everyone.means.reduce((sum, p, i) => sum + (valence?.[i] === sign ? p : 0), 0));
  return {
    frames: n, people, everyone, valence: valence && { positive, neutral, negative, index: positive - negative },
    coverage: frames.filter((frame) => frame.faces.length).length / n,
    atOnce: Math.max(...frames.map((frame) => frame.faces.length)),
    beyond: { n: beyond.length, reasons, without: read(faces.filter((face) => !face.below.length), nClasses) },
  };
};

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/**
 * The recording in at most MAX_BINS bins.
 * @param {Frame[]} frames at least one
 * @param {number} duration
 */
export const bin = (frames, duration) => {
  const per = Math.max(1, Math.ceil(frames.length / MAX_BINS)), n = Math.ceil(frames.length / per);
  const bins = Array.from({ length: n }, (_, i) => frames.slice(i * per, (i + 1) * per));
  const starts = bins.map((part) => part[0].time), lasts = bins.map((part) => part.at(-1).time);
  let step = n > 1 ? median(starts.slice(1).map((start, i) => (start - starts[i]) / bins[i].length)) : duration;
  if (!(step > 0)) step = LONE_FRAME_S;
  const nexts = [...starts.slice(1), lasts.at(-1) + step], ends = nexts.map((next, i) => Math.min(next, lasts[i] + GAP_STEPS * step));
  return { bins, starts, ends, end: Math.max(duration, ends.at(-1)), step: median(ends.map((end, i) => end - starts[i])) };
};

/**
 * A curve: per bin the mean probabilities as they are shown, and the share that is uncertain; null where nobody was seen.
 * @param {Frame[][]} bins
 * @param {number} [id] of one person
 */
export const traceCurve = (bins, id) => bins.map((part) => {
  const faces = part.flatMap((frame) => frame.faces).filter((face) => id === undefined || face.id === id);
  if (!faces.length) return null;
  const means = faces[0].shown.map((_, i) => faces.reduce((sum, face) => sum + face.shown[i], 0) / faces.length);
  return [...means, faces.filter((face) => face.uncertain).length / faces.length];
});
