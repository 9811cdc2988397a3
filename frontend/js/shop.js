// What the shop's pages do when a countdown on them has come to its end. Without a script they say the time,
// and the server answers whoever comes too early.

// A campaign's page is made before the start with the password box hidden in it, a sale's with its forms, so that
// a crowd that waits for the same second need not load anything at it.
function openForms(element) {
  const frame = element.closest("[data-opens-at-zero]");
  if (!frame) return;
  frame.querySelector("[data-before]").hidden = true;
  for (const after of frame.querySelectorAll("[data-after]")) after.hidden = false;
  frame.querySelector("[data-after] input:not([type=hidden])")?.focus();
}

function setWaiting(form, isWaiting) {
  for (const button of form.querySelectorAll("button")) button.disabled = isWaiting;
  const text = form.querySelector("[data-waiting]");
  if (text) text.hidden = !isWaiting;
}

for (const form of document.querySelectorAll("[data-resend]")) {
  const left = form.querySelector("[data-countdown]");
  setWaiting(form, left !== null && Number(left.dataset.countdown) > Date.now());
}

document.addEventListener("countdown-done", (event) => {
  openForms(event.target);
  const form = event.target.closest("[data-resend]");
  if (form) setWaiting(form, false);
});
