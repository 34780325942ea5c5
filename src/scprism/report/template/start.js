"use strict";
// What all parts of the page use: data unpacked, elements built, colours of the page, figures in them.

const read = (id) => JSON.parse(document.getElementById(id).textContent);

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function unpacked(id) {
  const zipped = new Blob([bytesOf(document.getElementById(id).textContent)]);
  return new Response(zipped.stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

function floats(text) {
  const view = new DataView(bytesOf(text).buffer);
  return Float64Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function codesOf(packed) {
  const bytes = bytesOf(packed.codes);
  if (packed.bits === 8) return bytes;
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

// whole numbers back to values between the lowest and the highest; the largest whole number is "no value"
function numbersOf(packed) {
  const none = 2 ** packed.bits - 1, step = (packed.high - packed.low) / (none - 1);
  return Float64Array.from(codesOf(packed), (code) => (code === none ? NaN : packed.low + code * step));
}

// text from data is set as text, never as markup
function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "text") node.textContent = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// plotly reads a few HTML tags in texts, so names must not look like tags
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const shortened = (text) => (text.length > 34 ? text.slice(0, 33) + "…" : text);

function save(name, text, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const asCsv = (rows) => rows.map((row) => row.map((cell) => {
  const text = String(cell);
  return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
}).join(",")).join("\r\n") + "\r\n";

const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const THEMES = {
  light: { ink: "#1d2730", paper: "#ffffff", line: "#9aa5ae", grid: "#e6e9ec" },
  dark: { ink: "#e3e8ec", paper: "#151b20", line: "#6b7883", grid: "#2c353d" },
};
// the darkest colours of labels, which dark paper swallows
const LIGHTER = { "#332288": "#8f83e6", "#117733": "#35a55c", "#882255": "#c65a92" };
const onPaper = (colour) => (DARK.matches && LIGHTER[colour]) || colour;
const theme = () => (DARK.matches ? THEMES.dark : THEMES.light);

// plotly offers a button that sends a figure's data to its server; it is left out, as are all others: the page has its own
const CONFIG = { responsive: true, displaylogo: false, showLink: false, showSendToCloud: false, plotlyServerURL: "", displayModeBar: false };

function coloursOf(look, layout) {
  const changes = {
    "font.color": look.ink, paper_bgcolor: look.paper, plot_bgcolor: look.paper,
    "legend.bgcolor": "rgba(0,0,0,0)", "hoverlabel.bgcolor": look.paper, "hoverlabel.font.color": look.ink,
  };
  for (const axis of ["xaxis", "yaxis"]) {
    Object.assign(changes, { [axis + ".gridcolor"]: look.grid, [axis + ".linecolor"]: look.line, [axis + ".tickcolor"]: look.line });
    if (layout[axis] && layout[axis].zeroline) changes[axis + ".zerolinecolor"] = look.line;
  }
  return changes;
}

function figureButtons(plot, parent, name) {
  for (const format of ["svg", "png"]) {
    const button = element("button", { type: "button", class: "small", "data-format": format, text: format.toUpperCase(), "aria-label": "Save this figure as " + format.toUpperCase() });
    button.addEventListener("click", () => Plotly.downloadImage(plot, {
      format, filename: name, width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1,
    }));
    parent.append(button);
  }
}
