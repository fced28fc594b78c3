// @ts-check
// A job's name, and the segments that are marked in it.
import { request } from "./api.js";
import { $, complain, say } from "./dom.js";
import { formatClock } from "./texts.js";

/**
 * Call a job something else.
 * @param {any} job
 * @param {(job: any) => void} onSaved
 */
export const rename = (job, onSaved) => {
  const dialog = $("rename"), form = dialog.querySelector("form"), text = $("rename-text");
  complain("rename-trouble", "");
  $("rename-label").textContent = job.kind === "project" ? "Name of the project" : `Name instead of ${job.name}`;
  text.value = job.label;
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      const body = JSON.stringify({ label: text.value });
      const now = await request(`/v1/jobs/${job.id}`, { method: "PATCH", body, headers: { "Content-Type": "application/json" } });
      dialog.close();
      say(`It is called ${now.label || now.name} now.`);
      onSaved(now);
    } catch (error) {
      complain("rename-trouble", error.message);
    }
  };
  $("rename-close").onclick = () => dialog.close();
  dialog.showModal();
};

/** @param {{name: string, start_s: number, end_s: number}[]} segments */
const list = (segments) => segments.slice(0, 8)
  .map(({ name, start_s: from, end_s: to }) => `${name} ${formatClock(from)} to ${formatClock(to)}`).join("; ")
  + (segments.length > 8 ? `; and ${segments.length - 8} more` : "");

/**
 * Mark segments of a job from a file, or take them away.
 * @param {string} address of the job's segments
 * @param {string} name of the job
 * @param {(message: string) => void} onSaved
 */
export const markSegments = async (address, name, onSaved) => {
  const dialog = $("segments"), form = dialog.querySelector("form"), file = $("segments-file");
  const { segments } = await request(address);
  complain("segments-trouble", "");
  form.reset();
  $("segments-title").textContent = `Marked segments of ${name}`;
  const now = segments.length ? `Now: ${list(segments)}. A file replaces them.` : "None yet. The report then compares them, without reading the video again.";
  $("segments-now").textContent = now;
  $("segments-none").hidden = !segments.length;
  const send = async (options) => {
    complain("segments-trouble", "");
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    $("segments-now").textContent = "The report is being made anew…";
    try {
      const answer = await request(address, options);
      dialog.close();
      const n = answer.segments.length, words = [`${n || "no"} segment${n === 1 ? "" : "s"} marked`, answer.message];
      say(`${name}: the report was made anew.`);
      onSaved(words.filter(Boolean).join(" · "));
    } catch (error) {
      complain("segments-trouble", error.message);
      $("segments-now").textContent = now;
    }
    for (const button of buttons) button.disabled = false;
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const body = new FormData();
    body.append("events", file.files[0]);
    if ($("segments-tiers").value.trim()) body.append("event_tiers", $("segments-tiers").value.trim());
    send({ method: "PUT", body });
  };
  $("segments-none").onclick = () => send({ method: "DELETE" });
  $("segments-close").onclick = () => dialog.close();
  dialog.showModal();
};
