// @ts-check
// Pictures: read at once, shown with boxes and bars.
import { $, fit, make, reveal, say } from "./dom.js";
import { EMOTIONS, describe } from "./emotions.js";
import { FaceCards, drawBoxes } from "./faces.js";
import { showMore } from "./short.js";
import { save, toCsv } from "./texts.js";

const MAX_SHOWN_PX = 2000;
const HEADER = ["picture", "face", "x1", "y1", "x2", "y2", "emotion", "probability", "uncertain", ...EMOTIONS.map((name) => `p_${name}`)];
/** @type {Map<HTMLElement, any[][]>} the table's rows of each picture that stands on the page */
const tables = new Map();

const toRows = (name, faces) => (faces.length ? faces : [[null, null]]).map(([number, face]) => [
  name, number, ...(face ? face.xyxy : [null, null, null, null]), face?.emotion, face?.probability, face?.uncertain,
  ...EMOTIONS.map((emotion) => face?.probabilities[emotion]),
]);

$("pictures-save").onclick = () => {
  // In the order of the page.
  const rows = [...$("picture-list").children].flatMap((card) => tables.get(/** @type {HTMLElement} */ (card)) ?? []);
  save(toCsv([HEADER, ...rows]), "pictures.csv");
};
const showCount = () => {
  $("pictures-save").hidden = tables.size === 0;
  showMore("picture-list", "pictures-more");
};

// What the browser can show of a file; null where it does not know the kind.
const load = async (file) => {
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, MAX_SHOWN_PX / Math.max(whole.width, whole.height));
    if (scale === 1) return whole;
    const small = await createImageBitmap(whole, { resizeWidth: Math.round(whole.width * scale), resizeQuality: "high" });
    whole.close();
    return small;
  } catch {
    return null;
  }
};

const draw = (canvas, bitmap, answer, faces) => {
  const { context, width, height } = fit(canvas);
  context.clearRect(0, 0, width, height);
  if (bitmap) context.drawImage(bitmap, 0, 0, width, height);
  drawBoxes(context, faces, width / answer.size_wh[0]);
};

const show = (card, file, bitmap, answer) => {
  // From left to right, as people look for them.
  /** @type {[number, import("./emotions.js").Face][]} */
  const faces = [...answer.faces].sort((a, b) => a.xyxy[0] - b.xyxy[0]).map((face, i) => [i + 1, face]);
  const count = faces.length === 1 ? "1 face" : `${faces.length || "no"} face${faces.length ? "s" : ""}`;
  tables.set(card.element, toRows(file.name, faces));
  showCount();
  const canvas = make("canvas", { className: "picture" });
  canvas.style.aspectRatio = answer.size_wh.join(" / ");
  canvas.style.maxWidth = `${Math.max(240, Math.round(70 * answer.size_wh[0] / answer.size_wh[1]))}vh`;
  canvas.role = "img";
  canvas.ariaLabel = `${file.name} with ${count}`;
  const list = make("div", { className: "faces" });
  new FaceCards(list, "Face").show(faces);
  const [, only] = faces[0] ?? [];
  card.note.textContent = [
    faces.length === 1 ? `${count}, ${describe(only)}` : faces.length ? count : "No face was found. Faces that are turned away, covered or very small are missed.",
    bitmap ? "" : "This browser cannot show this kind of picture; the boxes are on an empty ground.",
  ].filter(Boolean).join(" · ");
  card.body.append(canvas, list);
  card.body.classList.toggle("many", faces.length > 2);
  const redraw = () => draw(canvas, bitmap, answer, faces);
  new ResizeObserver(redraw).observe(canvas);
  const first = faces.slice(0, 3).map(([number, face]) => `face ${number} ${describe(face)}`).join("; ");
  say(`${file.name}: ${count}${first ? ". " + first : ""}${faces.length > 3 ? "; and more" : ""}.`);
};

const makeCard = (file) => {
  const note = make("p", { className: "note" }, "Reading…"), body = make("div", { className: "picture-body" });
  const remove = make("button", { type: "button", className: "button small" }, "Remove");
  remove.ariaLabel = `Remove ${file.name} from the page`;
  // Folded when the next one comes: many pictures take little room.
  const fold = make("details", { open: true },
    make("summary", { className: "card-head" }, make("h3", {}, file.name), note), body);
  const element = make("article", { className: "card picture-card" }, fold, remove);
  remove.onclick = () => {
    element.remove();
    tables.delete(element);
    showCount();
    $("pictures").hidden = !$("picture-list").children.length;
    $("choose").focus();
  };
  return { element, note, body };
};

// Read one picture; its card comes first in the list. `read` gives the faces of a file and the picture's size.
/** @type {(file: File, read: (file: File) => Promise<{faces: import("./emotions.js").Face[], size_wh: number[]}>) => Promise<void>} */
export const readPicture = async (file, read) => {
  const card = makeCard(file);
  for (const fold of $("picture-list").querySelectorAll("details")) fold.open = false;
  $("picture-list").prepend(card.element);
  $("pictures").hidden = false;
  showCount();
  try {
    const [answer, bitmap] = await Promise.all([read(file), load(file)]);
    show(card, file, bitmap, answer);
    reveal(card.element, "start");
  } catch (error) {
    card.note.textContent = error.message;
    card.note.className = "trouble";
    say(`${file.name}: ${error.message}`);
  }
};
