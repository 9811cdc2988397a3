// The waiting page: asks for the room's public document, works out one's own place from it, joins the line, and
// enters when it is one's turn. One who waits costs the server a poll of that document and nothing else.
import { place as drawnPlace } from "./draw.js";
import { solve } from "./gate-proof.js";
import { Sound } from "./gate-sound.js";
import { View } from "./gate-view.js";
import { Words } from "./gate-words.js";

const JITTER = 0.2;
const LONGEST_PAUSE_SECONDS = 60;
const DOOR_SECONDS = 3;
const GOING_IN_MILLISECONDS = 1200;
const MOST_PROOFS = 3;
const PATIENCE_MILLISECONDS = 15_000;
// What a refused ticket leads to; all others are waited out.
const STATE_OF_REFUSAL = { room_full: "door", turn_missed: "missed", ticket_used: "used", pass_ended: "over" };
const LASTING = new Set(["missed", "used", "over", "inside"]);

// As fetch; what was sent before the phone fell asleep must not be waited for.
async function ask(address, options) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MILLISECONDS);
  try {
    return await fetch(address, { ...options, signal: patience.signal });
  } finally {
    clearTimeout(timer);
  }
}

const root = document.querySelector("[data-gate]");

class Gate {
  constructor() {
    const data = root.dataset;
    this.base = `/gate/${data.code}`;
    this.round = Number(data.round);
    this.number = data.number === "" ? null : Number(data.number);
    this.speech = new Words(JSON.parse(data.texts), document.documentElement.lang);
    this.view = new View(root, this.speech);
    this.sound = new Sound(root.querySelector("[data-sound]"));
    this.offset = Number(data.now) - Date.now();
    this.room = null;
    // A state that the room's document can't tell, and the call of the room that it stands for.
    this.special = LASTING.has(data.state) ? data.state : null;
    this.failures = 0;
    this.isBusy = false;
    this.timer = null;
    this.known = { place: null, key: "" };
  }

