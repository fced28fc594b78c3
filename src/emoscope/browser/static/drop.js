// @ts-check
// Files come in: chosen, dropped anywhere on the page, or pasted.
import { $ } from "./dom.js";

// Where the browser does not know the kind, as many do not know HEIC.
const PICTURE = /\.(jpe?g|png|webp|bmp|avif|heic|heif|hif)$/i;

/** Whether a file is a picture that stands alone; an animation is read as a film. */
export const isPicture = (file) =>
  file.type ? file.type.startsWith("image/") && file.type !== "image/gif" : PICTURE.test(file.name);

/** Call with the files, however they come. */
export const onFiles = (take) => {
  const drop = $("drop"), choose = $("choose");
  choose.addEventListener("change", () => { take([...choose.files]); choose.value = ""; });
  // Anywhere on the page: a file that misses the field must not replace the page.
  for (const kind of /** @type {const} */ (["dragover", "drop", "dragleave"])) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take([...event.dataTransfer.files]);
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
};
