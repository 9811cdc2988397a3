// Counts down to the moment of each <time data-countdown>, and tells the page when it has come.
const DAY = 86_400;

export function words(element, seconds) {
  const say = (key, number) => element.dataset[key].replace("#", String(number));
  if (seconds >= DAY) return `${say("days", Math.floor(seconds / DAY))} ${say("hours", Math.floor((seconds % DAY) / 3600))}`;
  if (seconds >= 3600) return `${say("hours", Math.floor(seconds / 3600))} ${say("minutes", Math.floor((seconds % 3600) / 60))}`;
  if (seconds >= 60) return `${say("minutes", Math.floor(seconds / 60))} ${say("seconds", seconds % 60)}`;
  return say("seconds", seconds);
}

function tick() {
  for (const element of document.querySelectorAll("[data-countdown]")) {
    const seconds = Math.max(0, Math.ceil((Number(element.dataset.countdown) - Date.now()) / 1000));
    const text = words(element, seconds);
    if (element.textContent !== text) {
      if (!element.title) element.title = element.textContent;
      element.textContent = text;
    }
    if (seconds === 0 && !element.dataset.done) {
      element.dataset.done = "";
      element.dispatchEvent(new CustomEvent("countdown-done", { bubbles: true }));
    }
  }
}

export function startCountdowns() {
  tick();
  setInterval(tick, 1000);
}
