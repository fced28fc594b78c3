// @ts-check
// Recordings that are ticked: compared on one page, or put together as a project.
import { request } from "./api.js";
import { $, complain, make, say } from "./dom.js";

/** As server/jobs/comparison.py has it. */
const MAX_COMPARED = 24;
/** @type {Map<string, HTMLInputElement>} by job */
const boxes = new Map();

const list = () => [...boxes].filter(([, box]) => box.checked).map(([id]) => id);

const show = () => {
  const ids = list(), n = ids.length, canCompare = n > 1 && n <= MAX_COMPARED;
  $("jobs-hint").hidden = boxes.size < 2;
  $("ticked").hidden = n === 0;
  $("ticked-count").textContent = n === 1 ? "1 ticked; tick another one, too."
    : `${n} ticked${canCompare ? "" : `; up to ${MAX_COMPARED} can be compared`}`;
  $("compare").hidden = !canCompare;
  $("compare").href = `/v1/comparison?${ids.map((id) => `job=${id}`).join("&")}`;
  $("group").hidden = n < 2;
};

/** The box that ticks a job. */
export const makeBox = (id) => {
  const box = make("input", { type: "checkbox", onchange: show });
  boxes.set(id, box);
  show();
  return box;
};

/** A job is gone, or no recording that could be ticked. */
export const forgetBox = (id) => { if (boxes.delete(id)) show(); };

const untick = () => {
  for (const box of boxes.values()) box.checked = false;
  show();
};

/** @param {(project: any) => void} onMade */
export const onGrouped = (onMade) => {
  const group = $("group");
  group.onclick = async () => {
    group.disabled = true;
    complain("jobs-trouble", "");
    try {
      const body = JSON.stringify({ jobs: list() });
      const project = await request("/v1/projects", { method: "POST", body, headers: { "Content-Type": "application/json" } });
      untick();
      onMade(project);
      say("They are being put together; the project is first in the list.");
    } catch (error) {
      complain("jobs-trouble", error.message);
    }
    group.disabled = false;
  };
};

$("untick").onclick = () => { untick(); $("h-jobs").focus(); };
