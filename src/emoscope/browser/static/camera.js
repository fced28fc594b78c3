// @ts-check
// The camera: started only when told to, let go when stopped; its newest picture as a JPEG.
const WIDTH = 640;
const QUALITY = 0.8;
const HIDDEN_MS = 1000;

const TROUBLES = {
  NotAllowedError: "The camera was refused. Allow it for this page, by the sign beside the address, and start again.",
  NotFoundError: "No camera was found. Connect one and start again.",
  OverconstrainedError: "No such camera was found. Connect one and start again.",
  NotReadableError: "The camera is there but gives no picture: another program may be using it. Close that program and start again.",
  AbortError: "The camera gives no picture. Unplug it and plug it in again, then start again.",
};

export const explain = (error) => TROUBLES[error.name] ?? `The camera cannot be started (${error.message || error.name}). Try another browser or camera.`;

// Why this page may use no camera at all; empty if it may.
export const findObstacle = () => {
  if (!window.isSecureContext) {
    return `Browsers give the camera only to pages that come over https, or from this same computer. Open http://localhost${
      location.port ? ":" + location.port : ""} on the computer that runs emoscope, or start emoscope with a certificate (--tls-cert).`;
  }
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser has no access to cameras. Try another one.";
};

export class Camera {
  canvas = document.createElement("canvas");
  /** @type {MediaStream | null} */
  stream = null;
  turn = 0;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    // A hidden page is told of no new pictures: when it is hidden or shown, the other way of waiting begins.
    document.addEventListener("visibilitychange", () => { if (this.stream) this.wait(); });
  }

  async start(deviceId) {
    const size = { width: { ideal: WIDTH }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    // First: phones open one camera at a time.
    this.stop();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...size, ...which } });
    this.stream = stream;
    this.video.srcObject = stream;
    // Browsers may refuse to play only what has sound or what is not shown.
    await this.video.play();
    return stream.getVideoTracks()[0];
  }

  get isMirrored() {
    return this.stream?.getVideoTracks()[0].getSettings().facingMode !== "environment";
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) { track.onended = null; track.stop(); }
    this.stream = this.video.srcObject = null;
  }

  async list() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
  }

  // Call back with each new picture while it runs; once a second where nobody looks.
  follow(onPicture) {
    this.onPicture = onPicture;
    this.wait();
  }

  wait() {
    const turn = ++this.turn;
    const step = async () => {
      if (!this.stream || turn !== this.turn) return;
      await this.onPicture();
      if (turn === this.turn) this.wait();
    };
    if (!document.hidden && this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(step);
    else setTimeout(step, document.hidden ? HIDDEN_MS : 33);
  }

  // The picture now, as it is; null before the first.
  takeBitmap() {
    return this.video.videoWidth ? createImageBitmap(this.video) : Promise.resolve(null);
  }

  // The picture now, as a JPEG of 640 pixels' width; null before the first.
  takeJpeg() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return Promise.resolve(null);
    const scale = Math.min(1, WIDTH / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => { this.canvas.toBlob(resolve, "image/jpeg", QUALITY); });
  }
}
