/* Painting the map: points by group, history and slate on top, and what lies where. */

const TONES = 12;
const CELLS = 128; // of the grid by which the nearest point is found
const MANY = 20000; // points from which squares of pixels replace disks

export const hues = {
  order: [0, 5, 9, 2, 7, 4, 11, 6, 1, 8, 3, 10], // neighbors in the legend differ
  toneOf: (group) => (group < 0 ? "tone-none" : `tone-${hues.order[group % TONES]}`),
  color: (group, dark) => (group < 0
    ? (dark ? "oklch(58% 0 0)" : "oklch(70% 0 0)")
    : `oklch(${dark ? "74% 0.11" : "62% 0.13"} ${25 + 30 * hues.order[group % TONES]})`),
};

/* A color as the four bytes of a pixel. */
function pixelOf(color) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}

export class Painter {
  constructor(canvas, data, marks) {
    Object.assign(this, { canvas, data, marks, hiddenGroups: new Set(), ringed: -1, onview: () => {} });
    this.context = canvas.getContext("2d");
    const extent = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
    const [left, right] = extent(data.x);
    const [top, bottom] = extent(data.y);
    this.bounds = { left, top, width: Math.max(right - left, 1e-9), height: Math.max(bottom - top, 1e-9) };
    this.index();
    new ResizeObserver(() => this.resize()).observe(canvas);
    document.addEventListener("itemlm:theme", () => this.draw());
  }

  /* A grid over the map: cell -> rows. */
  index() {
    this.cells = new Map();
    for (let row = 0; row < this.data.x.length; row++) {
      const cell = this.cellOf(this.data.x[row], this.data.y[row]).join();
      if (this.cells.has(cell)) this.cells.get(cell).push(row);
      else this.cells.set(cell, [row]);
    }
    this.byGroup = new Map();
    this.data.groups.forEach((group, row) => {
      if (this.byGroup.has(group)) this.byGroup.get(group).push(row);
      else this.byGroup.set(group, [row]);
    });
  }

  cellOf(x, y) {
    const { left, top, width, height } = this.bounds;
    return [Math.floor(((x - left) / width) * (CELLS - 1)), Math.floor(((y - top) / height) * (CELLS - 1))];
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    if (this.width === clientWidth && this.height === clientHeight && this.ratio === ratio) return;
    Object.assign(this, { width: clientWidth, height: clientHeight, ratio });
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.draw();
  }

  /* Everything in view. */
  fit() {
    if (!this.width) this.resize();
    const { left, top, width, height } = this.bounds;
    this.scale = 0.9 * Math.min(this.width / width, this.height / height);
    this.whole = this.scale;
    this.stretch = Math.min(1.8, Math.max(1, (0.9 * this.width) / (width * this.scale)));
    this.offset = {
      x: this.width / 2 - (left + width / 2) * this.scale * this.stretch,
      y: this.height / 2 - (top + height / 2) * this.scale,
    };
    this.draw();
  }

  px(row) { return this.data.x[row] * this.scale * this.stretch + this.offset.x; }
  py(row) { return this.data.y[row] * this.scale + this.offset.y; }

  move(x, y) {
    this.offset.x += x;
    this.offset.y += y;
    this.draw();
  }

  zoom(by, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(Math.max(this.scale * by, this.whole * 0.6), this.whole * 400);
    const real = scale / this.scale;
    this.offset = { x: x - (x - this.offset.x) * real, y: y - (y - this.offset.y) * real };
    this.scale = scale;
    this.draw();
  }

  center(row) {
    this.scale = Math.max(this.scale, this.whole * 5);
    this.offset.x += this.width / 2 - this.px(row);
    this.offset.y += this.height / 2 - this.py(row);
    this.ring(row);
  }

  ring(row) {
    if (row === this.ringed) return;
    this.ringed = row;
    this.draw();
  }

  show(group, shown) {
    if (shown) this.hiddenGroups.delete(group);
    else this.hiddenGroups.add(group);
    this.draw();
  }

  isShown(row) { return !this.hiddenGroups.has(this.data.groups[row]); }

  /* The shown row nearest to a place on the canvas, within so many pixels; -1 for none. */
  nearest({ x, y }, within) {
    const mapX = (x - this.offset.x) / (this.scale * this.stretch);
    const mapY = (y - this.offset.y) / this.scale;
    const reachX = within / (this.scale * this.stretch);
    const reachY = within / this.scale;
    const [firstX, firstY] = this.cellOf(mapX - reachX, mapY - reachY);
    const [lastX, lastY] = this.cellOf(mapX + reachX, mapY + reachY);
    let best = -1;
    let least = within * within;
    for (let cx = Math.max(firstX, 0); cx <= Math.min(lastX, CELLS - 1); cx++) {
      for (let cy = Math.max(firstY, 0); cy <= Math.min(lastY, CELLS - 1); cy++) {
        for (const row of this.cells.get(`${cx},${cy}`) ?? []) {
          const far = (this.px(row) - x) ** 2 + (this.py(row) - y) ** 2;
          if (far < least && this.isShown(row)) [best, least] = [row, far];
        }
      }
    }
    return best;
  }

