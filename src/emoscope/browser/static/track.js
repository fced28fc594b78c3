// Tracking: faces in, the same with trackId out; by motion and by looks, all faces of a frame decided together.
import { assign } from "./assign.js";
import { share } from "./detect.js";
import { describe, Memory } from "./looks.js";

/** A face's place and speed, and how sure both are: a Kalman filter with nearly constant velocity. */
class Motion {
  /**
   * @param {number[]} box
   * @param {number} time
   * @param {Record<string, number>} facts
   */
  constructor([x, y, width, height], time, facts) {
    const { JITTER, START_SPEED } = facts;
    this.x = x;
    this.y = y;
    this.width = width;
    this.height = height;
    this.time = time;
    this.facts = facts;
    this.speedX = 0;
    this.speedY = 0;
    this.covariance = 0;
    this.place = JITTER ** 2;
    this.speed = START_SPEED ** 2;
  }

  get size() {
    return Math.max(1, Math.sqrt(this.width * this.height));
  }

  expect(time) {
    const { COAST_S, ACCELERATION } = this.facts, dt = Math.max(0, time - this.time);
    const reach = COAST_S * (1 - Math.exp(-dt / COAST_S));
    const variance = this.place + 2 * reach * this.covariance + reach ** 2 * this.speed;
    return [this.x + this.speedX * reach, this.y + this.speedY * reach, variance + (ACCELERATION * dt ** 3) / 3];
  }

  /**
   * Take the box in which the face was seen.
   * @param {number[]} box
   * @param {number} time
   */
  update([x, y, width, height], time) {
    const { COAST_S, ACCELERATION, JITTER, SIZE_GAIN } = this.facts, dt = Math.max(0, time - this.time);
    const [atX, atY, place] = this.expect(time), left = Math.exp(-dt / COAST_S), reach = COAST_S * (1 - left);
    const covariance = left * (this.covariance + reach * this.speed) + (ACCELERATION * dt ** 2) / 2;
    const speed = left ** 2 * this.speed + ACCELERATION * dt, noise = JITTER ** 2;
    const placeGain = place / (place + noise), speedGain = covariance / (place + noise);
    const missX = x - atX, missY = y - atY;
    this.x = atX + placeGain * missX;
    this.y = atY + placeGain * missY;
    this.speedX = left * this.speedX + speedGain * missX;
    this.speedY = left * this.speedY + speedGain * missY;
    this.place = (1 - placeGain) * place;
    this.covariance = (1 - placeGain) * covariance;
    this.speed = speed - speedGain * covariance;
    this.width += SIZE_GAIN * (width - this.width);
    this.height += SIZE_GAIN * (height - this.height);
    this.time = time;
  }

  /** The box expected at a time. */
  box(time) {
    const [x, y] = this.expect(time), w = this.width / 2, h = this.height / 2;
    return [x - w, y - h, x + w, y + h];
  }
}

const toCentre = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2, Math.max(x2 - x1, 1), Math.max(y2 - y1, 1)];
const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

/** Links the faces of successive frames; numbers start at 1 and are never given twice. */
export class Tracker {
  constructor(facts) {
    this.facts = facts.track;
    this.motionFacts = facts.motion;
    this.lookFacts = facts.looks;
    this.nPeople = 0;
    this.forget();
  }

  forget() {
    this.tracks = [];
    this.last = null;
    this.step = 0;
  }

  /** Boxes where people seen lately are expected. */
  predict(time) {
    const lately = this.tracks.filter((t) => time - t.motion.time <= this.facts.EXPECT_S);
    return lately.map((t) => t.motion.box(time));
  }

  /** Give each face its trackId; across a cut nobody is linked by motion. */
  update(faces, time, image, isCut = false) {
    if (this.last !== null) this.step = time - this.last;
    this.last = time;
    if (!isCut && this.goesOnAlone(faces, time)) {
      const [track] = this.tracks;
      track.frames++;
      track.motion.update(toCentre(faces[0].xyxy), time);
      faces[0].trackId = track.id;
      return;
    }
    this.drop(time);
    if (faces.length === 0) return;
    const looks = faces.map((face) => describe(image, face.xyxy, this.lookFacts));
    const boxes = faces.map((face) => face.xyxy);
    const isClear = boxes.map((box, i) => this.isClear(box, boxes.filter((_, j) => j !== i)));
    const pairs = assign(this.computeCosts(faces, looks, isClear, time, isCut));
    this.learn(boxes, looks, isClear, pairs, time);
    for (const [i, j] of pairs) {
      const track = this.tracks[j];
      faces[i].trackId = track.id;
      track.frames++;
      if (isCut) track.motion = new Motion(toCentre(boxes[i]), time, this.motionFacts);
      else track.motion.update(toCentre(boxes[i]), time);
    }
    faces.forEach((face, i) => {
      if (face.trackId) return;
      face.trackId = ++this.nPeople;
      this.tracks.push({
        id: face.trackId, motion: new Motion(toCentre(face.xyxy), time, this.motionFacts), first: time, looked: time,
        frames: 1, other: 0, nOther: 0, memory: new Memory(looks[i], isClear[i], this.lookFacts),
      });
    });
    for (const [wrong, right] of this.recogniseLate(time)) {
      for (const face of faces) if (face.trackId === wrong) face.trackId = right;
    }
  }

  /** Whether the one face is the one known person's beyond doubt. */
  goesOnAlone(faces, time) {
    if (faces.length !== 1 || this.tracks.length !== 1) return false;
    const [track] = this.tracks, { LATE_FRAMES, LOOK_EVERY_S, ALONE_IOU } = this.facts;
    const since = time - track.looked;
    if (track.frames <= LATE_FRAMES || !(since >= 0 && since < LOOK_EVERY_S)) return false;
    const { width: w, height: h } = track.motion, [x1, y1, x2, y2] = faces[0].xyxy;
    const shared = share(faces[0].xyxy, track.motion.box(time));
    return shared > ALONE_IOU * (w * h + (x2 - x1) * (y2 - y1) - shared);
  }

