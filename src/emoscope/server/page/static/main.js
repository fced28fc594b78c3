// @ts-check
// The page: files that are dropped or chosen go their way; the camera and the list of jobs look after themselves.
import { request } from "./api.js";
import { $ } from "./dom.js";
import { isPicture, onFiles } from "./drop.js";
import { loadJobs, sendSample, sendVideo } from "./jobs.js";
import { readPicture } from "./pictures.js";
import "./view.js";

/** @type {HTMLFormElement} */
const form = document.querySelector("#settings form");

// What differs from the defaults; null if something cannot be meant.
const readSettings = () => {
  if (!form.checkValidity()) {
    $("settings").open = true;
    form.reportValidity();
    return null;
  }
  return [...new FormData(form)]
    .map(([name, value]) => /** @type {[string, string | File]} */ ([name, value instanceof File ? value : value.trim()]))
    .filter(([, value]) => (value instanceof File ? value.size : value));
};

// What excludes each other is not offered.
const alignSettings = () => {
  const { annotate, blur_faces: blur, anonymous, thumbnails } = /** @type {any} */ (form.elements);
  blur.disabled = !annotate.checked;
  if (blur.disabled) blur.checked = false;
  thumbnails.querySelector("[value=clear]").disabled = anonymous.checked;
  if (anonymous.checked && thumbnails.value === "clear") thumbnails.value = "blurred";
};

const readOnServer = (file) => {
  const body = new FormData();
  body.append("file", file);
  return request("/v1/images", { method: "POST", body });
};

const take = async (files) => {
  const videos = files.filter((file) => !isPicture(file));
  const settings = videos.length ? readSettings() : [];
  if (settings) for (const file of videos) sendVideo(file, settings);
  // One after the other: the first is read while the next is sent, and their order stays.
  for (const file of files.filter(isPicture).reverse()) await readPicture(file, readOnServer);
};

onFiles(take);
const sample = $("sample");
if (sample) sample.onclick = () => { sample.disabled = true; sendSample().finally(() => { sample.disabled = false; }); };
form.addEventListener("change", alignSettings);
form.addEventListener("submit", (event) => event.preventDefault());
alignSettings();
loadJobs();
