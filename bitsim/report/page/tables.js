"use strict";
// Sorts tables by a column, and hides rows that do not hold what is typed.
function sortTable(table, column, descending) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => (descending ? order(b, a) : order(a, b)));
  body.append(...rows.map(([, row]) => row));
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    // Numbers are mostly asked for the largest first, words from A.
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const direction = head.ariaSort === first ? other : first;
    for (const one of head.parentElement.cells) one.ariaSort = "none";
    head.ariaSort = direction;
    sortTable(head.closest("table"), head.cellIndex, direction === "descending");
  });
}

for (const input of document.querySelectorAll("[data-filter]")) {
  const table = document.getElementById(`${input.dataset.filter}-table`);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
  });
}
