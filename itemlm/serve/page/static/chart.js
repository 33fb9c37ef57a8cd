/* Charts from the JSON beside them; the same numbers stand in a table, for who cannot see them. */

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Options that all charts share: quiet axes in the colors of the page. */
export function frame(element, series, { time = false, scales = {}, axes = [] } = {}) {
  const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width: Math.max(element.clientWidth, 120),
    height: 190,
    cursor: { y: false, points: { size: 7 } },
    legend: { show: series.length > 1, live: false },
    scales: { x: { time }, ...scales },
    axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 52 }, ...axes.map((more) => ({ ...axis, size: 52, grid: { show: false }, ...more }))],
    series: [{}, ...series],
  };
}

/** Colors of lines, in order. */
export const colors = () => [css("--accent"), css("--warn"), css("--edge")];

function draw(element) {
  const data = JSON.parse(element.querySelector("script").textContent);
  element.chart?.destroy();
  const time = data.kind === "time";
  const x = data.x.values.map((value) => (time ? Date.parse(value) / 1000 : value));
  const palette = colors();
  const series = data.series.map((line, place) => ({
    label: line.label,
    stroke: palette[place % palette.length],
    width: 2,
    spanGaps: true,
    points: { show: x.length < 30, size: 5 },
    ...(time && { paths: uPlot.paths.bars({ size: [0.7, 60] }), fill: `${palette[0]}99`, points: { show: false } }),
  }));
  const step = x.length > 1 ? x[1] - x[0] : 86400;
  const scales = time
    ? { x: { time, range: (_, low, high) => [low - 0.6 * step, high + 0.6 * step] }, y: { range: (_, low, high) => [0, Math.max(high * 1.08, 1)] } }
    : {};
  element.chart = new uPlot(frame(element, series, { time, scales }), [x, ...data.series.map((line) => line.values)], element);
}

function drawAll() {
  for (const element of document.querySelectorAll("[data-chart]")) draw(element);
}

drawAll();
document.addEventListener("itemlm:theme", drawAll);
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 120);
});
