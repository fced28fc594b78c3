// @ts-check
// Segments marked by key while looking, kept in a list, and saved as the very file that --events reads.
/** @typedef {{name: string, start_s: number, end_s: number, kind?: string}} Mark */
const marking = /** @type {HTMLDetailsElement} */ (document.getElementById("marks"));
/** @type {Mark[]} */
const marks = data.events ? data.events.map((event) => ({ ...event })) : [];
let begun = NaN, isUnsaved = false;
const lane = { label: create("span", "y small", "Marks"), plot: create("div", "plot lane") };

const toSeconds = (text) => {
  const parts = text.trim().replace(",", ".").split(":");
  const isTime = parts.length <= 3 && parts.every((part) => /^\d+(\.\d*)?$/.test(part));
  return isTime ? parts.reduce((sum, part) => 60 * sum + Number(part), 0) : NaN;
};
const toClock = (time) => (Number.isFinite(time) ? clock(time + 5e-4, 3).replace(/\.?0+$/, "") : "");
const findProblems = () => {
  const problems = [];
  const sorted = [...marks].sort((a, b) => a.start_s - b.start_s);
  marks.forEach(({ name, start_s, end_s, kind }, i) => {
    const it = name.trim() ? `“${name.trim()}”` : `Segment ${i + 1}`;
    if (!name.trim()) problems.push(`${it} has no name.`);
    if (marks.slice(0, i).some((other) => other.name.trim() === name.trim() && other.kind === kind && other.start_s === start_s && other.end_s === end_s)) problems.push(`${it} stands twice.`);
    if (!(end_s > start_s)) problems.push(`${it} needs a beginning and a later end, such as 0:42.5.`);
    else if (start_s >= data.end) problems.push(`${it} begins after the recording's end.`);
  });
  // As load_events() has it: repeats of a name, segments of different kinds and one within another may overlap.
  sorted.forEach((mark, i) => sorted.slice(0, i).forEach((other) => {
    const isPart = mark.start_s > other.start_s && mark.start_s < other.end_s && mark.end_s > other.end_s;
    if (isPart && mark.name.trim() !== other.name.trim() && mark.kind === other.kind) problems.push(`“${other.name.trim()}” and “${mark.name.trim()}” overlap in part.`);
  }));
  return problems;
};
const placeBand = (band, { start_s, end_s }) => {
  const [x, end] = [start_s, end_s].map((time) => 100 * Math.min(Math.max(time / data.end, 0), 1));
  band.style.setProperty("--x", String(x));
  band.style.setProperty("--w", String(end - x));
  return band;
};
// The bands of the page's own segments are replaced by those of the list, which begins with them.
const drawMarks = () => {
  document.querySelectorAll(".plot > .band").forEach((band) => band.remove());
  const valid = marks.filter(({ start_s, end_s }) => end_s > start_s && start_s < data.end);
  for (const plot of readable) plot.prepend(...valid.map((mark) => placeBand(create("span", "band"), mark)));
  lane.plot.replaceChildren(...valid.map((mark) => {
    const button = createButton("", () => lookAt(mark), "segment");
    button.append(create("span", "", mark.name));
    button.title = `${mark.name}: look closer`;
    return placeBand(button, mark);
  }));
  lane.label.hidden = lane.plot.hidden = !valid.length;
};
const showProblems = () => {
  const problems = findProblems();
  marking.querySelector(".problems").replaceChildren(...problems.map((text) => create("p", "", text)));
  return problems;
};
const change = (mark, changes) => {
  Object.assign(mark, changes);
  isUnsaved = true;
  drawMarks();
  showProblems();
};
const createField = (label, value, read, className = "") => {
  const input = create("input", className);
  Object.assign(input, { value, autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-label", label);
  input.addEventListener("change", () => read(input.value));
  return input;
};
const listMarks = () => {
  const rows = marks.map((mark, i) => {
    const which = `of segment ${i + 1}`;
    const remove = createButton("Remove", () => {
      marks.splice(marks.indexOf(mark), 1);
      isUnsaved = true;
      listMarks();
      marking.querySelector("summary").focus();
    });
    remove.setAttribute("aria-label", `Remove ${mark.name}`);
    return create("li", "",
      createField(`Name ${which}`, mark.name, (text) => change(mark, { name: text.trim() }), "long"),
      createField(`Start ${which}`, toClock(mark.start_s), (text) => change(mark, { start_s: toSeconds(text) })),
      createField(`End ${which}`, toClock(mark.end_s), (text) => change(mark, { end_s: toSeconds(text) })),
      remove);
  });
  marking.querySelector("ol").replaceChildren(...rows);
  /** @type {HTMLButtonElement} */ (marking.querySelector("[data-mark=save]")).disabled = !marks.length;
  marking.querySelector("summary b").textContent = marks.length ? String(marks.length) : "";
  drawMarks();
  showProblems();
};
const addMark = (start, end) => {
  const names = new Set(marks.map(({ name }) => name));
  let number = 1;
  while (names.has(`mark ${number}`)) number++;
  const mark = { name: `mark ${number}`, start_s: Number(Math.max(0, start).toFixed(3)), end_s: Number(Math.min(data.end, end).toFixed(3)) };
  marks.push(mark);
  isUnsaved = true;
  marking.open = true;
  listMarks();
  announce(`${mark.name}, ${toClock(mark.start_s)} to ${toClock(mark.end_s)}`);
};
const showBegun = () => {
  const button = marking.querySelector("[data-mark=key]");
  button.textContent = Number.isNaN(begun) ? "Begin here (M)" : `End here (M); began at ${toClock(begun)}`;
};
// Once begins a segment, once more ends it: where the recording plays, or where the chart is being read.
const markHere = () => {
  const time = video && !video.paused ? video.currentTime : here;
  if (Number.isNaN(begun)) {
    begun = time;
    announce(`a segment begins at ${toClock(time)}`);
  } else if (Math.abs(time - begun) < 0.05) {
    announce("a segment needs some length: go on, and press M again");
  } else {
    addMark(Math.min(begun, time), Math.max(begun, time));
    begun = NaN;
  }
  showBegun();
};
const dropBegun = () => {
  if (Number.isNaN(begun)) return;
  begun = NaN;
  showBegun();
};
const saveMarks = () => {
  if (showProblems().length) return announce(marking.querySelector(".problems").textContent);
  const hasKinds = marks.some(({ kind }) => kind);
  const rows = [...marks].sort((a, b) => a.start_s - b.start_s).map(({ name, start_s, end_s, kind }) => [name, start_s, end_s, ...(hasKinds ? [kind ?? ""] : [])]);
  download("events.csv", new Blob([writeCsv([["name", "start_s", "end_s", ...(hasKinds ? ["kind"] : [])], ...rows])], { type: "text/csv" }));
  isUnsaved = false;
};
if (marking) {
  const first = document.querySelector(".timed .chart"), own = first.querySelector(".lane");
  if (own) { own.previousElementSibling.remove(); own.remove(); }
  first.prepend(lane.label, lane.plot);
  const acts = { key: markHere, view: () => addMark(view.from, view.to), save: saveMarks };
  marking.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    acts[button?.dataset.mark]?.();
  });
  addEventListener("beforeunload", (event) => { if (isUnsaved) event.preventDefault(); });
  listMarks();
  showBegun();
}
