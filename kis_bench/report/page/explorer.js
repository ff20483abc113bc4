"use strict";
// Curves, scatter plot, table and page of the queries, from the JSON in the page. Texts only ever become text nodes.
(() => {
  const { make, region, order } = KisBench;
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("explorer");
  const report = document.getElementById("report");
  if (!data.sets.length) return;
  const ROWS = 100;
  const whole = new Intl.NumberFormat("en");
  const rankOf = (set, model, query) => (set.best[model][query] + set.worst[model][query]) / 2;
  const nameOf = (model) => data.models[model].name;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shorter = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  // Plotly reads a few tags and entities in what it shows.
  const plain = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069\u0000-\u001f]/g, " ")
    .replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const wrapped = (text, width = 48, most = 6) => {
    const lines = [""];
    for (const word of shorter(text, width * most).split(/\s+/)) {
      for (let rest = word; rest; ) {
        const last = lines[lines.length - 1];
        if (last && last.length + 1 + rest.length > width) { lines.push(""); continue; }
        const piece = rest.slice(0, width);
        lines[lines.length - 1] = last ? `${last} ${piece}` : piece;
        rest = rest.slice(width);
      }
    }
    return lines.map(plain).join("<br>");
  };
  const route = (set, query) => `#/${[set.dataset, set.labels, set.queries[query]].map(safe).join("/")}`;
  const safe = (text) => { try { return encodeURIComponent(text); } catch { return encodeURIComponent(text.toWellFormed()); } };

  let set = data.sets[0];
  let pair = [0, Math.min(1, set.models.length - 1)];
  const hidden = new Set();

  // What people choose ----------------------------------------------------------------------------------------
  const choose = make("select", { id: "which-set", onchange: () => show(Number(choose.value)) },
    ...data.sets.map((one, i) => make("option", { value: i }, `${one.dataset}, ${one.labels}`)));
  const field = (name, control) => make("label", { for: control.id }, name, control);
  const checks = make("fieldset");
  const chooseX = make("select", { id: "model-x", onchange: () => { pair[0] = Number(chooseX.value); scatter(); } });
  const chooseY = make("select", { id: "model-y", onchange: () => { pair[1] = Number(chooseY.value); scatter(); } });
  const curvesBox = make("div", { role: "img", id: "curves" });
  const scatterBox = make("div", { role: "img", id: "scatter" });
  const search = make("input", { type: "search", id: "search", oninput: () => { limit = ROWS; list(); } });
  const flag = make("select", { id: "flag", onchange: () => { limit = ROWS; list(); } });
  const status = make("p", { class: "hint", role: "status", id: "found" });
  const table = make("table");
  const wide = make("div", { class: "wide" }, table);
  const more = make("button", { type: "button", id: "more", onclick: () => { limit += ROWS; list(); } }, "Show more");
  const scatterPart = make("div", { class: "plot" },
    make("div", { class: "controls", style: "margin:0 0 .4rem" }, field("Rank under", chooseX), field("against", chooseY)),
    scatterBox);

  region(wide, "Queries");
  root.append(
    make("h2", { id: "explore" }, "Explore the queries"),
    make("div", { class: "controls" }, field("Dataset and labels", choose)),
    checks,
    make("div", { class: "plots" }, make("div", { class: "plot" }, curvesBox), scatterPart),
    make("p", { class: "hint" }, "Each point is a query: a click opens it. The table below holds the same ranks."),
    make("div", { class: "controls" }, field(data.privacy ? "Search in query ids" : "Search in texts, ids and targets", search),
      field("Flag", flag)),
    status, wide, more,
    ...(data.note ? [make("p", { class: "hint" }, data.note)] : []),
  );

  const show = (place) => {
    set = data.sets[place];
    choose.value = String(place);
    pair = [0, Math.min(1, set.models.length - 1)];
    sorting = { column: "place", up: true };
    limit = ROWS;
    const options = () => set.models.map((model, i) => make("option", { value: i }, nameOf(model)));
    chooseX.replaceChildren(...options());
    chooseY.replaceChildren(...options());
    chooseX.value = String(pair[0]);
    chooseY.value = String(pair[1]);
    scatterPart.hidden = set.models.length < 2;
    checks.replaceChildren(make("legend", {}, "Models"), ...set.models.map((model, i) => {
      const box = make("input", { type: "checkbox", id: `model-${i}`, onchange: () => {
        if (box.checked) hidden.delete(model); else hidden.add(model);
        curves();
      } });
      box.checked = !hidden.has(model);
      const look = data.models[model];
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.borderTopColor = look.colour;
      swatch.style.borderTopStyle = look.dash === "solid" ? "solid" : look.dash === "dot" ? "dotted" : "dashed";
      return make("label", { for: box.id }, box, swatch, nameOf(model));
    }));
    const flags = [...new Set(set.flags.flat())].sort();
    flag.replaceChildren(make("option", { value: "" }, "any"), ...flags.map((name) => make("option", { value: name }, name)));
    curves();
    scatter();
    list();
  };

  // Plots -----------------------------------------------------------------------------------------------------
  const layout = (more) => {
    const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--soft"), automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
      font: { color: css("--ink"), family: "system-ui, sans-serif", size: 13 }, margin: { l: 50, r: 12, t: 12, b: 45 },
      hoverlabel: { bgcolor: css("--paper"), bordercolor: css("--soft"), font: { color: css("--ink") }, align: "left" },
      ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
    };
  };
  const draw = (box, traces, more) => {
    if (typeof Plotly === "undefined") { box.textContent = "This browser can't draw the plot; the table has its figures."; return null; }
    return Plotly.react(box, traces, layout(more), { displayModeBar: false, responsive: true });
  };
  const logTicks = (most) => {
    const values = [];
    for (let tick = 1; tick <= most; tick *= 10) values.push(tick);
    return { type: "log", tickvals: values, ticktext: values.map((value) => whole.format(value)) };
  };
  const places = (n) => {
    const found = new Set();
    for (let k = 1; k <= Math.min(n, 20); k += 1) found.add(k);
    for (let i = 0; i <= 120; i += 1) found.add(Math.round(n ** (i / 120)));
    return [...found].sort((a, b) => a - b);
  };
  const recall = (best, worst, k) => {
    let sum = 0;
    for (let i = 0; i < best.length; i += 1) {
      sum += Math.min(1, Math.max(0, (k - best[i] + 1) / (worst[i] - best[i] + 1)));
    }
    return sum / best.length;
  };
  const curves = () => {
    const ks = places(set.n_items);
    const traces = set.models.map((model, i) => ({ model, i })).filter(({ model }) => !hidden.has(model)).map(({ model, i }) => ({
      x: ks, y: ks.map((k) => 100 * recall(set.best[i], set.worst[i], k)), mode: "lines", name: plain(nameOf(model)),
      line: { color: data.models[model].colour, dash: data.models[model].dash, width: 2 },
      hovertemplate: `${plain(nameOf(model))}<br>recall@%{x:,}: %{y:.1f}%<extra></extra>`,
    }));
    traces.push({ x: ks, y: ks.map((k) => (100 * k) / set.n_items), mode: "lines", hoverinfo: "skip",
      line: { color: css("--soft"), dash: "dash", width: 1 } });
    curvesBox.setAttribute("aria-label", `Recall at k against k, ${set.dataset}, ${set.labels}; figures are in the tables of the report`);
    draw(curvesBox, traces, {
      xaxis: { ...logTicks(set.n_items), title: { text: "rank k" }, range: [0, Math.log10(set.n_items)] },
      yaxis: { title: { text: "recall@k" }, ticksuffix: "%", range: [0, 101] },
    });
  };
  const first = (model, query) => {
    const top = set.tops[model][query];
    return top.length ? data.items[set.dataset][top[0]] : "";
  };
  const scatter = () => {
    if (set.models.length < 2) return;
    const [a, b] = pair;
    const names = [nameOf(set.models[a]), nameOf(set.models[b])];
    const colours = [data.models[set.models[a]].colour, data.models[set.models[b]].colour, css("--soft")];
    const groups = [[], [], []];
    set.queries.forEach((_, query) => {
      const [x, y] = [rankOf(set, a, query), rankOf(set, b, query)];
      groups[x < y ? 0 : x > y ? 1 : 2].push(query);
    });
    const about = (query) => {
      const lines = [`<b>${plain(shorter(set.queries[query], 40))}</b>`];
      if (!data.privacy) lines.push(wrapped(set.texts[query]), `target ${plain(shorter(targetsOf(query), 60))}`);
      [a, b].forEach((model, i) => {
        const shown = data.privacy || rankOf(set, model, query) <= 1 ? "" : `, first ${plain(shorter(first(model, query), 40))}`;
        lines.push(`${plain(shorter(names[i], 40))}: ${whole.format(rankOf(set, model, query))}${shown}`);
      });
      return lines.join("<br>");
    };
    const traces = [{ x: [1, set.n_items], y: [1, set.n_items], mode: "lines", hoverinfo: "skip",
      line: { color: css("--line"), width: 1.5 } }];
    groups.forEach((queries, i) => traces.push({
      x: queries.map((query) => rankOf(set, a, query)), y: queries.map((query) => rankOf(set, b, query)), mode: "markers",
      marker: { color: colours[i], size: 8, opacity: 0.7 }, customdata: queries, text: queries.map(about),
      hovertemplate: "%{text}<extra></extra>",
    }));
    const most = Math.log10(set.n_items * 1.3);
    scatterBox.setAttribute("aria-label", `Ranks of ${set.queries.length} queries: ${names[0]} better on ${groups[0].length}, ` +
      `${names[1]} on ${groups[1].length}, equal on ${groups[2].length}; the table below holds them`);
    const drawn = draw(scatterBox, traces, {
      xaxis: { ...logTicks(set.n_items), title: { text: plain(shorter(names[0], 40)) }, range: [-0.1, most] },
      yaxis: { ...logTicks(set.n_items), title: { text: plain(shorter(names[1], 40)) }, range: [-0.1, most] },
    });
    if (drawn && !scatterBox.dataset.ready) {
      scatterBox.dataset.ready = "yes";
      scatterBox.on("plotly_click", (event) => {
        const query = event.points[0].customdata;
        if (query !== undefined) location.hash = route(set, query);
      });
    }
  };
  document.addEventListener("kis-theme", () => { curves(); scatter(); });

  // The table of queries --------------------------------------------------------------------------------------
  let limit = ROWS;
  let sorting = { column: "place", up: true };
  const targetsOf = (query) => set.targets[query].map((item) => data.items[set.dataset][item]).join(", ");
  const columns = () => [
    { name: "query", key: "id", value: (q) => set.queries[q] },
    ...(data.privacy ? [] : [
      { name: "text", key: "text", value: (q) => set.texts[q], kind: "text" },
      { name: "target", key: "target", value: targetsOf },
    ]),
    { name: "flags", key: "flags", value: (q) => set.flags[q].length, flags: true },
    { name: "median rank", key: "median", value: (q) => set.median[q], kind: "number" },
    ...set.models.map((model, i) => ({ name: nameOf(model), key: `m${i}`, value: (q) => rankOf(set, i, q), kind: "number" })),
  ];
  const matching = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return set.queries.map((_, q) => q).filter((q) => {
      if (flag.value && !set.flags[q].includes(flag.value)) return false;
      const text = [set.queries[q], ...(data.privacy ? [] : [set.texts[q], targetsOf(q)])].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
  };
  const cell = (column, q) => {
    if (column.key === "id") return make("td", { dir: "auto" }, make("a", { href: route(set, q) }, set.queries[q]));
    if (column.flags) return make("td", {}, ...set.flags[q].map((name) => make("span", { class: "flag" }, name)));
    if (column.kind === "number") return make("td", { class: "number" }, whole.format(column.value(q)));
    return make("td", { class: column.kind || "", dir: "auto" }, shorter(column.value(q), 300));
  };
  const list = () => {
    const shown = columns();
    const found = matching();
    const by = shown.find((column) => column.key === sorting.column);
    if (by) {
      const sign = sorting.up ? 1 : -1;
      const compare = (a, b) => (typeof a === "number" ? a - b : order.compare(a, b));
      found.sort((a, b) => sign * compare(by.value(a), by.value(b)) || a - b);
    }
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.sort : null;
    const heads = shown.map((column) => make("th", {
      scope: "col", class: column.kind === "number" ? "number" : "",
      "aria-sort": sorting.column === column.key ? (sorting.up ? "ascending" : "descending") : null,
    }, make("button", { type: "button", "data-sort": column.key, onclick: () => {
      sorting = { column: column.key, up: sorting.column === column.key ? !sorting.up : !column.flags };
      list();
    } }, column.name)));
    table.replaceChildren(make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...found.slice(0, limit).map((q) => make("tr", {}, ...shown.map((column) => cell(column, q))))));
    if (focused) { const again = table.querySelector(`[data-sort="${focused}"]`); if (again) again.focus(); }
    const count = Math.min(limit, found.length);
    status.textContent = `${whole.format(count)} of ${whole.format(found.length)} queries` +
      (found.length < set.queries.length ? `, from ${whole.format(set.queries.length)}` : "");
    more.hidden = found.length <= limit;
  };

  // One query -------------------------------------------------------------------------------------------------
  const view = make("main", { id: "query", hidden: true, tabindex: "-1" });
  report.after(view);
  const tile = (item, place, wanted, dataset) => {
    const picture = data.of_items[dataset] ? data.of_items[dataset][item] : "no picture here";
    const id = data.items[dataset][item];
    const frame = make("div", { class: "frame" });
    if (typeof picture === "number") {
      frame.append(make("img", { src: data.prefix + data.pictures[picture], alt: `item ${id}`, loading: "lazy" }));
    } else frame.append(picture);
    return make("li", { class: wanted ? "tile target" : "tile" }, frame,
      ...(place ? [`${place}. `] : []), ...(wanted && place ? [make("strong", {}, "target "), " "] : []),
      make("bdi", {}, shorter(id, 60)));
  };
  const open = (place, query) => {
    const one = data.sets[place];
    if (one !== set) show(place);
    const link = (q, words) => (q < 0 || q >= one.queries.length ? null : make("a", { href: route(one, q) }, words));
    const heading = make("h1", { tabindex: "-1" }, "Query ", make("bdi", {}, shorter(one.queries[query], 100)));
    const parts = [
      make("nav", { class: "crumbs", "aria-label": "Query" }, make("a", { href: "#explore", id: "back" }, "Back to all queries"),
        link(query - 1, "Previous query"), link(query + 1, "Next query")),
      heading, make("p", { class: "hint" }, make("bdi", {}, `${one.dataset}, ${one.labels}`), `; ${whole.format(one.n_items)} items`),
    ];
    if (!data.privacy) {
      const targets = new Set(one.targets[query]);
      parts.push(make("p", { class: "quote", dir: "auto" }, one.texts[query]));
      if (one.why[query]) parts.push(make("p", { dir: "auto" }, one.why[query]));
      parts.push(make("h2", {}, targets.size > 1 ? "Targets" : "Target"),
        make("ul", { class: "tiles" }, ...[...targets].map((item) => tile(item, 0, true, one.dataset))));
      one.models.forEach((model, i) => {
        const top = one.tops[i][query];
        parts.push(make("h2", {}, make("bdi", {}, nameOf(model)), `: rank ${whole.format(rankOf(one, i, query))}`),
          top.length
            ? make("ol", { class: "tiles" }, ...top.map((item, at) => tile(item, at + 1, targets.has(item), one.dataset)))
            : make("p", { class: "hint" }, "The run doesn't say what came first."));
      });
    } else {
      parts.push(make("ul", {}, ...one.models.map((model, i) =>
        make("li", {}, make("bdi", {}, nameOf(model)), `: rank ${whole.format(rankOf(one, i, query))}`))));
    }
    view.replaceChildren(...parts);
    view.hidden = false;
    report.hidden = true;
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  };
  let came = null;
  const go = () => {
    if (!location.hash.startsWith("#/")) {
      const back = !view.hidden;
      view.hidden = true;
      report.hidden = false;
      if (back) {
        window.dispatchEvent(new Event("resize")); // plots that were hidden measure themselves again
        const link = came && table.querySelector(`a[href="${CSS.escape(came)}"]`);
        const place = document.getElementById(decodeURIComponent(location.hash.slice(1)) || "explore") || document.getElementById("explore");
        place.scrollIntoView();
        if (link) link.focus();
      }
      return;
    }
    let names;
    try { names = location.hash.slice(2).split("/").map(decodeURIComponent); } catch { names = []; }
    const place = data.sets.findIndex((one) => one.dataset === names[0] && one.labels === names[1]);
    const query = place < 0 ? -1 : data.sets[place].queries.indexOf(names[2]);
    if (query < 0) { location.hash = "#explore"; return; }
    came = location.hash;
    open(place, query);
  };
  window.addEventListener("hashchange", go);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !view.hidden) location.hash = "#explore";
  });
  show(0);
  go();
})();
