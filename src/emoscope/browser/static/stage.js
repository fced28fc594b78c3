// @ts-check
// The camera's stage, wherever its pictures are read: consent, picture, boxes, bars, the last minute.
import { Camera, explain, findObstacle } from "./camera.js";
import { $, complain, fit, make, reveal, say } from "./dom.js";
import { COLOURS, EMOTIONS, describe } from "./emotions.js";
import { FaceCards, drawBoxes } from "./faces.js";
import { Timeline } from "./timeline.js";

const CARDS_MS = 200;
const SPEAK_MS = 8000;
export const ONLY_NUMBERS = "Record keeps numbers only: times, boxes and probabilities. No picture is stored.";

export const camera = new Camera(/** @type {any} */ ($("video")));
export const timeline = new Timeline($("timeline"));
const cards = new FaceCards($("live-faces"), "Person");
/** @type {[number, import("./emotions.js").Face][]} */
let faces = [];
let last = { cards: 0, speech: 0, spoken: "" };

$("legend").replaceChildren(...EMOTIONS.map((name, i) => {
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = COLOURS[i];
  return make("li", {}, swatch, name);
}));

const paint = (sizeWh) => {
  const { context, width, height } = fit($("boxes"));
  context.clearRect(0, 0, width, height);
  drawBoxes(context, faces, width / sizeWh[0], camera.isMirrored ? width : 0);
};

const speak = (now) => {
  if (now - last.speech < SPEAK_MS) return;
  const text = faces.length
    ? faces.slice(0, 3).map(([number, face]) => `Person ${number}: ${describe(face)}`).join(". ") + (faces.length > 3 ? `. ${faces.length} faces in all` : "")
    : "No face in view";
  const gist = faces.map(([number, face]) => number + (face.uncertain ? "?" : face.emotion)).join();
  if (gist !== last.spoken) say(text + ".");
  Object.assign(last, { speech: now, spoken: gist });
};

export const showReading = (message) => {
  const now = performance.now();
  faces = message.faces.map((face) => [face.track_id, face]).sort(([a], [b]) => a - b);
  timeline.add(message.faces);
  paint(message.size_wh);
  if (now - last.cards < CARDS_MS) return;
  last.cards = now;
  cards.show(faces);
  timeline.draw();
  speak(now);
};

export const clearFaces = () => {
  faces = [];
  cards.show([]);
  const { context, width, height } = fit($("boxes"));
  context.clearRect(0, 0, width, height);
};

/** Forget the last minute. */
export const clearStage = () => {
  last = { cards: 0, speech: 0, spoken: "" };
  timeline.clear();
};

const listCameras = async (current) => {
  const all = await camera.list();
  $("camera-choice").hidden = all.length < 2;
  $("camera-list").replaceChildren(...all.map(({ deviceId, label }, i) =>
    make("option", { value: deviceId, selected: deviceId === current }, label || `Camera ${i + 1}`)));
};

/** Start the camera; `onPicture` is called for each new picture, `onLost` when the camera goes away by itself. */
export const openCamera = async (onPicture, onLost, deviceId) => {
  const track = await camera.start(deviceId);
  track.onended = () => onLost("The camera was disconnected. Connect it and start again.");
  $("video").classList.toggle("mirrored", camera.isMirrored);
  listCameras(track.getSettings().deviceId);
  camera.follow(onPicture);
  $("camera-list").onchange = async () => {
    try { await openCamera(onPicture, onLost, $("camera-list").value); } catch (error) { onLost(explain(error)); }
  };
};

/** Show the stage and start; tell in a line why it cannot be. */
export const showStage = async (state, onPicture, onLost) => {
  $("consent").hidden = true;
  complain("camera-trouble", "");
  $("live").hidden = false;
  state("Waiting for the camera. Your browser may ask whether this page may use it.");
  try {
    await openCamera(onPicture, onLost);
  } catch (error) {
    onLost(explain(error));
    return false;
  }
  clearStage();
  return true;
};

export const focusStage = () => {
  $("live").focus({ preventScroll: true });
  reveal($("live"), "start");
};

/** Leave the stage, with what went wrong if something did. */
export const hideStage = (trouble = "") => {
  camera.stop();
  clearFaces();
  $("live").hidden = true;
  $("live").classList.remove("lost");
  $("camera-open").setAttribute("aria-expanded", "false");
  $("camera-open").disabled = false;
  complain("camera-trouble", trouble);
  $("camera-open").focus();
  if (!trouble) say("The camera is off.");
};

/** Ask for consent, then call. */
export const onConsent = (start) => {
  $("camera-open").onclick = () => {
    const obstacle = findObstacle();
    complain("camera-trouble", obstacle);
    if (obstacle) return;
    $("agree").checked = false;
    $("consent").hidden = false;
    $("camera-open").setAttribute("aria-expanded", "true");
    reveal($("consent"), "start");
    $("consent").focus({ preventScroll: true });
  };
  $("consent-cancel").onclick = () => {
    $("consent").hidden = true;
    $("camera-open").setAttribute("aria-expanded", "false");
    $("camera-open").focus();
  };
  $("consent-form").onsubmit = (event) => {
    event.preventDefault();
    $("camera-open").disabled = true;
    start();
  };
};

// Also when a phone is turned.
$("video").addEventListener("resize", (event) => {
  const target = /** @type {HTMLVideoElement} */ (event.target);
  target.parentElement.style.aspectRatio = `${target.videoWidth} / ${target.videoHeight}`;
});
