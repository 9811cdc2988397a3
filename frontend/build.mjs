// Builds the browser files: node frontend/build.mjs
//
// Everything goes to src/tearline/web/static under a name that carries a hash of its content, so that browsers
// may keep it for ever; manifest.json says which name stands for which. The fonts of documents to print go to
// src/tearline/fonts.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const target = join(root, "src", "tearline", "web", "static");

// What phones of the last five years run; the wallet and the counter must open on them.
const browsers = ["chrome90", "firefox91", "safari14"];
const scripts = [
  "app", "shop", "counter", "counter-worker", "rotating-qr", "scanner", "plot", "rooms", "inside", "upload",
  "gate", "gate-draw", "gate-proof-worker",
];
const styles = ["shop", "console", "merchant", "gate"];
// The first view of the shop has 100 KB compressed in all; most of that is for pictures and text.
const firstViewLimitBytes = 40_000;

const manifest = {};
const sizes = {};

function hashed(name, content) {
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const { name: stem, ext } = parse(name);
  return `${stem}-${digest}${ext}`;
}

async function put(name, content) {
  const built = hashed(name, content);
  await writeFile(join(target, built), content);
  manifest[name] = built;
  sizes[name] = gzipSync(content).length;
  return built;
}

async function bundle(name, entry, options) {
  const result = await esbuild.build({
    entryPoints: [join(here, entry)],
    bundle: true,
    minify: true,
    write: false,
    target: browsers,
    // esbuild believes that Safari 14 can't destructure; it can, but for one bug in parameters with defaults.
    supported: { destructuring: true },
    legalComments: "none",
    logLevel: "warning",
    absWorkingDir: root,
    ...options,
  });
  return put(name, result.outputFiles[0].contents);
}

// Illustrations are referred to by offers and campaigns as art/NAME.svg; the manifest knows them by that name.
async function pictures(folder, prefix) {
  const directory = join(here, folder);
  for (const name of (await readdir(directory)).sort()) {
    await put(prefix + name, await readFile(join(directory, name)));
  }
}

// The wasm must be of the very version of zxing-wasm that barcode-detector pins: a newer one crashes.
async function wasm() {
  const detector = JSON.parse(await readFile(join(root, "node_modules/barcode-detector/package.json"), "utf8"));
  const zxing = JSON.parse(await readFile(join(root, "node_modules/zxing-wasm/package.json"), "utf8"));
  const pinned = detector.dependencies["zxing-wasm"];
  if (pinned !== zxing.version) {
    throw new Error(`barcode-detector wants zxing-wasm ${pinned}, installed is ${zxing.version}`);
  }
  await put("zxing_reader.wasm", await readFile(join(root, "node_modules/zxing-wasm/dist/reader/zxing_reader.wasm")));
}

// What documents to print are set in; a browser has fonts of its own.
async function printFonts() {
  const folder = join(root, "src", "tearline", "fonts");
  await mkdir(folder, { recursive: true });
  for (const [family, name] of [
    ["noto-sans-thai", "400Regular/NotoSansThai_400Regular.ttf"],
    ["noto-sans-thai", "700Bold/NotoSansThai_700Bold.ttf"],
    ["noto-sans-sc", "400Regular/NotoSansSC_400Regular.ttf"],
  ]) {
    await copyFile(join(root, "node_modules/@expo-google-fonts", family, name), join(folder, parse(name).base));
  }
}

async function webManifest() {
  const icon = (name, sizes, type) => ({ src: `/static/${manifest[name]}`, sizes, type, purpose: "any" });
  await put("counter.webmanifest", Buffer.from(JSON.stringify({
    id: "/merchant",
    name: "Tearline counter",
    short_name: "Counter",
    start_url: "/merchant",
    scope: "/merchant",
    display: "standalone",
    background_color: "#f6f3ec",
    theme_color: "#f6f3ec",
    icons: [
      icon("icon.svg", "any", "image/svg+xml"),
      icon("icon-192.png", "192x192", "image/png"),
      icon("icon-512.png", "512x512", "image/png"),
    ],
  })));
}

await mkdir(target, { recursive: true });
await pictures("pictures", "");
await pictures("art", "art/");
await wasm();
await webManifest();
await printFonts();
for (const name of scripts) await bundle(`${name}.js`, `js/${name}.js`, { format: "esm" });
for (const name of styles) await bundle(`${name}.css`, `css/${name}.css`, {});

const firstView = sizes["app.js"] + sizes["shop.css"];
if (firstView > firstViewLimitBytes) {
  throw new Error(`the shop's first view is ${firstView} bytes compressed; the limit is ${firstViewLimitBytes}`);
}

// The manifest is replaced last and at once: a running server sees the old files or the new, never half.
const draft = join(target, "manifest.json.new");
await writeFile(draft, JSON.stringify(manifest, null, 2) + "\n");
await rename(draft, join(target, "manifest.json"));
const kept = new Set([...Object.values(manifest), "manifest.json"]);
for (const name of await readdir(target)) {
  if (!kept.has(name)) await rm(join(target, name), { recursive: true });
}
for (const [name, bytes] of Object.entries(sizes)) {
  console.log(`${String(Math.ceil(bytes / 1024)).padStart(5)} KB  ${name}`);
}
