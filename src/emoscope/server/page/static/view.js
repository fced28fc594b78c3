// @ts-check
// The live view: consent, then picture, boxes, bars and the last minute; recording; what happens when things fail.
import { sentence } from "./api.js";
import { $, complain, make, say, setText } from "./dom.js";
import { loadJobs } from "./jobs.js";
import { LiveSocket } from "./socket.js";
import {
  ONLY_NUMBERS, camera, clearFaces, focusStage, hideStage, onConsent, showReading, showStage, timeline,
} from "./stage.js";
import { formatClock } from "./texts.js";

const FACTS_MS = 1000;
const LEAVE_MS = 8000;

let socket = null, record = { state: "off", since: 0 }, timer = 0;

const setState = (text) => setText($("live-state"), text);

const showRecord = (state, note = ONLY_NUMBERS) => {
  record = { state, since: performance.now() };
  const button = $("record");
  button.classList.toggle("on", state === "on");
  button.disabled = state === "changing" || !socket?.isReady;
  setText($("record-text"), { off: "Record", on: "Stop recording", changing: "One moment…" }[state]);
  $("record-note").replaceChildren(note);
};

const showFacts = () => {
  if (!socket) return;
  socket.check();
  if (!socket.isReady) { timeline.draw(); return; }
  const { rate, tripMs } = socket.facts;
  setState(rate ? `${Math.round(rate)} readings a second · ${Math.round(tripMs)} ms from picture to reading` : "Connected");
  if (record.state === "on") {
    const time = formatClock((performance.now() - record.since) / 1000);
    setText($("record-note"), `Recording, ${time}. Numbers only; no picture is stored.`);
  }
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

const start = async () => {
  if (!(await showStage(setState, sendPicture, stop))) return;
  socket = new LiveSocket({
    state: showConnection,
    hello: () => showRecord("off"),
    reading: showReading, recorded: showRecorded, problem: showProblem,
  });
  showRecord("off");
  timer = setInterval(showFacts, FACTS_MS);
  focusStage();
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
  hangUp();
  record.state = "off";
  hideStage(trouble);
};

onConsent(start);
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
window.addEventListener("pagehide", () => { if (socket) stop(); });
