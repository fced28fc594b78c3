// @ts-check
// Who is who in a project: participants.csv as a table; the project is then made anew.
import { request } from "./api.js";
import { $, complain, make, say } from "./dom.js";

/** @typedef {{columns: string[], rows: string[][]}} Table */
/** Shown where the file does not have them; left out again where they stay empty. */
const OFFERED = ["participant", "person", "start_s", "condition", "session"];
const WORDS = new Map([["recording", "Recording"], ["participant", "Participant"], ["person", "Person"], ["start_s", "Stimulus begins"]]);
const wordsOf = (column) => WORDS.get(column) ?? column;
/**
 * Columns are called as people like, `constructor` too: nothing is inherited.
 * @param {Record<string, string>} cells
 * @returns {Record<string, string>}
 */
const makeRecord = (cells) => Object.assign(Object.create(null), cells);

/**
 * @param {string} address of the project's participants
 * @param {any} job the project
 * @param {(job: any) => void} onSaved
 */
export const editParticipants = async (address, job, onSaved) => {
  const dialog = $("participants"), save = $("participants-save"), add = $("participants-add");
  complain("participants-trouble", "");
  /** @type {Table} */
  const file = await request(address);
  const columns = ["recording", ...new Set([...OFFERED, ...file.columns])].filter((name, i, all) => all.indexOf(name) === i);
  /** @type {Record<string, string>[]} */
  let rows = file.rows.map((row) => makeRecord(Object.fromEntries(file.columns.map((name, i) => [name, row[i]]))));

  const makeCell = (row, column) => {
    const field = make("input", { value: row[column] ?? "", maxLength: 200, autocomplete: "off" });
    field.ariaLabel = `${wordsOf(column)} of ${row.recording}`;
    field.oninput = () => { row[column] = field.value; };
    return make("td", { className: column === "person" || column === "start_s" ? "short" : "" }, field);
  };
  const makeRow = (row) => {
    const more = make("button", { type: "button", className: "button small" }, "+ Person");
    more.ariaLabel = `Another person in ${row.recording}`;
    more.onclick = () => { rows.splice(rows.indexOf(row) + 1, 0, makeRecord({ ...row, participant: "", person: "" })); show(row, 1); };
    const leave = make("button", { type: "button", className: "button small" }, "Leave out");
    leave.ariaLabel = `Leave out ${row.recording}`;
    leave.onclick = () => { const i = rows.indexOf(row); rows.splice(i, 1); show(rows[Math.min(i, rows.length - 1)]); };
    return make("tr", {}, make("th", { scope: "row" }, row.recording),
      ...columns.slice(1).map((column) => makeCell(row, column)), make("td", { className: "row-buttons" }, more, leave));
  };
  const show = (/** @type {Record<string, string> | undefined} */ row = undefined, after = 0) => {
    const heads = columns.map((column) => make("th", { scope: "col" }, wordsOf(column)));
    const body = make("tbody", {}, ...rows.map(makeRow));
    $("participants-table").replaceChildren(make("thead", {}, make("tr", {}, ...heads, make("td"))), body);
    const named = new Set(rows.map(({ recording }) => recording));
    const left = job.recordings.filter(({ name }) => !named.has(name)).map(({ name }) => {
      const button = make("button", { type: "button", className: "button small" }, `Take ${name} in again`);
      button.onclick = () => { rows.push(makeRecord({ recording: name, participant: name })); show(rows[rows.length - 1]); };
      return button;
    });
    $("participants-left").replaceChildren(...left);
    if (row) /** @type {HTMLElement} */ (body.rows[rows.indexOf(row) + after].querySelector("input")).focus();
  };

  add.onsubmit = (event) => {
    event.preventDefault();
    const field = add.querySelector("input"), name = field.value.trim();
    if (name && !columns.includes(name)) columns.push(name);
    field.value = "";
    show();
  };
  save.onclick = async () => {
    save.disabled = true;
    complain("participants-trouble", "");
    const kept = columns.filter((name) => file.columns.includes(name) || rows.some((row) => row[name]?.trim()));
    const body = JSON.stringify({ columns: kept, rows: rows.map((row) => kept.map((name) => (row[name] ?? "").trim())) });
    try {
      const now = await request(address, { method: "PUT", body, headers: { "Content-Type": "application/json" } });
      dialog.close();
      say(`${job.label || job.name} is being made anew.`);
      onSaved(now);
    } catch (error) {
      complain("participants-trouble", error.message);
    }
    save.disabled = false;
  };
  $("participants-close").onclick = () => dialog.close();
  $("participants-title").textContent = `Participants of ${job.label || job.name}`;
  save.disabled = false;
  show();
  dialog.showModal();
};
