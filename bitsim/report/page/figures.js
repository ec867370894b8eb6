"use strict";
// Draws the figures of the page, changes their views, saves them, and reads them point by point with the arrow keys.
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
const SAVED_WIDTH_PX = 760;
const LEGEND_LINE_PX = 21;
const CONFIG = { responsive: true, displayModeBar: false, displaylogo: false };
const figures = JSON.parse(document.getElementById("figures").textContent);
const narrow = window.matchMedia("(max-width: 600px)");
const touch = window.matchMedia("(pointer: coarse)");

function isSection(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// Objects merged at every depth; the later wins.
function merged(...parts) {
  const result = {};
  for (const part of parts) {
    for (const [key, value] of Object.entries(part)) {
      result[key] = isSection(value) && isSection(result[key]) ? merged(result[key], value) : value;
    }
  }
  return result;
}

function baseLayout(small) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: FONT, size: small ? 11 : 13, color: "@text" },
    margin: { l: 12, r: 12, t: 8, b: 12 },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.0, yref: "container", yanchor: "top", bgcolor: "rgba(0,0,0,0)" },
    hoverlabel: { bgcolor: "@background", bordercolor: "@axis", font: { color: "@text", family: FONT } },
    dragmode: touch.matches ? false : "zoom",
  };
}

const BASE_AXIS = {
  automargin: true, gridcolor: "@grid", linecolor: "@axis", zerolinecolor: "@axis", tickcolor: "@axis", ticks: "outside", ticklen: 4,
};

// Height of a figure: in a narrow window its legend has a line for two entries or fewer.
function heightOf(figure, small) {
  const entries = figure.views[figure.shown].traces.filter((trace) => trace.name && trace.showlegend !== false && !trace.z);
  return figure.height + (small && entries.length > 1 ? LEGEND_LINE_PX * Math.ceil(entries.length / 2) : 0);
}

// What plotly draws of a figure in a theme.
function spec(figure, theme, small) {
  const view = figure.views[figure.shown];
  const layout = merged(baseLayout(small), figure.layout, view.layout, { height: heightOf(figure, small) });
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) layout[key] = merged(BASE_AXIS, layout[key]);
  }
  // Gaps between cells would cover narrow ones.
  const traces = small ? view.traces.map((trace) => (trace.z ? { ...trace, xgap: 0 } : trace)) : view.traces;
  return { data: themed(traces, theme), layout: themed(layout, theme) };
}

function draw(figure) {
  const { data, layout } = spec(figure, currentTheme, narrow.matches);
  figure.element.style.height = `${layout.height}px`;
  return Plotly.react(figure.element, data, layout, CONFIG);
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A figure for a page of paper: light, without ground, of one width whatever the window's.
async function svgOf(figure) {
  const size = { format: "svg", width: SAVED_WIDTH_PX, height: figure.height };
  const url = await Plotly.toImage({ ...spec(figure, "light", false), config: CONFIG }, size);
  return decodeURIComponent(url.slice(url.indexOf(",") + 1));
}

function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// The values of what is shown, one a line.
function csvOf(figure) {
  const view = figure.views[figure.shown];
  const lines = [["panel", "series", "x", "y", "value"]];
  const panels = (figure.layout.annotations || []).map((note) => note.text.replace(/<\/?b>/g, ""));
  for (const trace of view.traces) {
    const panel = panels[Number((trace.xaxis || "x").slice(1) || 1) - 1] || "";
    const name = trace.name || view.label;
    if (trace.z) trace.z.forEach((row, r) => row.forEach((z, c) => lines.push([panel, name, trace.x[c], trace.y[r], z])));
    else trace.x.forEach((x, i) => lines.push([panel, name, x, trace.y[i], ""]));
  }
  return lines.map((line) => line.map(csvCell).join(",")).join("\n") + "\n";
}

// Places a reader can step through: of bars and lines [curve, point], of heatmaps [curve, [row, column]].
function places(figure) {
  return figure.views[figure.shown].traces.flatMap((trace, curve) =>
    trace.z
      ? trace.z.flatMap((row, r) => row.flatMap((z, c) => (z === null ? [] : [[curve, [r, c]]])))
      : trace.x.flatMap((x, i) => (trace.y[i] === null || trace.mode === "lines+text" ? [] : [[curve, i]])),
  );
}

function step(figure, by) {
  const listed = places(figure);
  if (!listed.length) return;
  figure.reading = (figure.reading + by + listed.length) % listed.length;
  const [curveNumber, pointNumber] = listed[figure.reading];
  const axis = figure.views[figure.shown].traces[curveNumber];
  Plotly.Fx.hover(figure.element, [{ curveNumber, pointNumber }], (axis.xaxis || "x") + (axis.yaxis || "y"));
}

function connect(figure) {
  const frame = document.getElementById(`figure-${figure.name}`);
  figure.element = frame.querySelector(".plot");
  figure.shown = 0;
  figure.reading = -1;
  for (const input of frame.querySelectorAll("input[type=radio]")) {
    input.addEventListener("change", () => {
      figure.shown = Number(input.value);
      figure.reading = -1;
      draw(figure);
    });
  }
  frame.querySelector("[data-save=svg]").addEventListener("click", async () => {
    download(`${figure.name}.svg`, "image/svg+xml", await svgOf(figure));
  });
  frame.querySelector("[data-save=csv]").addEventListener("click", () => download(`${figure.name}.csv`, "text/csv", csvOf(figure)));
  figure.element.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      step(figure, by);
    } else if (event.key === "Escape") {
      Plotly.Fx.unhover(figure.element);
    }
  });
}

figures.forEach(connect);
const drawn = Promise.all(figures.map(draw));
drawn.then(() => (document.documentElement.dataset.drawn = "true"));
themeListeners.push(() => figures.forEach(draw));
narrow.addEventListener("change", () => figures.forEach(draw));
