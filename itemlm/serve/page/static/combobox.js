/* The search field: arrow keys walk through what was found, Enter takes it, Escape closes. */

const field = () => document.getElementById("q");
const list = () => document.getElementById("suggestions");
const options = () => [...list().querySelectorAll("[role=option]:not([aria-disabled])")];

function open(isOpen) {
  list().hidden = !isOpen;
  field().setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) field().removeAttribute("aria-activedescendant");
}

function choose(option) {
  for (const other of options()) other.setAttribute("aria-selected", String(other === option));
  field().setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function take(option) {
  field().value = "";
  open(false);
  option.click();
}

document.addEventListener("keydown", (event) => {
  if (event.target !== field()) return;
  const found = list().hidden ? [] : options();
  const at = found.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!found.length && options().length) return open(true);
    if (!found.length) return;
    const by = event.key === "ArrowDown" ? 1 : -1;
    choose(found[(at + by + found.length + (at < 0 && by < 0 ? 1 : 0)) % found.length]);
  } else if (event.key === "Enter" && found.length) {
    event.preventDefault();
    take(found[Math.max(at, 0)]);
  } else if (event.key === "Escape" && !list().hidden) {
    event.preventDefault();
    open(false);
  }
});

document.addEventListener("htmx:after:swap", (event) => {
  if (event.target.id !== "q") return;
  const wanted = field().value.trim() !== "" && document.activeElement === field();
  open(wanted && list().children.length > 0);
});

document.addEventListener("click", (event) => {
  const option = event.target.closest("#suggestions [role=option]");
  if (option) {
    field().value = "";
    open(false);
  } else if (event.target !== field()) open(false);
});

document.addEventListener("focusin", (event) => {
  if (event.target !== field() && !event.target.closest("#suggestions")) open(false);
});
