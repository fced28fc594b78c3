// Recognition: crops in, calibrated probabilities out.
import { createTable, resizeSquare } from "./image.js";

function softmax(values) {
  const top = Math.max(...values), powers = values.map((v) => Math.exp(v - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** The network's input batch of grey crops. */
export function preprocess(crops, { size_px: side, mean, std }) {
  const n = side * side, batch = new Float32Array(crops.length * n), table = createTable(mean, std);
  crops.forEach((crop, k) => {
    const { data } = resizeSquare(crop, side);
    for (let i = 0; i < n; i++) batch[k * n + i] = table[data[i]];
  });
  return batch;
}

/** Calibrate one face's logits, as the network's specification says. */
export function calibrate(logits, { temperature, affine }) {
  const logs = softmax([...logits]).map((p) => Math.log(Math.max(p, 1e-30)));
  if (!affine.length) return softmax(logs.map((v) => v / temperature));
  return softmax(affine.map((row) => logs.reduce((sum, v, i) => sum + row[i] * v, row[logs.length])));
}

export class Recogniser {
  constructor(run, spec) {
    this.run = run;
    this.spec = spec;
  }

  /** Return the probabilities of each crop. */
  async predict(crops) {
    if (crops.length === 0) return [];
    const { size_px: side, calibration } = this.spec;
    const logits = await this.run(preprocess(crops, this.spec), [crops.length, 1, side, side]);
    const n = logits.length / crops.length;
    return crops.map((_, k) => calibrate(logits.subarray(k * n, (k + 1) * n), calibration));
  }
}
