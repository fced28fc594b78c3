// @ts-check
// Values behind the charts, and the charts in full detail. charts.py draws the same, coarser, for the unzoomed page.
const store = document.getElementById("series");
// @ts-expect-error: the report puts the files into one function, which this ends where there is nothing to draw.
if (!store) return;
/**
 * @typedef {{starts: number[], ends: number[], faces: number[]}} Timeline times in seconds, faces per bin
 * @typedef {{name: string, timeline: string, values: string, changes?: string, low?: (number | null)[], high?: (number | null)[]}} Series bytes per bin as base64
 * @typedef {HTMLElement & {state?: string}} Plot its state: as what it was drawn last, nothing where charts.py drew it
 */
/**
 * @type {{end: number, main?: string, top: number, limit: number, reach: number, smoothed?: boolean, isBare?: boolean, events?: {name: string, start_s: number, end_s: number, kind?: string}[], valence: number[] | null, emotions: [string, string][], videos: [string, string][],
 *   view?: [number, number], unit?: string, series: Record<string, Series>, timelines: Record<string, Timeline>,
 *   numbers: NumberRule, chart: {width: number, height: number, lane: number, laneReach: number, leastCount: number,
 *     tickSteps: number[], maxTicks: number, drawnBins: number, uncertainFrom: number, steps: number, nothing: number}}}
 */
const data = JSON.parse(store.textContent);
const { width: WIDTH, height: HEIGHT, lane: LANE, steps: STEPS, nothing: NOTHING, drawnBins: DRAWN_BINS } = data.chart;
const { percent, signed, points } = createNumbers(data.numbers);
const plots = [.../** @type {NodeListOf<Plot>} */ (document.querySelectorAll(".plot[data-draw]"))];
const readable = plots.filter((plot) => plot.dataset.series);

/** @type {Map<string, Uint8Array>} */
const unpacked = new Map();
// The classes, and the bytes of a bin in `values`: one each, and the uncertain share; in `changes` they are the classes.
const N = data.emotions.length, ROW = N + 1;
// The bytes of a series; unpacked when first needed.
const bytes = (key, part) => {
  const name = key + " " + part;
  if (!unpacked.has(name)) unpacked.set(name, Uint8Array.from(atob(data.series[key][part]), (c) => c.charCodeAt(0)));
  return unpacked.get(name);
};
/** @type {(key: string) => Timeline} */
const timelineOf = (key) => data.timelines[data.series[key].timeline];

// The last bin that begins at or before `time` and has not ended, or -1.
const findBin = (key, time) => {
  const { starts, ends } = timelineOf(key);
  let low = 0, high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= time) low = middle + 1; else high = middle;
  }
  return low > 0 && time <= ends[low - 1] ? low - 1 : -1;
};

// The values of one bin, or null where nobody was seen.
/** @type {(key: string, bin: number) => number[] | null} */
const readValues = (key, bin) => {
  const row = bytes(key, "values").subarray(ROW * bin, ROW * bin + N);
  return row[0] === NOTHING ? null : [...row].map((value) => value / STEPS);
};
/** @type {(key: string, bin: number) => number[] | null} */
const readChanges = (key, bin) => {
  const row = bytes(key, "changes").subarray(N * bin, N * bin + N);
  return row[0] === NOTHING ? null : [...row].map((value) => (2 * value) / STEPS - 1);
};
const isUncertain = (key, bin) => {
  const share = bytes(key, "values")[ROW * bin + N];
  return share !== NOTHING && share >= STEPS * data.chart.uncertainFrom;
};

const clock = (time, digits = data.end < 60 ? 1 : 0) => {
  const scale = 10 ** digits, ticks = Math.floor(Math.max(time, 0) * scale + 1e-6), whole = Math.floor(ticks / scale);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n) => String(n).padStart(2, "0");
  return (h ? h + ":" + pad(m) : m) + ":" + pad(s) + (digits ? "." + (ticks % scale) : "");
};
// Positive less negative, as the summary's valence index; asked for only where every class has a valence.
const toIndex = (values) => values.reduce((sum, value, i) => sum + data.valence[i] * value, 0);

