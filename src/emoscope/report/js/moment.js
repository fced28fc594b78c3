// @ts-check
// The panel of one moment: time, values, faces, heat map, and the recording from there.
const panel = document.getElementById("moment");
const panelParts = Object.fromEntries(
  ["title", "close", "video", "values", "faces"].map((name) => [name, document.getElementById("moment-" + name)]),
);
const faceStore = document.getElementById("faces");
/** @type {Record<string, [number, string][]>} times in seconds and JPEG pictures as base64 */
const faces = faceStore ? JSON.parse(faceStore.textContent) : {};
const NEAR_S = 10;
/** @type {{key?: string, time?: number, origin: HTMLElement} | null} */
let shown = null;

/** @type {<P extends [number, ...any]>(pictures: P[] | undefined, time: number) => P | null} */
const nearest = (pictures, time) =>
  (pictures || []).reduce((best, p) => (!best || Math.abs(p[0] - time) < Math.abs(best[0] - time) ? p : best), null);
const isPerson = (key) => /^p\d+$/.test(key);
const findTop = (values) => values.indexOf(Math.max(...values));

const listValues = (key, time) => {
  const bin = findBin(key, time), values = bin < 0 ? null : readValues(key, bin);
  if (!values) return [create("p", "soft", bin < 0 ? "This moment was not analysed." : "No face here at this moment.")];
  const changes = data.series[key].changes ? readChanges(key, bin) : null;
  const rows = data.emotions.map(([name, colour], i) => {
    const fill = create("i"), track = create("span", "gauge", fill);
    fill.style.width = 100 * values[i] + "%";
    fill.style.background = colour;
    const number = create("b", "", percent(values[i]));
    const row = create("div", findTop(values) === i ? "top" : "", createSwatch(colour), create("span", "", name), track, number);
    if (changes) row.append(create("small", "", points(changes[i])));
    return row;
  });
  const notes = [];
  if (changes) notes.push(`Right: points more or less than the own resting face${data.smoothed ? ", before smoothing" : ""}.`);
  if (data.valence) notes.unshift(`Index: ${signed(toIndex(values))}.`);
  if (isUncertain(key, bin)) notes.push("Most readings here are uncertain.");
  return [create("div", changes ? "gauges changes" : "gauges", ...rows), create("p", "note", notes.join(" "))];
};

const createFace = (key, time, isNamed) => {
  const face = nearest(faces[key], time);
  const picture = face && Math.abs(face[0] - time) <= NEAR_S ? create("img", "face") : null;
  if (picture) {
    picture.src = "data:image/jpeg;base64," + face[1];
    picture.alt = `${data.series[key].name} at ${clock(face[0], 1)}`;
  }
  if (!isNamed) return picture && create("figure", "", picture, create("figcaption", "", `face at ${clock(face[0], 1)}`));
  const bin = findBin(key, time), values = bin < 0 ? null : readValues(key, bin);
  if (!values) return null;
  const top = findTop(values), link = create("a", "", data.series[key].name);
  link.href = "#" + key;
  const text = create("figcaption", "", link, create("br"), createSwatch(data.emotions[top][1]));
  text.append(`${data.emotions[top][0]} ${percent(values[top])}${isUncertain(key, bin) ? ", uncertain" : ""}`);
  if (!faceStore) return create("figure", "", text);
  return create("figure", "", picture || create("span", "face none", "?"), text);
};
const createMap = (key, time) => {
  /** @type {NodeListOf<HTMLImageElement>} */
  const images = document.querySelectorAll(`img.map[data-person="${key}"]`);
  const maps = [...images].map((img) => /** @type {[number, HTMLImageElement]} */ ([Number(img.dataset.time), img]));
  const map = nearest(maps, time);
  if (!map || Math.abs(map[0] - time) > NEAR_S) return null;
  const copy = map[1].cloneNode();
  return create("figure", "", copy, create("figcaption", "", `what the network looked at, ${clock(map[0], 1)}`));
};

const fill = (key, time) => {
  shown = { ...shown, key, time };
  panelParts.title.textContent = `${clock(time, 1)} · ${data.series[key].name}`;
  panelParts.values.replaceChildren(...listValues(key, time));
  const people = Object.keys(data.series).filter(isPerson).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
  panelParts.faces.classList.toggle("one", isPerson(key));
  const found = key === "all" ? people.map((name) => createFace(name, time, true)) : [createFace(key, time, false), createMap(key, time)];
  panelParts.faces.replaceChildren(...found.filter(Boolean));
};

followers.push((time) => {
  if (!panel.hidden) fill(shown.key, time);
  crossAll(time);
});

const openMoment = (key, time, origin) => {
  shown = { origin };
  fill(key, time);
  panel.hidden = false;
  root.classList.add("has-moment");
  crossAll(time);
  if (player) panelParts.video.append(player);
  playFrom(time);
  panel.focus({ preventScroll: true });
  origin.scrollIntoView({ block: "nearest" });
};
const closeMoment = () => {
  if (panel.hidden) return;
  panel.hidden = true;
  root.classList.remove("has-moment");
  video?.pause();
  if (player) home.prepend(player);
  hide();
  shown.origin.focus({ preventScroll: true });
};
panelParts.close.addEventListener("click", closeMoment);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMoment(); });
for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-open]"))) {
  button.addEventListener("click", () => {
    const time = Number(button.dataset.time);
    if (time < view.from || time > view.to) setView(time - (view.to - view.from) / 2, time + (view.to - view.from) / 2);
    openMoment(button.dataset.open, time, button);
  });
}
