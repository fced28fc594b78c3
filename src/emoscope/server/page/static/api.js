// @ts-check
// Requests to the server; every error is one line that says what to do.
const LOST = "The server does not answer. Check that it runs and try again.";

export class ProblemError extends Error {
  constructor(detail, status) { super(detail); this.status = status; }
}

// The server does not know this browser any more: its sign-in page is at /.
const signInAgain = () => location.assign("/");

const toProblem = (status, text) => {
  if (status === 401) signInAgain();
  try {
    const { detail, title } = JSON.parse(text);
    if (detail || title) return new ProblemError(sentence(detail || title), status);
  } catch { /* not JSON: a proxy's own page, say */ }
  return new ProblemError(`The server answered with error ${status}. Try again later.`, status);
};

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Of what was read, by its address: a change of it is refused where another window has changed it meanwhile.
/** @type {Map<string, string>} */
const versions = new Map();

// Fetch; the answer's JSON, or null where there is none.
export const request = async (address, options = {}) => {
  let answer;
  const version = versions.get(address), isChange = options.method === "PUT" || options.method === "DELETE";
  if (version && isChange) options = { ...options, headers: { ...options.headers, "If-Match": version } };
  try {
    answer = await fetch(address, { credentials: "same-origin", ...options });
  } catch {
    throw new ProblemError(LOST, 0);
  }
  if (!answer.ok) throw toProblem(answer.status, await answer.text());
  const tag = answer.headers.get("ETag");
  if (tag) versions.set(address, tag);
  else if (isChange) versions.delete(address);
  return answer.status === 204 ? null : answer.json();
};

// Send a form by POST and tell how much of it has gone; `signal` stops it. (fetch does not tell.)
export const upload = (address, form, onProgress, signal) => new Promise((resolve, reject) => {
  const sender = new XMLHttpRequest();
  sender.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
  sender.onload = () =>
    sender.status < 300 ? resolve(JSON.parse(sender.responseText)) : reject(toProblem(sender.status, sender.responseText));
  sender.onerror = () => reject(new ProblemError(
    "The upload broke off. Check that the server runs, and that the file is not larger than it accepts.", 0));
  sender.onabort = () => reject(new DOMException("stopped", "AbortError"));
  signal.addEventListener("abort", () => sender.abort());
  sender.open("POST", address);
  sender.send(form);
});
