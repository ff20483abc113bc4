"use strict";
// Curves and rank against rank, drawn by Plotly. Where it can't, a sentence leads to the table.

{
  const MARKS = /[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/gu; // controls, and what turns the writing direction
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const percent = (share) => `${(100 * share).toFixed(1)}%`;

  Kis.number = new Intl.NumberFormat("en");
  Kis.shortened = (text, most) => {
    const letters = text.length > 2 * most ? [...text.slice(0, 2 * most)] : [...text];
    return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
  };

  // Plotly reads tags, links and entities in whatever it shows.
  const escaped = (text) => text.replace(MARKS, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const named = (text, most = 44) => escaped(Kis.shortened(text, most));
  const wrapped = (text, width = 52, most = 5) => {
    const lines = [""];
    for (const word of Kis.shortened(text.replace(MARKS, " ").trim(), width * most).split(/\s+/u)) {
      const letters = [...word];
      for (let at = 0; at < letters.length; at += width) {
        const piece = letters.slice(at, at + width).join("");
        const last = lines.at(-1);
        if (last && last.length + piece.length >= width) lines.push(piece);
        else lines[lines.length - 1] = last ? `${last} ${piece}` : piece;
      }
    }
    return lines.map(escaped).join("<br>");
  };

  const axis = (more) => ({
    gridcolor: colour("--grid"), linecolor: colour("--edge"), zeroline: false, automargin: true, showline: true, ticks: "outside",
    tickcolor: colour("--edge"), ...more,
  });
  const rankAxis = (title, most, more) => {
    const ticks = [];
    for (let tick = 1; tick <= most; tick *= 10) ticks.push(tick);
    return axis({
      type: "log", tickvals: ticks, ticktext: ticks.map((tick) => Kis.number.format(tick)), title: { text: title, standoff: 8 }, ...more,
    });
  };
  const draw = (box, traces, layout) => {
    const font = { family: getComputedStyle(document.body).fontFamily, color: colour("--ink"), size: 13 };
    const hoverlabel = {
      bgcolor: colour("--paper"), bordercolor: colour("--edge"), align: "left", namelength: -1, font: { ...font, size: 12 },
    };
    return Plotly.react(box, traces, {
      font, hoverlabel, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
      margin: { l: 52, r: 16, t: 10, b: 46 }, ...layout,
    }, { displayModeBar: false, responsive: true, showTips: false, doubleClick: false });
  };
  // The library is started when the first plot is about to be seen; the page's policy knows it by its digest.
  let started = null;
  const start = async () => {
    document.head.append(Kis.make("script", {}, await Kis.unpacked("plotly")));
    if (typeof Plotly === "undefined") throw new Error("Plotly is absent");
  };
  // Nothing that goes wrong in here may stop the rest of the page.
  const guarded = async (box, work) => {
    try {
      box.near ??= Kis.near(box);
      await box.near;
      started ??= start();
      await started;
      work();
    } catch {
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
      box.style.height = "auto";
      box.replaceChildren(Kis.make("p", { class: "hint" }, "This browser can't draw the plot; the table of queries holds the same figures."));
    }
  };

  Kis.curves = (box, data, set, hidden) => {
    box.setAttribute("aria-label", `Cumulative curves: share of the ${set.queries.length} queries whose target is among the first k items of ` +
      `${set.dataset}, ${set.labels}, for ${set.models.length} models. The table of queries holds the same ranks.`);
    return guarded(box, () => drawCurves(box, data, set, hidden));
  };
  const drawCurves = (box, data, set, hidden) => {
    const { ks, shares, low, high } = set.curves;
    const ends = (i, at) => `[${(100 * low[i][at]).toFixed(1)}, ${(100 * high[i][at]).toFixed(1)}]`;
    const traces = set.models.map((model, i) => {
      const { name, colour: line, dash } = data.models[model];
      return {
        x: ks, y: shares[i].map((share) => 100 * share), mode: "lines", name: named(name, 34), line: { color: line, dash, width: 2 },
        text: shares[i].map((share, at) => `${percent(share)} ${ends(i, at)}  ${named(name, 34)}`), hoverinfo: "text",
        visible: !hidden.has(model),
      };
    });
    traces.push({
      x: ks, y: ks.map((k) => 100 * k / set.n_items), mode: "lines", hoverinfo: "skip", line: { color: colour("--soft"), dash: "2px,4px", width: 1.5 },
    });
    draw(box, traces, {
      hovermode: "x unified", hoverdistance: 30,
      xaxis: rankAxis("first k items (log scale)", set.n_items, { range: [0, Math.log10(Math.max(2, set.n_items))], hoverformat: ",.0f", unifiedhovertitle: { text: "among the first %{x:,.0f}" } }),
      yaxis: axis({ title: { text: data.measures.curve, standoff: 6 }, ticksuffix: "%", range: [0, 101], fixedrange: true }),
    });
  };

  // Queries with the same two ranks around one spot, so that each can be pointed at; in decades.
  const spread = (xs, ys) => {
    const met = new Map();
    return xs.map((x, i) => {
      const key = `${x} ${ys[i]}`;
      const before = met.get(key) || 0;
      met.set(key, before + 1);
      const far = 0.022 * Math.sqrt(before), angle = before * 2.399963;
      return [x * 10 ** (far * Math.cos(angle)), ys[i] * 10 ** (far * Math.sin(angle))];
    });
  };
  const SYMBOLS = ["circle", "diamond", "square"];

  Kis.scatter = (box, data, set, pair, open) => guarded(box, () => {
    const models = pair.map((i) => data.models[set.models[i]]);
    const ranks = pair.map((i) => set.queries.map((_, query) => Kis.rank(set, i, query)));
    const at = spread(...ranks);
    const winner = set.queries.map((_, query) => {
      const difference = ranks[0][query] - ranks[1][query];
      return difference < 0 ? 0 : difference > 0 ? 1 : 2;
    });
    const items = data.privacy ? [] : data.datasets[set.dataset].items;
    const about = (query) => [
      `<b>${named(set.queries[query])}</b>`,
      ...(data.privacy ? [] : [wrapped(set.texts[query]), `target: ${named(set.targets[query].map((item) => items[item]).join(", "))}`]),
      ...models.map(({ name }, i) => {
        const top = data.privacy ? [] : set.tops[pair[i]][query];
        const instead = !top.length || set.targets[query].includes(top[0]) ? "" : `; first is ${named(items[top[0]])}`;
        return `rank ${Kis.number.format(ranks[i][query])} under ${named(name)}${instead}`;
      }),
    ].join("<br>");
    const same = models[0].colour === models[1].colour;
    const colours = [models[0].colour, same ? colour("--mark") : models[1].colour, colour("--soft")];
    const counts = [0, 1, 2].map((side) => winner.filter((each) => each === side).length);
    const traces = [0, 1, 2].map((side) => {
      const queries = set.queries.map((_, query) => query).filter((query) => winner[query] === side);
      return {
        x: queries.map((query) => at[query][0]), y: queries.map((query) => at[query][1]), customdata: queries, mode: "markers",
        marker: { color: colours[side], symbol: SYMBOLS[side], size: 8, opacity: 0.75, line: { width: 0.5, color: colour("--paper") } },
        text: queries.map(about), hoverinfo: "text",
      };
    });
    const most = Math.max(2, set.n_items);
    traces.unshift({ x: [1, most], y: [1, most], mode: "lines", hoverinfo: "skip", line: { color: colour("--edge"), width: 1, dash: "4px,3px" } });
    const [a, b] = models.map(({ name }) => name);
    box.setAttribute("aria-label", `Rank under ${a} against rank under ${b}, one point for each of ${set.queries.length} queries: ${a} better on ` +
      `${counts[0]}, ${b} better on ${counts[1]}, equal on ${counts[2]}. The table of queries holds the same ranks.`);
    const range = [-0.12, Math.log10(most) + 0.08];
    draw(box, traces, {
      hovermode: "closest",
      xaxis: rankAxis(`rank under ${named(a, 30)}`, most, { range }), yaxis: rankAxis(`rank under ${named(b, 30)}`, most, { range }),
    });
    if (!box.dataset.ready) {
      box.dataset.ready = "yes";
      box.on("plotly_click", ({ points }) => points[0].customdata !== undefined && box.dispatchEvent(new CustomEvent("query", { detail: points[0].customdata })));
      box.addEventListener("query", ({ detail }) => open(detail));
    }
    return counts;
  });
  Kis.resized = (box) => { if (typeof Plotly !== "undefined" && box.dataset.drawn !== "no" && box.data) Plotly.Plots.resize(box); };
  Kis.symbols = ["●", "◆", "■"];
}