  start() {
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.now());
    window.addEventListener("online", () => this.now());
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
    setInterval(() => this.countDown(), 1000);
    this.now();
  }

  now() {
    clearTimeout(this.timer);
    this.beat();
  }

  later(seconds) {
    clearTimeout(this.timer);
    const spread = 1 + JITTER * (2 * Math.random() - 1);
    this.timer = setTimeout(() => this.beat(), seconds * spread * 1000);
  }

  async beat() {
    if (this.isBusy) return;
    this.isBusy = true;
    let pause = null;
    try {
      await this.poll();
      pause = await this.act();
      this.failures = 0;
      this.view.reconnecting(false);
    } catch {
      // Nothing is lost: the number stands in a cookie, and the last state on the page.
      this.failures += 1;
      this.view.reconnecting(true);
    } finally {
      this.isBusy = false;
    }
    if (this.special === "inside") return;
    const usual = pause ?? this.pollSeconds();
    this.later(Math.min(LONGEST_PAUSE_SECONDS, usual * 1.5 ** this.failures));
  }

  async poll() {
    // Asked of the server each time, and answered from the browser's own copy when nothing has changed.
    const answer = await ask(`${this.base}/room.json`, { cache: "no-cache", credentials: "omit" });
    if (!answer.ok) throw new Error(String(answer.status));
    this.room = await answer.json();
    if (this.room.round !== this.round && this.number !== null) this.loseNumber();
    this.show();
  }

  // A round has begun of which this number is not.
  loseNumber() {
    this.number = null;
    this.special = null;
  }

  // What is to be done in the present state; answers in how many seconds to go on, null for the usual pause.
  async act() {
    if (this.special && this.special !== "door") return null;
    const isJoinable = ["gathering", "open", "queueing"].includes(this.room.state);
    if (this.number === null) return isJoinable ? this.join() : null;
    return this.isCalled() ? this.enter() : null;
  }

  async join() {
    for (let attempt = 0; attempt < MOST_PROOFS; attempt += 1) {
      const body = {};
      if (root.dataset.proof) {
        const proof = await this.prove();
        if (proof === null) {
          this.view.problem(this.speech.say("no_check"));
          return LONGEST_PAUSE_SECONDS;
        }
        body.proof = proof;
      }
      const [status, answer, wait] = await this.post("joins", body);
      if (status === 200) {
        this.view.problem(null);
        this.round = answer.round;
        this.number = answer.number;
        this.show();
        // Whoever comes to an open room goes on at once.
        return this.isCalled() ? this.enter() : null;
      }
      if (answer.reason === "wrong_proof") continue;
      if (answer.reason?.startsWith("room_")) return null;
      this.view.problem(answer.detail);
      return wait ?? LONGEST_PAUSE_SECONDS;
    }
    this.view.problem(this.speech.say("no_check"));
    return LONGEST_PAUSE_SECONDS;
  }

  async prove() {
    const answer = await ask(`${this.base}/challenge`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return solve(await answer.json(), root.dataset.proof);
  }

  async enter() {
    const [status, answer, wait] = await this.post("passes", {});
    if (status === 200) {
      this.goIn();
      return null;
    }
    if (answer.reason === "wrong_ticket") {
      this.loseNumber();
      return 1;
    }
    this.special = STATE_OF_REFUSAL[answer.reason] ?? null;
    this.show();
    return this.special === "door" ? (answer.retry_after_seconds ?? wait ?? DOOR_SECONDS) : null;
  }

  goIn() {
    this.special = "inside";
    this.show();
    this.sound.turn();
    setTimeout(() => location.assign(root.dataset.goingTo), GOING_IN_MILLISECONDS);
  }

  async post(name, body) {
    const answer = await ask(`${this.base}/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json", "accept-language": document.documentElement.lang },
      body: JSON.stringify(body),
    });
    if (answer.status >= 500) throw new Error(String(answer.status));
    const wait = Number(answer.headers.get("retry-after")) || null;
    return [answer.status, await answer.json(), wait];
  }

  place() {
    const { room, number } = this;
    if (number === null || room.state === "gathering") return null;
    if (number >= room.gathered || !room.draw.seed) return number;
    const key = `${room.draw.seed} ${number} ${room.gathered}`;
    if (this.known.key !== key) this.known = { key, place: drawnPlace(room.draw.seed, number, room.gathered) };
    return this.known.place;
  }

  isCalled() {
    const place = this.place();
    if (place === null) return false;
    if (this.room.state === "open") return true;
    if (this.room.state !== "queueing" || place >= this.room.called) return false;
    return place >= this.room.lapsed || this.room.late_may_enter || this.special === "door";
  }

  state() {
    if (this.special) return this.special;
    const { room } = this;
    if (room.state === "closed" || room.state === "ended") return room.state;
    if (this.number === null) return "joining";
    if (room.state === "gathering") return "gathering";
    if (this.isCalled()) return "called";
    return this.place() < room.called ? "missed" : "waiting";
  }

  show() {
    const place = this.place();
    this.view.show({
      state: this.state(),
      document: this.room,
      number: this.number,
      place,
      ahead: place === null ? null : Math.max(0, place - this.room.called),
    });
    this.countDown();
  }

  secondsToStart() {
    if (!this.room?.starts_at) return null;
    return Math.ceil((Date.parse(this.room.starts_at) - Date.now() - this.offset) / 1000);
  }

  countDown() {
    if (this.room?.state !== "gathering") return;
    const seconds = this.secondsToStart();
    this.view.countdown(seconds);
    // At the start everybody asks: spread over the time in which so many ask anyway.
    if (seconds !== null && seconds <= 0 && this.started !== this.room.starts_at) {
      this.started = this.room.starts_at;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.beat(), (0.5 + Math.random() * this.pollSeconds()) * 1000);
    }
  }

  pollSeconds() {
    const polls = this.room?.polls ?? [[null, 10]];
    const place = this.room ? this.place() : null;
    const ahead = place === null ? (this.room?.joined ?? 0) : Math.max(0, place - this.room.called);
    return polls.find(([fewer]) => fewer === null || ahead < fewer)[1];
  }
}

if (root) new Gate().start();
