/* Small things of the first page: numbers beside the dials, moving chips by hand, copying. */

document.addEventListener("input", (event) => {
  const shown = document.getElementById(`${event.target.id}-shown`);
  if (shown) shown.value = event.target.value;
});

let dragged = null;
const chipOf = (event) => event.target.closest?.(".chip");

document.addEventListener("dragstart", (event) => {
  dragged = chipOf(event);
  dragged?.classList.add("dragged");
  if (dragged) event.dataTransfer.effectAllowed = "move";
});

document.addEventListener("dragover", (event) => {
  const over = chipOf(event);
  if (!dragged || !over) return;
  event.preventDefault();
  for (const chip of document.querySelectorAll(".chip.over")) chip.classList.remove("over");
  if (over !== dragged) over.classList.add("over");
});

document.addEventListener("drop", (event) => {
  const over = chipOf(event);
  if (!dragged || !over || over === dragged) return;
  event.preventDefault();
  const chips = [...document.querySelectorAll(".chip")];
  over[chips.indexOf(dragged) < chips.indexOf(over) ? "after" : "before"](dragged);
  document.getElementById("dials-form").dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("dragend", () => {
  for (const chip of document.querySelectorAll(".chip")) chip.classList.remove("dragged", "over");
  dragged = null;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.querySelector(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
});
