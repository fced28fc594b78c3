// Face detection: a picture in, faces {xyxy, score, landmarks} out, best first. YuNet, or the detector of our own.
import { createRotation, createTable, invert, shrink, shrinkByArea, toGrey, warp } from "./image.js";

const padTo = (n) => Math.ceil(n / 32) * 32;

/** Area that two boxes share. */
export function share(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return Math.max(w, 0) * Math.max(h, 0);
}

const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);

/** Keep the best of boxes that overlap more than a limit. */
function suppress(faces, limit) {
  const kept = [];
  for (const face of faces.sort((a, b) => b.score - a.score)) {
    const overlaps = (other) => {
      const shared = share(face.xyxy, other.xyxy);
      return shared / (area(face.xyxy) + area(other.xyxy) - shared) > limit;
    };
    if (!kept.some(overlaps)) kept.push(face);
  }
  return kept;
}

/** YuNet; its networks, `run` and facts come from the reader. */
export class YuNetDetector {
  turns = [90, 270, 180, 45, 315, 135, 225];

  constructor(run, facts, maxSide) {
    this.run = run;
    this.facts = facts;
    this.maxSide = maxSide;
  }

  async detect(image, reduce = 1) {
    const { STRIDES, SCORE_THRESHOLD, NMS_IOU } = this.facts.detect;
    const scale = Math.min(1, this.maxSide / Math.max(image.width, image.height)) / reduce;
    const small = shrink(image, scale, this.facts.preprocess.MAX_STEP);
    const width = padTo(small.width), height = padTo(small.height), plane = width * height;
    const batch = new Float32Array(3 * plane);
    for (let y = 0, j = 0; y < small.height; y++) {
      for (let x = 0, i = y * width; x < small.width; x++, i++, j += 4) {
        batch[i] = small.data[j + 2];
        batch[i + plane] = small.data[j + 1];
        batch[i + 2 * plane] = small.data[j];
      }
    }
    const found = await this.run(batch, [1, 3, height, width]);
    const toX = image.width / small.width, toY = image.height / small.height, faces = [];
    for (const stride of STRIDES) {
      const columns = Math.floor(width / stride), cls = found[`cls_${stride}`], obj = found[`obj_${stride}`];
      const boxes = found[`bbox_${stride}`], points = found[`kps_${stride}`];
      for (let k = 0; k < cls.length; k++) {
        const score = Math.sqrt(Math.min(Math.max(cls[k], 0), 1) * Math.min(Math.max(obj[k], 0), 1));
        if (!(score >= SCORE_THRESHOLD)) continue;
        const column = k % columns, row = Math.floor(k / columns);
        const x = (column + boxes[4 * k]) * stride, y = (row + boxes[4 * k + 1]) * stride;
        const w = Math.exp(boxes[4 * k + 2]) * stride, h = Math.exp(boxes[4 * k + 3]) * stride;
        const landmarks = Array.from({ length: 5 }, (_, p) => [
          (points[10 * k + 2 * p] + column) * stride * toX, (points[10 * k + 2 * p + 1] + row) * stride * toY,
        ]);
        faces.push({ xyxy: [x - w / 2, y - h / 2, x + w / 2, y + h / 2], score, landmarks });
      }
    }
    return suppress(faces, NMS_IOU).map((face) => ({
      ...face, xyxy: [face.xyxy[0] * toX, face.xyxy[1] * toY, face.xyxy[2] * toX, face.xyxy[3] * toY],
    }));
  }
}

/** The embedded detector, which looks at several sizes of a picture. */
export class OwnDetector {
  turns = [90, 270, 180];

  constructor(run, facts, maxSide) {
    this.run = run;
    this.facts = facts.own;
    this.maxStep = facts.preprocess.MAX_STEP;
    this.maxSide = maxSide;
  }

  async detect(image, reduce = 1) {
    const scale = Math.min(1, this.maxSide / Math.max(image.width, image.height)) / reduce;
    let grey = shrink(toGrey(image), scale, this.maxStep);
    const { COARSER, SMALLEST_PX } = this.facts, all = [];
    do {
      const across = image.width / grey.width, down = image.height / grey.height;
      for (const face of await this.look(this.light(grey))) {
        all.push({ ...face, x: face.x * across, y: face.y * down, side: face.side * Math.max(across, down) });
      }
      const width = Math.max(1, Math.floor(grey.width / COARSER)), height = Math.max(1, Math.floor(grey.height / COARSER));
      grey = shrinkByArea(grey, width, height);
    } while (Math.max(grey.width, grey.height) >= SMALLEST_PX);
    return this.keepBest(all).map(({ x, y, side, score }) => ({
      xyxy: [x - side / 2, y - side / 2, x + side / 2, y + side / 2], score, landmarks: null,
    }));
  }

  light(grey) {
    const { PEAK_GREY, MAX_GAIN } = this.facts, n = grey.data.length, counts = new Uint32Array(256);
    for (const value of grey.data) counts[value]++;
    const at = n - 1 - Math.floor(n / 100);
    let peak = 0;
    for (let below = counts[0]; below <= at; below += counts[++peak]);
    if (peak >= PEAK_GREY) return grey;
    const gain = Math.min(PEAK_GREY / Math.max(peak, 1), MAX_GAIN);
    return { ...grey, data: grey.data.map((value) => Math.min(255, Math.round(value * gain))) };
  }

