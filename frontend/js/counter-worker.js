// The counter's service worker. `self.shell`, which the server writes above this, lists the page that is shown
// without a network, and then the built files. Pages are never kept: they carry coupons.
const [offlinePage, ...files] = self.shell;
const NAME = `counter ${files.join(" ")}`;

self.addEventListener("install", (event) => {
  const kept = caches.open(NAME).then((cache) => cache.addAll(self.shell));
  event.waitUntil(kept.then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const dropped = caches.keys().then((names) => Promise.all(names.filter((name) => name !== NAME).map((name) => caches.delete(name))));
  event.waitUntil(dropped.then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname } = new URL(request.url);
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match(offlinePage)));
  } else if (request.method === "GET" && files.includes(pathname)) {
    // Their names change with their content.
    event.respondWith(caches.match(pathname).then((kept) => kept ?? fetch(request)));
  }
});
