// The embedding: its colours, the cells that were chosen in it, and what is known of them.

const UNITS_SHOWN = 8, LABELS_SHOWN = 10;

function makeEmbedding(data) {
  const plot = document.getElementById("figure-embedding"), panel = document.getElementById("panel");
  const chooser = document.getElementById("colour-by"), shower = document.getElementById("show");
  const selector = document.getElementById("select");
  const x = floats(data.x), y = floats(data.y), n = data.cells.length, start = data.n_reference;
  const isQuery = (i) => i >= start;
  const all = Array.from({ length: n }, (_, i) => i);
  const columns = new Map(data.columns.map((column) => [column.key, column]));
  const SIZE = n < 200 ? 9 : n < 6000 ? 6 : 4;
  let chosen = null, cell = null, tracedRows = [], dragmode = "pan", before = null;

  // columns of the query alone have no values for cells of the reference
  function spread(column, values, none) {
    if (!column.query) return values;
    const result = new Array(n).fill(none);
    for (let i = 0; i < values.length; i++) result[start + i] = values[i];
    return result;
  }
  function valuesOf(column) {
    if (!column.unpacked) {
      column.unpacked = column.kind === "number" ? spread(column, numbersOf(column.values), NaN) : spread(column, codesOf(column.codes), -1);
    }
    return column.unpacked;
  }
  function nameOf(key, i) {
    const column = columns.get(key);
    if (!column) return null;
    const code = valuesOf(column)[i];
    return code < 0 ? null : column.names[code];
  }
  const confidenceOf = (i) => (columns.has("confidence") ? valuesOf(columns.get("confidence"))[i] : NaN);
  const isNovel = (i) => nameOf("novel", i) === "novel";
  const mean = (rows, values) => rows.reduce((sum, i) => sum + values[i], 0) / rows.length;

  function hover(i, value) {
    const lines = ["<b>" + escaped(data.cells[i]) + "</b>", isQuery(i) ? "query" : "reference"];
    if (columns.has("label")) lines.push(escaped(nameOf("label", i)));
    if (!Number.isNaN(confidenceOf(i))) lines.push("confidence " + confidenceOf(i).toFixed(2));
    if (isNovel(i)) lines.push("novel");
    if (value !== undefined) lines.push(value);
    return lines.join("<br>");
  }

  function trace(rows, marker, texts) {
    const own = rows.length > 0 && isQuery(rows[0]);
    const result = {
      type: data.gl ? "scattergl" : "scatter", mode: "markers", rows,
      x: rows.map((i) => x[i]), y: rows.map((i) => y[i]),
      text: texts || rows.map((i) => hover(i)), hovertemplate: "%{text}<extra></extra>",
      marker: Object.assign({ line: { width: 0 }, size: own ? SIZE : SIZE / 1.5, opacity: own ? 0.85 : 0.4 }, marker),
      unselected: { marker: { opacity: 0.06 } }, selected: { marker: { opacity: 0.95 } },
    };
    if (chosen) result.selectedpoints = rows.flatMap((i, place) => (chosen.has(i) ? [place] : []));
    return result;
  }

  // reference cells come first, so that the query lies on top
  const layers = (rows) => [rows.filter((i) => !isQuery(i)), rows.filter(isQuery)].filter((part) => part.length);

  function byCategory(column, rows) {
    const codes = valuesOf(column), drawn = new Set();
    const counts = column.names.map((_, code) => rows.reduce((sum, i) => sum + (codes[i] === code), 0));
    const traces = layers(rows).reverse().map((layer) => column.names.map((name, code) => {
      const result = trace(layer.filter((i) => codes[i] === code), { color: onPaper(column.colours[code]), symbol: column.symbols[code] });
      result.showlegend = result.rows.length > 0 && !drawn.has(code);
      if (result.rows.length) drawn.add(code);
      return Object.assign(result, {
        name: escaped(shortened(name)) + " (" + counts[code].toLocaleString("en") + ")", legendgroup: "label " + code, legendrank: code + 1,
      });
    }));
    const lacks = trace(rows.filter((i) => codes[i] < 0), { color: "#B8C0C7" });
    return [lacks, ...traces.reverse().flat()].filter((t) => t.rows.length).map((t) => Object.assign({ showlegend: false }, t));
  }

  function byValue(column, rows) {
    const values = valuesOf(column), title = escaped(column.title), look = theme();
    const bar = { title: { text: shortened(title), font: { size: 12 } }, thickness: 12, outlinewidth: 0, len: 0.7, tickfont: { size: 11 }, tickcolor: look.line };
    return layers(rows).flatMap((layer) => {
      const has = layer.filter((i) => !Number.isNaN(values[i])), lacks = layer.filter((i) => Number.isNaN(values[i]));
      const marker = { color: has.map((i) => values[i]), colorscale: "Viridis", cmin: column.range[0], cmax: column.range[1], colorbar: bar };
      return [trace(lacks, { color: "#B8C0C7" }), trace(has, marker, has.map((i) => hover(i, title + ": " + values[i].toPrecision(3))))].filter((t) => t.rows.length);
    });
  }

  const isNarrow = () => plot.clientWidth < 560;

  function layout(isCategory) {
    const narrow = isNarrow(), look = theme();
    const axis = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", linecolor: look.grid, mirror: true, showline: true };
    const below = { orientation: "h", x: 0, y: -0.02, yanchor: "top" };
    return {
      template: {}, font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: look.ink },
      paper_bgcolor: look.paper, plot_bgcolor: look.paper, hovermode: "closest", dragmode, selections: [],
      hoverlabel: { bgcolor: look.paper, font: { color: look.ink } },
      height: narrow ? 520 : 600, margin: { l: 8, r: 8, t: 8, b: 8 },
      xaxis: axis, yaxis: Object.assign({ scaleanchor: "x" }, axis),
      showlegend: isCategory, uirevision: "same", selectionrevision: String(Math.random()),
      legend: Object.assign({ itemsizing: "constant", font: { size: 12 } }, narrow ? below : { x: 1.01, y: 1 }),
    };
  }

  function draw() {
    const column = columns.get(chooser.value), show = shower ? shower.value : "both";
    const rows = all.filter((i) => show === "both" || isQuery(i) === (show === "query"));
    const traces = column.kind === "category" ? byCategory(column, rows) : byValue(column, rows);
    if (data.density) {
      const look = theme();
      traces.unshift({
        type: "heatmap", rows: [], x: data.density.x, y: data.density.y, z: data.density.cells.map((line) => line.map((n) => (n ? Math.log1p(n) : null))),
        colorscale: [[0, look.grid], [1, look.line]], showscale: false, hoverinfo: "skip", zsmooth: false, opacity: 0.6,
      });
    }
    if (cell !== null) {
      const ring = { symbol: "circle-open", size: 18, color: theme().ink, line: { width: 2.5 } };
      traces.push({ type: "scatter", mode: "markers", rows: [cell], x: [x[cell]], y: [y[cell]], marker: ring, hoverinfo: "skip", showlegend: false });
    }
    tracedRows = traces.map((t) => t.rows);
    for (const t of traces) delete t.rows;
    plot.dataset.colour = column.key;
    return Plotly.react(plot, traces, layout(column.kind === "category"), Object.assign({}, CONFIG, { scrollZoom: true }));
  }

  // ---- what is said of the cells that were chosen

  const fact = (name, value) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }));
  const shows = (what, text) => element("button", { type: "button", class: "show", "data-show": what, text });

  function panelHead(title) {
    panel.replaceChildren(element("h3", { text: title }));
    const buttons = element("p", { class: "tools" });
    const clear = element("button", { type: "button", class: "small", text: "Clear" });
    clear.addEventListener("click", () => choose(null));
    buttons.append(clear);
    if (before) {
      const back = element("button", { type: "button", class: "small", text: "Back to where I was" });
      const { top, focus } = before;
      back.addEventListener("click", () => { window.scrollTo({ top }); if (focus) focus.focus({ preventScroll: true }); });
      buttons.append(back);
    }
    panel.append(buttons);
    return buttons;
  }

  // units and genes of which these cells have more than the other cells of the query, by differences of means in
  // standard deviations
  function leading(rows, prefix) {
    const inside = new Set(rows), others = all.filter((i) => isQuery(i) && !inside.has(i)), found = [];
    const own = prefix === "gene:" ? rows.filter(isQuery) : rows;
    if (!own.length || !others.length) return found;
    for (const column of data.columns) {
      if (!column.key.startsWith(prefix)) continue;
      const values = valuesOf(column), here = mean(own, values), there = mean(others, values);
      const spread = Math.sqrt([...own, ...others].reduce((sum, i) => sum + (values[i] - (inside.has(i) ? here : there)) ** 2, 0) / (own.length + others.length));
      if (spread > 0) found.push({ column, here, there, effect: (here - there) / spread });
    }
    return found.filter((entry) => entry.effect > 0).sort((a, b) => b.effect - a.effect).slice(0, UNITS_SHOWN);
  }

  function leadingTable(title, entries) {
    if (!entries.length) return [];
    const body = element("tbody");
    for (const { column, here, there } of entries) {
      body.append(element("tr", {}, element("th", { scope: "row" }, shows(column.key, column.title)), element("td", { class: "num", text: here.toFixed(2) }), element("td", { class: "num", text: there.toFixed(2) })));
    }
    const head = element("thead", {}, element("tr", {}, ...["", "here", "others"].map((text) => element("th", { scope: "col", class: text ? "num" : "", text }))));
    return [element("h4", { text: title }), element("table", {}, head, body)];
  }

  function describeCells(rows, title) {
    const buttons = panelHead(title + ": " + rows.length.toLocaleString("en") + (rows.length === 1 ? " cell" : " cells"));
    const download = element("button", { type: "button", class: "small csv", text: "CSV", "aria-label": "Save these cells as CSV" });
    download.addEventListener("click", () => {
      const lines = rows.map((i) => [data.cells[i], isQuery(i) ? "query" : "reference", nameOf("label", i) || "", Number.isNaN(confidenceOf(i)) ? "" : confidenceOf(i).toFixed(4), isQuery(i) ? isNovel(i) : ""]);
      save("cells.csv", asCsv([["cell", "origin", "label", "confidence", "novel"], ...lines]), "text/csv");
    });
    buttons.append(download);
    const own = rows.filter(isQuery), facts = element("dl", {}, fact("of the query", own.length.toLocaleString("en")));
    if (columns.has("confidence") && own.length) {
      facts.append(fact("mean confidence", mean(own, valuesOf(columns.get("confidence"))).toFixed(2)));
      facts.append(fact("novel", own.filter(isNovel).length.toLocaleString("en")));
    }
    panel.append(facts);
    if (columns.has("label")) {
      const counts = new Map();
      for (const i of rows) counts.set(nameOf("label", i), (counts.get(nameOf("label", i)) || 0) + 1);
      const list = element("ul");
      for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1]).slice(0, LABELS_SHOWN)) {
        list.append(element("li", {}, shows("label:" + name, name), " " + count.toLocaleString("en")));
      }
      panel.append(element("h4", { text: "Labels" }), list);
    }
    panel.append(...leadingTable("Units they have more of", leading(rows, "unit:")), ...leadingTable("Genes they have more of", leading(rows, "gene:")));
  }

  function describeCell(i) {
    panelHead(data.cells[i]);
    const facts = element("dl", {}, fact("data set", isQuery(i) ? "query" : "reference"));
    if (columns.has("label")) facts.append(element("div", {}, element("dt", { text: "label" }), element("dd", {}, shows("label:" + nameOf("label", i), nameOf("label", i)))));
    if (!Number.isNaN(confidenceOf(i))) facts.append(fact("confidence", confidenceOf(i).toFixed(2)), fact("novel", isNovel(i) ? "yes" : "no"));
    const row = Array.from(document.querySelectorAll("table.odd tr[data-cell]")).find((entry) => entry.dataset.cell === data.cells[i]);
    if (row && isQuery(i)) facts.append(fact("odd", cellText(row.querySelector(".why"))));
    for (const column of data.columns) {
      if (!column.key.startsWith("obs:") || !isQuery(i)) continue;
      const value = column.kind === "category" ? nameOf(column.key, i) : valuesOf(column)[i];
      if (value !== null && !Number.isNaN(value)) facts.append(fact(column.title, typeof value === "number" ? String(Number(value.toPrecision(4))) : value));
    }
    panel.append(facts);
    const body = element("tbody"), units = data.columns.filter((column) => column.key.startsWith("unit:"));
    const ranked = units.map((column) => ({ column, value: valuesOf(column)[i] })).sort((a, b) => b.value - a.value).slice(0, UNITS_SHOWN);
    for (const { column, value } of ranked) body.append(element("tr", {}, element("th", { scope: "row" }, shows(column.key, column.title)), element("td", { class: "num", text: value.toFixed(2) })));
    panel.append(element("h4", { text: "Units it has most of" }), element("table", {}, body));
  }

  function describeNothing() {
    panel.replaceChildren(element("h3", { text: "Cells" }), element("p", { class: "quiet", text: "Click a cell, draw around some with the lasso, or choose some above: what they are, and which units they have, is shown here." }));
  }

  // ---- choosing

  function choose(rows, title) {
    chosen = rows && new Set(rows);
    cell = null;
    if (rows) describeCells(rows, title);
    else { describeNothing(); selector.value = ""; }
    plot.dataset.chosen = rows ? String(rows.length) : "";
    return draw();
  }
  function chooseCell(i) {
    chosen = null;
    cell = i;
    describeCell(i);
    plot.dataset.chosen = data.cells[i];
    return draw();
  }
  const oddCells = () => new Set(Array.from(document.querySelectorAll("table.odd tr[data-cell]"), (row) => row.dataset.cell));
  const groups = new Map();
  if (columns.has("confidence")) {
    groups.set("novel", ["Novel cells", (i) => isQuery(i) && isNovel(i)]);
    groups.set("low", ["Cells of low confidence", (i) => confidenceOf(i) < 0.5]);
    groups.set("odd", ["Odd cells of the table", ((names) => (i) => isQuery(i) && (names = names || oddCells()).has(data.cells[i]))(null)]);
  }
  const labels = columns.has("label") ? columns.get("label").names : [];
  function chooseGroup(key) {
    if (!key) return choose(null);
    if (groups.has(key)) return choose(all.filter(groups.get(key)[1]), groups.get(key)[0]);
    const name = key.slice("label:".length);
    return choose(all.filter((i) => nameOf("label", i) === name), name);
  }
  function colour(key) {
    chooser.value = key;
    return draw();
  }

  // what a button elsewhere on the page asks for: "unit:U01", "label:B cell", "cell:…", "gene:…", "odd:all"
  function showIn(what) {
    const split = what.indexOf(":"), kind = what.slice(0, split), name = what.slice(split + 1);
    before = panel.contains(document.activeElement) ? before : { top: window.scrollY, focus: document.activeElement };
    if (kind === "label") {
      if (!labels.includes(name)) return false;
      chooser.value = "label";
      chooseGroup("label:" + name);
    } else if (kind === "odd") chooseGroup("odd");
    else if (kind === "cell") {
      const place = data.cells.indexOf(name, start), found = place < 0 ? data.cells.indexOf(name) : place;
      if (found < 0) return false;
      chooseCell(found);
    } else if (columns.has(what)) {
      colour(what);
      if (chosen === null && cell === null) {
        panelHead(columns.get(what).title);
        if (kind === "unit") panel.append(element("p", {}, element("a", { href: "#unit-" + name, text: "Its card" })));
        panel.append(element("p", { class: "quiet", text: "The embedding is coloured by it." }));
      }
    } else return false;
    plot.scrollIntoView({ block: "center" });
    plot.focus({ preventScroll: true });
    return true;
  }

  // ---- controls

  let group = null;
  for (const column of data.columns) {
    if (column.group && (!group || group.label !== column.group)) {
      group = element("optgroup", { label: column.group });
      chooser.append(group);
    }
    (column.group ? group : chooser).append(element("option", { value: column.key, text: column.title }));
  }
  for (const [key, [title]] of groups) selector.append(element("option", { value: key, text: title }));
  const ofLabels = element("optgroup", { label: "of a label" });
  for (const name of labels) ofLabels.append(element("option", { value: "label:" + name, text: name }));
  if (labels.length) selector.append(ofLabels);
  chooser.addEventListener("change", draw);
  if (shower) shower.addEventListener("change", draw);
  selector.addEventListener("change", () => chooseGroup(selector.value));

  const finder = document.getElementById("finder"), field = document.getElementById("find"), names = document.getElementById("find-names");
  for (const name of [...labels, ...data.columns.map((column) => column.title)]) names.append(element("option", { value: name }));
  finder.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = field.value.trim(), lower = wanted.toLowerCase();
    const label = labels.find((name) => name.toLowerCase() === lower);
    const column = data.columns.find((entry) => entry.title.toLowerCase() === lower || entry.key.toLowerCase() === "unit:" + lower);
    const found = label ? "label:" + label : column ? column.key : "cell:" + wanted;
    field.setCustomValidity(showIn(found) ? "" : "No cell, label, unit or gene of this page has that name.");
    field.reportValidity();
  });
  field.addEventListener("input", () => field.setCustomValidity(""));

  function zoom(factor, moveX, moveY) {
    const change = {};
    for (const [axis, move] of [["xaxis", moveX || 0], ["yaxis", moveY || 0]]) {
      const [low, high] = plot._fullLayout[axis].range, middle = (low + high) / 2 + move * (high - low), half = (factor * (high - low)) / 2;
      change[axis + ".range"] = [middle - half, middle + half];
    }
    return Plotly.relayout(plot, change);
  }
  const reset = () => Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": true });
  const tools = document.getElementById("embedding-tools");
  const tool = (text, label, action) => {
    const button = element("button", { type: "button", class: "small", text, "aria-label": label });
    button.addEventListener("click", () => action(button));
    tools.append(button);
    return button;
  };
  const lasso = tool("Lasso", "Draw around cells to choose them", () => {
    dragmode = dragmode === "lasso" ? "pan" : "lasso";
    lasso.setAttribute("aria-pressed", String(dragmode === "lasso"));
    Plotly.relayout(plot, { dragmode });
  });
  lasso.setAttribute("aria-pressed", "false");
  tool("+", "Zoom in", () => zoom(0.7));
  tool("−", "Zoom out", () => zoom(1 / 0.7));
  tool("Show all", "Show all cells", reset);
  figureButtons(plot, tools, "embedding");
  const KEYS = { "+": [0.7], "=": [0.7], "-": [1 / 0.7], ArrowLeft: [1, -0.15, 0], ArrowRight: [1, 0.15, 0], ArrowUp: [1, 0, 0.15], ArrowDown: [1, 0, -0.15] };
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") choose(null);
    else if (event.key === "0") reset();
    else if (event.key in KEYS) zoom(...KEYS[event.key]);
    else return;
    event.preventDefault();
  });

  describeNothing();
  draw();
  const rowsOf = (points) => points.map((point) => tracedRows[point.curveNumber][point.pointNumber]);
  plot.on("plotly_click", (event) => { before = null; chooseCell(rowsOf(event.points.slice(0, 1))[0]); });
  plot.on("plotly_selected", (event) => {
    if (!event || !event.points.length) return;
    before = null;
    choose([...new Set(rowsOf(event.points))].sort((a, b) => a - b), "Selection");
  });
  let wasNarrow = isNarrow();
  window.addEventListener("resize", () => { if (isNarrow() !== wasNarrow) { wasNarrow = isNarrow(); draw(); } });
  return { draw, showIn, plot, x, y, all, layers, isQuery, columns, valuesOf };
}