  /* The shown rows on the canvas: how many, and those nearest to its middle. */
  inView(most) {
    const found = [];
    for (let row = 0; row < this.data.x.length; row++) {
      const x = this.px(row);
      const y = this.py(row);
      if (x >= 0 && y >= 0 && x <= this.width && y <= this.height && this.isShown(row)) {
        found.push([(x - this.width / 2) ** 2 + (y - this.height / 2) ** 2, row]);
      }
    }
    found.sort((a, b) => a[0] - b[0]);
    return { total: found.length, rows: found.slice(0, most).map(([, row]) => row) };
  }

  draw() {
    if (this.waiting || !this.scale) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
      this.onview();
    });
  }

  paint() {
    const dark = document.documentElement.dataset.theme === "dark";
    const style = getComputedStyle(document.documentElement);
    const { context, data } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const base = Math.min(5, Math.max(1.1, 90 / Math.sqrt(data.x.length)));
    const size = Math.min(base * (this.scale / this.whole) ** 0.35, 9);
    if (data.x.length > MANY) this.squares(size, dark);
    else this.disks(size, dark);
    const ink = style.getPropertyValue("--ink");
    const accent = style.getPropertyValue("--accent");
    const paper = style.getPropertyValue("--raised");
    for (const row of this.marks.slate) this.disk(row, size + 4, paper, accent, 3);
    for (const row of this.marks.history) this.disk(row, size + 3, ink, paper, 2);
    if (this.ringed >= 0) this.disk(this.ringed, size + 5, "transparent", ink, 2);
    this.names(ink, paper);
  }

  disks(size, dark) {
    const { context } = this;
    context.globalAlpha = 0.8;
    for (const [group, rows] of this.byGroup) {
      if (this.hiddenGroups.has(group)) continue;
      context.fillStyle = hues.color(group, dark);
      context.beginPath();
      for (const row of rows) {
        const x = this.px(row);
        const y = this.py(row);
        if (x < -9 || y < -9 || x > this.width + 9 || y > this.height + 9) continue;
        context.moveTo(x + size, y);
        context.arc(x, y, size, 0, 7);
      }
      context.fill();
    }
    context.globalAlpha = 1;
  }

  /* Very many points, pixel by pixel: with 100,000, four times as fast as asking the canvas. */
  squares(size, dark) {
    const { canvas, context, ratio } = this;
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const side = Math.max(1, Math.round(2 * size * ratio));
    const { x: xs, y: ys } = this.data;
    const [scaleX, scaleY] = [this.scale * this.stretch * ratio, this.scale * ratio];
    const [offsetX, offsetY] = [this.offset.x * ratio - side / 2, this.offset.y * ratio - side / 2];
    for (const [group, rows] of this.byGroup) {
      if (this.hiddenGroups.has(group)) continue;
      const color = pixelOf(hues.color(group, dark));
      for (const row of rows) {
        const x = Math.round(xs[row] * scaleX + offsetX);
        const y = Math.round(ys[row] * scaleY + offsetY);
        if (x < 0 || y < 0 || x + side > canvas.width || y + side > canvas.height) continue;
        for (let down = 0; down < side; down++) {
          const start = (y + down) * canvas.width + x;
          pixels.fill(color, start, start + side);
        }
      }
    }
    context.putImageData(image, 0, 0);
  }

  disk(row, radius, fill, line, width) {
    const { context } = this;
    context.beginPath();
    context.arc(this.px(row), this.py(row), radius, 0, 7);
    context.fillStyle = fill;
    context.strokeStyle = line;
    context.lineWidth = width;
    context.fill();
    context.stroke();
  }

  /* Titles of the marked items, where there is room. */
  names(ink, paper) {
    const { context } = this;
    const taken = [];
    context.font = "600 12px system-ui, sans-serif";
    context.lineJoin = "round";
    for (const row of [...this.marks.history, ...this.marks.slate]) {
      const title = this.data.titles[row];
      const text = title.length > 28 ? `${title.slice(0, 27)}…` : title;
      const box = { x: this.px(row) + 11, y: this.py(row) + 4, width: context.measureText(text).width };
      const clash = taken.some((t) => Math.abs(t.y - box.y) < 15 && box.x < t.x + t.width + 6 && t.x < box.x + box.width + 6);
      if (clash || box.x + box.width > this.width) continue;
      taken.push(box);
      context.strokeStyle = paper;
      context.lineWidth = 4;
      context.strokeText(text, box.x, box.y);
      context.fillStyle = ink;
      context.fillText(text, box.x, box.y);
    }
  }
}
