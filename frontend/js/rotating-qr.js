// Draws the rotating QR code of a coupon, again for every step of 30 seconds; needs no network once loaded.
import { encode } from "uqr";
import { STEP_SECONDS, bytesOfBase64Url, payload } from "./rotating-payload.js";

export { bytesOfBase64Url, payload };

const SVG = "http://www.w3.org/2000/svg";
const QUIET_ZONE_MODULES = 4;

function picture(text, title) {
  const { data, size } = encode(text, { ecc: "M", border: QUIET_ZONE_MODULES });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  svg.setAttribute("shape-rendering", "crispEdges");
  let squares = "";
  data.forEach((row, y) => row.forEach((isDark, x) => { if (isDark) squares += `M${x} ${y}h1v1h-1z`; }));
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", squares);
  path.setAttribute("fill", "#000");
  svg.append(path);
  return svg;
}

function start(root) {
  const { code, title } = root.dataset;
  const secret = bytesOfBase64Url(root.dataset.secret);
  // A phone's clock may be wrong; the server's, when the page was made, is not.
  const correction = Number(root.dataset.serverTime) - Date.now();
  const frame = root.querySelector("[data-picture]");
  const ring = root.querySelector("[data-ring]");
  let drawnStep = -1;

  function tick() {
    if (!root.isConnected) return;
    const now = Date.now() + correction;
    const step = Math.floor(now / 1000 / STEP_SECONDS);
    if (step !== drawnStep) {
      const text = payload(code, secret, now);
      frame.replaceChildren(picture(text, title));
      root.dataset.payload = text;
      drawnStep = step;
    }
    const secondsLeft = STEP_SECONDS - ((now / 1000) % STEP_SECONDS);
    ring?.setAttribute("stroke-dasharray", `${(secondsLeft / STEP_SECONDS) * 100} 100`);
    setTimeout(tick, 1000 - (now % 1000));
  }
  tick();
}

function startAll(within) {
  for (const root of within.querySelectorAll("[data-rotating-qr]:not([data-started])")) {
    root.dataset.started = "";
    start(root);
  }
}

// Node imports the payload's functions for the tests, and has no document.
if (typeof document !== "undefined") {
  startAll(document);
  document.addEventListener("htmx:load", (event) => startAll(event.target.parentElement ?? document));
}
