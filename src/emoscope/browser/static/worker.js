// The worker: pictures in, faces out; the networks run here, so that the page stays quick.
// @ts-ignore: onnxruntime-web is put beside it when the page is made.
import * as ort from "./ort/ort.wasm.min.mjs";
import { Reader } from "./reader.js";

/** @type {Promise<{video: Reader, picture: Reader, facts: Record<string, any>}> | null} */
let readers = null;

const load = async (name) => {
  const answer = await fetch(`./${name}`);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status}); make the page again with \`emoscope page\``);
  return new Uint8Array(await answer.arrayBuffer());
};

const open = async () => {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.logLevel = "error";
  const facts = await (await fetch("./facts.json")).json();
  const video = await Reader.create(ort, facts, load);
  return { video, picture: video.forPictures(), facts };
};

const toPixels = (bitmap) => {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  // A canvas forgets what lies beneath transparency, which the command line reads: here it is white.
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { ...context.getImageData(0, 0, canvas.width, canvas.height), width: canvas.width, height: canvas.height };
};

const answer = async ({ ask, bitmap, time, smooth, isFilm }) => {
  if (ask === "open") readers = open();
  const { video, picture, facts } = await readers;
  if (ask === "open") return { facts };
  if (ask === "begin") {
    video.begin(smooth, isFilm);
    return {};
  }
  const { data, width, height } = toPixels(bitmap), reader = ask === "picture" ? picture : video;
  if (ask === "picture") reader.begin();
  const faces = await reader.read({ width, height, channels: 4, data }, time ?? 0);
  return { faces, size_wh: [width, height], shot: reader.shot };
};

// One after the other: a reader has one state.
let before = Promise.resolve();
self.onmessage = ({ data }) => {
  before = before.then(async () => {
    try {
      postMessage({ id: data.id, ...(await answer(data)) });
    } catch (error) {
      postMessage({ id: data.id, error: String(error.message ?? error) });
    }
  });
};
