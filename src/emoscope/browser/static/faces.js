// @ts-check
// Faces: boxes on a picture, and for each face a card with a bar, name and number of each expression.
import { COLOURS, EMOTIONS, describe, percent, readColours } from "./emotions.js";
import { make, setText } from "./dom.js";

/** @typedef {import("./emotions.js").Face} Face */

const makeCard = () => {
  const rows = EMOTIONS.map((name, i) => {
    const fill = make("i"), number = make("span", { className: "number" });
    fill.style.background = COLOURS[i];
    const row = make("li", {}, make("span", { className: "name" }, name), make("span", { className: "track-bar" }, fill), number);
    row.querySelector(".track-bar").ariaHidden = "true";
    return { fill, number, row };
  });
  const title = make("h3"), verdict = make("p", { className: "verdict" });
  const element = make("article", { className: "face" },
    make("div", { className: "face-head" }, title, verdict), make("ul", { className: "bars" }, ...rows.map(({ row }) => row)));
  return { element, title, verdict, rows };
};

/** @type {(card: ReturnType<typeof makeCard>, face: Face, name: string) => void} */
const fillCard = (card, face, name) => {
  setText(card.title, name);
  setText(card.verdict, describe(face));
  card.element.classList.toggle("uncertain", face.uncertain);
  EMOTIONS.forEach((emotion, i) => {
    const share = face.probabilities[emotion];
    card.rows[i].fill.style.width = `${(100 * share).toFixed(1)}%`;
    card.rows[i].row.classList.toggle("best", emotion === face.emotion && !face.uncertain);
    setText(card.rows[i].number, percent(share));
  });
};

// Cards that stay the same elements from one reading to the next.
export class FaceCards {
  /** @type {Map<number, ReturnType<typeof makeCard>>} */
  cards = new Map();

  constructor(place, noun) {
    this.place = place;
    this.noun = noun;
  }

  // Faces by number: [[1, face], ...].
  /** @param {[number, Face][]} faces */
  show(faces) {
    const numbers = new Set(faces.map(([number]) => number));
    for (const [number, card] of this.cards) {
      if (!numbers.has(number)) { card.element.remove(); this.cards.delete(number); }
    }
    for (const [number, face] of faces) {
      if (!this.cards.has(number)) {
        const card = makeCard();
        this.cards.set(number, card);
        this.place.append(card.element);
      }
      fillCard(this.cards.get(number), face, `${this.noun} ${number}`);
    }
  }
}

// Boxes with their numbers; `scale` is from the picture's pixels to the canvas's, mirrored as a mirror would.
/** @type {(context: CanvasRenderingContext2D, faces: [number, Face][], scale: number, mirrorWidth?: number) => void} */
export const drawBoxes = (context, faces, scale, mirrorWidth = 0) => {
  const colours = readColours("-on-dark");
  context.font = "600 14px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const [number, { xyxy, emotion, uncertain }] of faces) {
    let [x1, y1, x2, y2] = xyxy.map((value) => value * scale);
    if (mirrorWidth) [x1, x2] = [mirrorWidth - x2, mirrorWidth - x1];
    const colour = colours[EMOTIONS.indexOf(emotion)];
    // A dark line beneath: the box is seen on light and on dark.
    for (const [style, width] of /** @type {[string, number][]} */ ([["rgba(0, 0, 0, 0.6)", 5], [colour, 3]])) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.setLineDash(uncertain && width === 3 ? [8, 6] : []);
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    context.setLineDash([]);
    const long = `${number} ${uncertain ? "uncertain" : emotion}`;
    // Small faces stand close together: their names would cover each other, and the cards have them.
    const text = context.measureText(long).width < 1.5 * (x2 - x1) ? long : `${number}`;
    const width = context.measureText(text).width + 14;
    const top = y1 >= 24 ? y1 - 24 : Math.max(0, y1);
    const left = Math.max(0, Math.min(x1 - 2, context.canvas.clientWidth - width));
    context.fillStyle = "rgba(20, 22, 26, 0.86)";
    context.fillRect(left, top, width, 22);
    context.fillStyle = "#ffffff";
    context.fillText(text, left + 7, top + 11.5);
  }
};
