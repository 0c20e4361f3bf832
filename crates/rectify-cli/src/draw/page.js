const root = document.documentElement;
const plots = [...document.querySelectorAll(".plot")];
const large = matchMedia("(min-width: 1500px)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Black, in a line, a marker or a band, is the page's ink.
function inked(colour, ink) {
  if (colour === "#000000") return ink;
  const band = /^rgba\(0, ?0, ?0, ?([0-9.]+)\)$/.exec(colour);
  return band ? ink + Math.round(255 * band[1]).toString(16).padStart(2, "0") : colour;
}

function button(plot, format) {
  return {
    name: `Download as ${format.toUpperCase()}`,
    icon: Plotly.Icons.camera,
    click: () => Plotly.downloadImage(plot, { format, filename: plot.id, width: 1200, height: 600 }),
  };
}

// Draws a figure in the page's colours; again, where it was drawn, with what the reader has zoomed to and hidden.
function draw(plot) {
  const figure = plot.figure ??= JSON.parse(plot.nextElementSibling.textContent);
  const style = getComputedStyle(root);
  const [paper, ink, grid, axis] = ["--paper", "--ink", "--grid", "--axis"].map((name) => style.getPropertyValue(name).trim());
  const layout = plot.layout ?? figure.layout;
  layout.paper_bgcolor = layout.plot_bgcolor = paper;
  layout.font.color = ink;
  layout.font.size = large.matches ? 16 : 12;
  for (const each of [layout.xaxis, layout.yaxis]) {
    Object.assign(each, { gridcolor: grid, linecolor: axis, zerolinecolor: axis });
  }
  const data = figure.data.map((trace, index) => ({
    ...trace,
    visible: plot.data?.[index].visible ?? true,
    ...(trace.fillcolor && { fillcolor: inked(trace.fillcolor, ink) }),
    ...(trace.line && { line: { ...trace.line, color: inked(trace.line.color, ink) } }),
    ...(trace.marker && { marker: { ...trace.marker, color: inked(trace.marker.color, ink) } }),
  }));
  Plotly.newPlot(plot, data, layout, {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d"],
    modeBarButtonsToAdd: [button(plot, "svg"), button(plot, "png")],
  });
}

function drawAll() {
  plots.forEach(draw);
}

drawAll();
dark.addEventListener("change", drawAll);
large.addEventListener("change", drawAll);
// Paper is white.
addEventListener("beforeprint", () => {
  root.classList.add("light");
  if (dark.matches) drawAll();
});
addEventListener("afterprint", () => {
  root.classList.remove("light");
  if (dark.matches) drawAll();
});

for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    for (const plot of plots) {
      const traces = plot.data.flatMap((trace, index) => (trace.legendgroup === box.value ? [index] : []));
      if (traces.length > 0) Plotly.restyle(plot, { visible: box.checked }, traces);
    }
  });
}

for (const whole of document.querySelectorAll(".whole")) {
  const plot = whole.closest("figure").querySelector(".plot");
  const zoomed = [...plot.layout.yaxis.range];
  whole.addEventListener("click", () => {
    const pressed = whole.getAttribute("aria-pressed") !== "true";
    whole.setAttribute("aria-pressed", pressed);
    Plotly.relayout(plot, pressed ? { "yaxis.autorange": true } : { "yaxis.autorange": false, "yaxis.range": zoomed });
  });
}
