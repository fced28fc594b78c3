// @ts-check
// Shots: the pictures of a film in, where it cuts out. What Python's CutFinder does, for cuts at once: pictures that come
// some tenths of a second apart show too little of a blend.
import { shrinkByArea, toGrey } from "./image.js";

/** @typedef {{width: number, height: number, channels: number, data: Uint8Array | Uint8ClampedArray}} Image */

// Films hold brightness as 16 to 235.
const BLACK = 16, RANGE = 219 / 255;

const mean = (values, of = (/** @type {number} */ value) => value) => values.reduce((sum, value) => sum + of(value), 0) / values.length;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

export class CutFinder {
  /** @param {Record<string, any>} facts the constants of media/shots.py */
  constructor(facts) {
    this.facts = facts;
    /** @type {number[] | null} */
    this.last = null;
    /** @type {[number, number][]} how much pictures changed before, and how much beyond what says nothing */
    this.steps = [];
    this.changing = 0;
    this.largest = 0;
    this.step = 0;
    this.isTold = false;
  }

  /**
   * Take the next picture; return whether it is the first of a new shot.
   * @param {Image} image
   */
  add(image) {
    const { SIZE_WH: [width, height], SAMPLES } = this.facts;
    // Single pixels: reading all would cost more than it tells.
    const across = Math.max(1, Math.floor(image.width / (SAMPLES * width))), down = Math.max(1, Math.floor(image.height / (SAMPLES * height)));
    const columns = Math.ceil(image.width / across), rows = Math.ceil(image.height / down), { channels } = image;
    const data = new Uint8Array(columns * rows * channels);
    for (let y = 0, to = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const from = (y * down * image.width + x * across) * channels;
        for (let c = 0; c < channels; c++) data[to++] = image.data[from + c];
      }
    }
    const small = shrinkByArea(toGrey({ width: columns, height: rows, channels, data }), width, height);
    return this.take(Array.from(small.data, (value) => BLACK + RANGE * value));
  }

  /**
   * Take the next picture's brightness in the cells of SIZE_WH, 0 to 255.
   * @param {number[]} small
   */
  take(small) {
    const f = this.facts, { last } = this;
    this.last = small;
    if (!last) return false;
    const away = small.map((value, i) => Math.abs(value - last[i]));
    const step = mean(away), jump = mean(away, (value) => Math.max(value, f.CELL_GREY)) - f.CELL_GREY;
    if (!this.steps.length) {
      // How much is usual nobody knows yet.
      this.keep(step, jump);
      return false;
    }
    const largest = Math.max(...this.steps.map(([, before]) => before));
    const isJump = jump > Math.max(f.CUT_GREY, f.CUT_TIMES * largest) && step > f.STEP_TIMES * this.step;
    this.step = step;
    const usual = f.BLEND_TIMES * median(this.steps.map(([before]) => before));
    if (!isJump && step <= Math.max(f.BLEND_GREY, usual, f.BLEND_END * this.largest)) return this.end(step, jump);
    this.changing++;
    this.largest = Math.max(this.largest, step);
    if (isJump && !this.isTold) {
      this.isTold = true;
      return true;
    }
    return this.changing >= f.BLEND_FRAMES ? this.end(step, jump) : false;
  }

  end(step, jump) {
    this.keep(step, jump);
    [this.changing, this.largest, this.isTold] = [0, 0, false];
    return false;
  }

  keep(step, jump) {
    this.steps.push([step, jump]);
    if (this.steps.length > this.facts.HISTORY) this.steps.shift();
  }
}
