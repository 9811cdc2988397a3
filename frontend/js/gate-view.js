// Shows the state of the waiting page: the server has put all of its sentences there, hidden as need be.
import { words } from "./countdown.js";

const TORN = new Set(["called", "door", "inside"]);
const QUIET = new Set(["missed", "used", "over", "closed", "ended"]);
// Screen readers are told the place when so many are ahead, not each time it changes.
const ANNOUNCED = [10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1, 0];

export class View {
  constructor(root, speech) {
    this.root = root;
    this.speech = speech;
    this.language = document.documentElement.lang;
    this.plainTitle = root.dataset.title;
    this.announced = null;
    this.isStaying = false;
    const stay = this.find("stay");
    stay.hidden = false;
    stay.addEventListener("click", () => {
      this.isStaying = true;
      this.find("short").hidden = true;
    });
    for (const one of this.all("without-script")) one.hidden = true;
    for (const one of this.all("with-script")) one.hidden = false;
  }

  find(name) {
    return this.root.querySelector(`[data-${name}]`);
  }

  all(name) {
    return this.root.querySelectorAll(`[data-${name}]`);
  }

  put(name, text) {
    for (const element of this.all(name)) if (element.textContent !== text) element.textContent = text;
  }

  state(state) {
    if (this.root.dataset.state !== state) this.root.dataset.state = state;
    for (const element of this.all("when")) element.hidden = !element.dataset.when.split(" ").includes(state);
    const ticket = this.find("ticket");
    ticket.classList.toggle("torn", TORN.has(state));
    ticket.classList.toggle("quiet", QUIET.has(state));
  }

  // What the document of the room and one's own number say.
  show({ state, document: room, number, place, ahead }) {
    this.state(state);
    this.showMessage(room.messages);
    this.showStock(room.stock, state, place, room.joined);
    this.put("gathered", this.speech.counted("gathered", Math.max(room.joined, (number ?? -1) + 1)));
    this.put("drawn", this.speech.number(room.gathered));
    this.put("commitment", room.draw.commitment ?? "");
    this.put("seed", room.draw.seed ?? "");
    const hasSeed = room.draw.seed !== null;
    this.find("before-draw").hidden = hasSeed;
    this.find("after-draw").hidden = !hasSeed;
    this.find("draw").hidden = !room.draw.commitment || room.state === "closed" || (hasSeed && room.gathered === 0);
    if (number !== null) this.put("arrival", this.speech.say("arrival", { n: this.speech.number(number + 1) }));
    for (const row of this.all("arrival-row")) row.hidden = number === null;
    this.put("place", place === null ? "…" : this.speech.number(place + 1));
    if (ahead !== null) {
      this.put("ahead", this.speech.ahead(ahead));
      this.put("wait", this.speech.wait(ahead, room.per_minute));
      const progress = this.find("progress");
      progress.max = Math.max(1, place);
      progress.value = Math.min(room.called, place);
    }
    this.find("paused").hidden = !room.paused;
    this.title(state, place);
    this.announce(state, place, ahead);
  }

  showMessage(messages) {
    const [language, text] = nearest(messages, this.language);
    const element = this.find("message-text");
    if (element.textContent !== text) {
      element.textContent = text;
      element.lang = language;
    }
    this.find("message").hidden = !text;
  }

  showStock(stock, state, place, joined) {
    for (const row of this.all("stock-row")) row.hidden = stock === null;
    if (stock) this.put("stock", this.speech.counted("stock", stock.left));
    const isShort = stock !== null && (place === null ? joined > stock.left : place >= stock.reaches);
    this.find("short").hidden = !isShort || this.isStaying || (state !== "waiting" && state !== "gathering");
    this.isShort = isShort;
  }

  countdown(seconds) {
    const element = this.find("start");
    const hasStart = seconds !== null && seconds > 0;
    if (element) {
      element.hidden = !hasStart;
      if (hasStart) element.textContent = words(element, seconds);
    }
    for (const one of this.all("has-start")) one.hidden = !hasStart;
    for (const one of this.all("has-no-start")) one.hidden = hasStart;
  }

  title(state, place) {
    let before = "";
    if (TORN.has(state)) before = this.speech.say("title_turn");
    else if (state === "waiting" && place !== null) before = this.speech.say("title_place", { n: this.speech.number(place + 1) });
    const title = before ? `${before} · ${this.plainTitle}` : this.plainTitle;
    if (document.title !== title) document.title = title;
  }

  announce(state, place, ahead) {
    let key = state;
    let text = "";
    if (state === "waiting" && ahead !== null) {
      key = `waiting ${ANNOUNCED.find((limit) => limit <= ahead)} ${this.isShort}`;
      text = `${this.speech.say("announce_waiting", { n: this.speech.number(place + 1) })} ${this.speech.ahead(ahead)}`;
      if (this.isShort) text += ` ${this.speech.say("announce_short")}`;
    } else if (TORN.has(state)) {
      key = "turn";
      text = this.speech.say("announce_turn");
    } else if (state === "missed") text = this.speech.say("announce_missed");
    if (key === this.announced) return;
    this.announced = key;
    this.put("announce", text);
  }

  reconnecting(isSo) {
    this.find("reconnecting").hidden = !isSo;
  }

  problem(text) {
    const element = this.find("problem");
    element.hidden = !text;
    element.textContent = text ?? "";
  }
}

// A text in the reader's language, or in the nearest that there is.
function nearest(texts, language) {
  const family = language.split("-")[0];
  const candidates = [language, ...Object.keys(texts).filter((tag) => tag.startsWith(family)), "en", ...Object.keys(texts)];
  const found = candidates.find((tag) => texts[tag]);
  return found ? [found, texts[found]] : [language, ""];
}
