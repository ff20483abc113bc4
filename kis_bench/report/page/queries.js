"use strict";
// The table of queries: searched, narrowed to a flag, sorted, 25 on a page.

{
  const ROWS = 25;
  const FAR = 100; // ranks beyond are shown fainter

  // What the table shows is kept in `list.shown`, places of queries in their order, for whoever walks through them.
  Kis.queryTable = (data, route) => {
    let set = null, first = 0, sorting = { column: 0, order: null };
    const list = { shown: [] };

    const search = Kis.make("input", { type: "search", id: "search", input: () => { first = 0; update(); } });
    const flag = Kis.make("select", { id: "flag", class: "choice", change: () => { first = 0; update(); } });
    const status = Kis.make("p", { role: "status", class: "hint", id: "count" });
    const head = Kis.make("thead"), body = Kis.make("tbody");
    const box = Kis.make("div", { class: "wide", role: "region", tabindex: "0", "aria-label": "Queries" },
      Kis.make("table", { class: "queries", id: "queries" }, head, body));
    const turn = (by, words, id) => Kis.make("button", { type: "button", id, click: () => {
      first += by;
      update();
      body.querySelector("a")?.focus({ preventScroll: true });
    } }, words);
    const [before, after] = [turn(-ROWS, `← Previous ${ROWS}`, "before"), turn(ROWS, `Next ${ROWS} →`, "after")];

    const targets = (query) => set.targets[query].map((item) => data.datasets[set.dataset].items[item]).join(", ");
    const columns = () => [
      { name: "query", value: (query) => set.queries[query], cell: (query) => Kis.make("td", { dir: "auto" },
        Kis.make("a", { href: route(set, query) }, Kis.shortened(set.queries[query], 80))) },
      ...set.models.map((model, i) => ({ name: data.models[model].name, kind: "number", value: (query) => Kis.rank(set, i, query),
        cell: (query) => rankCell(Kis.rank(set, i, query)) })),
      ...(data.privacy ? [] : [
        { name: "text", kind: "text", value: (query) => set.texts[query], cell: (query) => Kis.make("td", { class: "text", dir: "auto" },
          Kis.make("span", {}, Kis.shortened(set.texts[query], 240))) },
        { name: "target", value: targets, cell: (query) => Kis.make("td", { dir: "auto" }, Kis.shortened(targets(query), 120)) },
      ]),
      { name: "flags", kind: "flags", value: (query) => set.flags[query].length || null, cell: (query) => Kis.make("td", { class: "flags" },
        ...set.flags[query].flatMap((each) => [Kis.make("span", { class: "flag" }, data.flags[each]), " "])) },
      { name: "disagreement (octaves)", kind: "number", value: (query) => set.disagreement[query], cell: (query) => Kis.make("td", { class: "number" },
        set.disagreement[query] === null ? "" : set.disagreement[query].toFixed(1)) },
      { name: "median rank", kind: "number", value: (query) => Kis.median(set, query), cell: (query) => rankCell(Kis.median(set, query)) },
    ];
    const rankCell = (rank) => Kis.make("td", { class: `number${rank === 1 ? " first" : rank > FAR ? " far" : ""}` }, Kis.number.format(rank));

    const matching = () => {
      const words = Kis.words(search.value);
      const wanted = flag.value === "" ? null : Number(flag.value);
      return set.queries.map((_, query) => query).filter((query) => {
        if (wanted !== null && !(wanted < 0 ? set.flags[query].length : set.flags[query].includes(wanted))) return false;
        if (!words.length) return true;
        const text = [set.queries[query], ...(data.privacy ? [] : [set.texts[query], targets(query)])].join("\n").toLowerCase();
        return words.every((word) => text.includes(word));
      });
    };
    const update = () => {
      const all = columns(), found = matching();
      list.shown = found;
      if (sorting.order) list.shown = Kis.sorted(found.map(all[sorting.column].value), sorting.order === "ascending").map((i) => found[i]);
      first = Math.max(0, Math.min(first, list.shown.length - 1));
      first -= first % ROWS;
      const end = Math.min(first + ROWS, list.shown.length);
      body.replaceChildren(...list.shown.slice(first, end).map((query) => Kis.make("tr", {}, ...all.map((column) => column.cell(query)))));
      status.textContent = (end ? `${Kis.number.format(first + 1)} to ${Kis.number.format(end)} of ` : "") +
        (found.length < set.queries.length ? `${Kis.number.format(found.length)} of ${Kis.number.format(set.queries.length)} queries`
          : `${Kis.number.format(found.length)} queries`);
      [before.disabled, after.disabled] = [first === 0, end === list.shown.length];
      fit();
    };
    const heads = () => head.replaceChildren(Kis.make("tr", {}, ...columns().map((column, place) => {
      const cell = Kis.make("th", { scope: "col", class: column.kind, dir: "auto" });
      cell.append(Kis.make("button", { type: "button", click: () => {
        sorting = { column: place, order: Kis.nextOrder(cell) };
        for (const other of head.rows[0].cells) other.removeAttribute("aria-sort");
        if (sorting.order) cell.setAttribute("aria-sort", sorting.order);
        update();
      } }, column.name));
      return cell;
    })));

    const text = (cell) => ({ value: cell.textContent, interval: "" });
    const content = () => ({
      head: columns().map(({ name }) => name), right: columns().map(({ kind }) => kind === "number"),
      rows: list.shown.map((query) => columns().map((column) => text(column.cell(query)))),
    });
    const around = Kis.make("div", {}, box, Kis.make("div", { class: "controls" }, before, after), Kis.saving("Queries", null, content));
    const fit = Kis.fitting(box, box.firstChild);
    list.parts = [
      Kis.make("div", { class: "controls" },
        Kis.make("label", {}, data.privacy ? "Search in query ids" : "Search in texts, queries and targets", search),
        Kis.make("label", {}, "Flag", flag)),
      status, around,
    ];
    list.show = (next) => {
      [set, first, sorting] = [next, 0, { column: 0, order: null }];
      const count = (each) => set.flags.filter((flags) => (each < 0 ? flags.length : flags.includes(each))).length;
      const option = (value, name) => Kis.make("option", { value }, `${name} (${count(Number(value))})`);
      const chosen = flag.value;
      flag.replaceChildren(Kis.make("option", { value: "" }, "with or without"), option("-1", "any flag"),
        ...data.flags.map((name, i) => [name, i]).filter(([, i]) => count(i)).map(([name, i]) => option(String(i), name)));
      flag.value = chosen;
      if (flag.selectedIndex < 0) flag.value = "";
      heads();
      update();
    };
    list.link = (query) => {
      const place = list.shown.indexOf(query);
      if (place >= 0 && (place < first || place >= first + ROWS)) {
        first = place;
        update();
      }
      return [...body.querySelectorAll("a")].find((link) => link.getAttribute("href") === route(set, query));
    };
    return list;
  };
}
