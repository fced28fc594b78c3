// Pictures: {width, height, channels, data: Uint8Array or Uint8ClampedArray}, row by row; with one channel grey, with
// four RGBA as a canvas gives it. The arithmetic is OpenCV's, so that a face has the same numbers here and there.

/** Make an empty picture. */
export function createImage(width, height, channels) {
  return { width, height, channels, data: new Uint8Array(width * height * channels) };
}

/** Return a grey picture of an RGBA one; weights of ITU-R BT.601 in OpenCV's whole numbers. */
export function toGrey(image) {
  if (image.channels === 1) return image;
  const grey = createImage(image.width, image.height, 1);
  const { data } = image;
  for (let i = 0, j = 0; i < grey.data.length; i++, j += 4) {
    grey.data[i] = (9798 * data[j] + 19235 * data[j + 1] + 3735 * data[j + 2] + 16384) >> 15;
  }
  return grey;
}

/** Cut out whole pixels. */
export function cut(image, left, top, width, height) {
  const { channels } = image;
  const part = createImage(width, height, channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * channels;
    part.data.set(image.data.subarray(from, from + width * channels), y * width * channels);
  }
  return part;
}

/** For every output pixel of a row or column, what of the input it averages: first pixel, and weights that sum to 1. */
function computeShares(nIn, nOut) {
  const scale = nIn / nOut;
  return Array.from({ length: nOut }, (_, i) => {
    const start = i * scale, end = Math.min(start + scale, nIn);
    const first = Math.floor(start), weights = [];
    for (let j = first; j < Math.ceil(end - 1e-9); j++) weights.push(Math.min(end, j + 1) - Math.max(start, j));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/** Shrink by averaging what each pixel covers. */
export function shrinkByArea(image, width, height) {
  if (image.width === 2 * width && image.height === 2 * height) return halve(image);
  const { channels, data } = image;
  const columns = computeShares(image.width, width), rows = computeShares(image.height, height);
  const out = createImage(width, height, channels);
  const line = new Float64Array(image.width * channels);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    rows[y].weights.forEach((weight, k) => {
      const from = (rows[y].first + k) * image.width * channels;
      for (let i = 0; i < line.length; i++) line[i] += weight * data[from + i];
    });
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * line[(first + k) * channels + c];
        out.data[(y * width + x) * channels + c] = roundEven(sum);
      }
    }
  }
  return out;
}

function halve(image) {
  const { channels, data } = image, width = image.width >> 1, height = image.height >> 1;
  const out = createImage(width, height, channels), step = image.width * channels;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = 2 * y * step; x < width; x++, from += 2 * channels) {
      for (let c = 0; c < channels; c++) {
        const i = from + c;
        out.data[to++] = (data[i] + data[i + channels] + data[i + step] + data[i + step + channels] + 2) >> 2;
      }
    }
  }
  return out;
}

/** Round halves to even, as the C library does. */
export function roundEven(x) {
  const below = Math.floor(x), rest = x - below;
  if (rest !== 0.5) return rest > 0.5 ? below + 1 : below;
  return below % 2 ? below + 1 : below;
}

function computeTaps(nIn, nOut) {
  const scale = nIn / nOut, first = new Int32Array(nOut), second = new Int32Array(nOut);
  const share = new Int32Array(nOut);
  for (let i = 0; i < nOut; i++) {
    let at = Math.fround((i + 0.5) * scale - 0.5), low = Math.floor(at);
    at -= low;
    if (low < 0) { low = 0; at = 0; }
    if (low >= nIn - 1) { low = nIn - 1; at = 0; }
    first[i] = low;
    second[i] = Math.min(low + 1, nIn - 1);
    share[i] = roundEven(at * 2048);
  }
  return { first, second, share };
}

/** What each of the 256 pixel values is to a network, step by step in single precision: a last digit decides how an int8
 * network rounds. */
export function createTable(mean, std) {
  const { fround } = Math;
  return Float32Array.from({ length: 256 }, (_, v) => fround(fround(fround(v / 255) - fround(mean)) / fround(std)));
}

