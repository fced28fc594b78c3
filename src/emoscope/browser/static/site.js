// @ts-check
// The page that reads on this device: pictures, films and the camera; recordings that are saved, never sent.
import { $, complain, make, reveal, say, setText } from "./dom.js";
import { isPicture, onFiles } from "./drop.js";
import { openFilm, takePictures } from "./film.js";
import { Here } from "./here.js";
import { Invitation, readInvitation } from "./invitation.js";
import { readPicture } from "./pictures.js";
import { Recording } from "./recording.js";
import { createReport } from "./report.js";
import {
  ONLY_NUMBERS, camera, focusStage, hideStage, onConsent, showReading, showStage, timeline,
} from "./stage.js";
import { formatClock, save } from "./texts.js";

const FACTS_MS = 1000;

const here = new Here((trouble) => { complain("reader-trouble", trouble); stop(); invitation?.end(" · reading stopped"); });
const form = /** @type {any} */ ($("settings").querySelector("form")).elements;
/** @type {Record<string, any>} */
let facts = {}, forms = {};
let isUsable = false, isCounting = false, isLive = false, isReading = false, timer = 0, startedAt = 0;
let readings = { count: 0, since: 0 };
/** @type {Recording | null} */
let recording = null;
let recordedFrom = 0;

// What this page asks of others after it has loaded is counted by the browser itself.
let nRequests = 0;
const showRequests = () => setText($("connections"), isCounting
  ? `Requests since it loaded: ${nRequests}.${nRequests ? "" : " Nothing was sent or fetched."}` : "");
const isOutside = ({ name }) => !/^(blob|data):/.test(name);
new PerformanceObserver((list) => {
  if (!isCounting) return;
  nRequests += list.getEntries().filter(isOutside).length;
  showRequests();
}).observe({ type: "resource" });

/** Put a film or recording on the list. */
const makeItem = (name, text) => {
  const note = make("p", { className: "note" }, text), words = make("div", { className: "job-text" }, make("h3", {}, name), note);
  const item = make("li", { className: "recording" }, words);
  $("recordings").hidden = false;
  $("recording-list").prepend(item);
  return { item, note, words };
};

const makeRemove = (item, name) => {
  const remove = make("button", { type: "button", className: "button small" }, "Remove");
  remove.ariaLabel = `Remove ${name} from the page`;
  remove.onclick = () => {
    item.remove();
    $("recordings").hidden = !$("recording-list").children.length;
    $("choose").focus();
  };
  return remove;
};

/** List a finished recording with what can be saved of it. */
const list = (made, duration, note) => {
  const stem = made.source.replace(/\.[^.]*$/, "");
  const [first, second] = invited ? ["button primary", "button"] : ["button", "button primary"];
  const file = make("button", { type: "button", className: first }, invited ? "Save the file to send" : "Save for emoscope");
  const table = make("button", { type: "button", className: "button" }, "Save as a table (CSV)");
  file.onclick = () => save(made.toFile(duration), `${stem}.emoscope.json`);
  table.onclick = () => save(made.toCsv(), `${stem}.csv`);
  const report = make("button", { type: "button", className: second }, "Save the report");
  report.onclick = () => save(createReport(made, duration, forms), `${stem}.html`);
  const people = new Set(made.rows.map((row) => row[made.columns.indexOf("track_id")]).filter(Boolean)).size;
  const text = `${formatClock(duration)} · ${made.frames} pictures read · ${people} ${people === 1 ? "person" : "people"}${note}`;
  const { item } = makeItem(made.source, text);
  // Of nobody there is no report.
  const all = invited ? [file, report] : [report, file];
  item.append(...all.filter((button) => people || button !== report), table, makeRemove(item, made.source));
  say(`${made.source} is read; it can be saved.`);
};

const readHere = async (file) => here.read(await createImageBitmap(file));

const readFilm = async (file) => {
  const { item, note, words } = makeItem(file.name, "Opening…"), stopper = new AbortController();
  const bar = make("progress", { max: 1, value: 0, ariaLabel: `How much of ${file.name} is read` });
  const cancel = make("button", { type: "button", className: "button small" }, "Stop");
  cancel.onclick = () => stopper.abort();
  words.append(bar);
  item.append(cancel);
  reveal(item);
  let video;
  try {
    video = await openFilm(file);
    const every = Number(form.every.value), smoothing_s = Number(form.smooth.value);
    const made = new Recording(facts, file.name, "video", { ...facts.settings, every: `${every} s`, smoothing_s });
    await here.begin(smoothing_s, true);
    for await (const { time, bitmap, share } of takePictures(video, every, stopper.signal)) {
      const { faces, size_wh, shot } = await here.read(bitmap, time);
      made.add(faces, size_wh, time, shot);
      bar.value = share;
      setText(note, `${formatClock(time)} of ${formatClock(video.duration)} read`);
    }
    item.remove();
    if (made.frames) list(made, stopper.signal.aborted ? made.end : video.duration, stopper.signal.aborted ? " · stopped" : "");
  } catch (error) {
    bar.remove();
    cancel.replaceWith(makeRemove(item, file.name));
    note.className = "trouble";
    const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
    setText(note, `${text}. The command emoscope analyze reads more kinds of films.`);
  } finally {
    if (video) URL.revokeObjectURL(video.src);
  }
};

