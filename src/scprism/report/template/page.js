// Puts the page together: tables, figures, the embedding, the pictures of the units' cards, paper.

const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function rampColour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[low].map((part, i) => Math.round(part + (RAMP[low + 1][i] - part) * (place - low)));
  return "rgb(" + mixed.join(",") + ")";
}

// the picture of a unit's card: the cells of the embedding, the most active on top
function drawCard(canvas, embedding) {
  const { x, y, all, layers, isQuery } = embedding;
  const column = embedding.columns.get("unit:" + canvas.dataset.unit), values = embedding.valuesOf(column), [low, high] = column.range;
  const extremes = (numbers) => numbers.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const [left, right] = extremes(x), [bottom, top] = extremes(y);
  const pad = 14, width = canvas.width - 2 * pad;
  const shape = Math.min(Math.max((top - bottom) / Math.max(right - left, 1e-9), 0.6), 1.2);
  canvas.height = Math.round(width * shape) + 2 * pad;
  const height = canvas.height - 2 * pad;
  const scale = Math.min(width / Math.max(right - left, 1e-9), height / Math.max(top - bottom, 1e-9));
  const startX = pad + (width - (right - left) * scale) / 2, startY = pad + (height - (top - bottom) * scale) / 2;
  const context = canvas.getContext("2d");
  for (const layer of layers(all.slice().sort((a, b) => values[a] - values[b]))) {
    const radius = (isQuery(layer[0]) ? 3.2 : 1.9) * (all.length > 6000 ? 0.6 : 1);
    context.globalAlpha = isQuery(layer[0]) ? 0.85 : 0.4;
    for (const i of layer) {
      context.fillStyle = rampColour(high > low ? (values[i] - low) / (high - low) : 0);
      context.beginPath();
      context.arc(startX + (x[i] - left) * scale, startY + (top - y[i]) * scale, radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
  const ends = canvas.closest(".card-map").querySelectorAll(".scale-low, .scale-high");
  ends[0].textContent = low.toPrecision(2);
  ends[1].textContent = high.toPrecision(2);
  canvas.dataset.drawn = "true";
}

function drawFigures() {
  for (const node of document.querySelectorAll(".plot[data-source]")) {
    const figure = read(node.dataset.source);
    Plotly.newPlot(node, figure.data, figure.layout, CONFIG);
    Plotly.relayout(node, coloursOf(theme(), figure.layout));
    const tools = element("p", { class: "tools" });
    figureButtons(node, tools, node.id.replace("figure-", ""));
    node.after(tools);
  }
}

function main(embedding) {
  const cards = Array.from(document.querySelectorAll("canvas[data-unit]"));
  const drawIfNew = (canvas) => { if (!canvas.dataset.drawn) drawCard(canvas, embedding); };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) drawIfNew(entry.target);
  }, { rootMargin: "800px" });
  cards.forEach((canvas) => near.observe(canvas));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) embedding.showIn(button.dataset.show);
  });

  const others = () => document.querySelectorAll(".plot[data-source]");
  DARK.addEventListener("change", () => {
    for (const node of others()) Plotly.relayout(node, coloursOf(theme(), node.layout));
    embedding.draw();
  });

  // paper is white and narrower than most windows, and what is folded on screen is wanted on paper
  const folded = [];
  window.addEventListener("beforeprint", () => {
    for (const node of document.querySelectorAll("details:not([open])")) { node.open = true; folded.push(node); }
    for (const node of document.querySelectorAll(".plot")) Plotly.relayout(node, { width: 680, ...coloursOf(THEMES.light, node.layout) });
    cards.forEach(drawIfNew);
  });
  window.addEventListener("afterprint", () => {
    while (folded.length) folded.pop().open = false;
    for (const node of document.querySelectorAll(".plot")) Plotly.relayout(node, { width: null, autosize: true, ...coloursOf(theme(), node.layout) });
  });
}

(async function () {
  enhanceTables();
  if (!window.DecompressionStream) {
    document.getElementById("too-old").hidden = false;
    return;
  }
  document.head.append(element("script", { text: await unpacked("plotly") }));
  drawFigures();
  main(makeEmbedding(JSON.parse(await unpacked("data-embedding"))));
  document.documentElement.dataset.ready = "true";
})();
