// Keeps the page's files, so that it opens without a network. files.json names them with their hashes.
const NAME = "emoscope-{version}";
const worker = /** @type {any} */ (self);

worker.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const files = await (await fetch("./files.json")).json();
    const cache = await caches.open(NAME);
    await cache.addAll(["./", "./index.html", ...Object.keys(files).map((name) => `./${name}`)]);
    await worker.skipWaiting();
  })());
});

worker.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("emoscope-") && name !== NAME) await caches.delete(name);
    await worker.clients.claim();
  })());
});

worker.addEventListener("fetch", (event) => {
  if (new URL(event.request.url).origin !== location.origin || event.request.method !== "GET") return;
  event.respondWith((async () => (await caches.match(event.request, { ignoreSearch: true })) ?? fetch(event.request))());
});
