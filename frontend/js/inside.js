// The bar of somebody inside a guarded campaign: counts down by the server's time, warns, and leads out at the end.
import { words } from "./countdown.js";

const WARNINGS_SECONDS = [60, 300];

const bar = document.querySelector("[data-inside]");

function startBar() {
  const time = bar.querySelector("[data-left]");
  // The phone's clock may be wrong, but it runs: the server says how long is left.
  const until = Date.now() + Number(bar.dataset.seconds) * 1000;
  let warned = null;

  function tick() {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (seconds <= 0) {
      location.replace(bar.dataset.end);
      return;
    }
    const text = words(time, seconds);
    if (time.textContent !== text) time.textContent = text;
    const due = WARNINGS_SECONDS.find((limit) => seconds <= limit);
    if (due !== undefined && due !== warned) {
      warned = due;
      bar.classList.add("soon");
      const warning = bar.querySelector("[data-warning]");
      warning.textContent = due === 60 ? bar.dataset.textLast : bar.dataset.textSoon;
      warning.hidden = false;
    }
  }

  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

// Whoever was taken in while looking elsewhere finds the way back by the window's title.
function callBack() {
  if (document.visibilityState === "visible") return;
  const title = document.title;
  document.title = `${bar.dataset.textTurn} · ${title}`;
  document.addEventListener("visibilitychange", () => { document.title = title; }, { once: true });
}

if (bar) {
  startBar();
  callBack();
}
