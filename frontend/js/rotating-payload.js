// What a coupon's rotating QR code says; the same as src/tearline/core/rotating.py, held to the same vectors.
//
// HMAC comes from a library rather than from crypto.subtle, which browsers withhold on plain http addresses
// such as those of a demo in the local network.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

export const STEP_SECONDS = 30;
const MAC_LENGTH = 10;
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export function payload(code, secret, unixMilliseconds) {
  const step = Math.floor(unixMilliseconds / 1000 / STEP_SECONDS).toString(36);
  const digest = hmac(sha256, secret, new TextEncoder().encode(`${code}.${step}`));
  return `TL1.${code}.${step}.${crockford(digest, MAC_LENGTH)}`;
}

export function bytesOfBase64Url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function crockford(bytes, length) {
  let text = "";
  for (let index = 0; index < length; index += 1) {
    let value = 0;
    for (let bit = index * 5; bit < index * 5 + 5; bit += 1) {
      value = (value << 1) | ((bytes[bit >> 3] >> (7 - (bit & 7))) & 1);
    }
    text += CROCKFORD[value];
  }
  return text;
}
