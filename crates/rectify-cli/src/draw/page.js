const root = document.documentElement;
const controls = document.querySelector(".controls");
const plots = [...document.querySelectorAll(".plot")];
const large = matchMedia("(min-width: 1500px)");
const dark = matchMedia("(prefers-color-scheme: dark)");
// On a touch screen a drag scrolls the page; to zoom would trap the finger in the figure.
const touch = matchMedia("(pointer: coarse)").matches;

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function button(text, label, click) {
  const made = element("button", { type: "button", className: "tool", onclick: click }, text);
  if (label) made.setAttribute("aria-label", label);
  return made;
}

function fileName(...parts) {
  const words = parts.map((part) => part.toLowerCase().replace(/[^\p{L}\p{N}.]+/gu, "-").replace(/^-+|-+$/g, ""));
  return words.join("-").slice(0, 120);
}

// ---- Colours

const probe = document.body.appendChild(element("i", { hidden: true }));

function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// Black, in a line, a marker or a band, is the page's ink.
function inked(colour, ink) {
  if (colour === "#000000") return ink;
  const band = /^rgba\(0, ?0, ?0, ?([0-9.]+)\)$/.exec(colour);
  return band ? ink.replace("rgb(", "rgba(").replace(")", `, ${band[1]})`) : colour;
}

// ---- Figures

const drawing = (plot) => (plot.drawing ??= JSON.parse(plot.nextElementSibling.textContent));
const figureOf = (plot) => plot.closest("figure");
const titleOf = (plot) => figureOf(plot).querySelector("figcaption").firstChild.textContent;
const isDrawn = (plot) => Boolean(plot.data);
const hidden = new Set();
// On the screen or near it.
const seen = new Set();
const epochs = [...new Set(plots.flatMap((plot) => (drawing(plot).frames ?? []).map((frame) => frame.epoch)))].sort((a, b) => a - b);
let epoch = epochs.at(-1);
let beamed = null;
// Of the page: another one with every change of colours and letters.
let look = 0;

function frameOf(plot) {
  const { frames } = drawing(plot);
  return frames && (frames.findLast((frame) => frame.epoch <= epoch) ?? frames[0]);
}

// Histograms as outlines, a row each, from the top down; a row is 1 high.
function ridge(rows) {
  const outlines = rows.map((row, place) => {
    if (!row) return [[], []];
    const [low, high, heights] = row;
    const base = rows.length - 1 - place;
    const width = (high - low) / heights.length;
    const x = [low];
    const y = [base];
    heights.forEach((height, bin) => {
      x.push(low + width * bin, low + width * (bin + 1));
      y.push(base + 0.0009 * height, base + 0.0009 * height);
    });
    return [[...x, high], [...y, base]];
  });
  return { x: outlines.map(([x]) => x), y: outlines.map(([, y]) => y) };
}

const shows = (frame) => (frame.rows ? ridge(frame.rows) : frame.values);

// The traces that a frame changes.
function moving(plot) {
  const frame = frameOf(plot);
  const count = Object.values(frame.rows ? { rows: frame.rows } : frame.values)[0].length;
  const first = frame.rows ? count : 0;
  return Array.from({ length: count }, (_, place) => first + place);
}

function put(trace, path, value) {
  const names = path.split(".");
  const last = names.pop();
  names.reduce((inner, name) => inner[name], trace)[last] = value;
}

function caption(plot) {
  const moment = figureOf(plot).querySelector(".moment");
  if (moment) moment.textContent = ` at epoch ${frameOf(plot).epoch}`;
}

function size(plot) {
  if (figureOf(plot) === beamed) return Math.max(14, Math.min(28, innerWidth / 50));
  return large.matches ? 16 : 12;
}

