// @ts-check
// The live connection: frames out, at most two on their way; readings in; lost, it comes back by itself.
import { request } from "./api.js";

const MAX_ON_THEIR_WAY = 2;
const SILENCE_MS = 10000;
const WAIT_MS = { first: 500, most: 10000 };
const RATE_MS = 2000;
// Readings jump from frame to frame; the server smooths them, and shows and records the same.
const SMOOTH_S = 0.4;
export const BUSY = 1013;

export class LiveSocket {
  waitMs = WAIT_MS.first;
  isWanted = true;
  isReady = false;
  sent = 0;
  answered = 0;
  /** @type {Map<number, number>} */
  sentAt = new Map();
  /** @type {number[]} */
  answers = [];
  /** @type {number[]} */
  trips = [];

  // `on`: state(name, facts), hello(message), reading(message), recorded(message), problem(message).
  constructor(on) {
    this.on = on;
    this.connect();
  }

  connect() {
    this.on.state("connecting");
    const socket = this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/live?smooth=${SMOOTH_S}`);
    Object.assign(this, { sent: 0, answered: 0, isReady: false });
    this.sentAt.clear();
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    socket.onclose = ({ code }) => { if (socket === this.socket) this.lose(code); };
  }

  take(message) {
    if (message.type === "hello") {
      this.isReady = true;
      this.waitMs = WAIT_MS.first;
      this.on.state("connected");
    }
    if (message.frame !== undefined) this.settle(message.frame);
    this.on[{ observations: "reading" }[message.type] ?? message.type]?.(message);
  }

  // Everything up to a frame is answered or was passed over.
  settle(frame) {
    const now = performance.now(), sentAt = this.sentAt.get(frame);
    for (const key of this.sentAt.keys()) if (key <= frame) this.sentAt.delete(key);
    this.answered = frame + 1;
    this.answers.push(now);
    while (this.answers[0] < now - RATE_MS) this.answers.shift();
    if (sentAt !== undefined) this.trips.push(now - sentAt);
    if (this.trips.length > 50) this.trips.shift();
  }

  get canSend() {
    return this.isReady && this.socket.readyState === WebSocket.OPEN && this.sent - this.answered < MAX_ON_THEIR_WAY;
  }

  // Send one frame, taken at a time; true if it went.
  send(blob, takenAt) {
    if (!this.canSend) return false;
    this.sentAt.set(this.sent++, takenAt);
    this.socket.send(blob);
    return true;
  }

  ask(type) {
    if (this.isReady && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type }));
  }

  // A connection may die without a word.
  check() {
    const [oldest] = this.sentAt.values();
    if (oldest !== undefined && performance.now() - oldest > SILENCE_MS) { this.socket.close(); this.lose(0); }
  }

  get facts() {
    const sorted = [...this.trips].sort((a, b) => a - b);
    const span = Math.min(RATE_MS, performance.now() - (this.answers[0] ?? 0));
    return {
      rate: this.answers.length > 1 ? (1000 * this.answers.length) / Math.max(span, 250) : 0,
      tripMs: sorted.length ? sorted[sorted.length >> 1] : 0,
    };
  }

  lose(code) {
    this.isReady = false;
    this.socket.onclose = this.socket.onmessage = null;
    this.answers = [];
    this.trips = [];
    if (!this.isWanted) return;
    this.on.state(code === BUSY ? "busy" : "lost", { waitMs: this.waitMs });
    this.timer = setTimeout(() => this.retry(), this.waitMs);
    this.waitMs = Math.min(2 * this.waitMs, WAIT_MS.most);
  }

  async retry() {
    // A refused handshake tells a page nothing; an ordinary request tells, and leads to the sign-in page.
    try { await request("/v1/models"); } catch (error) { if (error.status === 401) return; }
    if (this.isWanted) this.connect();
  }

  close() {
    this.isWanted = false;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
