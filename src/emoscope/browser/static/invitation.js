// @ts-check
// Taking part by a link, such as #stimulus=ad.mp4&every=0.2: consent, a look at the picture, the film, the recording.
import { explain, findObstacle } from "./camera.js";
import { $, complain, fit, reveal, say, setText } from "./dom.js";

/** @typedef {{every: number, stimulus: string, participant: string}} Settings */

const DEFAULTS = { every: 0.2, stimulus: "", participant: "" };
const CHECK_MS = 250;
const NEAR_PX = 80;
const FRONTAL = 0.6;
const ROLL_DEG = 20;

/** The names that a link may give, and what is wrong with a text for each; nothing where it is right. */
const RULES = {
  every: (text) => (Number(text) >= 0.05 && Number(text) <= 60 ? "" : "every must be 0.05 to 60 seconds"),
  // A file beside this page: nothing is ever loaded from elsewhere.
  stimulus: (text) => (/^[^/\\:?#%.][^/\\:?#%]*$/.test(text) ? "" : "stimulus must be the name of a film beside this page"),
  participant: (text) => (/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,59}$/u.test(text) ? "" : "participant must be letters and digits, 60 at most"),
};

/**
 * Read what a link asks for.
 * @param {string} hash the address from its `#` on
 * @returns {{settings: Settings | null, problems: string[]}} no settings where the link is no invitation
 */
export const readInvitation = (hash) => {
  const asked = [...new URLSearchParams(hash.replace(/^#/, ""))];
  if (!asked.some(([name]) => name in RULES)) return { settings: null, problems: [] };
  const problems = asked.map(([name, text]) => (name in RULES ? RULES[name](text) : `${name} is not known`)).filter(Boolean);
  const settings = { ...DEFAULTS, ...Object.fromEntries(asked) };
  return { settings: { ...settings, every: Number(settings.every) }, problems };
};

/**
 * What keeps a face from being read well: a name for each of the page's lines, and what helps.
 * @param {import("./here.js").HereFace[]} faces
 * @param {Record<string, number>} limits of the network
 */
export const findFaults = (faces, limits) => {
  if (faces.length !== 1) return { one: faces.length ? "Several faces are seen: be alone in the picture." : "No face is seen: come into the picture." };
  const { quality } = faces[0], isBelow = (name) => quality[name] < limits[name];
  /** @type {Record<string, string>} */
  const faults = {};
  if (quality.size_px < NEAR_PX) faults.near = "Come nearer to the camera.";
  if (isBelow("light") || isBelow("contrast")) faults.light = "Turn to a window or a lamp: there is too little light on your face.";
  if (isBelow("sharpness")) faults.sharp = "Hold still, and wipe the camera.";
  if (quality.frontal < FRONTAL || Math.abs(quality.roll_deg) > ROLL_DEG) faults.turned = "Look straight at the screen.";
  return faults;
};

/** Takes a participant from consent to the file. */
export class Invitation {
  isRecording = false;
  faces = [];

  /**
   * @param {Settings} settings
   * @param {{camera: import("./camera.js").Camera, read: (bitmap: ImageBitmap, time: number) => Promise<any>, begin: () => Promise<any>,
   *   limits: Record<string, number>, record: (participant: string) => import("./recording.js").Recording,
   *   finish: (recording: import("./recording.js").Recording, duration: number, note: string) => void}} page
   */
  constructor(settings, page) {
    this.settings = settings;
    this.page = page;
    this.film = /** @type {HTMLVideoElement} */ (/** @type {unknown} */ ($("stimulus")));
    $("step-check").querySelector(".checked").prepend($("video").parentElement);
    $("participant").value = settings.participant;
    $("participant-row").hidden = Boolean(settings.participant);
    for (const element of document.querySelectorAll("[data-with]")) {
      /** @type {HTMLElement} */ (element).hidden = /** @type {HTMLElement} */ (element).dataset.with !== (settings.stimulus ? "film" : "none");
    }
    $("join").onsubmit = (event) => { event.preventDefault(); this.check(); };
    $("begin").onclick = () => this.watch();
    $("watch-stop").onclick = () => this.end(" · stopped early");
    // What nobody looks at is not read well: the film waits.
    document.addEventListener("visibilitychange", () => {
      if (!this.isRecording || !this.settings.stimulus) return;
      if (document.hidden) this.film.pause(); else this.film.play();
    });
  }

  /** Fetch the film, before anything else: later nothing is fetched. */
  async load() {
    const { stimulus } = this.settings;
    if (!stimulus) return;
    const answer = await fetch(`./${encodeURIComponent(stimulus)}`);
    if (!answer.ok) throw new Error(`the film ${stimulus} is not there (${answer.status})`);
    this.film.src = URL.createObjectURL(await answer.blob());
  }

  show(step) {
    for (const name of ["consent", "check", "watch", "done"]) $(`step-${name}`).hidden = name !== step;
    complain("invitation-trouble", "");
    reveal($("invitation"), "start");
    $("invitation").focus({ preventScroll: true });
  }

  leave(trouble) {
    this.page.camera.stop();
    this.show("consent");
    complain("invitation-trouble", trouble);
  }

  async check() {
    const { camera } = this.page, obstacle = findObstacle();
    if (obstacle) { complain("invitation-trouble", obstacle); return; }
    this.show("check");
    try {
      (await camera.start()).onended = () => this.lose();
    } catch (error) {
      this.leave(explain(error));
      return;
    }
    $("video").classList.toggle("mirrored", camera.isMirrored);
    await this.page.begin();
    const since = performance.now();
    while (camera.stream && !this.isRecording) {
      await this.look((performance.now() - since) / 1000);
      await new Promise((resolve) => { setTimeout(resolve, CHECK_MS); });
    }
  }

  /** Read one picture and say what would help. */
  async look(time) {
    const bitmap = await this.page.camera.takeBitmap();
    if (!bitmap || this.isRecording) return;
    const { faces, size_wh } = await this.page.read(bitmap, time);
    if (this.isRecording || !this.page.camera.stream) return;
    const { context, width, height } = fit($("boxes"));
    context.clearRect(0, 0, width, height);
    // Boxes alone: who is told what they look like looks otherwise.
    const scale = width / size_wh[0];
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 2 });
    for (const { xyxy: [x1, y1, x2, y2] } of faces) {
      const x = this.page.camera.isMirrored ? width - scale * x2 : scale * x1;
      context.strokeRect(x, scale * y1, scale * (x2 - x1), scale * (y2 - y1));
    }
    const faults = findFaults(faces, this.page.limits);
    for (const line of /** @type {NodeListOf<HTMLElement>} */ ($("checks").querySelectorAll("li"))) {
      const fault = faults[line.dataset.check] ?? "", isKnown = !faults.one || line.dataset.check === "one";
      line.dataset.state = isKnown ? (fault ? "bad" : "good") : "unknown";
      setText(line.querySelector("small"), fault);
    }
    $("begin").disabled = Boolean(faults.one);
    setText($("check-note"), Object.keys(faults).length
      ? faults.one ? "You can begin when one face is seen." : "You can begin, but the reading will be worse than it could be."
      : "All is well.");
  }

  /** Play the film, or begin without one, and record until it ends. */
  async watch() {
    const { every, stimulus } = this.settings, { camera } = this.page;
    this.isRecording = true;
    this.show("watch");
    this.recording = this.page.record($("participant").value.trim());
    await this.page.begin();
    if (stimulus) {
      try {
        await this.film.play();
      } catch (error) {
        this.isRecording = false;
        this.leave(`The film cannot be played (${error.message || error.name}).`);
        return;
      }
      this.film.onended = () => this.end("");
    }
    this.since = performance.now();
    let next = 0;
    while (this.isRecording) {
      const bitmap = await camera.takeBitmap(), time = this.time;
      if (bitmap && time >= next) {
        const { faces, size_wh } = await this.page.read(bitmap, time);
        if (!this.isRecording) return;
        this.recording.add(faces, size_wh, time);
        // Late pictures do not crowd those that come after.
        next = Math.max(next + every, time);
      } else bitmap?.close();
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(every / 4, 0.05)); });
    }
  }

  /** Seconds on the film's clock; without a film, since the beginning. */
  get time() {
    return this.settings.stimulus ? this.film.currentTime : (performance.now() - this.since) / 1000;
  }

  lose() {
    if (this.isRecording) this.end(" · the camera was lost");
    else this.leave("The camera was disconnected. Connect it and start again.");
  }

  end(note) {
    if (!this.isRecording) return;
    const duration = Math.max(this.time, this.recording.end);
    this.isRecording = false;
    this.film.pause();
    this.page.camera.stop();
    this.show("done");
    setText($("done-note"), this.recording.frames
      ? "Thank you. What was read is kept in this page only: save the file, and send it to whoever invited you if you still want to."
      : "Nothing was recorded.");
    if (this.recording.frames) this.page.finish(this.recording, duration, note);
    say($("done-note").textContent);
  }
}
