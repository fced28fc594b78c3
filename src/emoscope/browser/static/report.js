// @ts-check
// The report of a recording, made in the page: the form that `emoscope page` wrote, filled in. Nothing is sent.
import { share, signed } from "./emotions.js";
import { findMoments } from "./moments.js";
import { bin, findTop, listFrames, summarize, traceCurve } from "./summary.js";
import { formatClock, formatConstant, formatCount, formatCreated, formatDuration, formatStep } from "./texts.js";

/** @typedef {import("./recording.js").Recording} Recording */

const PLACE = /\u27e6([^\u27e7]+)\u27e7/g;
const SVG_PERCENT = 100;
const LEAST_PERCENT = 0.05;
const SHORT_S = 60;

const replaceIn = (text, values) => text.replace(PLACE, (place, name) => values[name] ?? place);

/** Fill the places in texts and attributes of an element and all that it holds. */
const fill = (element, values) => {
  const walker = element.ownerDocument.createTreeWalker(element, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    if (node instanceof Text) node.data = replaceIn(node.data, values);
    else for (const { name, value } of /** @type {Element} */ (node).attributes) {
      if (value.includes("\u27e6")) /** @type {Element} */ (node).setAttribute(name, replaceIn(value, values));
    }
  }
};

/** Put in the place of some elements one copy of them for each of the values. */
const repeat = (elements, list) => {
  for (const values of list) {
    const copies = elements.map((element) => element.cloneNode(true));
    elements[0].before(...copies);
    for (const copy of copies) fill(copy, values);
  }
  for (const element of elements) element.remove();
};

const findPlace = (document, selector, name) =>
  [...document.querySelectorAll(selector)].find((element) => element.textContent.includes(`\u27e6${name}\u27e7`));

const describePerson = (person, emotions, prefix) => {
  const values = {
    name: `Person ${person.id}`, key: `p${person.id}`, first: formatClock(person.first), last: formatClock(person.last),
    observations: formatCount(person.n), coverage: share(person.coverage), emotion: emotions[person.top],
    share: share(person.shares[person.top]), uncertain: share(person.uncertain),
  };
  emotions.forEach((name, i) => { values[`share ${name}`] = share(person.shares[i]); });
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
};

const pack = (rows, n, steps, nothing) => {
  const bytes = new Uint8Array(rows.length * n);
  // As Python rounds: halves to the even neighbour.
  const toByte = (value) => {
    const near = Math.round(steps * Math.min(1, Math.max(0, value)));
    return near - steps * value === 0.5 && near % 2 ? near - 1 : near;
  };
  rows.forEach((row, i) => bytes.set(row ? row.map(toByte) : Array(n).fill(nothing), n * i));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};

const packSeries = (recording, forms, line, people, main, reach, top) => {
  const { steps, nothing } = forms.axes.chart, toSeconds = (time) => Number(time.toFixed(3));
  const toSeries = (name, rows) => ({ timeline: "all", name, values: pack(rows, forms.axes.emotions.length + 1, steps, nothing) });
  return {
    ...forms.axes, end: line.end, view: null, top, limit: 0.1, reach, main, isBare: true,
    smoothed: Boolean(recording.settings.smoothing_s), events: [], videos: [],
    timelines: {
      all: {
        starts: line.starts.map(toSeconds), ends: line.ends.map(toSeconds),
        faces: line.bins.map((part) => Number((part.reduce((sum, frame) => sum + frame.faces.length, 0) / part.length).toFixed(2))),
      },
    },
    series: {
      ...(main !== "all" ? {} : { all: toSeries("Everyone", line.everyone) }),
      ...Object.fromEntries(people.map((person) => [`p${person.id}`, toSeries(`Person ${person.id}`, traceCurve(line.bins, person.id))])),
    },
  };
};

const describeBeyond = (beyond, everyone, forms, emotions) => {
  const reasons = Object.entries(forms.reasons).filter(([name]) => beyond.reasons.has(name))
    .map(([name, reason]) => `${formatCount(beyond.reasons.get(name))} because ${reason}`);
  const values = {
    "n beyond": formatCount(beyond.n), "beyond share": share(beyond.n / everyone.n),
    reasons: reasons.join(", ") + (reasons.length > 1 ? "; a face can be several of these" : ""),
  };
  emotions.forEach((name, i) => {
    values[`share without ${name}`] = share(beyond.without.shares[i]);
    values[`mean without ${name}`] = share(beyond.without.means[i]);
  });
  return values;
};

