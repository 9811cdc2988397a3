// A soft chime when it is one's turn. Browsers let a page sound only after its reader has touched it.
const NOTES_HERTZ = [659.25, 783.99, 1046.5];
const KEPT = "tearline-gate-sound";

export class Sound {
  constructor(button) {
    this.button = button;
    this.context = null;
    const Context = window.AudioContext ?? window.webkitAudioContext;
    if (!button || !Context) return;
    this.Context = Context;
    button.hidden = false;
    button.addEventListener("click", () => this.toggle());
    if (kept() === "on") {
      this.show(true);
      document.addEventListener("pointerdown", () => this.isOn && this.open(), { once: true });
    }
  }

  get isOn() {
    return this.button?.getAttribute("aria-pressed") === "true";
  }

  toggle() {
    this.show(!this.isOn);
    try {
      localStorage.setItem(KEPT, this.isOn ? "on" : "off");
    } catch {
      // Without storage it is asked anew the next time.
    }
    if (!this.isOn) return;
    this.open();
    this.chime(NOTES_HERTZ.slice(0, 1));
  }

  show(isOn) {
    this.button.setAttribute("aria-pressed", String(isOn));
  }

  open() {
    this.context ??= new this.Context();
    this.context.resume();
  }

  turn() {
    if (!this.isOn) return;
    navigator.vibrate?.([200, 120, 200]);
    this.chime(NOTES_HERTZ);
  }

  chime(notes) {
    if (!this.context) return;
    notes.forEach((frequency, position) => {
      const start = this.context.currentTime + position * 0.18;
      const tone = this.context.createOscillator();
      const volume = this.context.createGain();
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0.0001, start);
      volume.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.7);
      tone.connect(volume).connect(this.context.destination);
      tone.start(start);
      tone.stop(start + 0.75);
    });
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
