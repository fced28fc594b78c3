// @ts-check
// The live view: consent, then picture, boxes, bars and the last minute; recording; what happens when things fail.
import { sentence } from "./api.js";
import { Camera, explain, findObstacle } from "./camera.js";
import { $, complain, fit, make, reveal, say, setText } from "./dom.js";
import { COLOURS, EMOTIONS, describe } from "./emotions.js";
import { FaceCards, drawBoxes } from "./faces.js";
import { loadJobs } from "./jobs.js";
import { LiveSocket } from "./socket.js";
import { Timeline } from "./timeline.js";

const CARDS_MS = 200;
const FACTS_MS = 1000;
const SPEAK_MS = 8000;
const LEAVE_MS = 8000;
const ONLY_NUMBERS = "Record keeps numbers only: times, boxes and probabilities. No picture is stored.";

const camera = new Camera(/** @type {any} */ ($("video"))), cards = new FaceCards($("live-faces"), "Person"), timeline = new Timeline($("timeline"));
let socket = null, faces = [], record = { state: "off", since: 0 };
let last = { cards: 0, speech: 0, spoken: "" }, timer = 0;

$("legend").replaceChildren(...EMOTIONS.map((name, i) => {
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = COLOURS[i];
  return make("li", {}, swatch, name);
}));

const setState = (text) => setText($("live-state"), text);

const showRecord = (state, note = ONLY_NUMBERS) => {
  record = { state, since: performance.now() };
  const button = $("record");
  button.classList.toggle("on", state === "on");
  button.disabled = state === "changing" || !socket?.isReady;
  setText($("record-text"), { off: "Record", on: "Stop recording", changing: "One moment…" }[state]);
  $("record-note").replaceChildren(note);
};

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

const showReading = (message) => {
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

const showFacts = () => {
  if (!socket) return;
  socket.check();
  if (!socket.isReady) { timeline.draw(); return; }
  const { rate, tripMs } = socket.facts;
  setState(rate ? `${Math.round(rate)} readings a second · ${Math.round(tripMs)} ms from picture to reading` : "Connected");
  if (record.state === "on") {
    const seconds = Math.floor((performance.now() - record.since) / 1000);
    setText($("record-note"), `Recording, ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}. Numbers only; no picture is stored.`);
  }
};

const clearFaces = () => {
  faces = [];
  cards.show([]);
  const { context, width, height } = fit($("boxes"));
  context.clearRect(0, 0, width, height);
};

const showConnection = (name, facts) => {
  if (name === "connecting") return;
  const wasLost = $("live").classList.contains("lost");
  $("live").classList.toggle("lost", name !== "connected");
  if (name === "connected") {
    complain("camera-trouble", "");
    if (wasLost) {
      say("Connected again.");
      loadJobs();
    }
    return;
  }
  const reason = name === "busy" ? "The server reads as many cameras as it can." : "The connection to the server is lost.";
  const wasRecording = record.state !== "off";
  const kept = wasRecording ? " The recording ended with it; if the server could keep it, it is listed below once the connection is back." : "";
  if (!wasLost || wasRecording) complain("camera-trouble", `${reason} Trying again until it answers.${kept}`);
  setState(`Trying again in ${Math.max(1, Math.round(facts.waitMs / 1000))} s`);
  clearFaces();
  showRecord("off");
};

const showRecorded = ({ job }) => {
  const link = make("a", { href: `/v1/jobs/${job}/report`, target: "_blank", rel: "noopener" }, "Read its report");
  showRecord("off", "");
  $("record-note").replaceChildren("Recorded. ", link, " (it is also listed below)");
  say("The recording is done; its report can be read.");
  loadJobs();
};

const showProblem = (message) => {
  if (message.frame === undefined) showRecord("off", sentence(message.detail));
  else setState(sentence(message.detail));
};

const sendPicture = async () => {
  if (!socket?.canSend) return;
  const from = socket.socket, takenAt = performance.now(), blob = await camera.takeJpeg();
  // Not into a connection that came after it.
  if (blob && socket && socket.socket === from) socket.send(blob, takenAt);
};

const listCameras = async (current) => {
  const all = await camera.list();
  $("camera-choice").hidden = all.length < 2;
  $("camera-list").replaceChildren(...all.map(({ deviceId, label }, i) =>
    make("option", { value: deviceId, selected: deviceId === current }, label || `Camera ${i + 1}`)));
};

const openCamera = async (deviceId) => {
  const track = await camera.start(deviceId);
  track.onended = () => stop("The camera was disconnected. Connect it and start again.");
  $("video").classList.toggle("mirrored", camera.isMirrored);
  listCameras(track.getSettings().deviceId);
  camera.follow(sendPicture);
};

const start = async () => {
  $("consent").hidden = true;
  complain("camera-trouble", "");
  $("live").hidden = false;
  setState("Waiting for the camera. Your browser may ask whether this page may use it.");
  try {
    await openCamera();
  } catch (error) {
    return stop(explain(error));
  }
  last = { cards: 0, speech: 0, spoken: "" };
  timeline.clear();
  socket = new LiveSocket({
    state: showConnection,
    hello: () => showRecord("off"),
    reading: showReading, recorded: showRecorded, problem: showProblem,
  });
  showRecord("off");
  timer = setInterval(showFacts, FACTS_MS);
  $("live").focus({ preventScroll: true });
  reveal($("live"), "start");
};

const hangUp = () => {
  if (!socket) return;
  const leaving = socket;
  socket = null;
  // A recording is kept by the server when its connection ends; it is listed as soon as it is written.
  if (record.state !== "off") {
    leaving.on = { state() {} };
    leaving.on.recorded = () => { leaving.close(); loadJobs(); };
    if (record.state === "on") leaving.ask("stop");
    setTimeout(() => { leaving.close(); loadJobs(); }, LEAVE_MS);
  } else leaving.close();
};

const stop = (trouble = "") => {
  clearInterval(timer);
  camera.stop();
  hangUp();
  clearFaces();
  record.state = "off";
  $("live").hidden = true;
  $("live").classList.remove("lost");
  $("camera-open").setAttribute("aria-expanded", "false");
  $("camera-open").disabled = false;
  complain("camera-trouble", trouble);
  $("camera-open").focus();
  if (!trouble) say("The camera is off.");
};

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
$("camera-stop").onclick = () => stop();
$("record").onclick = () => {
  if (record.state === "off") {
    socket.ask("record");
    showRecord("on", "Recording, 0:00. Numbers only; no picture is stored.");
  } else {
    socket.ask("stop");
    showRecord("changing", "The report is being written.");
  }
};
$("camera-list").onchange = async () => {
  try { await openCamera($("camera-list").value); } catch (error) { stop(explain(error)); }
};
// Also when a phone is turned.
$("video").addEventListener("resize", (event) => {
  const target = /** @type {HTMLVideoElement} */ (event.target);
  target.parentElement.style.aspectRatio = `${target.videoWidth} / ${target.videoHeight}`;
});
window.addEventListener("pagehide", () => { if (socket) stop(); });
