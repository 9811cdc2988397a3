// A form with one file: drop the file on it, and see how much of it has arrived. Without this script it is a plain
// form, which sends the same to the same address.
function drawn(text, share) {
  return text.replace("#", String(Math.floor(share * 100)));
}

function prepare(form) {
  const input = form.querySelector("input[type=file]");
  const chosen = form.querySelector("[data-chosen]");
  const state = form.querySelector("[data-upload-state]");
  const progress = state.querySelector("progress");
  const words = state.querySelector("[data-words]");
  const problem = form.querySelector("[data-problem]");
  let request = null;

  const name = () => {
    chosen.textContent = input.files.length ? input.files[0].name : "";
  };

  function fail(text) {
    request = null;
    form.classList.remove("sending");
    state.hidden = true;
    problem.textContent = text || form.dataset.textFailed;
    problem.hidden = false;
    input.focus();
  }

  function send() {
    if (request || !input.files.length) return;
    if (input.files[0].size > Number(form.dataset.most)) {
      fail(form.dataset.textLarge);
      return;
    }
    problem.hidden = true;
    form.classList.add("sending");
    state.hidden = false;
    progress.value = 0;
    words.textContent = drawn(form.dataset.textSending, 0);
    request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", form.elements._csrf_token.value);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const share = event.loaded / event.total;
      progress.value = share;
      words.textContent = share < 1 ? drawn(form.dataset.textSending, share) : form.dataset.textReading;
    });
    request.addEventListener("load", () => {
      const answer = request.response;
      if (request.status === 200 && answer?.next) location.assign(answer.next);
      else fail(answer?.detail);
    });
    request.addEventListener("error", () => fail());
    request.addEventListener("abort", () => fail());
    request.send(new FormData(form));
  }

  form.addEventListener("submit", (event) => {
    if (!input.files.length) return;
    event.preventDefault();
    send();
  });
  input.addEventListener("change", name);

  const area = form.querySelector("[data-drop]");
  area.classList.add("ready");
  let depth = 0;
  const over = (is) => {
    depth = is ? depth + 1 : Math.max(0, depth - 1);
    area.classList.toggle("over", depth > 0);
  };
  area.addEventListener("dragenter", (event) => {
    event.preventDefault();
    over(true);
  });
  area.addEventListener("dragleave", () => over(false));
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    area.classList.remove("over");
    if (request || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    name();
    send();
  });
  form.querySelector("[data-cancel]").addEventListener("click", () => request?.abort());
}

for (const form of document.querySelectorAll("form[data-upload]")) prepare(form);
