// Readings jump from frame to frame; what is shown is their mean over the last half second or so.
import { EMOTIONS } from "./emotions.js";

const SECONDS = 0.4;

export class Steady {
  constructor() { this.people = new Map(); this.uncertainBelow = 0; }

  // Faces of one frame in, the same with steadied probabilities out, by number of the person.
  update(faces, time) {
    const seen = new Map();
    for (const face of faces) {
      const known = this.people.get(face.track_id);
      const kept = known ? Math.exp(-(time - known.time) / SECONDS) : 0;
      const probabilities = {};
      let emotion = EMOTIONS[0];
      for (const name of EMOTIONS) {
        probabilities[name] = kept * (known?.probabilities[name] ?? 0) + (1 - kept) * face.probabilities[name];
        if (probabilities[name] > probabilities[emotion]) emotion = name;
      }
      const probability = probabilities[emotion];
      seen.set(face.track_id, { ...face, time, probabilities, emotion, probability, uncertain: probability < this.uncertainBelow });
    }
    this.people = seen;
    return [...seen].sort(([a], [b]) => a - b);
  }
}
