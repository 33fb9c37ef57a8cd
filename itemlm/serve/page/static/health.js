/* The running chart of the health page, and its pause. Numbers come with each exchange of #live. */

import { colors, frame } from "./chart.js";

const LONGEST = 300; // samples: ten minutes
const element = document.getElementById("running");
const pause = document.getElementById("pause");
const samples = [[], [], []];
let chart = null;
let last = null;

function sample() {
  const { requests, p95, seconds } = document.getElementById("live").dataset;
  const now = { requests: Number(requests), seconds: Number(seconds) };
  if (last && now.seconds > last.seconds) {
    samples[0].push(Date.now() / 1000);
    samples[1].push((now.requests - last.requests) / (now.seconds - last.seconds));
    samples[2].push(p95 === "" ? null : Number(p95));
    if (samples[0].length > LONGEST) for (const column of samples) column.shift();
    if (chart) chart.setData(samples);
  }
  last = now;
}

function draw() {
  chart?.destroy();
  const [first, second] = colors();
  const up = (_, low, high) => [0, Math.max((high ?? 0) * 1.15, 1)];
  const options = frame(
    element,
    [
      { label: "requests per second", stroke: first, width: 2, scale: "y" },
      { label: "95 % below, ms", stroke: second, width: 2, scale: "ms", spanGaps: true },
    ],
    { time: true, scales: { x: { time: true, range: (_, low, high) => [Math.min(low ?? Infinity, (high ?? Date.now() / 1000) - 60), high ?? Date.now() / 1000] }, y: { range: up }, ms: { range: up } }, axes: [{ scale: "ms", side: 1 }] },
  );
  chart = new uPlot({ ...options, height: 240 }, samples, element);
}

pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
});
document.addEventListener("htmx:before:request", (event) => {
  if (event.target.id === "live" && pause.getAttribute("aria-pressed") === "true") event.preventDefault();
});
document.addEventListener("htmx:after:swap", sample);
document.addEventListener("itemlm:theme", draw);
addEventListener("resize", () => chart?.setSize({ width: element.clientWidth, height: 240 }));
sample();
draw();
