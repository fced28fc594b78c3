// @ts-check
// The page on which a person codes faces: one at a time, by key or click; kept in this browser, saved as CSV.
const moments = JSON.parse(document.getElementById("moments").textContent);
/** @type {(id: string) => any} fields and pictures are of many kinds */
const find = (id) => document.getElementById(id);
const codeButtons = () => /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-code]"));
const key = `emoscope-coding-${moments.coder}-${moments.of}`;
const announcer = find("spoken");
let codes = moments.all.map(() => null);
let at = 0;
let isKept = true;

const restore = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null");
    if (Array.isArray(kept) && kept.length === codes.length) codes = kept;
  } catch {
    isKept = false;
  }
  const first = codes.indexOf(null);
  at = first < 0 ? codes.length : first;
};

const keep = () => {
  try {
    localStorage.setItem(key, JSON.stringify(codes));
  } catch {
    isKept = false;
  }
};

const show = () => {
  const isEnd = at >= codes.length;
  const nDone = codes.filter((code) => code !== null).length;
  find("task").querySelector(".work").hidden = isEnd;
  find("end").hidden = !(isEnd && nDone === codes.length);
  find("done").value = nDone;
  find("place").textContent = isEnd ? `${nDone} of ${codes.length} coded` : `${at + 1} of ${codes.length}`;
  find("back").disabled = at === 0;
  find("on").disabled = isEnd || codes[at] === null;
  find("save").disabled = nDone === 0;
  find("kept").textContent = isKept
    ? "What you coded is kept in this browser; close the page and come back as you like."
    : "This browser keeps nothing of this page: save before you close it.";
  if (isEnd) return;
  find("face").src = `data:image/jpeg;base64,${moments.all[at].face}`;
  for (const button of codeButtons()) {
    button.setAttribute("aria-pressed", String(button.dataset.code === codes[at]));
  }
};

const move = (to) => {
  at = Math.max(0, Math.min(codes.length, to));
  show();
  if (at >= codes.length && !find("end").hidden) find("h-end").focus();
};

const code = (word) => {
  if (at >= codes.length) return;
  codes[at] = word;
  keep();
  announcer.textContent = `${word}, ${at + 1} of ${codes.length}`;
  const left = codes.indexOf(null);
  move(at + 1 < codes.length || left < 0 ? at + 1 : left);
};

const quote = (text) => (/^[=+\-@\t\r]/.test(text) || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const save = () => {
  const lines = moments.all.flatMap((moment, i) =>
    codes[i] === null ? [] : [[quote(moment.recording), moment.time_s, moment.person, codes[i]].join(",")],
  );
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`recording,time_s,person,emotion\n${lines.join("\n")}\n`], { type: "text/csv" }));
  link.download = `${moments.coder}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const buttons = [...codeButtons()];
  const pressed = buttons.find((button) => button.getAttribute("aria-keyshortcuts") === event.key.toLowerCase());
  if (pressed) code(pressed.dataset.code);
  else if (event.key === "Backspace" || event.key === "ArrowLeft") move(at - 1);
  else if (event.key === "ArrowRight" && !find("on").disabled) move(at + 1);
  else return;
  event.preventDefault();
});
for (const button of codeButtons()) {
  button.addEventListener("click", () => code(button.dataset.code));
}
find("back").addEventListener("click", () => move(at - 1));
find("on").addEventListener("click", () => move(at + 1));
find("save").addEventListener("click", save);
restore();
show();
