// @ts-check
// Crosshair, values under the pointer or the arrow keys, and what pointers and keys do on a chart.
const tip = document.getElementById("tip");
const spoken = document.getElementById("spoken");
/** @type {Map<Plot, HTMLElement>} */
const crosses = new Map();
let here = 0;

const listLines = (plot, time) => {
  const key = plot.dataset.series, bin = findBin(key, time);
  if (bin < 0) return ["not analysed"];
  const isChange = plot.dataset.draw === "changes";
  const values = isChange ? readChanges(key, bin) : readValues(key, bin);
  if (!values) return [key === "all" ? "no face found" : "not seen"];
  const lines = data.emotions.map(([name, colour], i) => {
    const line = create("div", !isChange && findTop(values) === i ? "top" : "", createSwatch(colour), name + " ");
    line.append(create("b", "", isChange ? points(values[i]) + " points" : percent(values[i])));
    return line;
  });
  const { faces: counts } = timelineOf(key);
  if (!isChange && data.valence) lines.push(create("div", "ruled", "index ", create("b", "", signed(toIndex(values)))));
  const low = data.series[key].low?.[bin], high = data.series[key].high?.[bin];
  if (Number.isFinite(low)) lines.push(create("div", "", "95 % interval ", create("b", "", `${signed(low)} to ${signed(high)}`)));
  if (!isPerson(key)) lines.push(create("div", "", (data.unit || "faces") + " ", create("b", "", counts[bin].toFixed(data.unit ? 0 : 1))));
  if (isUncertain(key, bin)) lines.push(create("div", "soft", "mostly uncertain"));
  return lines;
};
const showTip = (plot, time, isSpoken) => {
  const name = data.series[plot.dataset.series].name;
  tip.replaceChildren(create("p", "", `${clock(time, view.to - view.from < 60 ? 1 : 0)} · ${name}`), ...listLines(plot, time));
  tip.hidden = false;
  crossAll(time);
  const box = plot.getBoundingClientRect();
  const x = box.left + (box.width * xOf(time)) / 100;
  const left = x + 16 + tip.offsetWidth < innerWidth ? x + 16 : x - 16 - tip.offsetWidth;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, Math.min(box.top, innerHeight - tip.offsetHeight - 4)) + "px";
  if (isSpoken) spoken.textContent = [...tip.childNodes].map((row) => row.textContent).join(", ");
};
const crossAll = (time) => {
  for (const plot of plots) {
    let line = crosses.get(plot);
    if (!line) {
      line = create("span", "cross");
      plot.append(line);
      crosses.set(plot, line);
    }
    line.style.setProperty("--x", String((100 * time) / data.end));
    line.hidden = false;
  }
};
const hide = () => {
  tip.hidden = true;
  if (!panel.hidden) return crossAll(shown.time);
  crosses.forEach((line) => { line.hidden = true; });
};

const DRAG_PX = 6;
for (const plot of readable) {
  const pointers = new Map();
  const chosen = create("span", "chosen");
  chosen.hidden = true;
  plot.append(chosen);
  let start = null, pinch = null;
  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, event.clientX);
    plot.setPointerCapture(event.pointerId);
    start = pointers.size === 1 ? { x: event.clientX, time: timeAt(plot, event.clientX) } : null;
    if (pointers.size !== 2) return;
    const [a, b] = [...pointers.values()].map((x) => timeAt(plot, x));
    pinch = { a, b };
    chosen.hidden = true;
  });
  plot.addEventListener("pointermove", (event) => {
    here = timeAt(plot, event.clientX);
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event.clientX);
    if (pinch && pointers.size === 2) {
      // The two times that were touched stay under the two fingers.
      const box = plot.getBoundingClientRect();
      const [p, q] = [...pointers.values()].map((x) => (x - box.left) / box.width);
      if (Math.abs(p - q) < 0.02) return;
      const span = Math.abs((pinch.b - pinch.a) / (q - p)), from = pinch.a - p * span;
      return setView(from, from + span);
    }
    showTip(plot, here, false);
    if (!start || Math.abs(event.clientX - start.x) < DRAG_PX) return;
    chosen.hidden = false;
    chosen.style.setProperty("--x", String((100 * Math.min(start.time, here)) / data.end));
    chosen.style.setProperty("--w", String((100 * Math.abs(here - start.time)) / data.end));
  });
  plot.addEventListener("pointerup", (event) => {
    const isDrag = !chosen.hidden, time = timeAt(plot, event.clientX);
    if (isDrag) setView(Math.min(start.time, time), Math.max(start.time, time));
    // A second click within a double click is one too many.
    else if (start && event.detail < 2 && pointers.size === 1) openMoment(plot.dataset.series, time, plot);
    pointers.delete(event.pointerId);
    start = pinch = null;
    chosen.hidden = true;
  });
  plot.addEventListener("pointercancel", (event) => {
    pointers.delete(event.pointerId);
    start = pinch = null;
    chosen.hidden = true;
    hide();
  });
  plot.addEventListener("dblclick", () => { closeMoment(); act("all"); });
  plot.addEventListener("pointerleave", () => { if (!start) hide(); });
  plot.addEventListener("blur", hide);
  plot.addEventListener("wheel", (event) => {
    if (event.ctrlKey) zoomAt(timeAt(plot, event.clientX), Math.exp(-event.deltaY / 150));
    else if (isZoomed() && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
      pan((event.deltaX || event.deltaY) / plot.clientWidth);
    } else return;
    event.preventDefault();
  }, { passive: false });
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: 0.1, PageUp: -0.1, Home: -1, End: 1 };
    if (event.key === "Enter") return openMoment(plot.dataset.series, here, plot);
    if (event.key === "Escape") { dropBegun(); return hide(); }
    if (event.key === " " && player) { event.preventDefault(); return togglePlay(); }
    if (!(event.key in steps)) return;
    event.preventDefault();
    const span = view.to - view.from;
    here = Math.min(Math.max(here < view.from || here > view.to ? view.from : here, view.from), view.to);
    here = Math.min(Math.max(here + span * steps[event.key], 0), data.end);
    if (here < view.from || here > view.to) pan((here < view.from ? here - view.from : here - view.to) / span);
    showTip(plot, here, true);
  });
}
// Single keys act only while the charts have the focus or the pointer.
document.addEventListener("keydown", (event) => {
  const target = /** @type {Element} */ (event.target);
  const isOnChart = target.closest?.(".timed") || document.querySelector(".plot:hover");
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.("input")) return;
  if (marking && event.key.toLowerCase() === "m" && (isOnChart || (video && !video.paused))) return markHere();
  if (!isOnChart || target.closest?.("video") || !(event.key in KEYS)) return;
  event.preventDefault();
  act(KEYS[event.key], here > view.from && here < view.to ? here : undefined);
});
addEventListener("beforeprint", () => {
  closeMoment();
  setView(0, data.end);
  render();
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
});
// A report that a browser made has empty paths: everything is drawn here.
if (data.isBare) {
  plots.forEach(refine);
  showOverview();
}
