// @ts-check
// Words of times and counts, as report/wording.py writes them, and cells of tables, as core/texts.py does.
const NBSP = "\u00a0";

/** `m:ss`, or `h:mm:ss` from one hour on; cut, not rounded, like a player's display. */
export const formatClock = (seconds, digits = 0) => {
  const scale = 10 ** digits, ticks = Math.floor(Math.max(seconds, 0) * scale + 1e-6), whole = Math.floor(ticks / scale);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n) => String(n).padStart(2, "0");
  return `${h ? `${h}:${pad(m)}` : m}:${pad(s)}${digits ? `.${String(ticks % scale).padStart(digits, "0")}` : ""}`;
};

export const formatCount = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, NBSP);

export const formatDuration = (seconds) => (seconds < 10 ? `${seconds.toFixed(1)}${NBSP}s` : formatClock(seconds));

export const formatStep = (seconds) => `${seconds.toFixed(seconds < 1 ? 2 : 1)}${NBSP}s`;

export const formatConstant = (seconds) => `${seconds}${NBSP}s`;

/** `23 November 2026, 23:00 UTC`. */
export const formatCreated = (iso) => {
  const date = new Date(iso), day = date.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return `${day}, ${iso.slice(11, 16)} UTC`;
};

/** A cell of a CSV file; no spreadsheet takes one for a formula. */
export const toCell = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "boolean") return value ? "true" : "false";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !Number.isFinite(Number(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** @param {any[][]} rows the header first */
export const toCsv = (rows) => new Blob(rows.map((row) => `${row.map(toCell).join(",")}\n`), { type: "text/csv" });

/** Let the browser save what the page made. */
export const save = (blob, name) => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
