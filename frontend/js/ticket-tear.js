// A ticket that was redeemed just now has its stub torn off before the eyes; where motion isn't wanted, it
// simply lies there torn, as it does without a script.
export function tearTickets(within) {
  const wantsCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const ticket of within.querySelectorAll(".ticket[data-tears]")) {
    ticket.removeAttribute("data-tears");
    if (wantsCalm) continue;
    ticket.classList.remove("torn");
    ticket.classList.add("tearing");
    ticket.addEventListener("animationend", () => ticket.classList.replace("tearing", "torn"), { once: true });
  }
}
