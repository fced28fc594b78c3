// @ts-check
// Who is who in a result: names, roles, who does not count, who is whom; the report is then made anew.
import { request } from "./api.js";
import { $, complain, make, say } from "./dom.js";

/**
 * @typedef {{track_id: number, name: string, role: string, exclude: string, merged_with: string}} Cells
 * @typedef {Cells & {first_s: number, last_s: number, coverage: number, emotion: string, faces: string[]}} Person
 * @typedef {{people: Person[], exclude: string, message: string | null}} People
 */
const ROLES = [["", "Participant"], ["interviewer", "Interviewer"], ["bystander", "Bystander"]];
const COUNTS = [["", "As the role says"], ["yes", "Left out"], ["no", "Counted all the same"]];

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/**
 * @param {string} words
 * @param {HTMLInputElement | HTMLSelectElement} field
 */
const label = (words, field) => make("label", {}, words, field);

/**
 * @param {string} name
 * @param {string[][]} choices value and words of each
 * @param {string} value
 */
const makeSelect = (name, choices, value) => {
  const known = choices.some(([own]) => own === value) ? choices : [...choices, [value, value]];
  const field = make("select", { name }, ...known.map(([own, words]) => make("option", { value: own }, words)));
  field.value = value;
  return field;
};

/**
 * @param {Person} person
 * @param {Person[]} everybody
 */
const makePerson = (person, everybody) => {
  const others = everybody.filter((other) => other !== person).map(({ track_id: id }) => [String(id), `Person ${id}`]);
  const faces = person.faces.map((uri) => make("img", { className: "face", src: uri, alt: "" }));
  const seen = `${clock(person.first_s)} to ${clock(person.last_s)}, ${Math.round(100 * person.coverage)} % of frames, most often ${person.emotion}`;
  const name = make("input", { name: "name", value: person.name, maxLength: 60, autocomplete: "off" });
  const fields = make("div", { className: "fields" },
    label("Name", name),
    label("Role", makeSelect("role", ROLES, person.role === "participant" ? "" : person.role)),
    label("Counts", makeSelect("exclude", COUNTS, person.exclude)),
    label("Is the same as", makeSelect("merged_with", [["", "Nobody else"], ...others], person.merged_with)));
  const element = make("fieldset", {}, make("legend", {}, `Person ${person.track_id}`),
    make("div", { className: "faces" }, ...faces), make("p", { className: "note" }, seen), fields);
  element.dataset.person = String(person.track_id);
  return element;
};

/** @returns {Cells[]} */
const readPeople = () => [...$("people-list").querySelectorAll("fieldset")].map((element) => {
  const value = (name) => /** @type {HTMLInputElement} */ (element.querySelector(`[name=${name}]`)).value.trim();
  return {
    track_id: Number(element.dataset.person), name: value("name"), role: value("role"), exclude: value("exclude"),
    merged_with: value("merged_with"),
  };
});

/**
 * Show who was seen in a job's result, and change what is said of them.
 * @param {string} address of the job's people
 * @param {string} name of the job
 * @param {(message: string | null) => void} onSaved
 */
export const editPeople = async (address, name, onSaved) => {
  const dialog = $("people"), everyone = $("people-exclude"), save = $("people-save");
  complain("people-trouble", "");
  /** @type {People} */
  const found = await request(address);
  $("people-title").textContent = `Who is who in ${name}`;
  const hasFaces = found.people.some(({ faces }) => faces.length);
  $("people-note").textContent = !found.people.length ? "Nobody was seen."
    : hasFaces ? "" : "No pictures of faces were kept: choose them in the settings before a video is read. Until then, look at these times.";
  $("people-list").replaceChildren(...found.people.map((person) => makePerson(person, found.people)));
  everyone.value = found.exclude;
  save.disabled = false;
  save.onclick = async () => {
    save.disabled = true;
    complain("people-trouble", "");
    try {
      const body = JSON.stringify({ people: readPeople(), exclude: everyone.value.trim() });
      /** @type {People} */
      const now = await request(address, { method: "PUT", body, headers: { "Content-Type": "application/json" } });
      dialog.close();
      say(`${name}: the report was made anew.`);
      onSaved(now.message);
    } catch (error) {
      complain("people-trouble", error.message);
    }
    save.disabled = false;
  };
  $("people-close").onclick = () => dialog.close();
  dialog.showModal();
};
