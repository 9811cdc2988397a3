// The console's board of a waiting room: slider and number follow each other, and addresses are copied.
document.addEventListener("input", (event) => {
  const dial = event.target.closest?.("[data-dial]");
  if (!dial) return;
  const slider = dial.elements.slider;
  const number = dial.elements.max_active;
  if (event.target === slider) number.value = slider.value;
  else if (event.target === number && /^\d+$/.test(number.value)) slider.value = number.value;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copies]");
  if (!button) return;
  const input = document.getElementById(button.dataset.copies);
  input.select();
  await navigator.clipboard.writeText(input.value);
  button.textContent = button.dataset.done;
});

// Only where there is a clipboard to copy to: it needs https, or this very machine.
if (navigator.clipboard) for (const button of document.querySelectorAll("[data-copies]")) button.hidden = false;
