for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    for (const plot of document.querySelectorAll(".plotly-graph-div")) {
      const traces = plot.data.flatMap((trace, index) => (trace.legendgroup === box.value ? [index] : []));
      if (traces.length > 0) Plotly.restyle(plot, { visible: box.checked }, traces);
    }
  });
}