// Runs of bins that are wanted, as [first, one past the last]; a hole in the recording ends a run.
/** @type {(timeline: Pick<Timeline, "starts" | "ends">, isWanted: (bin: number) => boolean) => [number, number][]} */
const findRuns = ({ starts, ends }, isWanted) => {
  /** @type {[number, number][]} */
  const runs = [];
  let first = -1;
  for (let i = 0; i <= starts.length; i++) {
    const goesOn = i < starts.length && isWanted(i);
    const isBroken = i > 0 && i < starts.length && starts[i] - ends[i - 1] > 1e-6;
    if (first >= 0 && (!goesOn || isBroken)) { runs.push([first, i]); first = -1; }
    if (first < 0 && goesOn) first = i;
  }
  return runs;
};
const place = (time) => (WIDTH * time) / data.end;
// A closed area over the line y = base, or the open line above it.
const trace = (timeline, runs, y, base, isOpen = false) => {
  let path = "";
  for (const [first, end] of runs) {
    let last = isOpen ? Math.round(10 * y(first)) / 10 : base;
    path += `M${place(timeline.starts[first]).toFixed(2)} ${last}`;
    for (let i = first; i < end; i++) {
      const next = Math.round(10 * y(i)) / 10;
      if (next === last) continue;
      if (i > first) path += `H${place(timeline.starts[i]).toFixed(2)}`;
      path += `V${next}`;
      last = next;
    }
    path += `H${place(timeline.ends[end - 1]).toFixed(2)}` + (isOpen ? "" : `V${base}Z`);
  }
  return path;
};

const drawers = {
  // Drawn in full detail already.
  fixed() {},
  stack(paths, key, timeline) {
    if (!isPlain()) return drawLook(paths, key, timeline, lookTop);
    paths.forEach((path, i) => {
      path.removeAttribute("class");
      path.setAttribute("fill", data.emotions[i][1]);
      path.setAttribute("stroke", "none");
    });
    const values = bytes(key, "values");
    const runs = findRuns(timeline, (i) => values[ROW * i] !== NOTHING);
    const sums = new Float32Array(timeline.starts.length);
    for (let emotion = N - 1; emotion >= 0; emotion--) {
      sums.forEach((sum, i) => { sums[i] = sum + values[ROW * i + emotion] / STEPS; });
      // All of them fill the chart; the bytes' rounding must not fray its edge.
      const y = emotion ? (i) => HEIGHT * (1 - Math.min(1, sums[i])) : () => 0;
      paths[emotion].setAttribute("d", trace(timeline, runs, y, HEIGHT));
    }
  },
  index(paths, key, timeline) {
    const values = bytes(key, "values");
    const runs = findRuns(timeline, (i) => values[ROW * i] !== NOTHING);
    const height = (i) => (HEIGHT / 2 / data.reach) * toIndex([...values.subarray(ROW * i, ROW * i + N)].map((value) => value / STEPS));
    paths[0].setAttribute("d", trace(timeline, runs, (i) => HEIGHT / 2 - Math.max(0, height(i)), HEIGHT / 2));
    paths[1].setAttribute("d", trace(timeline, runs, (i) => HEIGHT / 2 - Math.min(0, height(i)), HEIGHT / 2));
  },
  counts(paths, key, timeline) {
    const runs = findRuns(timeline, (i) => timeline.faces[i] > 0);
    const y = (i) => HEIGHT * (1 - Math.max(data.chart.leastCount, timeline.faces[i] / data.top));
    paths[0].setAttribute("d", trace(timeline, runs, y, HEIGHT));
  },
  changes(paths, key, timeline) {
    const values = bytes(key, "changes");
    const runs = findRuns(timeline, (i) => values[N * i] !== NOTHING);
    for (let emotion = 0; emotion < N; emotion++) {
      const zero = LANE * (emotion + 0.5);
      const offset = (i) => {
        const change = ((2 * values[N * i + emotion]) / STEPS - 1) / data.limit;
        return data.chart.laneReach * Math.min(1, Math.max(-1, change));
      };
      paths[3 * emotion].setAttribute("d", trace(timeline, runs, (i) => zero - Math.max(0, offset(i)), zero));
      paths[3 * emotion + 1].setAttribute("d", trace(timeline, runs, (i) => zero - Math.min(0, offset(i)), zero));
    }
  },
};

// Draws a plot once more, with every bin and as the curves are to look now; until then it stands as charts.py drew it.
const refine = (plot) => {
  const key = plot.dataset.series || plot.dataset.of;
  const state = isPlain() ? "plain" : `${look.style} ${look.only} ${isZoomed()}`;
  const isAsDrawn = !data.isBare && isPlain() && !plot.state && (!isZoomed() || timelineOf(key)?.starts.length <= DRAWN_BINS);
  if (!key || plot.state === state || isAsDrawn) return;
  plot.state = state;
  const timeline = timelineOf(key), svg = plot.querySelector("svg"), draw = plot.dataset.draw;
  if (draw in drawers) return drawers[draw]([...svg.querySelectorAll("path")], key, timeline);
  const values = bytes(key, "values");
  const isWanted = svg.classList.contains("seen") ? (i) => values[ROW * i] !== NOTHING : (i) => isUncertain(key, i);
  svg.innerHTML = findRuns(timeline, isWanted).map(([first, end]) => {
    const [x, to] = [timeline.starts[first], timeline.ends[end - 1]].map((time) => (100 * time) / data.end);
    return `<rect x="${x.toFixed(3)}%" width="${Math.max(to - x, 0.02).toFixed(3)}%" height="100%"/>`;
  }).join("");
};
