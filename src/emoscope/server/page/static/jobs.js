// @ts-check
// Videos and recordings: uploads on their way, jobs as they run, results to read, downloads, deletion.
import { request, upload } from "./api.js";
import { $, complain, make, reveal, say, setText } from "./dom.js";
import { markSegments, rename } from "./edits.js";
import { makeMenu } from "./menu.js";
import { editParticipants } from "./participants.js";
import { editPeople } from "./people.js";
import { showMore } from "./short.js";
import { forgetBox, makeBox, onGrouped } from "./ticked.js";

const LIST_EVERY_MS = 5000;
// Browsers open six connections to a server at most; each watched job takes one for as long as it runs.
const MAX_WATCHED = 2;
const DOWNLOADS = {
  "observations.csv": "Table (CSV)", "observations.parquet": "Parquet", summary: "Summary", "annotated.mp4": "Video",
  "participants.csv": "Participants (CSV)", "all.zip": "Everything (zip)",
};
const rows = new Map();
const watched = new Map();
let timer = 0;

const titleOf = (job) => job.label || job.name;
const isOver = (job) => job.state === "finished" || job.state === "failed";
const minutes = (seconds) =>
  seconds < 60 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
const when = (iso) =>
  new Date(iso).toLocaleString(undefined, { day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });

const describe = (job) => {
  if (job.state === "queued") return job.place > 0 ? `Waiting, number ${job.place} in the queue` : "Waiting";
  if (job.state === "failed") return job.message || "It failed; try again.";
  const isProject = job.kind === "project";
  const done = { live: "Recorded", project: "Put together", video: "Done" }[job.kind];
  const parts = job.state === "finished" ? [done, when(job.finished)] : [isProject ? "Being put together" : "Reading"];
  if (job.label && !isProject) parts.unshift(job.name);
  if (job.state === "running" && job.progress != null) parts.push(`${Math.floor(100 * job.progress)} %`);
  if (job.state === "running" && job.left_s != null) parts.push(`about ${minutes(job.left_s)} left`);
  if (job.frames) parts.push(`${job.frames.toLocaleString()} frames`);
  // What else is to be known of a project stands on its page.
  const isLong = isProject && !job.message?.startsWith("not made anew");
  if (job.state === "finished" && job.message) parts.push(isLong ? job.message.split("; ")[0] : job.message);
  return parts.join(" · ");
};

const makeRow = (name) => {
  const title = make("h3", {}, name), note = make("p", { className: "note" }), tick = make("span", { className: "tick" });
  const bar = make("progress", { max: 1, hidden: true });
  bar.ariaLabel = `Progress of ${name}`;
  const links = make("p", { className: "links" });
  const element = make("li", { className: "job" }, tick, make("div", { className: "job-text" }, title, note, bar), links);
  return { element, title, note, bar, links, tick, box: null, job: null, shown: "", isOver: false };
};

const showCount = () => {
  $("jobs-empty").hidden = $("job-list").children.length > 0;
  showMore("job-list", "jobs-more");
};

const add = (row, isFirst) => {
  $("job-list")[isFirst ? "prepend" : "append"](row.element);
  showCount();
};

const drop = (row) => {
  row.element.remove();
  showCount();
};

const showProgress = (row, share) => {
  row.bar.hidden = share === undefined;
  if (share == null) row.bar.removeAttribute("value"); else row.bar.value = share;
};

const makeButton = (words, onclick, className = "button small") =>
  make("button", { type: "button", className, onclick }, words);
const tellTrouble = (error) => complain("jobs-trouble", error.message);
const withName = (element, words) => { element.append(make("span", { className: "hidden" }, words)); return element; };

