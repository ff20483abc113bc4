"use strict";
// Tables that can be sorted and filtered; without this script they are there to read.

Kis.collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

// The number that a cell holds: 71.0% [61.2, 79.3], 1,234, −0.5, <0.001; NaN where it holds something else.
Kis.numberIn = (text) => {
  const found = /^[~<>≤≥=\s]*([+\-\u2212]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(e[+-]?\d+)?\s*%?\s*\*?(?:[[(].*)?$/isu.exec(text.trim());
  if (!found) return NaN;
  const value = Number(`${found[2].replaceAll(",", "")}${found[3] || ""}${found[4] || ""}`);
  return found[1] === "-" || found[1] === "\u2212" ? -value : value;
};

// Places of values in ascending or descending order; equal ones keep theirs, and what is missing comes last.
Kis.sorted = (values, up) => {
  const sign = up ? 1 : -1;
  const missing = (value) => value === null || value === "" || Number.isNaN(value);
  const compare = (a, b) => (typeof a === "number" ? a - b : Kis.collator.compare(a, b));
  return values.map((_, place) => place).sort((i, j) => {
    const [a, b] = [values[i], values[j]];
    if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j;
    return sign * compare(a, b) || i - j;
  });
};

// Ascending, descending, as it was.
Kis.nextOrder = (head) => ({ ascending: "descending", descending: null })[head.getAttribute("aria-sort")] ??
  (head.hasAttribute("aria-sort") ? null : "ascending");

Kis.words = (text) => text.toLowerCase().split(/\s+/u).filter(Boolean);

{
  const NOTHING = new Set(["", "-", "–", "—", "n/a"]);
  const LONG = 8;

  const valuesOf = (rows, column) => {
    const texts = rows.map((row) => (row.cells[column] ? row.cells[column].textContent.trim() : ""));
    const numbers = texts.map(Kis.numberIn);
    const numeric = texts.every((text, i) => NOTHING.has(text) || !Number.isNaN(numbers[i]));
    return numeric ? numbers : texts.map((text) => (NOTHING.has(text) ? "" : text));
  };

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      head.setAttribute("scope", "col");
      const button = Kis.make("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const order = Kis.nextOrder(head);
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (order) head.setAttribute("aria-sort", order);
        const places = order ? Kis.sorted(valuesOf(rows, column), order === "ascending") : rows.keys();
        body.append(...[...places].map((place) => rows[place]));
      });
    });
  };

  const filterable = (box, table) => {
    const rows = [...table.tBodies[0].rows];
    const status = Kis.make("span", { role: "status" });
    const field = Kis.make("input", { type: "search", "aria-label": `Filter rows of ${box.getAttribute("aria-label")}` });
    field.addEventListener("input", () => {
      const words = Kis.words(field.value);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      status.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    box.before(Kis.make("div", { class: "filter" }, Kis.make("label", {}, "Filter rows ", field), status));
  };

  for (const box of document.querySelectorAll("main .wide")) {
    const table = box.querySelector("table");
    if (!table || !table.tHead || !table.tBodies[0]) continue;
    const label = box.getAttribute("aria-label");
    if (table.tBodies[0].rows.length > LONG) filterable(box, table);
    if (table.tBodies[0].rows.length > 1) sortable(table);
    box.after(Kis.saving(label, table));
    Kis.fitting(box, table);
  }
}
