// The draw of a waiting room; the same as src/tearline/core/draw.py, so that browsers work out places themselves.
//
// HMAC comes from a library rather than from crypto.subtle, which browsers withhold on plain http addresses
// such as those of a demo in the local network.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

const ROUNDS = 10;
const MINIMUM_BITS = 8;

export function bytesOfHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

// The fingerprint of a seed in hexadecimal, which is published before the start.
export function commitment(seed) {
  return Array.from(sha256(bytesOfHex(seed)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The place of arrival number `arrival` among `arrivals`, both from 0. Halves have up to 20 bits, so that all of it
// fits a number; the halves themselves fit the 32 bits of bitwise operators.
export function place(seed, arrival, arrivals) {
  const key = bytesOfHex(seed);
  const bits = arrivals > 1 ? Math.floor(Math.log2(arrivals - 1)) + 1 : 0;
  const half = 2 ** (Math.max(MINIMUM_BITS, bits + 1) >> 1);
  let value = arrival;
  do value = permute(key, arrivals, value, half);
  while (value >= arrivals);
  return value;
}

function permute(key, arrivals, value, half) {
  let left = Math.floor(value / half);
  let right = value % half;
  for (let round = 0; round < ROUNDS; round += 1) {
    const message = new Uint8Array(13);
    const view = new DataView(message.buffer);
    view.setUint8(0, round);
    view.setUint32(1, Math.floor(arrivals / 2 ** 32));
    view.setUint32(5, arrivals % 2 ** 32);
    view.setUint32(9, right);
    const digest = hmac(sha256, key, message);
    const mixed = new DataView(digest.buffer, digest.byteOffset).getUint32(0) & (half - 1);
    [left, right] = [right, left ^ mixed];
  }
  return left * half + right;
}
