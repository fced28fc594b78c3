// What people look like: hair, face and collar as a small thumbnail of brightness and two colour differences.
import { roundEven, shrinkByArea } from "./image.js";

function findInside(start, step, n, limit) {
  const first = Math.max(0, roundEven(-start / step)), last = Math.min(n, roundEven((limit - start) / step));
  const low = Math.min(Math.max(Math.trunc(start + first * step), 0), limit - 1);
  return [first, last, low, Math.min(Math.max(Math.trunc(start + last * step), low + 1), limit)];
}

/** Return {values: brightness and colours per cell, weights: 1 inside the picture} of a face. */
export function describe(image, [x1, y1, x2, y2], facts) {
  const { ROWS, COLUMNS, ABOVE, BELOW, SAMPLES_PER_CELL, COLOUR_WEIGHT, FACE_ROWS } = facts;
  const n = ROWS * COLUMNS, values = new Float32Array(3 * n), weights = new Float32Array(n);
  const cells = new Float32Array(3 * n);
  const top = y1 - ABOVE * (y2 - y1), high = ((1 + ABOVE + BELOW) * (y2 - y1)) / ROWS, wide = (x2 - x1) / COLUMNS;
  if (wide > 0 && high > 0) {
    const [firstX, lastX, left, right] = findInside(x1, wide, COLUMNS, image.width);
    const [firstY, lastY, upper, lower] = findInside(top, high, ROWS, image.height);
    if (firstX < lastX && firstY < lastY) {
      const step = Math.max(1, Math.trunc(Math.min(wide, high) / SAMPLES_PER_CELL));
      const width = Math.ceil((right - left) / step), height = Math.ceil((lower - upper) / step);
      const part = { width, height, channels: 4, data: new Uint8Array(4 * width * height) };
      for (let y = 0, to = 0; y < height; y++) {
        for (let x = 0; x < width; x++, to += 4) {
          const from = 4 * ((upper + y * step) * image.width + left + x * step);
          part.data.set(image.data.subarray(from, from + 3), to);
        }
      }
      const size = shrinkByArea(part, lastX - firstX, lastY - firstY);
      for (let y = firstY; y < lastY; y++) {
        for (let x = firstX; x < lastX; x++) {
          const cell = y * COLUMNS + x, from = 4 * ((y - firstY) * size.width + x - firstX);
          for (let c = 0; c < 3; c++) cells[3 * cell + c] = size.data[from + c];
          weights[cell] = 1;
        }
      }
    }
  }
  const grey = Float32Array.from({ length: n }, (_, i) => (cells[3 * i] + cells[3 * i + 1] + cells[3 * i + 2]) / 3);
  const rows = grey.subarray(FACE_ROWS[0] * COLUMNS, FACE_ROWS[1] * COLUMNS);
  const light = rows.reduce((a, b) => a + b, 0) / rows.length + 5;
  for (let i = 0; i < n; i++) {
    if (!weights[i]) continue;
    values[i] = Math.sqrt(grey[i] / light) - 0.9;
    values[n + i] = ((cells[3 * i] - cells[3 * i + 1]) / (grey[i] + 20)) * COLOUR_WEIGHT;
    values[2 * n + i] = ((cells[3 * i + 2] - grey[i]) / (grey[i] + 20)) * COLOUR_WEIGHT;
  }
  return { values, weights };
}

/** Root mean square difference over the cells both have; NaN where those are too few. */
export function compare(a, b, minShared) {
  const n = a.weights.length;
  let shared = 0, squares = 0;
  for (let i = 0; i < n; i++) {
    if (!a.weights[i] || !b.weights[i]) continue;
    shared++;
    for (let k = i; k < 3 * n; k += n) squares += (a.values[k] - b.values[k]) ** 2;
  }
  return shared >= minShared * n ? Math.sqrt(squares / Math.max(3 * shared, 1)) : NaN;
}

/** What one person looked like: a slow mean and the last seconds. */
export class Memory {
  constructor(look, isClear, facts) {
    this.facts = facts;
    this.views = isClear ? 1 : 0;
    this.parts = facts.MEMORY_S.map(() => ({ values: look.values.slice(), weights: look.weights.slice() }));
  }

  update(look, elapsed) {
    const n = look.weights.length;
    this.views++;
    this.parts.forEach((part, k) => {
      const share = Math.max(1 - Math.exp(-elapsed / this.facts.MEMORY_S[k]), 1 / this.views);
      for (let i = 0; i < n; i++) {
        if (!look.weights[i]) continue;
        const step = part.weights[i] ? share : 1;
        for (let j = i; j < 3 * n; j += n) part.values[j] += step * (look.values[j] - part.values[j]);
        part.weights[i] = 1;
      }
    });
  }

  /** Distance to the mean looks. */
  differ(look) {
    return compare(look, this.parts[0], this.facts.MIN_SHARED);
  }

  /** Distance to the nearer memory. */
  compare(look) {
    const found = this.parts.map((part) => compare(look, part, this.facts.MIN_SHARED)).filter((d) => !Number.isNaN(d));
    return found.length ? Math.min(...found) : NaN;
  }
}
