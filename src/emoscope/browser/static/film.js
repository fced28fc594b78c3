// @ts-check
// Films: a file in, pictures at even distances out, as the browser decodes them.

const WAIT_MS = 20000;

const wait = (video, name) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => end(reject)(new Error("the film stopped giving pictures")), WAIT_MS);
  const end = (done) => (value) => {
    clearTimeout(timer);
    video.removeEventListener(name, onEvent);
    video.removeEventListener("error", onError);
    done(value);
  };
  const onEvent = end(resolve), onError = () => end(reject)(new Error("this browser cannot play this film"));
  video.addEventListener(name, onEvent);
  video.addEventListener("error", onError);
});

/**
 * Open a film.
 * @param {File} file
 * @returns {Promise<HTMLVideoElement>}
 */
export const openFilm = async (file) => {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, preload: "auto", src: URL.createObjectURL(file) });
  await wait(video, "loadeddata");
  if (!video.videoWidth) throw new Error("there is no picture in this file");
  return video;
};

/**
 * Take pictures out of a film, one in so many seconds.
 * @param {HTMLVideoElement} video
 * @param {number} everyS
 * @param {AbortSignal} signal
 */
export async function* takePictures(video, everyS, signal) {
  const end = video.duration;
  if (!Number.isFinite(end)) throw new Error("the length of this film is not known; read it with the command `emoscope analyze`");
  for (let i = 0; i * everyS < end && !signal.aborted; i++) {
    // The middle of a frame: at its edge browsers differ in which one they show.
    const seeked = wait(video, "seeked");
    video.currentTime = Math.min(i * everyS + 1e-3, end);
    await seeked;
    yield { time: i * everyS, bitmap: await createImageBitmap(video), share: Math.min(1, (i * everyS) / end) };
  }
}
