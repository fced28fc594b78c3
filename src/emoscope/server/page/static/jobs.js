// @ts-check
// Videos and recordings: uploads on their way, jobs as they run, results to read, downloads, deletion.
import { request, upload } from "./api.js";
import { $, complain, make, reveal, say, setText } from "./dom.js";
import { editPeople } from "./people.js";

const LIST_EVERY_MS = 5000;
// Browsers open six connections to a server at most; each watched job takes one for as long as it runs.
const MAX_WATCHED = 2;
const DOWNLOADS = {
  "observations.csv": "Table (CSV)", "observations.parquet": "Parquet", summary: "Summary", "annotated.mp4": "Video",
  "all.zip": "Everything (zip)",
};
const rows = new Map();
const watched = new Map();
let timer = 0;

const isOver = (job) => job.state === "finished" || job.state === "failed";
const minutes = (seconds) =>
  seconds < 60 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
const when = (iso) =>
  new Date(iso).toLocaleString(undefined, { day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });

const describe = (job) => {
  if (job.state === "queued") return job.place > 0 ? `Waiting, number ${job.place} in the queue` : "Waiting";
  if (job.state === "failed") return job.message || "It failed; try again.";
  const parts = job.state === "finished" ? [job.kind === "live" ? "Recorded" : "Done", when(job.finished)] : ["Reading"];
  if (job.state === "running" && job.progress != null) parts.push(`${Math.floor(100 * job.progress)} %`);
  if (job.state === "running" && job.left_s != null) parts.push(`about ${minutes(job.left_s)} left`);
  if (job.frames) parts.push(`${job.frames.toLocaleString()} frames`);
  if (job.state === "finished" && job.message) parts.push(job.message);
  return parts.join(" · ");
};

const makeRow = (name) => {
  const title = make("h3", {}, name), note = make("p", { className: "note" });
  const bar = make("progress", { max: 1, hidden: true });
  bar.ariaLabel = `Progress of ${name}`;
  const links = make("p", { className: "links" });
  const remove = make("button", { type: "button", className: "button small" }, "Delete");
  remove.ariaLabel = `Delete ${name}`;
  const element = make("li", { className: "job" },
    make("div", { className: "job-text" }, title, note, bar), links, remove);
  return { element, title, note, bar, links, remove, name, shown: "" };
};

const add = (row, isFirst) => {
  $("job-list")[isFirst ? "prepend" : "append"](row.element);
  $("jobs-empty").hidden = true;
};

const drop = (row) => {
  row.element.remove();
  $("jobs-empty").hidden = $("job-list").children.length > 0;
};

const showProgress = (row, share) => {
  row.bar.hidden = share === undefined;
  if (share == null) row.bar.removeAttribute("value"); else row.bar.value = share;
};

const makeLinks = (job) => {
  const links = [];
  if (job.links.report) {
    const report = make("a", { href: job.links.report, target: "_blank", rel: "noopener", className: "button small" }, "Read the report");
    report.append(make("span", { className: "hidden" }, ` of ${job.name} (opens in a new tab)`));
    links.push(report);
  }
  if (job.links.people) {
    const people = make("button", { type: "button", className: "button small" }, "Who is who");
    people.append(make("span", { className: "hidden" }, ` in ${job.name}`));
    people.onclick = () => editPeople(job.links.people, job.name, (message) => tellPeople(job, message))
      .catch((error) => complain("jobs-trouble", error.message));
    links.push(people);
  }
  for (const [key, text] of Object.entries(DOWNLOADS)) {
    if (!job.links[key]) continue;
    const link = make("a", { href: job.links[key], download: "" }, text);
    link.append(make("span", { className: "hidden" }, ` of ${job.name}`));
    links.push(link);
  }
  return links;
};

// What was set aside stands beside the job until the list is loaded anew; the report itself says it, too.
const tellPeople = (job, message) => {
  const row = rows.get(job.id);
  if (row) setText(row.note, [describe(job), message || "everyone counts"].join(" · "));
};

const showJob = (job, isFirst = false) => {
  let row = rows.get(job.id);
  if (!row) {
    row = makeRow(job.name);
    row.remove.onclick = () => remove(job.id);
    rows.set(job.id, row);
    add(row, isFirst);
  }
  row.isOver = isOver(job);
  setText(row.title, job.name);
  setText(row.note, describe(job));
  row.note.className = job.state === "failed" ? "trouble" : "note";
  showProgress(row, job.state === "running" ? job.progress : undefined);
  if (row.shown === job.state) return;
  if (row.shown && isOver(job)) say(`${job.name}: ${job.state === "finished" ? "done, the report can be read" : describe(job)}.`);
  row.shown = job.state;
  row.element.dataset.state = job.state;
  // Several recordings have the same name.
  row.remove.ariaLabel = `Delete ${job.name} of ${when(job.created)}`;
  row.links.replaceChildren(...(job.state === "finished" ? makeLinks(job) : []));
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

export const loadJobs = async () => {
  try {
    const { jobs } = await request("/v1/jobs");
    complain("jobs-trouble", "");
    const ids = new Set(jobs.map(({ id }) => id));
    for (const [id, row] of rows) if (!ids.has(id)) { drop(row); rows.delete(id); unwatch(id); }
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

const remove = async (id) => {
  const row = rows.get(id);
  const what = row.isOver ? "and its results" : "and stop reading it";
  if (!(await ask(`Delete ${row.title.textContent} ${what}? This cannot be undone.`))) return row.remove.focus();
  try {
    await request(`/v1/jobs/${id}`, { method: "DELETE" });
  } catch (error) {
    return complain("jobs-trouble", error.message);
  }
  unwatch(id);
  rows.delete(id);
  const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
  drop(row);
  (next?.querySelector("button") ?? $("choose")).focus();
  say(`${row.name} was deleted.`);
};

// Send one video; its row shows how far the upload is, then how far the reading.
export const sendVideo = async (file, settings) => {
  const row = makeRow(file.name), stop = new AbortController(), form = new FormData();
  for (const [name, value] of settings) form.append(name, value);
  form.append("file", file);
  row.remove.textContent = "Cancel";
  row.remove.ariaLabel = `Cancel ${file.name}`;
  row.remove.onclick = () => stop.abort();
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
    showJob(job, true);
    watch([job]);
    plan();
  } catch (error) {
    if (error.name === "AbortError") return drop(row);
    showProgress(row, undefined);
    // A sentence begins with a capital letter, but not at the cost of the file's name.
    const { message } = error, { name } = file;
    const text = message.toLowerCase().startsWith(name.toLowerCase()) ? name + message.slice(name.length) : message;
    row.note.textContent = text;
    row.note.className = "trouble";
    row.remove.textContent = "Remove";
    row.remove.ariaLabel = `Remove ${file.name} from the list`;
    row.remove.onclick = () => drop(row);
    say(`${file.name}: ${text}`);
  }
};

document.addEventListener("visibilitychange", () => { if (!document.hidden) loadJobs(); });