const describe = (recording, found, line, duration, forms) => {
  const { emotions } = recording.facts, { everyone, valence, people } = found, { words } = forms;
  const top = findTop(everyone.shares), uncertain = share(everyone.uncertain), constant = recording.settings.smoothing_s;
  const values = {
    source: recording.source.replace(/[\u27e6\u27e7]/g, ""), created: formatCreated(recording.created), length: formatDuration(duration),
    width: String(recording.size[0]), height: String(recording.size[1]), frames: formatCount(found.frames),
    people: formatCount(people.length), "people seen": words.people[people.length === 1 ? 0 : 1], "at once": formatCount(found.atOnce),
    coverage: share(found.coverage), faces: formatCount(everyone.n), uncertain, top: emotions[top], "top share": share(everyone.shares[top]),
    "uncertain words": everyone.uncertain > 0 ? replaceIn(words.some_uncertain, { share: uncertain }) : words.none_uncertain,
    ...(valence && {
      positive: share(valence.positive), neutral: share(valence.neutral), negative: share(valence.negative), index: signed(valence.index),
    }),
    every: recording.settings.every ?? "", smoothing: constant ? formatConstant(constant) : "off",
    "bin note": line.bins.every((part) => part.length === 1) ? words.each_frame : replaceIn(words.point, { step: formatStep(line.step) }),
    ...describeBeyond(found.beyond, everyone, forms, emotions),
  };
  emotions.forEach((name, i) => {
    values[`share ${name}`] = share(everyone.shares[i]);
    values[`mean ${name}`] = share(everyone.means[i]);
  });
  return values;
};

/**
 * Draw parts of a whole side by side, as charts.py does.
 * @param {Element} split
 * @param {[string, number][]} parts name and share
 */
const drawSplit = (split, parts) => {
  let x = 0;
  const bars = [...split.children];
  parts.forEach(([, part], i) => {
    const width = SVG_PERCENT * part;
    bars[i].setAttribute("x", `${x.toFixed(1)}%`);
    bars[i].setAttribute("width", `${width.toFixed(1)}%`);
    if (width < LEAST_PERCENT) bars[i].remove();
    x += width;
  });
  split.setAttribute("aria-label", parts.map(([name, part]) => `${name} ${share(part)}`).join(", "));
};

const drawBars = (document, found) => {
  const bars = document.querySelectorAll(".shares .bar-cell rect:last-child");
  bars.forEach((bar, i) => bar.setAttribute("width", `${(SVG_PERCENT * found.everyone.shares[i]).toFixed(2)}%`));
  if (!found.valence) return;
  const { positive, neutral, negative } = found.valence;
  drawSplit(document.querySelector(".valence svg.split"), [["positive", positive], ["neutral", neutral], ["negative", negative]]);
};

/** Add the moments of largest change to the list and their marks to the charts, as event_rows.py and parts.html.j2 do. */
const addMoments = (document, moments, line, main, isSingle, emotions, words) => {
  const place = document.querySelector("ol.moments");
  if (!moments.length) {
    document.getElementById("h-moments").remove();
    place.remove();
    document.querySelector(".mark-key").closest("p").remove();
    return;
  }
  const describeMoment = ({ time, before, after, rose, fell, people, id }) => ({
    "moment.time_s": String(time), "moment.clock": formatClock(time, line.end < SHORT_S ? 1 : 0),
    "moment.key": isSingle ? main : id === null ? "all" : `p${id}`, "moment.whose": id === null ? words.everyone : `Person ${id}`,
    "moment.text": replaceIn(words.change, {
      rose: emotions[rose], "rose from": share(before[rose]), "rose to": share(after[rose]),
      fell: emotions[fell], "fell from": share(before[fell]), "fell to": share(after[fell]),
      counted: id === null ? replaceIn(words.joining, { n: formatCount(people) }) : "",
    }),
  });
  const described = moments.map(describeMoment);
  repeat([place.children[0]], described);
  moments.forEach(({ time, before, after }, i) => {
    const [first, second] = place.children[i].querySelectorAll("svg.split");
    [[first, before], [second, after]].forEach(([split, means]) => drawSplit(split, emotions.map((name, k) => [name, means[k]])));
    const x = SVG_PERCENT * Math.min(Math.max(time / line.end, 0), 1);
    for (const plot of document.querySelectorAll(`[data-draw=stack][data-series=${described[i]["moment.key"]}]`)) {
      const mark = Object.assign(document.createElement("span"), { className: "mark" });
      mark.setAttribute("data-style", `--x:${x.toFixed(3)};--w:0.000`);
      plot.append(mark);
    }
  });
};

