// What the pages use of plotly.js. The whole of its traces on two axes takes half as long again until a page is drawn.

const { register } = require("plotly.js/src/registry");
const { newPlot, restyle, relayout, downloadImage, ...others } = require("plotly.js/src/plot_api");

require("plotly.js/build/plotcss");

const api = { newPlot, restyle, relayout, downloadImage };
// Its parts call each other by name.
for (const [name, fn] of Object.entries({ ...others, ...api })) register({ moduleType: "apiMethod", name, fn });
register([
  require("plotly.js/src/traces/scatter"),
  require("plotly.js/src/traces/bar"),
  require("plotly.js/src/traces/heatmap"),
  require("plotly.js/src/components/annotations"),
  require("plotly.js/src/components/selections"),
  require("plotly.js/src/components/shapes"),
  require("plotly.js/src/components/errorbars"),
  require("plotly.js/src/components/colorscale"),
  require("plotly.js/src/components/colorbar"),
  require("plotly.js/src/components/legend"),
  // After legend, whose settings it reads.
  require("plotly.js/src/components/fx"),
  require("plotly.js/src/components/modebar"),
  require("plotly.js/src/locale-en"),
  require("plotly.js/src/locale-en-us"),
]);

module.exports = api;
