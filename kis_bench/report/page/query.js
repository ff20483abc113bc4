"use strict";
// One query: what was asked, its target, and what each model placed first.

{
  let pictures = null; // read when first needed: they are most of the page

  const source = (data, place) => {
    pictures ??= JSON.parse(document.getElementById("pictures").textContent);
    return data.form === "folder" ? pictures[place] : `data:image/webp;base64,${pictures[place]}`;
  };
  Kis.picture = (data, set, item) => {
    const picture = data.datasets[set.dataset].of_items[item];
    return Kis.make("div", { class: "frame" }, typeof picture === "number"
      ? Kis.make("img", { src: source(data, picture), alt: "", width: "128", height: "128", loading: data.form === "folder" ? "lazy" : null, decoding: "async" })
      : Kis.make("span", {}, picture));
  };
  const tile = (data, set, item, place, wanted) => {
    const dataset = data.datasets[set.dataset];
    return Kis.make("li", { class: wanted ? "tile target" : "tile" }, Kis.picture(data, set, item),
      place ? `${place}. ` : null, wanted ? Kis.make("strong", {}, "target") : null, wanted ? " " : null,
      Kis.make("bdi", { dir: "auto" }, Kis.shortened(dataset.items[item], 80)));
  };
  const ranks = (set, i, query) => {
    const [best, worst] = [set.best[i][query], set.worst[i][query]];
    const tied = best < worst ? ` (tied, ${Kis.number.format(best)} to ${Kis.number.format(worst)})` : "";
    return `rank ${Kis.number.format(Kis.rank(set, i, query))}${tied}`;
  };

  Kis.queryView = (data, set, query, { route, walk, others }) => {
    const name = (model) => Kis.make("bdi", { dir: "auto" }, data.models[model].name);
    const at = walk.indexOf(query);
    const step = (by, words, rel) => (at + by < 0 || at + by >= walk.length ? null
      : Kis.make("a", { href: route(set, walk[at + by]), rel }, words));
    const heading = Kis.make("h1", { tabindex: "-1", id: "query-title" }, "Query ",
      Kis.make("bdi", { dir: "auto" }, Kis.shortened(set.queries[query], 120)));
    const parts = [
      Kis.make("nav", { class: "around", "aria-label": "Queries" },
        Kis.make("a", { href: "#explore", id: "back" }, "← All queries"), step(-1, "Previous query", "prev"), step(1, "Next query", "next"),
        Kis.make("span", {}, `${at + 1} of ${Kis.number.format(walk.length)}`)),
      heading,
      Kis.make("p", { class: "hint" }, Kis.make("bdi", {}, `${set.dataset}, ${set.labels}`), `: ${Kis.number.format(set.n_items)} items. `,
        ...others.flatMap((other) => ["Other labels: ", Kis.make("a", { href: route(other.set, other.query), dir: "auto" }, other.set.labels), " "])),
    ];
    const flags = set.flags[query].flatMap((each) => [Kis.make("span", { class: "flag" }, data.flags[each]), " "]);
    const about = [flags.length ? Kis.make("p", {}, ...flags) : null, set.why[query] ? Kis.make("p", { class: "hint", dir: "auto" }, set.why[query]) : null];
    if (data.privacy) {
      parts.push(...about.filter(Boolean), Kis.make("h2", {}, "Ranks"), Kis.make("ul", {}, ...set.models.map((model, i) =>
        Kis.make("li", {}, name(model), `: ${ranks(set, i, query)}`))));
      return { heading, parts };
    }
    const targets = new Set(set.targets[query]);
    parts.push(Kis.make("div", { class: "asked" },
      Kis.make("div", {}, Kis.make("p", { class: "quote", dir: "auto" }, set.texts[query] || "(The run holds no text.)"), ...about.filter(Boolean)),
      Kis.make("ul", { class: "tiles", "aria-label": "Target" }, ...[...targets].map((item) => tile(data, set, item, 0, true)))));
    parts.push(Kis.make("h2", {}, "What each model placed first"));
    set.models.forEach((model, i) => {
      const top = set.tops[i][query];
      const said = `, ${ranks(set, i, query)}` + (top.length && !top.some((item) => targets.has(item)) ? `, not among the first ${top.length}` : "");
      parts.push(Kis.make("h3", { class: "model" }, name(model), Kis.make("span", {}, said)));
      if (!top.length) {
        parts.push(Kis.make("p", { class: "hint" }, "The run doesn't say what came first."));
        return;
      }
      const strip = Kis.make("div", { class: "strip", role: "region", tabindex: "0", "aria-label": `First items under ${data.models[model].name}` },
        Kis.make("ol", { class: "tiles" }, ...top.map((item, place) => tile(data, set, item, place + 1, targets.has(item)))));
      Kis.scrolling.observe(strip);
      parts.push(strip);
    });
    return { heading, parts };
  };
}
