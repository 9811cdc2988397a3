// The counter as an app: its service worker keeps the shell, so that it opens at once and says so when there
// is no network.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/merchant/service-worker.js", { scope: "/merchant" }).catch(() => {
    // Some browsers forbid it, as in private windows; the counter works without.
  });
}

document.querySelector("[data-reload]")?.addEventListener("click", () => location.reload());
