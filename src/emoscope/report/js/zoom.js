// @ts-check
// One window of time for all charts. Drawings keep their numbers: the page shows a part of each.
const view = { from: 0, to: data.end, pending: false };
const { tickSteps: TICK_STEPS, maxTicks: MAX_TICKS } = data.chart;
const least = Math.min(data.end, 0.5);
const bar = document.getElementById("zoombar");
const overview = document.getElementById("overview");
const output = document.getElementById("window");
/** @type {HTMLElement} */
const frame = overview.querySelector(".window");
const axes = [...document.querySelectorAll(".axis")];
const stretched = plots.map((plot) => /** @type {SVGSVGElement} */ (plot.querySelector("svg[viewBox]"))).filter(Boolean);
/** @type {Set<Plot>} */
const onScreen = new Set();

const isZoomed = () => view.to - view.from < data.end * 0.9999;
const drawAxis = () => {
  const span = view.to - view.from;
  const step = TICK_STEPS.find((s) => span / s < MAX_TICKS) || TICK_STEPS.at(-1);
  let parts = "";
  for (let i = Math.ceil(view.from / step - 1e-6); i * step <= view.to + 1e-6; i++) {
    const x = (100 * (i * step - view.from)) / span;
    const anchor = x < 3 ? "start" : x > 97 ? "end" : "middle";
    const text = clock(i * step, step < 1 ? 1 : 0);
    parts += `<line x1="${x}%" x2="${x}%" y2="5"/><text x="${x}%" y="18" text-anchor="${anchor}">${text}</text>`;
  }
  return parts;
};
const render = () => {
  view.pending = false;
  const span = view.to - view.from;
  root.style.setProperty("--zoom", String(data.end / span));
  root.style.setProperty("--from", String((100 * view.from) / data.end));
  for (const svg of stretched) {
    svg.setAttribute("viewBox", `${place(view.from)} 0 ${place(span)} ${svg.viewBox.baseVal.height}`);
  }
  const axis = drawAxis();
  for (const svg of axes) svg.innerHTML = axis;
  onScreen.forEach(refine);
  frame.style.left = (100 * view.from) / data.end + "%";
  frame.style.width = (100 * span) / data.end + "%";
  const digits = span < 60 ? 1 : 0;
  const text = isZoomed() ? `${clock(view.from, digits)} to ${clock(view.to, digits)}` : "all";
  output.textContent = isZoomed() ? `${text} of ${clock(data.end)}` : `all ${clock(data.end)}`;
  overview.setAttribute("aria-valuenow", String(Math.round((100 * view.from) / data.end)));
  overview.setAttribute("aria-valuetext", text);
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (bar.querySelectorAll("[data-zoom]"))) {
    const isIn = button.dataset.zoom === "in";
    button.setAttribute("aria-disabled", String(isIn ? span <= least * 1.001 : !isZoomed()));
  }
  root.classList.toggle("is-zoomed", isZoomed());
};
const setView = (from, to) => {
  const span = Math.min(data.end, Math.max(least, to - from));
  view.from = Math.min(Math.max(0, from + (to - from - span) / 2), data.end - span);
  view.to = view.from + span;
  if (!view.pending) requestAnimationFrame(render);
  view.pending = true;
};
// Shrinks the window by a factor; `time` keeps its place on the screen.
const zoomAt = (time, factor) => setView(time - (time - view.from) / factor, time + (view.to - time) / factor);
const lookAt = ({ start_s, end_s }) => setView(start_s - 0.25 * (end_s - start_s), end_s + 0.25 * (end_s - start_s));
const pan = (share) => {
  const by = Math.max(-view.from, Math.min(data.end - view.to, share * (view.to - view.from)));
  setView(view.from + by, view.to + by);
};
const timeAt = (plot, clientX) => {
  const box = plot.getBoundingClientRect();
  return view.from + (view.to - view.from) * Math.min(Math.max((clientX - box.left) / box.width, 0), 1);
};
// Percent of the visible window.
const xOf = (time) => (100 * (time - view.from)) / (view.to - view.from);

const act = (name, time = (view.from + view.to) / 2) => {
  if (name === "in") zoomAt(time, 2);
  if (name === "out") zoomAt(time, 0.5);
  if (name === "earlier") pan(-0.5);
  if (name === "later") pan(0.5);
  if (name === "all") setView(0, data.end);
};
const KEYS = { "+": "in", "=": "in", "-": "out", "\u2212": "out", "0": "all" };

bar.hidden = false;
bar.addEventListener("click", (event) => {
  const button = /** @type {Element} */ (event.target).closest("button");
  if (button) act(button.dataset.zoom);
});
const showOverview = () => {
  const drawing = document.querySelector(`.plot[data-series="${data.main}"][data-draw="stack"] svg`);
  if (!drawing) return;
  const copy = /** @type {Element} */ (drawing.cloneNode(true));
  copy.removeAttribute("role");
  copy.removeAttribute("aria-label");
  copy.setAttribute("aria-hidden", "true");
  overview.querySelector("svg")?.remove();
  overview.prepend(copy);
};
showOverview();
{
  let grip = null;
  const timeIn = (event) => {
    const box = overview.getBoundingClientRect();
    return (data.end * (event.clientX - box.left)) / box.width;
  };
  overview.addEventListener("pointerdown", (event) => {
    const time = timeIn(event), half = (view.to - view.from) / 2;
    if (time < view.from || time > view.to) setView(time - half, time + half);
    grip = time - Math.min(Math.max(view.from, time - 2 * half), time);
    overview.setPointerCapture(event.pointerId);
  });
  overview.addEventListener("pointermove", (event) => {
    if (grip === null) return;
    const span = view.to - view.from, from = Math.min(Math.max(0, timeIn(event) - grip), data.end - span);
    setView(from, from + span);
  });
  for (const name of ["pointerup", "pointercancel"]) overview.addEventListener(name, () => { grip = null; });
  overview.addEventListener("dblclick", () => act("all"));
  overview.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.1, ArrowRight: 0.1, PageUp: -0.5, PageDown: 0.5, ArrowDown: -0.1, ArrowUp: 0.1 };
    if (event.key in steps) pan(steps[event.key]);
    else if (event.key === "Home") pan(-Infinity);
    else if (event.key === "End") pan(Infinity);
    else return;
    event.preventDefault();
  });
}
// What is off the screen is drawn in detail when it comes near.
const watcher = new IntersectionObserver((entries) => {
  for (const { target: plot, isIntersecting } of entries) {
    const target = /** @type {Plot} */ (plot);
    if (isIntersecting) onScreen.add(target); else onScreen.delete(target);
    if (isIntersecting) refine(target);
  }
}, { rootMargin: "50%" });
plots.forEach((plot) => watcher.observe(plot));
if (data.view) setView(...data.view);
render();
