// @ts-check
// The last minute: shares of the expressions, the mean of all faces, stacked over time.
import { EMOTIONS, readColours } from "./emotions.js";
import { fit } from "./dom.js";

const SPAN_S = 60;
const BIN_S = 0.25;
const N_BINS = SPAN_S / BIN_S;

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // Sums by bin number; old bins are dropped, so that an hour takes no more memory than a minute.
  clear() { this.bins = new Map(); this.draw(); }

  now() { return performance.now() / 1000; }

  add(faces) {
    const number = Math.floor(this.now() / BIN_S);
    const bin = this.bins.get(number) ?? { count: 0, sums: EMOTIONS.map(() => 0) };
    for (const { probabilities } of faces) {
      bin.count += 1;
      EMOTIONS.forEach((name, i) => { bin.sums[i] += probabilities[name]; });
    }
    this.bins.set(number, bin);
    for (const key of this.bins.keys()) if (key < number - N_BINS) this.bins.delete(key);
  }

  draw() {
    const { context, width, height } = fit(this.canvas);
    if (!width) return;
    context.clearRect(0, 0, width, height);
    const colours = readColours();
    // Ends and begins at whole bins and whole pixels: no seams, and nothing trembles as it moves.
    const end = Math.floor(this.now() / BIN_S) + 1, scale = this.canvas.width / width;
    const place = (number) => Math.round(scale * width * (1 - (end - number) / N_BINS)) / scale;
    for (const [number, { count, sums }] of this.bins) {
      if (!count) continue;
      const x = place(number), step = place(number + 1) - x;
      let bottom = height;
      // From the bottom up as in the report: the last lowest, the first on top.
      for (let i = EMOTIONS.length - 1; i >= 0; i--) {
        const part = (height * sums[i]) / count;
        context.fillStyle = colours[i];
        context.fillRect(x, bottom - part, step, part);
        bottom -= part;
      }
    }
  }
}
