// @ts-check
// Reading on this device: the worker's answers as promises.
/** @typedef {import("./emotions.js").Face & {smoothed?: number[], raw: number[], score: number, quality: Record<string, number>}} HereFace */

/** What the page shows of a face: the values that its reading goes by. */
const toFace = (face, emotions) => {
  const shown = face.smoothed ?? face.probabilities;
  return {
    ...face, raw: face.probabilities, track_id: face.trackId,
    probabilities: Object.fromEntries(emotions.map((name, i) => [name, shown[i]])),
  };
};

export class Here {
  waiting = new Map();
  count = 0;
  /** @type {Record<string, any>} what facts.json holds, once the networks are loaded */
  facts = {};

  /** @param {(trouble: string) => void} onLost told when the worker ended by itself */
  constructor(onLost) {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) reject(new Error(data.error));
      else resolve(data);
    };
    this.worker.onerror = (event) => {
      const trouble = `Reading stopped (${event.message || "the worker could not be started"}). Load the page again.`;
      for (const { reject } of this.waiting.values()) reject(new Error(trouble));
      this.waiting.clear();
      onLost(trouble);
    };
  }

  ask(question, transfer = []) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...question }, transfer);
    });
  }

  /** Load the networks; what facts.json holds is there then. */
  async open() {
    ({ facts: this.facts } = await this.ask({ ask: "open" }));
    return this.facts;
  }

  /** What comes next is another recording, smoothed with this time constant in seconds, 0 for none; films have cuts. */
  begin(smooth = 0, isFilm = false) { return this.ask({ ask: "begin", smooth, isFilm }); }

  /**
   * Read a picture that stands alone, or the next one of a recording.
   * @param {ImageBitmap} bitmap
   * @param {number} [time] seconds; none for a picture that stands alone
   * @returns {Promise<{faces: HereFace[], size_wh: [number, number], shot: number}>}
   */
  async read(bitmap, time) {
    const ask = time === undefined ? "picture" : "frame";
    const answer = await this.ask({ ask, bitmap, time }, [bitmap]);
    return { faces: answer.faces.map((face) => toFace(face, this.facts.emotions)), size_wh: answer.size_wh, shot: answer.shot };
  }
}
