// The counter's camera: reads a QR code or barcode, puts its text into the page's input and sends the form.
//
// A ponyfill, because desktops lack BarcodeDetector; its WebAssembly is our own copy, of the version that it
// pins. Where a browser blocks cameras (WeChat, LINE), a photo of the code does, and typing always works.
import { BarcodeDetector, prepareZXingModule } from "barcode-detector/ponyfill";

const LOOK_AGAIN_MILLISECONDS = 120;
const FORMATS = ["qr_code", "code_128", "ean_13", "data_matrix"];
const LONGEST_PHOTO_SIDE = 1600;
// A page that answers a scan with a refusal must not scan the same code again before anyone has read it.
const REST_MILLISECONDS = 10_000;
const LAST_SCAN = "tearline-last-scan";
// The page before may hold the camera for a moment longer than it lives; phones say "not readable" then.
const PAUSES_WHILE_HELD_MILLISECONDS = [200, 400, 800, 1600];
const HELD = ["NotReadableError", "AbortError"];

class Scanner {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-${name}]`);
    this.video = this.part("video");
    this.stream = null;
    this.isStarting = false;
    prepareZXingModule({
      overrides: { locateFile: (path, prefix) => (path.endsWith(".wasm") ? root.dataset.wasm : prefix + path) },
    });
    this.detector = new BarcodeDetector({ formats: FORMATS });
    this.part("photo-label").hidden = false;
    this.part("photo").addEventListener("change", (event) => this.readPhoto(event.target.files[0]));
    this.part("stop").addEventListener("click", () => this.stop());
    if (navigator.mediaDevices?.getUserMedia) {
      this.part("start").hidden = false;
      this.part("start").addEventListener("click", () => this.start());
      this.startIfAllowedBefore();
    } else {
      this.say("blocked");
    }
    window.addEventListener("pagehide", () => this.stop());
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
  }

  say(what) {
    this.part("message").textContent = what ? this.root.dataset[`text${what[0].toUpperCase()}${what.slice(1)}`] : "";
  }

  async startIfAllowedBefore() {
    if (Date.now() - Number(sessionStorage.getItem(LAST_SCAN)) < REST_MILLISECONDS) return;
    try {
      const permission = await navigator.permissions.query({ name: "camera" });
      if (permission.state === "granted") this.start();
    } catch {
      // Firefox can't be asked about cameras; the button is there.
    }
  }

  async start() {
    if (this.stream || this.isStarting) return;
    this.isStarting = true;
    try {
      this.stream = await camera();
    } catch {
      this.say("blocked");
      return;
    } finally {
      this.isStarting = false;
    }
    if (document.hidden || !this.root.isConnected) {
      this.stop();
      return;
    }
    this.video.srcObject = this.stream;
    this.part("view").hidden = false;
    this.part("start").hidden = true;
    this.part("stop").hidden = false;
    this.say("looking");
    await this.video.play().catch(() => {});
    this.look();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.part("view").hidden = true;
    this.part("stop").hidden = true;
    this.part("start").hidden = !navigator.mediaDevices?.getUserMedia;
    this.say("");
  }

  async look() {
    while (this.stream && this.root.isConnected) {
      if (this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
        const [found] = await this.detector.detect(this.video).catch(() => []);
        if (found && this.stream) {
          this.found(found);
          return;
        }
      }
      await new Promise((resume) => setTimeout(resume, LOOK_AGAIN_MILLISECONDS));
    }
    this.stop();
  }

  async readPhoto(file) {
    if (!file) return;
    this.say("");
    try {
      const [found] = await this.detector.detect(await smaller(file));
      if (found) this.found(found);
      else this.say("nothing");
    } catch {
      this.say("nothing");
    }
    this.part("photo").value = "";
  }

  found({ rawValue, format }) {
    this.stop();
    // A page that nobody has touched yet may not vibrate, and browsers complain of one that tries.
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(40);
    sessionStorage.setItem(LAST_SCAN, String(Date.now()));
    const event = new CustomEvent("scanned", { bubbles: true, cancelable: true, detail: { text: rawValue, format } });
    if (!this.root.dispatchEvent(event)) return;
    const input = document.getElementById(this.root.dataset.field);
    if (!input) return;
    input.value = rawValue;
    if (this.root.dataset.sendsForm !== "yes" || !input.form) return;
    // Safari before 16 lacks requestSubmit, which lets htmx take the form.
    if (input.form.requestSubmit) input.form.requestSubmit();
    else input.form.submit();
  }
}

async function camera() {
  const wish = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } }, audio: false };
  for (const pause of PAUSES_WHILE_HELD_MILLISECONDS) {
    try {
      return await navigator.mediaDevices.getUserMedia(wish);
    } catch (error) {
      if (!HELD.includes(error.name)) throw error;
      await new Promise((resume) => setTimeout(resume, pause));
    }
  }
  return navigator.mediaDevices.getUserMedia(wish);
}

// A phone's photo of 50 megapixels would take seconds to read and finds no more.
async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_PHOTO_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function startAll(within) {
  for (const root of within.querySelectorAll("[data-scanner]:not([data-started])")) {
    root.dataset.started = "";
    new Scanner(root);
  }
}

startAll(document);
document.addEventListener("htmx:load", (event) => startAll(event.target.parentElement ?? document));
