// The page that checks the draw: what is published goes in, the place comes out, all of it in this browser.
import { commitment, place } from "./draw.js";

const form = document.querySelector("[data-draw]");
const HEXADECIMAL = /^[0-9a-f]{64}$/;
const numbers = new Intl.NumberFormat(document.documentElement.lang);

function say(name, text, kind) {
  const element = form.querySelector(`[data-${name}]`);
  element.hidden = !text;
  element.textContent = text ?? "";
  element.classList.toggle("good", kind === "good");
  element.classList.toggle("bad", kind === "bad");
}

function check(texts) {
  const value = (id) => form.querySelector(`#${id}`).value.trim().toLowerCase();
  const [seed, published] = [value("seed"), value("commitment")];
  const [arrivals, arrival] = [Number(value("arrivals")), Number(value("arrival"))];
  if (!HEXADECIMAL.test(seed) || !Number.isSafeInteger(arrivals) || !Number.isSafeInteger(arrival) || arrival < 1 || arrivals < 0) {
    say("fingerprint", texts.unreadable, "bad");
    say("result", null);
    return;
  }
  const matches = commitment(seed) === published;
  say("fingerprint", matches ? texts.match : texts.mismatch, matches ? "good" : "bad");
  if (arrival > arrivals) {
    say("result", texts.late.replace("#arrival", numbers.format(arrival)), "");
    return;
  }
  const found = place(seed, arrival - 1, arrivals) + 1;
  const sentence = texts.place
    .replace("#arrivals", numbers.format(arrivals))
    .replace("#arrival", numbers.format(arrival))
    .replace("#place", numbers.format(found));
  say("result", sentence, matches ? "good" : "");
}

if (form) {
  const texts = JSON.parse(form.dataset.texts);
  form.addEventListener("input", () => check(texts));
  form.addEventListener("submit", (event) => event.preventDefault());
  check(texts);
}
