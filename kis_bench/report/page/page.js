"use strict";
// Tables that can be sorted and filtered, and light and dark; without this script all is there to read.
const KisBench = (() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  // The first number of a cell: percent, interval, thousands and a real minus sign are understood.
  const numberIn = (text) => {
    const found = /^[~<≤≥>\s]*([+\-\u2212]?)((?:\d[\d,]*)(?:\.\d+)?)/.exec(text.trim());
    if (!found) return null;
    const value = Number(found[2].replace(/,/g, ""));
    return found[1] === "-" || found[1] === "\u2212" ? -value : value;
  };
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  const sortable = (table) => {
    const heads = [...table.querySelectorAll("thead th")];
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) return;
    heads.forEach((head, column) => {
      const name = head.textContent;
      if (!name.trim()) return;
      const button = make("button", { type: "button" }, name);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending" ||
          (head.getAttribute("aria-sort") === null && !head.style.textAlign.includes("right"));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const cells = [...body.rows].map((row) => {
          const text = (row.cells[column] || {}).textContent || "";
          return { row, text, value: numberIn(text) };
        });
        const filled = cells.filter((cell) => cell.text.trim());
        const numeric = filled.filter((cell) => cell.value !== null).length >= 0.8 * filled.length;
        const sign = up ? 1 : -1;
        cells.sort((a, b) => {
          if (!a.text.trim() || !b.text.trim()) return (a.text.trim() ? 0 : 1) - (b.text.trim() ? 0 : 1);
          return sign * (numeric ? (a.value ?? 0) - (b.value ?? 0) : order.compare(a.text, b.text));
        });
        body.append(...cells.map((cell) => cell.row));
      });
    });
  };

  let filters = 0;
  const filterable = (box, table, name) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 9) return;
    const id = `filter-${(filters += 1)}`;
    const said = make("span", { role: "status" });
    const field = make("input", { type: "search", id, oninput: () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      said.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    } });
    const label = make("label", { for: id }, "Rows with ");
    field.setAttribute("aria-label", `Rows with these words, ${name}`);
    box.before(make("div", { class: "filter" }, label, field, said));
  };

  const nameOf = (box) => {
    for (let other = box.previousElementSibling; other; other = other.previousElementSibling) {
      if (/^H[1-6]$/.test(other.tagName)) return other.textContent;
    }
    return "table";
  };

  const theme = () => {
    const choices = ["auto", "light", "dark"];
    let now = "auto";
    try { now = localStorage.getItem("kis-bench-theme") || "auto"; } catch { /* private windows refuse */ }
    if (!choices.includes(now)) now = "auto";
    const button = make("button", { type: "button", id: "theme" });
    const set = () => {
      if (now === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = now;
      button.textContent = `Colours: ${now}`;
      document.dispatchEvent(new Event("kis-theme"));
    };
    button.addEventListener("click", () => {
      now = choices[(choices.indexOf(now) + 1) % choices.length];
      try { localStorage.setItem("kis-bench-theme", now); } catch { /* it holds for this page only */ }
      set();
    });
    document.getElementById("tools").append(button);
    set();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", set);
  };

  const region = (box, name) => {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", name);
  };

  const names = new Map();
  document.querySelectorAll("main .wide").forEach((box) => {
    const table = box.querySelector("table");
    const name = nameOf(box);
    names.set(name, (names.get(name) || 0) + 1);
    region(box, names.get(name) > 1 ? `${name}, table ${names.get(name)}` : name);
    if (!table || !table.tBodies[0]) return;
    filterable(box, table, `${name}, table ${names.get(name)}`);
    sortable(table);
  });
  theme();
  const contents = document.querySelector(".bar details");
  contents.addEventListener("click", (event) => { if (event.target.closest("a")) contents.open = false; });
  contents.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && contents.open) { contents.open = false; contents.querySelector("summary").focus(); }
  });
  return { make, region, order };
})();