  async look(grey) {
    const { STRIDES, MEAN, STD, SCORE_THRESHOLD } = this.facts;
    const width = padTo(grey.width), height = padTo(grey.height), batch = new Float32Array(width * height);
    const table = createTable(MEAN, STD);
    for (let y = 0, j = 0; y < grey.height; y++) {
      for (let x = 0; x < grey.width; x++, j++) batch[y * width + x] = table[grey.data[j]];
    }
    const found = await this.run(batch, [1, 1, height, width]);
    const least = Math.log(SCORE_THRESHOLD / (1 - SCORE_THRESHOLD)), faces = [];
    for (const stride of STRIDES) {
      const map = found[`map_${stride}`], columns = width / stride, n = (columns * height) / stride;
      for (let k = 0; k < n; k++) {
        if (!(map[k] > least)) continue;
        const x = ((k % columns) + 0.5 + map[n + k]) * stride, y = (Math.floor(k / columns) + 0.5 + map[2 * n + k]) * stride;
        const side = Math.exp(Math.min(Math.max(map[3 * n + k], -4), 4)) * stride;
        faces.push({ x, y, side, score: 1 / (1 + Math.exp(-map[k])) });
      }
    }
    return this.keepBest(faces);
  }

  keepBest(faces) {
    const { MAX_SHARED, SAME_IOU } = this.facts;
    faces.sort((a, b) => b.score - a.score);
    const toBox = ({ x, y, side }) => [x - side / 2, y - side / 2, x + side / 2, y + side / 2];
    const boxes = faces.map(toBox), kept = [], placed = [];
    faces.forEach((face, i) => {
      if (kept.some((j) => share(boxes[i], boxes[j]) > MAX_SHARED * Math.min(face.side, faces[j].side) ** 2)) return;
      kept.push(i);
      const same = faces.filter((other, j) => {
        const shared = share(boxes[i], boxes[j]);
        return shared / (face.side ** 2 + other.side ** 2 - shared) >= SAME_IOU;
      });
      const sum = same.reduce((total, other) => total + other.score, 0);
      const mean = (name) => same.reduce((total, other) => total + other[name] * other.score, 0) / sum;
      placed.push({ x: mean("x"), y: mean("y"), side: mean("side"), score: face.score });
    });
    return placed;
  }
}

/** Find faces that are turned so far (degrees, clockwise) in their picture. */
export async function detectTurned(detector, image, degrees, reduce, maxStep) {
  if (degrees === 0) return detector.detect(image, reduce);
  const small = shrink(image, detector.maxSide / Math.max(image.width, image.height), maxStep);
  const matrix = createRotation((small.width - 1) / 2, (small.height - 1) / 2, degrees);
  const cos = Math.abs(matrix[0]), sin = Math.abs(matrix[1]);
  const width = Math.round(small.width * cos + small.height * sin), height = Math.round(small.width * sin + small.height * cos);
  matrix[2] += (width - small.width) / 2;
  matrix[5] += (height - small.height) / 2;
  const found = await detector.detect(warp(small, matrix, width, height), reduce), back = invert(matrix);
  const toX = image.width / small.width, toY = image.height / small.height;
  // Boxes count from the edge of the first pixel, the matrix from its middle.
  const turnBack = ([x, y]) => [
    (back[0] * (x - 0.5) + back[1] * (y - 0.5) + back[2] + 0.5) * toX,
    (back[3] * (x - 0.5) + back[4] * (y - 0.5) + back[5] + 0.5) * toY,
  ];
  return found.map((face) => {
    const [x1, y1, x2, y2] = face.xyxy, [x, y] = turnBack([(x1 + x2) / 2, (y1 + y2) / 2]);
    let w = (x2 - x1) * toX, h = (y2 - y1) * toX;
    if (degrees % 180) [w, h] = degrees % 90 === 0 ? [h, w] : [Math.max(w, h), Math.max(w, h)];
    const landmarks = face.landmarks && face.landmarks.map(turnBack);
    return { ...face, xyxy: [x - w / 2, y - h / 2, x + w / 2, y + h / 2], landmarks };
  });
}

/** Finds the faces of successive frames: a full look now and then, cheap ones in between. */
export class VideoDetector {
  constructor(detector, facts) {
    this.detector = detector;
    this.facts = facts.detect;
    this.maxStep = facts.preprocess.MAX_STEP;
    this.forget();
  }

  forget() {
    this.fullAt = this.allWaysAt = -Infinity;
    this.turned = 0;
  }

  async detect(image, time, expected) {
    const { FULL_LOOK_S } = this.facts, reduce = this.chooseReduction(image, expected);
    if (reduce > 1 && time - this.fullAt >= 0 && time - this.fullAt < FULL_LOOK_S) {
      const faces = await detectTurned(this.detector, image, this.turned, reduce, this.maxStep);
      if (faces.length >= expected.length) return faces;
    }
    this.fullAt = time;
    if (time - this.allWaysAt >= 0 && time - this.allWaysAt < FULL_LOOK_S) {
      return detectTurned(this.detector, image, this.turned, 1, this.maxStep);
    }
    let faces = [], turned = 0;
    for (const degrees of new Set([0, this.turned, ...this.detector.turns])) {
      faces = await detectTurned(this.detector, image, degrees, 1, this.maxStep);
      if (faces.length) { turned = degrees; break; }
    }
    this.turned = turned;
    // A picture without a face is looked at all ways once in a while only.
    if (faces.length === 0 || turned) this.allWaysAt = time;
    return faces;
  }

  chooseReduction(image, expected) {
    if (expected.length === 0) return 1;
    const scale = Math.min(1, this.detector.maxSide / Math.max(image.width, image.height));
    const sides = expected.map(([x1, y1, x2, y2]) => Math.max(x2 - x1, y2 - y1));
    const largest = Math.min(this.facts.MAX_REDUCTION, (Math.min(...sides) * scale) / this.facts.SMALL_FACE_PX);
    return largest >= 2 ? 2 ** Math.floor(Math.log2(largest)) : 1;
  }
}
