// @ts-check
// An extension of jsPsych (8 and later): reads the participant's face beside any trial, on this device, and puts the
// readings into the trial's data. It needs the folder of `emoscope page` beside the experiment.
import { Camera, explain, findObstacle } from "./camera.js";
import { Here } from "./here.js";
import { Recording } from "./recording.js";

/** @typedef {{time_s: number, emotion: string | null, probability: number | null, uncertain: boolean | null, faces: number}
 *   & Record<string, any>} Reading the largest face's; nulls where none was seen */

const DEFAULT_EVERY_S = 0.1;
const IDLE_MS = 5;

const toReading = (faces, time_s, emotions) => {
  const area = ({ xyxy: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  const face = faces.reduce((best, next) => (best && area(best) >= area(next) ? best : next), null);
  const { emotion = null, probability = null, uncertain = null } = face ?? {};
  return {
    time_s, faces: faces.length, emotion, probability, uncertain,
    ...Object.fromEntries(emotions.map((name) => [`p_${name}`, face ? face.probabilities[name] : null])),
  };
};

/** @param {Reading[]} readings */
const average = (readings, emotions) => {
  const seen = readings.filter(({ emotion }) => emotion !== null);
  const mean = (name) => (seen.length ? seen.reduce((sum, reading) => sum + reading[name], 0) / seen.length : null);
  return Object.fromEntries(emotions.map((name) => [name, mean(`p_${name}`)]));
};

export class EmoscopeExtension {
  static info = {
    name: "emoscope", version: "1.0.0",
    data: {
      emoscope_readings: { type: "COMPLEX", array: true }, emoscope_mean: { type: "OBJECT" }, emoscope_coverage: { type: "FLOAT" },
      emoscope_markers: { type: "COMPLEX", array: true }, emoscope_start_s: { type: "FLOAT" },
    },
  };

  /** @type {Reading[]} */
  readings = [];
  /** @type {{name: string, time_s: number}[]} */
  markers = [];
  isOn = false;
  isOpen = false;
  startedAt = 0;
  trialAt = 0;
  trouble = "";
  /** @type {Record<string, any>} */
  facts = { emotions: [] };
  /** @type {Promise<void> | undefined} */
  prepared;
  isReading = Promise.resolve();

  /** @param {any} jsPsych */
  constructor(jsPsych) {
    this.jsPsych = jsPsych;
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.camera = new Camera(this.video);
    this.here = new Here((trouble) => { this.trouble = trouble; this.stop(); });
  }

  /**
   * Load the networks and start the camera. jsPsych 8 does not wait for its extensions: await this before `jsPsych.run`.
   * @param {{every_s?: number, participant?: string}} [params] seconds between readings, 0 for as many as can be
   */
  prepare(params) {
    this.prepared ??= this.open(params);
    return this.prepared;
  }

  /** @param {{every_s?: number, participant?: string}} [params] */
  initialize = (params) => this.prepare(params);

  async open({ every_s = DEFAULT_EVERY_S, participant = "participant" } = {}) {
    if (!(every_s >= 0)) throw new Error(`every_s is ${every_s}; emoscope expects seconds between readings, 0 for as many as can be`);
    this.everyMs = 1000 * every_s;
    this.facts = await this.here.open();
    await this.here.begin();
    this.recording = new Recording(this.facts, participant, "live", { ...this.facts.settings, every: `${every_s} s` });
    const obstacle = findObstacle();
    if (obstacle) throw new Error(obstacle);
    try {
      (await this.camera.start()).onended = () => { this.trouble = "The camera was disconnected."; this.stop(); };
    } catch (error) {
      throw new Error(explain(error));
    }
    this.startedAt = performance.now();
    this.isOn = true;
    this.run();
  }

  /** @param {{marker?: string}} [params] */
  on_start = (params) => {
    this.params = params ?? {};
    if (!this.isOn) this.trouble ||= "The face is not read yet: await jsPsych.extensions.emoscope.prepare() before jsPsych.run().";
  };

  on_load = () => {
    Object.assign(this, { readings: [], markers: [], trialAt: performance.now(), isOpen: true });
    if (this.params.marker) this.mark(this.params.marker);
  };

  /** What is put into the trial's data; a reading that is under way when the trial ends still belongs to it. */
  on_finish = async () => {
    const endedAt = performance.now();
    await this.isReading;
    this.isOpen = false;
    const readings = this.readings.filter(({ time_s }) => this.trialAt + 1000 * time_s <= endedAt);
    return {
      emoscope_start_s: (this.trialAt - this.startedAt) / 1000,
      emoscope_readings: readings,
      emoscope_mean: average(readings, this.facts.emotions),
      emoscope_coverage: readings.length ? readings.filter(({ faces }) => faces).length / readings.length : null,
      emoscope_markers: this.markers,
      ...(this.trouble ? { emoscope_trouble: this.trouble } : {}),
    };
  };

  /** Note a moment of the trial that runs, such as a stimulus that appears within it. */
  mark(name) {
    this.markers.push({ name, time_s: (performance.now() - this.trialAt) / 1000 });
  }

  /** Stop reading and let the camera go, before the experiment's last pages say. */
  stop() {
    this.isOn = false;
    this.camera.stop();
  }

  /** All readings since the beginning, as `emoscope receive` takes them. */
  toFile() {
    return this.recording.toFile(this.recording.end);
  }

  async run() {
    let next = 0;
    while (this.isOn) {
      const now = performance.now();
      if (now >= next) {
        next = Math.max(next + this.everyMs, now);
        this.isReading = this.read();
        await this.isReading;
      }
      await new Promise((resolve) => { setTimeout(resolve, IDLE_MS); });
    }
  }

  async read() {
    // The time is that of the picture, not of when it was read.
    const at = performance.now(), bitmap = await this.camera.takeBitmap();
    if (!bitmap) return;
    try {
      const { faces, size_wh } = await this.here.read(bitmap, (at - this.startedAt) / 1000);
      this.recording.add(faces, size_wh, (at - this.startedAt) / 1000);
      if (this.isOpen && at >= this.trialAt) this.readings.push(toReading(faces, (at - this.trialAt) / 1000, this.facts.emotions));
    } catch (error) {
      this.trouble = error.message;
      this.stop();
    }
  }
}

export default EmoscopeExtension;
