"use strict";
(function () {
  // plotly offers a button that sends a figure's data to its server; the lists of buttons below leave it out
  const CONFIG = { responsive: true, displaylogo: false, showLink: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtons: [["toImage"]] };
  const MOVABLE = Object.assign({}, CONFIG, { modeBarButtons: [["toImage"], ["pan2d", "zoom2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] });
  const FONT = { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif", size: 13 };
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  for (const node of document.querySelectorAll(".plot[data-source]")) {
    const figure = read(node.dataset.source);
    Plotly.newPlot(node, figure.data, figure.layout, CONFIG);
  }

  // plotly reads a few HTML tags in texts, so names must not look like tags
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (text) => (text.length > 34 ? text.slice(0, 33) + "…" : text);

  function floats(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  const data = read("data-embedding");
  const plot = document.getElementById("figure-embedding");
  const chooser = document.getElementById("colour-by");
  const shower = document.getElementById("show");
  const x = floats(data.x), y = floats(data.y);
  const confidence = data.confidence ? floats(data.confidence) : null;
  const novel = new Set(data.novel);
  const isQuery = data.origin.codes.map((code) => data.origin.names[code] === "query");
  const all = data.cells.map((_, i) => i);
  const SIZE = all.length < 200 ? 9 : all.length < 6000 ? 6 : 4;

  function addOption(parent, value, text) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    parent.appendChild(option);
  }
  if (data.label) addOption(chooser, "label", "label");
  if (data.origin.names.length > 1) addOption(chooser, "origin", "reference and query");
  if (confidence) addOption(chooser, "confidence", "confidence");
  const unitOptions = document.createElement("optgroup");
  unitOptions.label = "value of a unit";
  data.units.forEach((unit, i) => addOption(unitOptions, "unit:" + i, "unit " + unit.name));
  chooser.appendChild(unitOptions);

  function hover(i, value) {
    const lines = ["<b>" + escape(data.cells[i]) + "</b>", isQuery[i] ? "query" : "reference"];
    if (data.label) lines.push(escape(data.label.names[data.label.codes[i]]));
    if (confidence && !Number.isNaN(confidence[i])) lines.push("confidence " + confidence[i].toFixed(2));
    if (novel.has(i)) lines.push("novel");
    if (value !== undefined) lines.push(value);
    return lines.join("<br>");
  }

  function trace(rows, marker, texts) {
    return {
      type: data.gl ? "scattergl" : "scatter",
      mode: "markers",
      x: rows.map((i) => x[i]),
      y: rows.map((i) => y[i]),
      text: texts || rows.map((i) => hover(i)),
      hovertemplate: "%{text}<extra></extra>",
      marker: Object.assign(
        { line: { width: 0 }, size: rows.length && isQuery[rows[0]] ? SIZE : SIZE / 1.5, opacity: rows.length && isQuery[rows[0]] ? 0.85 : 0.4 },
        marker
      ),
    };
  }

  // reference cells come first, so that the query lies on top
  const layers = (rows) => [rows.filter((i) => !isQuery[i]), rows.filter((i) => isQuery[i])].filter((part) => part.length);

  function byCategory(category, rows) {
    const drawn = new Set();
    const counts = category.names.map((_, code) => rows.filter((i) => category.codes[i] === code).length);
    const traces = layers(rows).reverse().map((layer) => category.names.map((name, code) => {
      const chosen = layer.filter((i) => category.codes[i] === code);
      const result = trace(chosen, { color: category.colours[code], symbol: category.symbols[code] });
      result.showlegend = chosen.length > 0 && !drawn.has(code);
      if (chosen.length) drawn.add(code);
      return Object.assign(result, {
        name: escape(shorten(name)) + " (" + counts[code].toLocaleString("en") + ")",
        legendgroup: "label " + code, legendrank: code + 1,
      });
    }));
    return traces.reverse().flat();
  }

  function byValue(title, values, range, rows) {
    const marker = (part) => ({
      color: part.map((i) => values[i]), colorscale: "Viridis", cmin: range[0], cmax: range[1],
      colorbar: { title: { text: title, font: { size: 12 } }, thickness: 12, outlinewidth: 0, len: 0.7, tickfont: { size: 11 } },
    });
    return layers(rows).flatMap((layer) => {
      const has = layer.filter((i) => !Number.isNaN(values[i]));
      const lacks = layer.filter((i) => Number.isNaN(values[i]));
      const texts = has.map((i) => hover(i, title + ": " + values[i].toPrecision(3)));
      return [trace(lacks, { color: "#B8C0C7" }), trace(has, marker(has), texts)].filter((t) => t.x.length);
    });
  }

  const isNarrow = () => plot.clientWidth < 640;

  function layout(isCategory) {
    const narrow = isNarrow();
    const axis = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", linecolor: "#D8DDE2", mirror: true, showline: true };
    const below = { orientation: "h", x: 0, y: -0.02, yanchor: "top" };
    return {
      template: {}, font: FONT, paper_bgcolor: "white", plot_bgcolor: "white", hovermode: "closest", dragmode: "pan",
      height: narrow ? 520 : 620, margin: { l: 8, r: 8, t: 36, b: 8 },
      xaxis: axis, yaxis: Object.assign({ scaleanchor: "x" }, axis),
      showlegend: isCategory, uirevision: "same",
      legend: Object.assign({ itemsizing: "constant", font: { size: 12 } }, narrow ? below : { x: 1.01, y: 1 }),
    };
  }

  function draw() {
    const choice = chooser.value;
    const show = shower ? shower.value : "both";
    const rows = all.filter((i) => show === "both" || isQuery[i] === (show === "query"));
    let traces;
    if (choice === "label" || choice === "origin") traces = byCategory(data[choice], rows);
    else if (choice === "confidence") traces = byValue("confidence", confidence, [0, 1], rows);
    else {
      const unit = data.units[Number(choice.slice(5))];
      traces = byValue("unit " + escape(unit.name), floats(unit.values), unit.range, rows);
    }
    Plotly.react(plot, traces, layout(choice === "label" || choice === "origin"), MOVABLE);
  }
  chooser.addEventListener("change", draw);
  if (shower) shower.addEventListener("change", draw);
  let wasNarrow = isNarrow();
  window.addEventListener("resize", () => {
    if (isNarrow() !== wasNarrow) { wasNarrow = isNarrow(); draw(); }
  });
  draw();

  // the picture of each unit's card: the same cells as above, the most active on top
  const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  function rampColour(share) {
    const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
    const low = Math.min(Math.floor(place), RAMP.length - 2);
    const mixed = RAMP[low].map((part, i) => Math.round(part + (RAMP[low + 1][i] - part) * (place - low)));
    return "rgb(" + mixed.join(",") + ")";
  }
  const extremes = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  const [left, right] = extremes(x), [bottom, top] = extremes(y);
  for (const canvas of document.querySelectorAll("canvas[data-unit]")) {
    const unit = data.units[Number(canvas.dataset.unit)];
    const values = floats(unit.values), [low, high] = unit.range;
    const pad = 14, width = canvas.width - 2 * pad;
    const shape = Math.min(Math.max((top - bottom) / Math.max(right - left, 1e-9), 0.6), 1.2);
    canvas.height = Math.round(width * shape) + 2 * pad;
    const height = canvas.height - 2 * pad;
    const scale = Math.min(width / Math.max(right - left, 1e-9), height / Math.max(top - bottom, 1e-9));
    const startX = pad + (width - (right - left) * scale) / 2, startY = pad + (height - (top - bottom) * scale) / 2;
    const context = canvas.getContext("2d");
    const order = all.slice().sort((a, b) => values[a] - values[b]);
    for (const layer of layers(order)) {
      const radius = (isQuery[layer[0]] ? 3.2 : 1.9) * (all.length > 6000 ? 0.6 : 1);
      context.globalAlpha = isQuery[layer[0]] ? 0.85 : 0.4;
      for (const i of layer) {
        context.fillStyle = rampColour(high > low ? (values[i] - low) / (high - low) : 0);
        context.beginPath();
        context.arc(startX + (x[i] - left) * scale, startY + (top - y[i]) * scale, radius, 0, 2 * Math.PI);
        context.fill();
      }
    }
    canvas.parentNode.querySelector(".scale-low").textContent = low.toPrecision(2);
    canvas.parentNode.querySelector(".scale-high").textContent = high.toPrecision(2);
  }

  // paper is narrower than most windows, and what is folded on screen is wanted on paper
  const folded = [];
  window.addEventListener("beforeprint", () => {
    for (const node of document.querySelectorAll("details:not([open])")) { node.open = true; folded.push(node); }
    for (const node of document.querySelectorAll(".plot")) Plotly.relayout(node, { width: 680 });
  });
  window.addEventListener("afterprint", () => {
    while (folded.length) folded.pop().open = false;
    for (const node of document.querySelectorAll(".plot")) Plotly.relayout(node, { width: null, autosize: true });
  });
})();
