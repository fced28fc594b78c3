// Faces cut out of a picture, upright, and how each can be seen.
import { createImage, createRotation, cut, resizeSquare, roundEven, shrinkByArea, toGrey, warp } from "./image.js";

const bitLength = (n) => 32 - Math.clz32(n);

/** Cut a square around a box, pixel for pixel; large ones are halved, beyond the picture its edge is repeated. */
export function cropFace(image, [x1, y1, x2, y2], margin, enough) {
  let side = Math.max(1, roundEven(Math.max(x2 - x1, y2 - y1) * (1 + margin)));
  side -= side % (1 << Math.max(0, bitLength(Math.floor(side / enough)) - 1));
  const left = roundEven((x1 + x2) / 2 - side / 2), top = roundEven((y1 + y2) / 2 - side / 2);
  const channels = image.channels, square = createImage(side, side, channels);
  for (let y = 0, to = 0; y < side; y++) {
    const row = Math.min(Math.max(top + y, 0), image.height - 1) * image.width;
    for (let x = 0; x < side; x++) {
      const from = (row + Math.min(Math.max(left + x, 0), image.width - 1)) * channels;
      for (let c = 0; c < channels; c++) square.data[to++] = image.data[from + c];
    }
  }
  let crop = square;
  while (crop.width >= 2 * enough) crop = shrinkByArea(crop, crop.width >> 1, crop.width >> 1);
  return crop;
}

function clip(low, high, n, step) {
  const first = Math.min(Math.max(Math.floor(low), 0), n - 1);
  const last = Math.max(Math.min(Math.ceil(high), n), first + 1);
  return [first, Math.max(first + 1, last - ((last - first) % step))];
}

/** Cut a turned square, so that the face stands upright in it; grey. */
export function cropTurned(image, [x1, y1, x2, y2], margin, degrees, enough) {
  const x = (x1 + x2) / 2, y = (y1 + y2) / 2, side = Math.max(1, Math.max(x2 - x1, y2 - y1) * (1 + margin));
  const step = 1 << Math.max(0, bitLength(Math.floor(Math.floor(side) / enough)) - 1);
  const reach = side / Math.SQRT2 + step;
  const [left, right] = clip(x - reach, x + reach, image.width, step);
  const [top, bottom] = clip(y - reach, y + reach, image.height, step);
  let part = toGrey(cut(image, left, top, right - left, bottom - top));
  if (step > 1) {
    part = shrinkByArea(part, Math.max(1, Math.floor(part.width / step)), Math.max(1, Math.floor(part.height / step)));
  }
  const size = Math.max(1, roundEven(side / step));
  const middleX = (x - left) / step - 0.5, middleY = (y - top) / step - 0.5;
  const matrix = createRotation(middleX, middleY, degrees);
  matrix[2] += (size - 1) / 2 - middleX;
  matrix[5] += (size - 1) / 2 - middleY;
  return warp(part, matrix, size, size);
}

/** Make a crop as small as it is measured. */
export function makeSmall(grey, side) {
  while (grey.height >= 2 * side) grey = resizeSquare(grey, grey.height >> 1);
  return resizeSquare(grey, side);
}

/** The roll network's input batch: mean 0 and deviation 1 within the inscribed circle, 0 outside. */
export function standardize(crops, { SIZE_PX, LEAST_DEVIATION }) {
  const n = SIZE_PX * SIZE_PX, batch = new Float32Array(crops.length * n), half = (SIZE_PX - 1) / 2;
  const inside = [];
  for (let i = 0; i < n; i++) {
    if (Math.hypot((i % SIZE_PX) - half, Math.floor(i / SIZE_PX) - half) <= SIZE_PX / 2) inside.push(i);
  }
  crops.forEach((crop, k) => {
    const { data } = resizeSquare(crop, SIZE_PX);
    let sum = 0, squares = 0;
    for (const i of inside) sum += data[i] / 255;
    const mean = sum / inside.length;
    for (const i of inside) squares += (data[i] / 255 - mean) ** 2;
    const deviation = Math.sqrt(squares / inside.length) + LEAST_DEVIATION;
    for (const i of inside) batch[k * n + i] = (data[i] / 255 - mean) / deviation;
  });
  return batch;
}

/** Sharpness, light and contrast of a crop that is as small as it is measured. */
export function measureCrop(grey, leastContrast) {
  const { width, data } = grey, n = data.length;
  let sum = 0, squares = 0, edges = 0;
  for (let i = 0; i < n; i++) { sum += data[i]; squares += data[i] * data[i]; }
  const light = sum / n, contrast = Math.sqrt(Math.max(squares / n - light * light, 0)) / 255;
  for (let y = 1; y < width - 1; y++) {
    for (let x = 1, i = y * width + 1; x < width - 1; x++, i++) {
      edges += (data[i - 1] + data[i + 1] + data[i - width] + data[i + width] - 4 * data[i]) ** 2;
    }
  }
  const sharpness = Math.sqrt(edges) / (255 * (width - 2)) / (contrast + leastContrast);
  return { sharpness, light: light / 255, contrast };
}

/** How evenly the nose stands between the eyes: 1 in the middle, 0 at an eye or beyond; NaN without landmarks. */
export function computeFrontal(landmarks) {
  if (!landmarks) return NaN;
  const [right, left, nose] = landmarks, dx = left[0] - right[0], dy = left[1] - right[1];
  const place = ((nose[0] - right[0]) * dx + (nose[1] - right[1]) * dy) / Math.max(dx * dx + dy * dy, 1e-9);
  return Math.min(Math.max(1 - 2 * Math.abs(place - 0.5), 0), 1);
}

/** Cuts faces out of a frame, upright, and measures how they can be seen. */
export class Cutter {
  constructor(run, facts, margin, limits) {
    this.run = run;
    this.facts = facts;
    this.margin = margin;
    this.limits = Object.entries(limits);
  }

  /** Add {quality, unreadable} to the faces; return a grey crop of each. */
  async cut(image, faces) {
    if (faces.length === 0) return [];
    const { ENOUGH_PX } = this.facts.crop, { SIDE_PX, LEAST_CONTRAST } = this.facts.quality;
    const { SIZE_PX, LEAST_DEG, LEAST_SURE } = this.facts.upright;
    const crops = faces.map((face) => toGrey(cropFace(image, face.xyxy, this.margin, ENOUGH_PX)));
    const small = crops.map((crop) => makeSmall(crop, SIDE_PX));
    const turns = await this.run(standardize(small, this.facts.upright), [faces.length, 1, SIZE_PX, SIZE_PX]);
    faces.forEach((face, i) => {
      const sine = turns[2 * i], cosine = turns[2 * i + 1], degrees = (Math.atan2(sine, cosine) * 180) / Math.PI;
      if (Math.abs(degrees) >= LEAST_DEG && Math.hypot(sine, cosine) >= LEAST_SURE) {
        crops[i] = cropTurned(image, face.xyxy, this.margin, degrees, ENOUGH_PX);
        small[i] = makeSmall(crops[i], SIDE_PX);
      }
      const [x1, y1, x2, y2] = face.xyxy;
      face.quality = {
        roll_deg: degrees, frontal: computeFrontal(face.landmarks), size_px: Math.max(x2 - x1, y2 - y1),
        ...measureCrop(small[i], LEAST_CONTRAST),
      };
      face.unreadable = this.limits.some(([name, least]) => Math.fround(face.quality[name]) < Math.fround(least));
    });
    return crops;
  }
}