// What may be done with a job that is on the server.
const makeLinks = (job) => {
  const title = titleOf(job), links = [], edits = [];
  if (job.links.report) {
    const words = job.kind === "project" ? "Open the project" : "Read the report";
    const report = make("a", { href: job.links.report, target: "_blank", rel: "noopener", className: "button small" }, words);
    links.push(withName(report, `${job.kind === "project" ? "" : " of"} ${title} (opens in a new tab)`));
  }
  if (job.links.people) {
    links.push(withName(makeButton("Who is who", () =>
      editPeople(job.links.people, title, (message) => tell(job, message || "everyone counts")).catch(tellTrouble)), ` in ${title}`));
  }
  if (job.links.participants) {
    links.push(withName(makeButton("Participants", () =>
      editParticipants(job.links.participants, job, take).catch(tellTrouble)), ` of ${title}`));
  }
  const files = Object.entries(DOWNLOADS).filter(([key]) => job.links[key])
    .map(([key, words]) => withName(make("a", { href: job.links[key], download: "", className: "item" }, words), ` of ${title}`));
  if (files.length) links.push(makeMenu("Save", `files of ${title}`, ...files));
  edits.push(makeButton("Rename…", () => rename(job, take), "item"));
  if (job.links.segments) {
    edits.push(makeButton("Mark segments…", () =>
      markSegments(job.links.segments, title, (message) => tell(job, message)).catch(tellTrouble), "item"));
  }
  edits.push(makeButton("Delete…", () => remove(job.id), "item danger"));
  // Several recordings have the same name.
  links.push(makeMenu("More", `for ${title} of ${when(job.created)}`, ...edits));
  return links;
};

// What was changed stands beside the job until the list is loaded anew; the report itself says it, too.
const tell = (job, message) => {
  const row = rows.get(job.id);
  if (row) setText(row.note, [describe(row.job), message].join(" · "));
};

// A job as an answer has it: shown, and followed where it runs.
const take = (job) => {
  showJob(job, true);
  watch([job]);
  plan();
};

const showBox = (row, job) => {
  const canTick = job.state === "finished" && job.kind !== "project";
  if (canTick && !row.box) row.tick.append(row.box = makeBox(job.id));
  if (row.box) row.box.ariaLabel = `Tick ${titleOf(job)} of ${when(job.created)}`;
};

const showJob = (job, isFirst = false) => {
  let row = rows.get(job.id);
  if (!row) {
    row = makeRow(titleOf(job));
    rows.set(job.id, row);
    add(row, isFirst);
  }
  const title = titleOf(job), last = row.job?.state;
  row.job = job;
  row.isOver = isOver(job);
  setText(row.title, title);
  setText(row.note, describe(job));
  row.note.className = job.state === "failed" ? "trouble" : "note";
  showProgress(row, job.state === "running" ? job.progress : undefined);
  const shown = [job.state, title, Object.keys(job.links)].join();
  if (row.shown === shown) return;
  if (last && last !== job.state && row.isOver) say(`${title}: ${job.state === "finished" ? "done, its page can be read" : describe(job)}.`);
  row.shown = shown;
  row.element.dataset.state = job.state;
  row.links.replaceChildren(...makeLinks(job));
  showBox(row, job);
};

const unwatch = (id) => { watched.get(id)?.close(); watched.delete(id); };

// Follow the first unfinished jobs by events; the list, asked for now and then, tells of the others.
const watch = (jobs) => {
  for (const job of jobs.filter((candidate) => !isOver(candidate)).reverse()) {
    if (watched.size >= MAX_WATCHED) return;
    if (watched.has(job.id)) continue;
    const events = new EventSource(job.links.events);
    watched.set(job.id, events);
    events.addEventListener("job", (event) => {
      const news = JSON.parse(event.data);
      if (!rows.has(news.id)) return unwatch(news.id);
      showJob(news);
      if (isOver(news)) { unwatch(news.id); loadJobs(); }
    });
    // A browser connects anew by itself, unless the server refused: then the list tells.
    events.onerror = () => { if (events.readyState === EventSource.CLOSED) { unwatch(job.id); plan(); } };
  }
};

const plan = () => {
  clearTimeout(timer);
  if (!document.hidden && [...rows.values()].some((row) => !row.isOver)) timer = setTimeout(loadJobs, LIST_EVERY_MS);
};

