// The charts of a run: calls a second, failures among them, and latency, drawn from the samples that the server keeps.
"use strict";
(() => {
  const place = document.getElementById("charts");
  const EVERY_MS = 10000;
  let plots = [];
  let drawnAt = 0;

  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();

  function plot(title, data, lines) {
    const ink = colour("--chart-ink"), grid = { stroke: colour("--chart-grid"), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid };
    const figure = document.createElement("figure");
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", title);
    place.append(figure);
    const series = [{}, ...lines.map(([label, name]) => ({ label, stroke: colour(name), width: 2, spanGaps: true }))];
    const scales = { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } };
    return new uPlot({ title, width: place.clientWidth, height: 200, series, scales, axes: [axis, axis] }, data, figure);
  }

  function draw(columns) {
    if (!columns[0].length) return;
    const [times, calls, failures, latency] = columns;
    if (!plots.length) {
      place.replaceChildren();
      plots = [
        plot("Calls a second", [times, calls, failures], [["calls", "--chart-calls"], ["failed", "--chart-failed"]]),
        plot("Milliseconds a call", [times, latency], [["latency", "--chart-latency"]]),
      ];
    } else {
      plots[0].setData([times, calls, failures]);
      plots[1].setData([times, latency]);
    }
  }

  async function fetchAndDraw() {
    if (Date.now() - drawnAt < EVERY_MS || document.hidden) return;
    drawnAt = Date.now();
    try {
      const response = await fetch(place.dataset.moments, { headers: { Accept: "application/json" } });
      if (response.ok) draw(await response.json());
    } catch {
      // The page is left, or the service is away, which the page says already: the next change draws them.
    }
  }

  function redraw() {
    for (const each of plots) each.destroy();
    plots = [];
    drawnAt = 0;
    fetchAndDraw();
  }

  fetchAndDraw();
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "now") fetchAndDraw();
  });
  addEventListener("resize", () => {
    for (const each of plots) each.setSize({ width: place.clientWidth, height: 200 });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