/** Resize by interpolation between four pixels, weights in 2048ths. */
export function resizeLinear(image, width, height) {
  const { channels, data } = image, out = createImage(width, height, channels);
  const columns = computeTaps(image.width, width), rows = computeTaps(image.height, height);
  const across = (y, line) => {
    const base = y * image.width;
    for (let x = 0, i = 0; x < width; x++) {
      const a = (base + columns.first[x]) * channels, b = (base + columns.second[x]) * channels;
      const share = columns.share[x];
      for (let c = 0; c < channels; c++) line[i++] = data[a + c] * (2048 - share) + data[b + c] * share;
    }
    return line;
  };
  let upper = new Int32Array(width * channels), lower = new Int32Array(width * channels), upperY = -1, lowerY = -1;
  for (let y = 0; y < height; y++) {
    const a = rows.first[y], b = rows.second[y], share = rows.share[y];
    if (a !== upperY) {
      if (a === lowerY) { [upper, lower] = [lower, upper]; [upperY, lowerY] = [lowerY, upperY]; }
      else { across(a, upper); upperY = a; }
    }
    if (b !== lowerY) { across(b, lower); lowerY = b; }
    const at = y * width * channels;
    for (let i = 0; i < upper.length; i++) {
      out.data[at + i] = ((((2048 - share) * (upper[i] >> 4)) >> 16) + ((share * (lower[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return out;
}

/** Make a grey square: by averages when it shrinks, by interpolation when it grows. */
export function resizeSquare(grey, side) {
  if (grey.width === side && grey.height === side) return grey;
  const shrinks = grey.width >= side && grey.height >= side;
  return shrinks ? shrinkByArea(grey, side, side) : resizeLinear(grey, side, side);
}

/** Make a picture smaller for a look: halved until interpolation will do. */
export function shrink(image, scale, maxStep) {
  if (scale >= 1) return image;
  const width = Math.max(1, roundEven(image.width * scale)), height = Math.max(1, roundEven(image.height * scale));
  while (Math.min(image.width / width, image.height / height) > maxStep) {
    image = shrinkByArea(image, Math.max(1, image.width >> 1), Math.max(1, image.height >> 1));
  }
  return resizeLinear(image, width, height);
}

/** The affine map [a, b, c, d, e, f] (x' = a x + b y + c, y' = d x + e y + f) that turns about a point. */
export function createRotation(x, y, degrees) {
  const cos = Math.cos((degrees * Math.PI) / 180), sin = Math.sin((degrees * Math.PI) / 180);
  return [cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y];
}

/** The map back.
 * @param {number[]} matrix
 */
export function invert([a, b, c, d, e, f]) {
  const det = a * e - b * d;
  return [e / det, -b / det, (b * f - e * c) / det, -d / det, a / det, (d * c - a * f) / det];
}

/** Move a picture by an affine map; beyond its edge the edge is repeated. */
export function warp(image, matrix, width, height) {
  const [a, b, c, d, e, f] = invert(matrix), { channels, data } = image;
  const out = createImage(width, height, channels), lastX = image.width - 1, lastY = image.height - 1;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += channels) {
      // OpenCV places pixels to a thirty-second.
      const px = Math.round((a * x + b * y + c) * 32) / 32, py = Math.round((d * x + e * y + f) * 32) / 32;
      const x0 = Math.floor(px), y0 = Math.floor(py), fx = px - x0, fy = py - y0;
      const xa = Math.min(Math.max(x0, 0), lastX), xb = Math.min(Math.max(x0 + 1, 0), lastX);
      const ya = Math.min(Math.max(y0, 0), lastY) * image.width, yb = Math.min(Math.max(y0 + 1, 0), lastY) * image.width;
      for (let k = 0; k < channels; k++) {
        const top = data[(ya + xa) * channels + k] * (1 - fx) + data[(ya + xb) * channels + k] * fx;
        const low = data[(yb + xa) * channels + k] * (1 - fx) + data[(yb + xb) * channels + k] * fx;
        out.data[to + k] = Math.round(top * (1 - fy) + low * fy);
      }
    }
  }
  return out;
}
