// Reads faces: a picture in, each face's person, box and calibrated probabilities out. What Python's Analyzer does.
import { Cutter } from "./cut.js";
import { OwnDetector, VideoDetector, YuNetDetector } from "./detect.js";
import { Recogniser } from "./recognise.js";
import { CutFinder } from "./shots.js";
import { Smoother } from "./smooth.js";
import { Tracker } from "./track.js";

/** Open a network; the function returned takes its input and gives its outputs by name. */
async function open(ort, bytes) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return async (data, dims) => {
    const found = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", data, dims) });
    return Object.fromEntries(session.outputNames.map((name) => [name, found[name].data]));
  };
}

async function openOnly(ort, bytes) {
  const run = await open(ort, bytes);
  return async (data, dims) => Object.values(await run(data, dims))[0];
}

export class Reader {
  /** @type {VideoDetector} */ detector;
  /** @type {Cutter} */ cutter;
  /** @type {Recogniser} */ recogniser;
  /** @type {Record<string, any>} */ facts;

  /**
   * Open the networks.
   * @param ort onnxruntime-web
   * @param facts what facts.json holds: the networks' specifications and the Python code's constants
   * @param load gives a network's bytes by its file's name
   */
  static async create(ort, facts, load, maxSide = facts.video_side_px) {
    const { detector, model } = facts, reader = new Reader();
    const kind = detector.name === "yunet" ? YuNetDetector : OwnDetector;
    reader.detector = new VideoDetector(new kind(await open(ort, await load(detector.file)), facts.constants, maxSide), facts.constants);
    const roll = await openOnly(ort, await load(facts.roll.file));
    reader.cutter = new Cutter(roll, facts.constants, model.crop_margin, model.limits);
    reader.recogniser = new Recogniser(await openOnly(ort, await load(model.file)), model);
    reader.facts = facts;
    reader.begin();
    return reader;
  }

  /** A reader of single pictures: the same networks, a longer look. */
  forPictures() {
    const reader = Object.assign(new Reader(), this);
    const { detector } = this.detector, kind = /** @type {any} */ (detector.constructor);
    const own = new kind(detector.run, this.facts.constants, this.facts.picture_side_px);
    reader.detector = new VideoDetector(own, this.facts.constants);
    reader.begin();
    return reader;
  }

  /**
   * Forget everybody.
   * @param {number} smooth time constant in seconds for what comes next, 0 for none
   * @param {boolean} isFilm whether that may cut from one picture to another
   */
  begin(smooth = 0, isFilm = false) {
    this.cuts = isFilm ? new CutFinder(this.facts.constants.shots) : null;
    this.shot = 1;
    this.tracker = new Tracker(this.facts.constants);
    this.detector.forget();
    this.smoother = smooth ? new Smoother(smooth, this.facts.constants.smooth.MAX_GAP) : null;
  }

  /** Read one frame {width, height, channels: 4, data}; those of one recording in their order. */
  async read(image, time) {
    const isCut = this.cuts?.add(image) ?? false;
    if (isCut) this.shot++;
    const faces = await this.detector.detect(image, time, this.tracker.predict(time));
    this.tracker.update(faces, time, image, isCut);
    const crops = await this.cutter.cut(image, faces), found = await this.recogniser.predict(crops);
    const least = this.recogniser.spec.calibration.uncertain_below;
    faces.forEach((face, i) => {
      face.probabilities = found[i];
      if (this.smoother) face.smoothed = this.smoother.update(face.trackId, found[i], time);
      const values = face.smoothed ?? found[i];
      face.probability = Math.max(...values);
      face.emotion = this.facts.emotions[values.indexOf(face.probability)];
      face.uncertain = face.probability < least || face.unreadable;
    });
    return faces;
  }
}
