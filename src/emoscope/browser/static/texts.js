// @ts-check
// Words of times and counts, as report/wording.py writes them.
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