// Draws a figure in the page's colours; again, where it was drawn, with what the reader has zoomed to.
function draw(plot) {
  const figure = drawing(plot);
  const [paper, ink, grid, axis] = ["--paper", "--ink", "--grid", "--axis"].map(colour);
  const layout = plot.layout ?? figure.layout;
  const font = size(plot);
  layout.paper_bgcolor = layout.plot_bgcolor = paper;
  layout.font.color = ink;
  layout.font.size = font;
  layout.dragmode = touch ? false : "zoom";
  for (const each of [layout.xaxis, layout.yaxis]) {
    Object.assign(each, { gridcolor: grid, linecolor: axis, zerolinecolor: axis });
  }
  const data = figure.data.map((trace) => ({
    ...trace,
    visible: !hidden.has(trace.legendgroup),
    ...(trace.fillcolor && { fillcolor: inked(trace.fillcolor, ink) }),
    ...(trace.line && { line: { ...trace.line, color: inked(trace.line.color, ink), width: (trace.line.width * font) / 12 } }),
    ...(trace.marker && { marker: { ...trace.marker, color: inked(trace.marker.color, ink) } }),
  }));
  const frame = frameOf(plot);
  if (frame) {
    const places = moving(plot);
    for (const [path, values] of Object.entries(shows(frame))) places.forEach((place, i) => put(data[place], path, values[i]));
    if (frame.rows) {
      const { x, y } = ridge(figure.frames[0].rows);
      x.forEach((_, place) => Object.assign(data[place], { x: x[place], y: y[place] }));
    }
    caption(plot);
  }
  plot.epoch = epoch;
  plot.look = look;
  plot.atFirst ??= Object.fromEntries(
    ["xaxis", "yaxis"].map((axis) => (layout[axis].range ? [`${axis}.range`, [...layout[axis].range]] : [`${axis}.autorange`, true])),
  );
  Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false, scrollZoom: false });
}

function move(plot) {
  if (!drawing(plot).frames || plot.epoch === epoch) return;
  plot.epoch = epoch;
  Plotly.restyle(plot, shows(frameOf(plot)), moving(plot));
  caption(plot);
}

const isCurrent = (plot) => plot.look === look && (plot.epoch === epoch || !drawing(plot).frames);

function bring(plot) {
  if (plot.look === look) move(plot);
  else draw(plot);
}

function onScreen(plot) {
  const { top, bottom } = plot.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

// What is on the screen is drawn at once; what is near it a figure at a time, so that the page answers meanwhile; what is
// far from it when it comes near.
let waits = false;
function drawSeen() {
  [...seen].filter(onScreen).forEach(bring);
  if (waits || [...seen].every(isCurrent)) return;
  waits = true;
  setTimeout(() => {
    waits = false;
    const next = [...seen].find((plot) => !isCurrent(plot));
    if (next) bring(next);
    drawSeen();
  });
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target);
      else seen.delete(target);
    }
    drawSeen();
  },
  { rootMargin: "400px" },
);
plots.forEach((plot) => near.observe(plot));

function redraw() {
  look += 1;
  drawSeen();
}

function download(plot, format) {
  const named = new Set();
  const data = plot.data.map((trace) => {
    const first = Boolean(trace.name) && trace.showlegend !== false && !named.has(trace.name);
    named.add(trace.name);
    return { ...trace, showlegend: first };
  });
  const moment = figureOf(plot).querySelector(".moment")?.textContent ?? "";
  const title = { text: (titleOf(plot) + moment).replace(/&/g, "&amp;").replace(/</g, "&lt;"), x: 0.02 };
  const layout = { ...plot.layout, title, margin: { ...plot.layout.margin, t: 60 }, showlegend: true };
  const height = Math.round((1200 * plot.offsetHeight) / plot.offsetWidth);
  const options = { format, filename: fileName(document.title, titleOf(plot) + moment), width: 1200, height: Math.max(500, Math.min(1200, height)) };
  return Plotly.downloadImage({ data, layout }, options);
}