const take = async (files) => {
  if (!isUsable || isLive) {
    if (invitation) return;
    complain("reader-trouble", isLive ? "Stop the camera first: one thing is read at a time." : "The networks are still loading; try again in a moment.");
    return;
  }
  complain("reader-trouble", "");
  for (const file of files.filter(isPicture).reverse()) await readPicture(file, readHere);
  for (const file of files.filter((file) => !isPicture(file))) await readFilm(file);
};

onFiles(take);

const setState = (text) => setText($("live-state"), text);

const showRecord = (note = ONLY_NUMBERS) => {
  $("record").classList.toggle("on", Boolean(recording));
  setText($("record-text"), recording ? "Stop recording" : "Record");
  setText($("record-note"), note);
};

// The next picture is taken when the last one is read: nothing waits in between.
const readNext = async () => {
  if (!isLive || isReading) return;
  isReading = true;
  try {
    const bitmap = await camera.takeBitmap();
    if (!bitmap) return;
    const now = performance.now(), answer = await here.read(bitmap, (now - startedAt) / 1000);
    if (!isLive) return;
    readings.count++;
    showReading(answer);
    // Not a picture that was taken before.
    if (recording && now >= recordedFrom) recording.add(answer.faces, answer.size_wh, (now - recordedFrom) / 1000);
  } catch (error) {
    stop(error.message);
  } finally {
    isReading = false;
  }
};

const showFacts = () => {
  const now = performance.now();
  setState(`${Math.round((1000 * readings.count) / (now - readings.since))} readings a second, on this device`);
  readings = { count: 0, since: now };
  if (recording) showRecord(`Recording, ${formatClock((now - recordedFrom) / 1000)}. Numbers only, in this page; no picture is stored.`);
  timeline.draw();
};

const start = async () => {
  if (!(await showStage(setState, readNext, stop))) return;
  await here.begin();
  isLive = true;
  startedAt = performance.now();
  readings = { count: 0, since: startedAt };
  showRecord();
  timer = setInterval(showFacts, FACTS_MS);
  focusStage();
};

const endRecording = () => {
  const made = recording;
  recording = null;
  if (made?.frames) list(made, (performance.now() - recordedFrom) / 1000, "");
  showRecord(made?.frames ? "Recorded; it is listed below, to be saved." : ONLY_NUMBERS);
};

function stop(trouble = "") {
  if (!isLive) { if (trouble) hideStage(trouble); return; }
  clearInterval(timer);
  isLive = false;
  endRecording();
  hideStage(trouble);
}

onConsent(start);
$("camera-stop").onclick = () => stop();
$("record").onclick = () => {
  if (recording) { endRecording(); return; }
  recordedFrom = performance.now();
  const name = `camera ${new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-")}`;
  recording = new Recording(facts, name, "live", facts.settings);
  showRecord("Recording, 0:00. Numbers only, in this page; no picture is stored.");
};
// What was recorded and not saved would be lost without a word.
window.addEventListener("beforeunload", (event) => {
  if ($("recording-list").children.length || recording || invitation?.isRecording) event.preventDefault();
});

const { settings: invited, problems } = readInvitation(location.hash);
/** @type {Invitation | null} */
let invitation = null;

/** Make the page one participant's: what a link asks for stands in the place of everything else. */
const invite = async () => {
  if (!invited) return;
  $("invitation").hidden = false;
  $("files").parentElement.hidden = true;
  if (problems.length) throw new Error(`this link is wrong: ${problems.join("; ")}; ask for another one`);
  invitation = new Invitation(invited, {
    camera,
    limits: facts.model.limits,
    begin: () => here.begin(),
    read: (bitmap, time) => here.read(bitmap, time),
    record: (name) => new Recording(facts, name, "live", { ...facts.settings, every: `${invited.every} s` }),
    finish: list,
  });
  await invitation.load();
};
// Another link is another page.
window.addEventListener("hashchange", () => { if (readInvitation(location.hash).settings) location.reload(); });

// From the second visit on the page opens without a network, where the browser keeps pages (https, or this computer).
const keep = async () => {
  if (!("serviceWorker" in navigator) || !window.isSecureContext) return;
  try {
    await navigator.serviceWorker.register("./sw.js");
    await navigator.serviceWorker.ready;
  } catch { /* Storage that is full or refused: the page works all the same, with a network. */ }
};

const load = async () => {
  try {
    forms = await (await fetch("./forms.json")).json();
    facts = await here.open();
  } catch (error) {
    setText($("loading"), "");
    complain("reader-trouble", `The networks cannot be loaded (${error.message}). Load the page again; a browser of the last three years is needed.`);
    return;
  }
  try {
    await invite();
  } catch (error) {
    setText($("loading"), "");
    complain("invitation-trouble", `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`);
    return;
  }
  setText($("loading"), `Ready: reads with ${facts.model.name}, finds faces with ${facts.detector.name}.`);
  $("camera-open").disabled = false;
  $("join-button").disabled = false;
  isUsable = !invitation;
  await keep();
  // The last of the loading's own entries may come late.
  setTimeout(() => { isCounting = true; showRequests(); }, 100);
};
load();