  isClear(box, others) {
    const most = Math.max(0, ...others.map((other) => share(box, other)));
    return most <= this.facts.MAX_COVERED * (box[2] - box[0]) * (box[3] - box[1]);
  }

  drop(time) {
    const { RE_ENTRY_S, MAX_GAP_S, MIN_FRAMES, KEPT_STEPS, MAX_TRACKS } = this.facts;
    this.tracks = this.tracks.filter((t) => {
      const usual = t.frames >= MIN_FRAMES ? RE_ENTRY_S : MAX_GAP_S;
      return time - t.motion.time <= Math.max(usual, KEPT_STEPS * this.step);
    });
    while (this.tracks.length > MAX_TRACKS) {
      const oldest = this.tracks.reduce((a, b) => (b.motion.time < a.motion.time ? b : a));
      this.tracks.splice(this.tracks.indexOf(oldest), 1);
    }
  }

  weigh(distance) {
    const { SAME_LOOKS, LOOKS_SLOPE, LOOKS_LIMITS } = this.facts;
    return Number.isNaN(distance) ? 0 : clamp((distance - SAME_LOOKS) * LOOKS_SLOPE, LOOKS_LIMITS);
  }

  isOther(track, time) {
    return track.nOther >= this.facts.PART_LOOKS && time - track.other >= this.facts.PART_S;
  }

  /** Log likelihood ratios of faces being new people rather than the tracks'; below 0 is a link. */
  computeCosts(faces, looks, isClear, time, isCut) {
    const f = this.facts;
    return faces.map((face, i) => this.tracks.map((track) => {
      let cost = isCut ? f.CUT_COST : this.computeMotionCost(face.xyxy, track.motion, time);
      if (!isCut && this.step >= f.SPARSE_S) cost = Math.min(cost, f.SPARSE_COST);
      if (!isCut && this.isOther(track, time)) cost = Math.max(cost, f.CUT_COST);
      const says = this.weigh(track.memory.compare(looks[i]));
      // Looking different means little where somebody else covers the face.
      cost += isClear[i] ? says : Math.min(says, f.COVERED_LIMIT);
      // Yielding must not turn a link into a new person where nobody contends.
      return face.score < f.HIGH_SCORE && cost < 0 ? Math.min(cost + f.LOW_COST, -0.01) : cost;
    }));
  }

  computeMotionCost(box, motion, time) {
    const f = this.facts, [x, y, place] = motion.expect(time), variance = place + this.motionFacts.JITTER ** 2;
    const gap = time - motion.time, size = motion.size, [atX, atY, w, h] = toCentre(box);
    const growth = Math.log(Math.sqrt(w * h) / size) / (f.SIZE_SPREAD[0] + f.SIZE_SPREAD[1] * gap);
    const away = ((atX - x) ** 2 + (atY - y) ** 2) / (size ** 2 * variance) + growth ** 2;
    const cost = ((f.TAIL + 2) / 2) * Math.log1p(away / f.TAIL) + Math.log((2 * Math.PI * variance) / f.NEW_AREA);
    return gap >= f.ELSEWHERE_S ? Math.min(cost, f.ELSEWHERE_COST) : cost;
  }

  /** Remember the looks of faces that nobody covers; called before the tracks move. */
  learn(boxes, looks, isClear, pairs, time) {
    const { EXPECT_S, OTHER_LOOKS, PART_LOOKS } = this.facts, linked = new Set(pairs.map(([, j]) => j));
    const hidden = this.tracks.filter((t, j) => !linked.has(j) && time - t.motion.time <= EXPECT_S);
    const expected = hidden.map((t) => t.motion.box(time));
    if (expected.length) boxes.forEach((box, i) => { isClear[i] &&= this.isClear(box, expected); });
    for (const [i, j] of pairs) {
      if (!isClear[i]) continue;
      const track = this.tracks[j];
      if (track.memory.differ(looks[i]) > OTHER_LOOKS && track.memory.views >= PART_LOOKS) {
        if (!track.nOther) track.other = time;
        track.nOther++;
      } else {
        track.nOther = 0;
        track.memory.update(looks[i], time - track.looked);
      }
      track.looked = time;
    }
  }

  /** Let new people who turn out to be somebody lost go on as these; return pairs of numbers, new and true. */
  recogniseLate(time) {
    const { MIN_FRAMES, LATE_FRAMES, ELSEWHERE_COST, LATE_COST } = this.facts;
    const isNew = (t) => t.frames >= MIN_FRAMES && t.frames <= LATE_FRAMES && t.motion.time === time && t.memory.views > 1;
    const fresh = this.tracks.filter(isNew);
    const lost = this.tracks.filter((t) => t.frames >= MIN_FRAMES && t.motion.time < time);
    if (!fresh.length || !lost.length) return [];
    const costs = fresh.map((track) => lost.map((known) => {
      if (known.motion.time >= track.first) return Infinity; // Nobody is in two places at once.
      return this.weigh(known.memory.compare(track.memory.parts[0])) + ELSEWHERE_COST + LATE_COST;
    }));
    const pairs = assign(costs).map(([i, k]) => {
      const track = fresh[i], known = lost[k];
      known.motion = track.motion;
      known.frames += track.frames;
      known.looked = track.looked;
      track.frames = 0;
      return [track.id, known.id];
    });
    if (pairs.length) this.tracks = this.tracks.filter((t) => t.frames > 0);
    return pairs;
  }
}