function save(name, rows) {
  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : (value ?? ""));
  const text = rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: url, download: `${fileName(document.title, name)}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// What is drawn, as rows: a curve's name with its points, or a heat map's cells.
function values(plot) {
  const plain = (text) => new DOMParser().parseFromString(text, "text/html").body.textContent;
  const { xaxis, yaxis } = plot.layout;
  const tick = (x) => (xaxis.ticktext && !plot.data[0].z ? plain(xaxis.ticktext[xaxis.tickvals.indexOf(x)] ?? String(x)) : x);
  const points = plot.data.flatMap((trace) => {
    // A scale of powers of ten shows their exponents.
    const power = trace.colorbar?.tickprefix === "10<sup>";
    const value = (z) => (power && z !== null ? 10 ** z : z);
    if (trace.z) return trace.z.flatMap((row, i) => row.map((z, j) => [plain(trace.y[i]), plain(String(trace.text?.[j] ?? trace.x[j])), value(z)]));
    return trace.name ? Array.from(trace.x, (x, i) => [plain(trace.name), tick(x), trace.y[i]]) : [];
  });
  const title = (axis, otherwise) => plain(axis.title?.text || otherwise);
  return [plot.data[0].z ? ["row", "column", "value"] : ["curve", title(xaxis, "x"), title(yaxis, "y")], ...points];
}

for (const plot of plots) {
  const title = titleOf(plot);
  const rows = drawing(plot).frames?.[0].rows;
  figureOf(plot).querySelector("figcaption").append(
    element(
      "span",
      { className: "tools" },
      button("large", `${title}: large, alone on the screen`, (event) => beam(figureOf(plot), event.currentTarget)),
      button("SVG", `${title}: download as SVG`, () => download(plot, "svg")),
      button("PNG", `${title}: download as PNG`, () => download(plot, "png")),
      ...(rows ? [] : [button("CSV", `${title}: download its values as CSV`, () => save(title, values(plot)))]),
    ),
  );
}

// ---- Zoom by keyboard, as by a drag of the mouse

// By which parts of what an axis shows its ends move, across and up.
const still = [0, 0];
const closer = [0.2, -0.2];
const KEYS = {
  "+": [closer, closer],
  // The same key without shift.
  "=": [closer, closer],
  "-": [[-1 / 3, 1 / 3], [-1 / 3, 1 / 3]],
  ArrowLeft: [[-0.2, -0.2], still],
  ArrowRight: [[0.2, 0.2], still],
  ArrowDown: [still, [-0.2, -0.2]],
  ArrowUp: [still, [0.2, 0.2]],
};

function zoom(plot, parts) {
  const range = (axis, [low, high]) => {
    const ends = plot.layout[axis].range;
    const shown = ends[1] - ends[0];
    return [ends[0] + low * shown, ends[1] + high * shown];
  };
  Plotly.relayout(plot, { "xaxis.range": range("xaxis", parts[0]), "yaxis.range": range("yaxis", parts[1]) });
}

function goBack(plot) {
  figureOf(plot).querySelector(".whole")?.setAttribute("aria-pressed", false);
  Plotly.relayout(plot, structuredClone(plot.atFirst));
}

if (plots.length > 0) {
  const words = "Plus and minus zoom, arrows move what is shown, 0 goes back.";
  document.body.append(element("p", { id: "figure-keys", hidden: true }, words));
}
for (const plot of plots) {
  plot.tabIndex = 0;
  plot.setAttribute("aria-describedby", "figure-keys");
  plot.setAttribute("aria-keyshortcuts", "Plus - 0 ArrowLeft ArrowRight ArrowUp ArrowDown");
  plot.addEventListener("keydown", (event) => {
    const parts = KEYS[event.key];
    if (!isDrawn(plot) || (!parts && event.key !== "0") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (parts) zoom(plot, parts);
    else goBack(plot);
  });
}

for (const whole of document.querySelectorAll(".whole")) {
  const plot = whole.closest("figure").querySelector(".plot");
  const zoomed = [...drawing(plot).layout.yaxis.range];
  whole.addEventListener("click", () => {
    const pressed = whole.getAttribute("aria-pressed") !== "true";
    whole.setAttribute("aria-pressed", pressed);
    Plotly.relayout(plot, pressed ? { "yaxis.autorange": true } : { "yaxis.autorange": false, "yaxis.range": [...zoomed] });
  });
}

// ---- The legend's boxes

for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(box.value);
    else hidden.add(box.value);
    for (const alone of document.querySelectorAll("[data-activation]")) {
      if (alone.dataset.activation === box.value) alone.hidden = !box.checked;
    }
    for (const plot of plots.filter(isDrawn)) {
      const traces = plot.data.flatMap((trace, index) => (trace.legendgroup === box.value ? [index] : []));
      if (traces.length > 0) Plotly.restyle(plot, { visible: box.checked }, traces);
    }
  });
}

// ---- One slider for all figures over epochs

if (epochs.length > 1) {
  const slider = element("input", { type: "range", min: 0, max: epochs.length - 1, step: 1, value: epochs.length - 1, autocomplete: "off" });
  const reads = element("output", {});
  let timer = null;
  const to = (place) => {
    epoch = epochs[place];
    slider.value = place;
    reads.textContent = `${epoch} of ${epochs.at(-1)}`;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    seen.forEach(move);
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ play";
  };
  const play = button("▶ play", "", () => {
    if (timer) return stop();
    play.textContent = "⏸ pause";
    if (Number(slider.value) === epochs.length - 1) to(0);
    timer = setInterval(() => {
      to(Number(slider.value) + 1);
      if (Number(slider.value) === epochs.length - 1) stop();
    }, Math.max(120, Math.min(900, 8000 / epochs.length)));
  });
  slider.addEventListener("input", () => {
    stop();
    to(Number(slider.value));
  });
  controls.append(element("form", { className: "time", onsubmit: () => false }, play, element("label", {}, "epoch ", slider), reads));
  to(epochs.length - 1);
}

// ---- Light and dark

const darkNow = () => (root.style.colorScheme || (dark.matches ? "dark" : "light")) === "dark";
const theme = button("", "", () => {
  root.style.colorScheme = darkNow() ? "light" : "dark";
  named();
  redraw();
});
const named = () => (theme.textContent = darkNow() ? "light page" : "dark page");
named();
controls.append(element("span", { className: "theme" }, theme));
dark.addEventListener("change", () => {
  named();
  redraw();
});
large.addEventListener("change", redraw);

// ---- One figure, large, alone on the screen

const close = button("close", "Close the large figure", () => beam(null));
// What is jumped to is not to lie behind it.
new ResizeObserver(() => root.style.setProperty("--bar", `${controls.offsetHeight}px`)).observe(controls);
const beamButtons = element(
  "span",
  { className: "beam" },
  button("←", "The figure before", () => step(-1)),
  button("→", "The next figure", () => step(1)),
  close,
);
controls.append(beamButtons);
let opener = null;

function beam(figure, from) {
  const before = beamed;
  if (from) opener = from;
  beamed = figure;
  before?.classList.remove("beamer");
  figure?.classList.add("beamer");
  root.classList.toggle("beaming", Boolean(figure));
  root.style.setProperty("--bar", `${controls.offsetHeight}px`);
  for (const one of [before, figure]) one?.querySelectorAll(".plot").forEach(draw);
  if (figure && !before) {
    root.requestFullscreen?.().catch(() => {});
    close.focus();
  }
  if (!figure) {
    if (document.fullscreenElement) document.exitFullscreen();
    opener?.focus();
  }
}

function step(by) {
  // What is folded away has a box, and cannot be seen.
  const shown = plots.filter((plot) => plot.checkVisibility()).map(figureOf);
  beam(shown[(shown.indexOf(beamed) + by + shown.length) % shown.length]);
}

document.addEventListener("fullscreenchange", () => {
  if (!document.fullscreenElement && beamed) beam(null);
});
addEventListener("keydown", (event) => {
  if (!beamed || event.target.matches("input")) return;
  const action = { Escape: () => beam(null), ArrowRight: () => step(1), ArrowLeft: () => step(-1) }[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

// ---- Tables

const overflowing = new ResizeObserver((entries) => {
  for (const { target } of entries) target.hint.hidden = target.scrollWidth <= target.clientWidth;
});
for (const region of document.querySelectorAll(".scroll")) {
  const name = region.getAttribute("aria-label");
  const rows = () => [...region.querySelector("table").rows].map((row) => [...row.cells].map((each) => each.textContent.trim()));
  const saves = button("CSV", `${name}: download as CSV`, () => save(name, rows()));
  region.hint = element("span", { className: "hint", hidden: true }, "scroll sideways for more →");
  region.before(element("div", { className: "tools of-table" }, region.hint, saves));
  overflowing.observe(region);
}

// ---- Paper is white

const folded = [...document.querySelectorAll("details:not([open])")];
addEventListener("beforeprint", () => {
  if (root.classList.contains("paper")) return;
  root.classList.add("paper");
  folded.forEach((each) => (each.wasOpen = each.open));
  folded.forEach((each) => (each.open = true));
  look += 1;
  plots.forEach(draw);
});
addEventListener("afterprint", () => {
  root.classList.remove("paper");
  folded.forEach((each) => (each.open = each.wasOpen));
  redraw();
});