/** Draw when the film's shots change, as charts.py does: every second one is filled. */
const drawShots = (document, cuts, end) => {
  const strip = document.querySelector("svg.shots");
  if (!cuts.length) {
    const plot = strip.closest(".plot");
    plot.previousElementSibling.remove();
    plot.remove();
    document.querySelector(".shots-note").remove();
    return;
  }
  const edges = [...cuts, end].map((time) => (SVG_PERCENT * time) / end);
  for (let i = 0; i + 1 < edges.length; i += 2) {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const sides = { x: `${edges[i].toFixed(2)}%`, width: `${(edges[i + 1] - edges[i]).toFixed(2)}%`, height: "100%" };
    for (const [name, value] of Object.entries(sides)) bar.setAttribute(name, value);
    strip.append(bar);
  }
};

const describeShots = (cuts, most) => {
  const read = cuts.slice(0, most).map((time) => formatClock(time, 1)).join(", ");
  const more = cuts.length > most ? ` and ${cuts.length - most} more times` : "";
  return { "n shots": formatCount(cuts.length + 1), shots: `${cuts.length + 1} shots; they change at ${read}${more}` };
};

const addPeople = (document, shown, rest, emotions) => {
  const toValues = (prefix) => (person) => describePerson(person, emotions, prefix);
  const people = shown.map(toValues("person"));
  const gantt = document.querySelector(".gantt");
  if (!gantt) { fill(document.querySelector("main"), people[0]); return; }
  repeat([gantt.children[0], gantt.children[1]], people);
  repeat([document.querySelector("article.card")], people);
  const row = findPlace(document, "tr", "rest.name");
  if (rest.length) { repeat([row], rest.map(toValues("rest"))); return; }
  row.closest(".scroll").remove();
  document.getElementById("rest").remove();
  document.querySelector("a[href='#rest']").parentElement.remove();
};

/**
 * Make the report of a recording in which somebody was seen.
 * @param {Recording} recording
 * @param {number} duration
 * @param {Record<string, any>} forms what forms.json holds
 */
export const createReport = (recording, duration, forms) => {
  const { emotions } = recording.facts, { valence } = forms.axes, frames = listFrames(recording);
  const found = summarize(frames, emotions.length, valence, forms.min_frames), { people } = found;
  const isSingle = people.length === 1 && people[0].n === found.everyone.n;
  const main = isSingle ? `p${people[0].id}` : "all";
  const bins = bin(frames, duration), line = { ...bins, everyone: traceCurve(bins.bins) };
  const byFrames = [...people].sort((a, b) => b.n - a.n || a.id - b.id), byId = (a, b) => a.id - b.id;
  const shown = byFrames.slice(0, forms.max_people).sort(byId);
  const rest = byFrames.slice(forms.max_people, forms.max_people + forms.max_rest).sort(byId);
  const toIndex = (row) => Math.abs(valence.reduce((sum, sign, i) => sum + sign * row[i], 0));
  const indexes = valence ? line.everyone.filter(Boolean).map(toIndex) : [];
  const reach = forms.index_reaches.find((end) => Math.max(...indexes) <= end) ?? forms.index_reaches.at(-1);
  const counts = line.bins.map((part) => part.reduce((sum, frame) => sum + frame.faces.length, 0) / part.length);
  const top = Math.max(1, Math.ceil(Math.max(...counts) - 1e-9));
  const values = {
    ...describe(recording, found, line, duration, forms), ...describeShots(recording.cuts, forms.max_cuts_read), main, reach: String(reach), "top count": String(top),
  };
  const form = forms.forms[`${isSingle ? "one" : "many"}${recording.settings.smoothing_s ? " smoothed" : ""}`];
  const document = new DOMParser().parseFromString(form, "text/html");
  if (found.atOnce < 2) findPlace(document, ".key > div", "at once")?.remove();
  if (!found.beyond.n) document.querySelector(".beyond").remove();
  else if (!found.beyond.without.n) document.querySelector(".beyond .scroll").remove();
  if (!recording.settings.every) findPlace(document, ".facts tr", "every").remove();
  if (shown.length) addPeople(document, shown, rest, emotions);
  else for (const id of ["h-when", "h-people"]) document.getElementById(id).closest("section").remove();
  fill(document.documentElement, values);
  addMoments(document, findMoments(frames, recording.facts.constants.moments), line, main, isSingle, emotions, forms.words);
  drawBars(document, found);
  drawShots(document, recording.cuts, line.end);
  const series = packSeries(recording, forms, line, shown, main, reach, top);
  // No text may end the element that it stands in.
  document.getElementById("series").textContent = JSON.stringify(series).replaceAll("<", "\\u003c");
  const html = `<!DOCTYPE html>\n${document.documentElement.outerHTML}`.replaceAll(forms.held, " style=");
  return new Blob([html.replace(/(?:<!--)?\u27e6(style|script)\u27e7(?:-->)?/g, (_, name) => forms[name])], { type: "text/html" });
};
