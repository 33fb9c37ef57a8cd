/* The map: points on a canvas, to drag, zoom, point at and open; and lists for who cannot. */

import { Painter, hues } from "./map-paint.js";

const canvas = document.getElementById("map");
const hover = document.getElementById("map-hover");
const told = document.getElementById("map-told");
const IN_VIEW = 40;
const NEAR = 14; // pixels

const itemUrl = (id) => {
  const text = String(id);
  const query = canvas.dataset.query;
  if (text === "." || text === "..") return `/items?id=${text}${query.replace("?", "&")}`;
  return `/items/${encodeURIComponent(text)}${query}`;
};

function start(data) {
  const marks = JSON.parse(document.getElementById("marks").textContent);
  const row = new Map(data.item_ids.map((id, place) => [String(id), place]));
  const rows = (ids) => ids.map((id) => row.get(String(id))).filter((place) => place !== undefined);
  const painter = new Painter(canvas, data, { history: rows(marks.history), slate: rows(marks.slate) });
  told.textContent = `${data.item_ids.length.toLocaleString("en")} items, placed by ${data.method}. Alike in words lies close together.`;
  legend(data, painter);
  moving(painter, data);
  finding(painter, data);
  let waiting = 0;
  painter.onview = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => list(painter, data), 160);
  };
  painter.fit();
}

/* What can be seen, as links: the way around the map for keys and for those who listen. */
function list(painter, data) {
  const place = document.getElementById("in-view");
  const found = painter.inView(IN_VIEW);
  place.replaceChildren(...found.rows.map((row) => {
    const entry = document.createElement("li");
    const link = document.createElement("a");
    link.href = itemUrl(data.item_ids[row]);
    link.textContent = data.titles[row];
    link.addEventListener("focus", () => painter.ring(row));
    link.addEventListener("mouseenter", () => painter.ring(row));
    entry.append(link);
    return entry;
  }));
  document.getElementById("in-view-head").textContent = found.total > found.rows.length
    ? `In view: the ${found.rows.length} nearest the middle of ${found.total.toLocaleString("en")}`
    : `In view: ${found.total}`;
}

function legend(data, painter) {
  const counts = new Map();
  for (const group of data.groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  const groups = [...counts.keys()].sort((a, b) => (a < 0) - (b < 0) || counts.get(b) - counts.get(a));
  document.getElementById("legend").replaceChildren(...groups.map((group) => {
    const button = document.createElement("button");
    const swatch = document.createElement("i");
    swatch.className = `swatch ${hues.toneOf(group)}`;
    swatch.setAttribute("aria-hidden", "true");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch, `${data.names[group] ?? "other"} ${counts.get(group).toLocaleString("en")}`);
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      painter.show(group, shown);
    });
    return button;
  }));
}

function moving(painter, data) {
  const fingers = new Map();
  let travelled = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    travelled = 0;
    canvas.classList.add("grabbing");
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) return point(now);
    travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([name]) => name !== event.pointerId).map(([, place]) => place);
      const reach = (place) => Math.hypot(place.x - other.x, place.y - other.y);
      painter.zoom(reach(now) / Math.max(reach(before), 1), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else painter.move(now.x - before.x, now.y - before.y);
    fingers.set(event.pointerId, now);
  });
  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    canvas.classList.toggle("grabbing", fingers.size > 0);
    const row = event.type === "pointerup" && travelled < 5 ? painter.nearest(at(event), NEAR) : -1;
    if (row >= 0) location.assign(itemUrl(data.item_ids[row]));
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { hover.hidden = true; painter.ring(-1); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = at(event);
    painter.zoom(Math.exp(-event.deltaY * 0.0016), x, y);
  }, { passive: false });

  function point(now) {
    const row = painter.nearest(now, NEAR);
    painter.ring(row);
    canvas.style.cursor = row >= 0 ? "pointer" : "";
    hover.hidden = row < 0;
    if (row < 0) return;
    hover.textContent = data.titles[row];
    const box = canvas.getBoundingClientRect();
    const left = Math.min(now.x + 14, box.width - hover.offsetWidth - 6);
    const top = now.y + 18 + hover.offsetHeight > box.height ? now.y - hover.offsetHeight - 10 : now.y + 18;
    hover.style.transform = `translate(${Math.max(left, 4)}px, ${top}px)`;
  }

  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key]) painter.move(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") painter.zoom(1.4);
    else if (event.key === "-") painter.zoom(1 / 1.4);
    else if (event.key === "0") painter.fit();
    else return;
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      const by = Number(button.dataset.zoom);
      if (by) painter.zoom(by);
      else painter.fit();
    });
  }
}

function finding(painter, data) {
  const lower = data.titles.map((title) => title.toLowerCase());
  let asked = "";
  let turn = 0;
  document.getElementById("map-find").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = document.getElementById("map-q").value.trim().toLowerCase();
    const found = words ? lower.flatMap((title, row) => (title.includes(words) ? [row] : [])) : [];
    turn = words === asked ? turn + 1 : 0;
    asked = words;
    const place = document.getElementById("map-found");
    if (!found.length) { place.textContent = words ? "No title has these words." : ""; return; }
    const row = found[turn % found.length];
    painter.center(row);
    place.textContent = `${data.titles[row]}${found.length > 1 ? `: ${(turn % found.length) + 1} of ${found.length}; once more for the next` : ""}`;
  });
}

async function load() {
  try {
    const answer = await fetch(canvas.dataset.points, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(await answer.text());
    start(await answer.json());
  } catch {
    told.textContent = "The map could not be loaded. Try again later, or browse the tree.";
  }
}

load();
