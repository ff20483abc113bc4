"use strict";
// What the page lets people choose, and its addresses: #/DATASET/LABELS/QUERY opens a query.

Kis.rank = (set, i, query) => (set.best[i][query] + set.worst[i][query]) / 2;
Kis.median = (set, query) => {
  const ranks = set.models.map((_, i) => Kis.rank(set, i, query)).sort((a, b) => a - b);
  const half = ranks.length >> 1;
  return ranks.length % 2 ? ranks[half] : (ranks[half - 1] + ranks[half]) / 2;
};

{
  const part = document.getElementById("explore");
  const explore = (data) => {
    const report = document.getElementById("report");
    const title = document.title;
    const { make } = Kis;

    // Half characters can't be part of an address; what differs otherwise keeps different addresses.
    const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
    const safe = (text) => encodeURIComponent(text.replace(LONE, (half) => `\ufffd${half.charCodeAt(0).toString(16)}`));
    const route = (set, query) => `#/${[set.dataset, set.labels, set.queries[query]].map(safe).join("/")}`;
    const places = new Map();
    data.sets.forEach((set, place) => set.queries.forEach((_, query) => places.set(route(set, query), [place, query])));
    const placeOf = (hash) => {
      if (places.has(hash)) return places.get(hash);
      try { // a mail program may have written it another way
        return places.get(`#/${hash.slice(2).split("/").map((each) => safe(decodeURIComponent(each))).join("/")}`);
      } catch { return undefined; }
    };

    const nameIn = (hash) => { try { return decodeURIComponent(hash.slice(1)); } catch { return ""; } };

    let current = null, pair = [0, 1], opened = null, scrolled = null;
    const hidden = new Set();
    const set = () => data.sets[current];

    const chooseSet = make("select", { id: "set", class: "choice", change: () => show(Number(chooseSet.value)) },
      ...data.sets.map((one, i) => make("option", { value: String(i) }, Kis.shortened(`${one.dataset}, ${one.labels}`, 80))));
    const about = make("p", { class: "hint" });
    const legend = make("ul", { class: "legend", "aria-label": "Models whose curves are shown" });
    const curvesBox = make("div", { role: "img", id: "curves" });
    const scatterBox = make("div", { role: "img", id: "scatter" });
    const side = (place, id) => make("select", { id, class: "choice", change: (event) => { pair[place] = Number(event.target.value); scatter(); } });
    const [chooseX, chooseY] = [side(0, "model-x"), side(1, "model-y")];
    const winners = make("p", { class: "hint" });
    const scatterPart = make("section", { "aria-labelledby": "scatter-title" },
      make("h3", { id: "scatter-title" }, "Two models, query by query"),
      make("div", { class: "controls pair" }, make("label", {}, "Rank under, to the right", chooseX), make("label", {}, "Rank under, upwards", chooseY)),
      make("div", { class: "plot" }, scatterBox), winners);
    const list = Kis.queryTable(data, route);
    const view = make("main", { id: "query", "aria-labelledby": "query-title", hidden: true });
    report.after(view);

    const curves = () => Kis.curves(curvesBox, data, set(), hidden);
    const scatter = () => {
      if (set().models.length < 2) return;
      Kis.scatter(scatterBox, data, set(), pair, (query) => { location.hash = route(set(), query); });
      const better = [0, 0, 0];
      set().queries.forEach((_, query) => {
        const difference = Kis.rank(set(), pair[0], query) - Kis.rank(set(), pair[1], query);
        better[difference < 0 ? 0 : difference > 0 ? 1 : 2] += 1;
      });
      const name = (i) => make("bdi", {}, data.models[set().models[pair[i]]].name);
      winners.replaceChildren(`${Kis.symbols[0]} `, name(0), ` better on ${Kis.number.format(better[0])}, ${Kis.symbols[1]} `, name(1), ` better on ${Kis.number.format(better[1])}, ` +
        `${Kis.symbols[2]} equal on ${Kis.number.format(better[2])}. A point is a query: click to open it. Queries with the same two ranks lie around one spot. ` +
        "The table below holds the same ranks.");
    };
    const line = ({ colour, dash }) => {
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [name, value] of Object.entries({ width: 26, height: 8, "aria-hidden": "true" })) picture.setAttribute(name, value);
      for (const [name, value] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, stroke: colour, "stroke-width": 3 })) stroke.setAttribute(name, value);
      if (dash !== "solid") stroke.setAttribute("stroke-dasharray", dash.replaceAll("px", ""));
      picture.append(stroke);
      return picture;
    };
    const legendEntry = (model) => {
      const button = make("button", { type: "button", "aria-pressed": String(!hidden.has(model)), click: () => {
        if (!hidden.delete(model)) hidden.add(model);
        button.setAttribute("aria-pressed", String(!hidden.has(model)));
        curves();
      } }, line(data.models[model]), make("bdi", {}, data.models[model].name));
      return make("li", {}, button);
    };

    const show = (place) => {
      current = place;
      chooseSet.value = String(place);
      const one = set();
      about.textContent = `${one.dataset}, ${one.labels}: ${Kis.number.format(one.queries.length)} queries` +
        `${one.n_targets < one.queries.length ? ` of ${Kis.number.format(one.n_targets)} targets` : ""}, ${Kis.number.format(one.n_items)} items, ${one.models.length} ` +
        `${one.models.length === 1 ? "model" : `models, best by ${data.measures.leading} first`}.` +
        (one.left_out ? ` ${one.left_out} queries that not every model was asked are left out.` : "");
      pair = [0, Math.min(1, one.models.length - 1)];
      [chooseX, chooseY].forEach((choose, i) => {
        choose.replaceChildren(...one.models.map((model, at) => make("option", { value: String(at) }, Kis.shortened(data.models[model].name, 80))));
        choose.value = String(pair[i]);
      });
      scatterPart.hidden = one.models.length < 2;
      legend.replaceChildren(...one.models.map(legendEntry));
      list.show(one);
      curves();
      scatter();
    };

    const open = ([place, query]) => {
      if (view.hidden) scrolled = scrollY;
      if (place !== current) show(place);
      opened = query;
      const others = data.sets.flatMap((other, i) => {
        const same = i !== place && other.dataset === set().dataset ? other.queries.indexOf(set().queries[query]) : -1;
        return same < 0 ? [] : [{ set: other, query: same }];
      });
      const walk = list.shown.includes(query) ? list.shown : set().queries.map((_, each) => each);
      const { heading, parts } = Kis.queryView(data, set(), query, { route, walk, others });
      view.replaceChildren(...parts);
      [view.hidden, report.hidden] = [false, true];
      document.title = `${Kis.shortened(set().queries[query], 60)} – ${title}`;
      scrollTo({ top: 0, behavior: "instant" });
      heading.focus({ preventScroll: true });
    };
    const close = () => {
      [view.hidden, report.hidden] = [true, false];
      view.replaceChildren();
      document.title = title;
      [curvesBox, scatterBox].forEach(Kis.resized);
      const section = document.getElementById(nameIn(location.hash));
      if (section && section !== part) {
        section.scrollIntoView({ behavior: "instant" });
        return;
      }
      const link = list.link(opened);
      if (scrolled !== null) scrollTo({ top: scrolled, behavior: "instant" });
      else (link || part).scrollIntoView({ behavior: "instant", block: link ? "center" : "start" });
      (link || chooseSet).focus({ preventScroll: true });
    };
    const follow = () => {
      const found = location.hash.startsWith("#/") ? placeOf(location.hash) : undefined;
      if (found) open(found);
      else if (!view.hidden) close();
    };

    if (data.sets.length) {
      part.append(
        make("div", { class: "controls" }, make("label", {}, "Dataset and labels", chooseSet)), about,
        make("div", { class: "plots" },
          make("section", { "aria-labelledby": "curves-title" }, make("h3", { id: "curves-title" }, "How soon the target is found"),
            make("div", { class: "plot" }, curvesBox), legend,
            make("p", { class: "hint" }, "The dotted line is chance. A click on a model hides its curve; brackets are 95% intervals. The table below holds the same ranks.")),
          scatterPart),
        make("h3", { id: "queries-title" }, "All queries"), ...list.parts,
        ...(data.note ? [make("p", { class: "hint" }, data.note)] : []));
      show(0);
      Kis.redraw.push(curves, scatter);
      addEventListener("hashchange", follow);
      document.querySelector(".skip").addEventListener("click", (event) => { // the report is not what is shown then
        if (view.hidden) return;
        event.preventDefault();
        view.querySelector("h1").focus();
      });
      document.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && !view.hidden && !event.target.closest("input, select")) location.hash = "#explore";
      });
      follow();
      return { data, route };
    }
    part.append(make("p", {}, "This run has no queries that all its models were asked."));
    return { data, route };
  };

  // The data are unpacked when they are about to be seen, or when the address names a query.
  let begun = null;
  const begin = () => {
    return begun ??= Kis.unpacked("data").then((text) => {
      Kis.data = JSON.parse(text);
      for (const set of Kis.data.sets) set.worst = set.worst.map((worst, i) => worst ?? set.best[i]); // where nothing ties
      return Kis.data;
    }).then(explore, () => part.append(Kis.make("p", { class: "hint" },
      "This browser can't unpack what stands here; tables/queries.csv and ranks.parquet beside this page hold it.")));
  };
  Kis.explored = begin;
  const asked = () => { if (location.hash.startsWith("#/")) begin(); };
  addEventListener("hashchange", asked);
  asked();
  Kis.near(part).then(begin);
}