const forget = (id, row) => {
  rows.delete(id);
  forgetBox(id);
  drop(row);
};

export const loadJobs = async () => {
  try {
    const { jobs } = await request("/v1/jobs");
    complain("jobs-trouble", "");
    const ids = new Set(jobs.map(({ id }) => id));
    for (const [id, row] of rows) if (!ids.has(id)) { forget(id, row); unwatch(id); }
    const isEmpty = rows.size === 0;
    // Newest first: those that are not shown yet go on top, the oldest of them first.
    for (const job of isEmpty ? jobs : [...jobs].reverse()) showJob(job, !isEmpty);
    watch(jobs);
  } catch (error) {
    complain("jobs-trouble", error.message);
    clearTimeout(timer);
    timer = setTimeout(loadJobs, LIST_EVERY_MS);
    return;
  }
  plan();
};

const ask = (text) => new Promise((resolve) => {
  const dialog = $("confirm");
  $("confirm-text").textContent = text;
  dialog.returnValue = "no";
  dialog.onclose = () => resolve(dialog.returnValue === "yes");
  dialog.showModal();
});

// What goes with a job, and what does not.
const warn = (job) => {
  const title = titleOf(job);
  if (job.kind === "project") return `Delete ${title}? Its page and tables go; the recordings in it stay in the list.`;
  const projects = [...rows.values()].filter((row) => row.job?.recordings.some((recording) => recording.job === job.id));
  const kept = projects.map((row) => row.title.textContent).join(", ");
  return `Delete ${title} ${isOver(job) ? "and its results" : "and stop reading it"}? This cannot be undone.`
    + (kept ? ` Its numbers stay in ${kept} until you delete that, too.` : "");
};

const remove = async (id) => {
  const row = rows.get(id), name = row.title.textContent;
  if (!(await ask(warn(row.job)))) return row.links.querySelector(".menu:last-child summary").focus();
  try {
    await request(`/v1/jobs/${id}`, { method: "DELETE" });
  } catch (error) {
    return tellTrouble(error);
  }
  unwatch(id);
  const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
  forget(id, row);
  (next?.querySelector("summary, button") ?? $("choose")).focus();
  say(`${name} was deleted.`);
};

// Make the sample clip a job.
export const sendSample = async () => {
  complain("jobs-trouble", "");
  try {
    const job = await request("/v1/videos/sample", { method: "POST" });
    take(job);
    reveal(rows.get(job.id).element);
  } catch (error) {
    tellTrouble(error);
  }
};

// Send one video; its row shows how far the upload is, then how far the reading.
export const sendVideo = async (file, settings) => {
  const row = makeRow(file.name), stop = new AbortController(), form = new FormData();
  for (const [name, value] of settings) form.append(name, value);
  form.append("file", file);
  const cancel = withName(makeButton("Cancel", () => stop.abort()), ` ${file.name}`);
  row.links.append(cancel);
  add(row, true);
  showProgress(row, 0);
  row.note.textContent = "Uploading";
  reveal(row.element);
  say(`Uploading ${file.name}.`);
  try {
    const job = await upload("/v1/videos", form, (share) => {
      showProgress(row, share < 1 ? share : null);
      setText(row.note, share < 1 ? `Uploading · ${Math.floor(100 * share)} %` : "Uploaded; the server looks at it");
    }, stop.signal);
    drop(row);
    take(job);
  } catch (error) {
    if (error.name === "AbortError") return drop(row);
    showProgress(row, undefined);
    // A sentence begins with a capital letter, but not at the cost of the file's name.
    const { message } = error, { name } = file;
    const text = message.toLowerCase().startsWith(name.toLowerCase()) ? name + message.slice(name.length) : message;
    row.note.textContent = text;
    row.note.className = "trouble";
    row.links.replaceChildren(withName(makeButton("Remove", () => drop(row)), ` ${file.name} from the list`));
    say(`${file.name}: ${text}`);
  }
};

onGrouped((project) => { take(project); reveal(rows.get(project.id).element); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) loadJobs(); });
