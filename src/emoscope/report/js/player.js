// @ts-check
// The recording under its curves, played by the page itself. What is missing or cannot be played leaves no trace.
const player = document.getElementById("player");
const home = player?.parentElement;
/** @type {HTMLVideoElement} */
let video = null;
/** @type {[string, string][]} */
let playable = player ? data.videos : [];
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
/** @type {((time: number) => void)[]} */
const followers = [];

const follow = () => {
  followers.forEach((tell) => tell(video.currentTime));
  if (!video.paused) requestAnimationFrame(follow);
};
const showVideo = (address, time = 0) => {
  const isPlaying = video && !video.paused;
  video.src = address + (time ? `#t=${time}` : "");
  for (const button of player.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === address));
  if (isPlaying) video.play().catch(() => {});
};
const giveUp = () => {
  playable = playable.filter(([, address]) => video.getAttribute("src").split("#")[0] !== address);
  setUpChoices();
  if (playable.length) showVideo(playable[0][1]);
  else { player.hidden = true; video = null; }
};
const setUpChoices = () => {
  const choices = playable.map(([name, address]) => {
    const button = createButton(name, () => showVideo(address, video.currentTime));
    button.value = address;
    return button;
  });
  player.querySelector(".buttons").replaceChildren(...(choices.length > 1 ? choices : []));
};
const startPlayer = () => {
  if (video || !playable.length) return;
  video = create("video");
  Object.assign(video, { controls: true, preload: "metadata", playsInline: true });
  video.setAttribute("aria-label", "The recording");
  // Sound alone is no picture of it.
  video.addEventListener("loadedmetadata", () => { if (video.videoWidth) player.hidden = false; else giveUp(); });
  video.addEventListener("error", giveUp);
  video.addEventListener("play", follow);
  video.addEventListener("seeked", () => { if (video.paused) follow(); });
  player.prepend(video);
  setUpChoices();
  showVideo(playable[0][1]);
};
const playFrom = (time) => {
  startPlayer();
  if (!video) return;
  video.currentTime = time;
  if (!isCalm.matches) video.play().catch(() => {});
};
const togglePlay = () => {
  startPlayer();
  if (video?.paused) video.play().catch(() => {}); else video?.pause();
};
// Nothing is read from it before the curves are near.
if (player) new IntersectionObserver(([{ isIntersecting }], watcher) => {
  if (!isIntersecting) return;
  watcher.disconnect();
  startPlayer();
}).observe(readable[0]);
