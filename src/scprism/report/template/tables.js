// Tables that sort, filter and download; without this script they are plain and complete.

const cellText = (cell) => cell.textContent.trim().replace(/\s+/g, " ");

// "1,234", "12.5%", "−0.3" and "3 / 4" sort by their first number; a dash, which says that there is none, comes last
function sortKey(text) {
  const number = parseFloat(text.replace(/,/g, "").replace("−", "-").replace(/^[<>]/, ""));
  return Number.isNaN(number) ? null : number;
}

function sortRows(table, column, descending) {
  const body = table.tBodies[0], sign = descending ? -1 : 1;
  const isNumber = table.tHead.rows[0].cells[column].classList.contains("num");
  const keyed = Array.from(body.rows, (row) => {
    const text = cellText(row.cells[column]);
    return { row, key: isNumber ? sortKey(text) : text };
  });
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    return sign * (isNumber ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true }));
  });
  body.append(...keyed.map((entry) => entry.row));
}

function addSorting(table) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = element("button", { type: "button", class: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      // numbers are wanted largest first
      const descending = was ? was === "ascending" : head.classList.contains("num");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortRows(table, column, descending);
    });
  });
}

function addTools(table) {
  const name = table.dataset.name, rows = () => Array.from(table.tBodies[0].rows);
  const tools = element("div", { class: "table-tools" });
  if (rows().length > 5) {
    const field = element("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows" });
    const count = element("span", { class: "quiet", role: "status" });
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      let n = 0;
      for (const row of rows()) {
        row.hidden = !cellText(row).toLowerCase().includes(wanted);
        n += row.hidden ? 0 : 1;
      }
      count.textContent = wanted ? n + " of " + rows().length + " rows" : "";
    });
    tools.append(field, count);
  }
  const button = element("button", { type: "button", class: "small csv", text: "CSV", "aria-label": "Save the rows shown as CSV" });
  button.addEventListener("click", () => {
    const shown = [table.tHead.rows[0], ...rows().filter((row) => !row.hidden)];
    save(name + ".csv", asCsv(shown.map((row) => Array.from(row.cells, cellText))), "text/csv");
  });
  tools.append(button);
  (table.closest(".scroll") || table).before(tools);
}

function enhanceTables() {
  for (const table of document.querySelectorAll("table.data")) {
    addSorting(table);
    addTools(table);
  }
}
