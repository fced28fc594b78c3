// @ts-check
// A recording: readings in, the observations table out, as a CSV file and as a file that emoscope makes a report of.

import { toCsv } from "./texts.js";

const BOX = ["x1", "y1", "x2", "y2"];

export class Recording {
  /** @type {(number | string | boolean | null)[][]} */
  rows = [];
  frames = 0;
  /** @type {[number, number]} */
  size = [0, 0];
  end = 0;
  /** @type {number[]} times at which the film's shots change */
  cuts = [];

  /**
   * @param {Record<string, any>} facts what facts.json holds
   * @param {string} source
   * @param {"live" | "video"} kind
   * @param {Record<string, any>} settings
   */
  constructor(facts, source, kind, settings) {
    this.facts = facts;
    this.source = source;
    this.kind = kind;
    this.settings = settings;
    this.created = new Date().toISOString();
  }

  /** Add a frame: a row per face, or one with empty face columns. */
  add(faces, size, time, shot = 1) {
    if (shot > this.cuts.length + 1) this.cuts.push(time);
    this.size = size;
    this.end = time;
    const place = { source: this.source, frame: this.frames++, time_s: time, shot };
    for (const face of faces.length ? faces : [null]) this.rows.push(this.toRow(place, face));
  }

  toRow(place, face) {
    const cells = { ...place };
    if (face) {
      Object.assign(cells, face.quality, {
        track_id: face.track_id, detection_score: face.score, emotion: face.emotion, probability: face.probability,
        uncertain: face.uncertain,
      });
      BOX.forEach((name, i) => { cells[name] = face.xyxy[i]; });
      this.facts.emotions.forEach((name, i) => {
        cells[`p_${name}`] = face.raw[i];
        if (face.smoothed) cells[`smooth_${name}`] = face.smoothed[i];
      });
    }
    return this.columns.map((name) => (Number.isNaN(cells[name]) ? null : cells[name] ?? null));
  }

  get columns() {
    const { columns, emotions } = this.facts;
    return this.settings.smoothing_s ? [...columns, ...emotions.map((name) => `smooth_${name}`)] : columns;
  }

  toCsv() {
    return toCsv([this.columns, ...this.rows]);
  }

  /** What `emoscope receive` takes. */
  toFile(duration) {
    const { schema_version, model_facts, version } = this.facts;
    const facts = {
      schema_version, source: this.source, kind: this.kind, created: this.created, size_wh: this.size, model: model_facts,
      status: "complete", frames_in_source: this.frames, duration_s: duration ?? this.end, cuts: this.cuts,
      settings: { emoscope: version, ...this.settings },
    };
    const parts = [`{"emoscope": "recording", "facts": ${JSON.stringify(facts)},\n"columns": ${JSON.stringify(this.columns)},\n"rows": [\n`];
    this.rows.forEach((row, i) => parts.push(`${i ? ",\n" : ""}${JSON.stringify(row)}`));
    return new Blob([...parts, "\n]}\n"], { type: "application/json" });
  }
}
