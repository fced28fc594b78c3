// @ts-check
// How curves are shown, in all charts at once: as areas or lines, all classes or one alone; and their numbers as rows.
/** @type {{only: number, style: string}} */
const look = { only: -1, style: "areas" };
const TOPS = [0.1, 0.25, 0.5, 0.75, 1];
const isPlain = () => look.only < 0 && look.style === "areas";

// The end of the axis: the same for everybody, so that people can be compared.
const findLookTop = () => {
  if (isPlain()) return 1;
  let most = 0;
  for (const key of Object.keys(data.series)) {
    const values = bytes(key, "values");
    for (let i = 0; i < values.length; i++) {
      const emotion = i % ROW, isShown = emotion < N && (look.only < 0 || emotion === look.only);
      if (isShown && values[i] !== NOTHING && values[i] > most) most = values[i];
    }
  }
  return TOPS.find((top) => most <= STEPS * top);
};
// Of all of a long recording means of a few bins are drawn, as charts.py does: lines of all bins would be noise.
/** @type {(key: string, timeline: Timeline) => [{starts: number[], ends: number[]}, (number[] | null)[]]} */
const coarsen = (key, timeline) => {
  const { starts, ends } = timeline, n = isZoomed() ? 1 : Math.ceil(starts.length / DRAWN_BINS);
  const firsts = starts.map((_, i) => i).filter((i) => i % n === 0);
  const means = firsts.map((first) => {
    const rows = starts.slice(first, first + n).map((_, i) => readValues(key, first + i)).filter(Boolean);
    return rows.length ? rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length) : null;
  });
  return [{ starts: firsts.map((i) => starts[i]), ends: firsts.map((i) => ends[Math.min(i + n, ends.length) - 1]) }, means];
};
const drawLook = (paths, key, fine, top) => {
  const isLine = look.style === "lines", [timeline, means] = coarsen(key, fine);
  const runs = findRuns(timeline, (i) => means[i] !== null);
  paths.forEach((path, emotion) => {
    const colour = data.emotions[emotion][1], isShown = look.only < 0 || emotion === look.only;
    const y = (i) => HEIGHT * (1 - Math.min(1, means[i][emotion] / top));
    path.setAttribute("class", isLine ? "curve" : "");
    path.setAttribute("fill", isLine ? "none" : colour);
    path.setAttribute("stroke", isLine ? colour : "none");
    path.setAttribute("d", isShown ? trace(timeline, runs, y, HEIGHT, isLine) : "");
  });
};
let lookTop = 1;
const showLook = () => {
  lookTop = findLookTop();
  for (const plot of plots) {
    if (plot.dataset.draw === "stack") {
      const end = plot.previousElementSibling?.querySelector("i");
      if (end) end.textContent = percent(lookTop);
    }
    plot.classList.toggle("is-alone", look.only >= 0);
    plot.style.setProperty("--only", String(look.only));
    if (onScreen.has(plot)) refine(plot);
  }
  for (const item of picks) {
    const isIt = Number(item.dataset.emotion) === look.only;
    item.setAttribute("aria-pressed", String(isIt));
    item.parentElement.classList.toggle("unpicked", look.only >= 0 && !isIt);
  }
  for (const button of styles) button.setAttribute("aria-pressed", String(button.dataset.style === look.style));
};
const setLook = (changes) => {
  Object.assign(look, changes);
  showLook();
  announce(`${look.only < 0 ? "all" : data.emotions[look.only][0] + " alone"}, ${look.style}`);
};

/** @type {HTMLElement[]} */
const picks = [];
for (const legend of document.querySelectorAll(".legend[data-pick]")) {
  legend.querySelectorAll("li:not(.save)").forEach((item, emotion) => {
    const button = createButton("", () => setLook({ only: look.only === emotion ? -1 : emotion }), "pick");
    button.append(...item.childNodes);
    button.dataset.emotion = String(emotion);
    button.title = "Show alone, or all again";
    item.append(button);
    picks.push(button);
  });
}
const styles = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-style]"))];
for (const button of styles) button.addEventListener("click", () => setLook({ style: button.dataset.style }));

// The bins of a chart that are in sight, as rows under their columns' names; nothing stands where nobody was seen.
const COLUMNS = {
  stack: (key) => {
    const read = (find) => (bin) => { const values = readValues(key, bin); return values && find(values, bin); };
    return [
      ...data.emotions.map(([name], i) => [name, read((values) => values[i])]),
      ...(data.valence ? [["valence_index", read(toIndex)]] : []),
      ["uncertain_share", read((_, bin) => bytes(key, "values")[ROW * bin + N] / STEPS)],
    ];
  },
  changes: (key) => data.emotions.map(([name], i) => [`change_${name}`, (bin) => readChanges(key, bin)?.[i]]),
  counts: (key) => [["faces", (bin) => timelineOf(key).faces[bin]]],
  spans: (key) => [["seen", (bin) => (readValues(key, bin) ? 1 : 0)]],
  index: () => [],
  fixed: (key) => (data.series[key].low ? [
    ["valence_index", (bin) => { const values = readValues(key, bin); return values && toIndex(values); }],
    ["low", (bin) => data.series[key].low[bin]], ["high", (bin) => data.series[key].high[bin]],
  ] : []),
};
const listBins = (figure) => {
  /** @type {Plot[]} */
  const shown = [...figure.querySelectorAll(".plot[data-draw]")];
  const keyOf = (plot) => plot.dataset.series || plot.dataset.of;
  const isOne = new Set(shown.map(keyOf)).size === 1;
  const columns = shown.flatMap((plot) => COLUMNS[plot.dataset.draw](keyOf(plot)).map(([name, read]) => {
    return [isOne ? name : `${name} ${data.series[keyOf(plot)].name}`, read];
  }));
  const { starts, ends } = timelineOf(keyOf(shown[0]));
  const bins = [...starts.keys()].filter((bin) => ends[bin] > view.from && starts[bin] < view.to);
  const write = (value) => (value === null || value === undefined ? "" : Number(value.toFixed(3)));
  return [
    ["start_s", "end_s", ...columns.map(([name]) => name)],
    ...bins.map((bin) => [starts[bin], ends[bin], ...columns.map(([, read]) => write(read(bin)))]),
  ];
};
