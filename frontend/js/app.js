// What every page has: htmx, and the small things that a browser does better than a round trip.
import "htmx.org";
import { startCountdowns } from "./countdown.js";
import { tearTickets } from "./ticket-tear.js";

const TOAST_MILLISECONDS = 8000;

function keepToast(toast, dismissLabel) {
  if (toast.dataset.kept !== undefined) return;
  toast.dataset.kept = "";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button plain small push";
  close.textContent = "×";
  close.setAttribute("aria-label", dismissLabel);
  close.addEventListener("click", () => toast.remove());
  toast.classList.add("row");
  toast.append(close);
  // Bad news stays until it's been read.
  if (toast.classList.contains("bad")) return;
  setTimeout(function leave() {
    if (toast.matches(":hover, :focus-within")) setTimeout(leave, 1000);
    else toast.remove();
  }, TOAST_MILLISECONDS);
}

function watchToasts() {
  const area = document.getElementById("toasts");
  if (!area) return;
  const keepAll = () => area.querySelectorAll("[data-toast]").forEach((toast) => keepToast(toast, area.dataset.dismiss));
  keepAll();
  new MutationObserver(keepAll).observe(area, { childList: true });
}

function arrange(within) {
  tearTickets(within);
  within.querySelector("[data-focus]")?.focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    if (dialog?.showModal) {
      event.preventDefault();
      dialog.showModal();
    }
    return;
  }
  event.target.closest?.("[data-closes]")?.closest("dialog")?.close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.drawer[open], details.confirm[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// A second press of a button while the first is under way would send the form twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sending !== undefined) event.preventDefault();
  form.dataset.sending = "";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sending]")) delete form.dataset.sending;
});

document.addEventListener("htmx:load", (event) => arrange(event.target));
document.addEventListener("htmx:afterRequest", (event) => {
  delete event.target.dataset.sending;
});

startCountdowns();
watchToasts();
arrange(document);
