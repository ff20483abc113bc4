"use strict";
// The queries that no model found as pictures of their targets, in place of the tables that say the same.

{
  const AT_ONCE = 60;
  const heading = document.querySelector("[data-part=unfound]");

  const tile = (data, route, set, query) => {
    const ranks = set.models.map((_, i) => Kis.rank(set, i, query));
    const best = Math.min(...ranks), model = data.models[set.models[ranks.indexOf(best)]].name;
    return Kis.make("li", { class: "tile" }, Kis.picture(data, set, set.targets[query][0]),
      Kis.make("a", { href: route(set, query), dir: "auto" }, Kis.shortened(set.queries[query], 60)),
      Kis.make("span", { class: "text", dir: "auto" }, Kis.shortened(set.texts[query], 160)),
      Kis.make("span", { class: "best" }, `best rank ${Kis.number.format(best)}, `, Kis.make("bdi", {}, model)));
  };
  const grid = (data, route, set) => {
    const flag = data.flags.indexOf("hopeless");
    const own = set.queries.map((_, query) => query).filter((query) => set.flags[query].includes(flag));
    if (!own.length) return [];
    const name = `${set.dataset}, ${set.labels}`;
    const list = Kis.make("ul", { class: "unfound", "aria-label": `Queries of ${name} that no model found` });
    const more = Kis.make("button", { type: "button", click: () => add() });
    const add = () => {
      const next = list.children.length;
      list.append(...own.slice(next, next + AT_ONCE).map((query) => tile(data, route, set, query)));
      more.hidden = list.children.length === own.length;
      more.textContent = `Show ${Math.min(AT_ONCE, own.length - list.children.length)} more of ${own.length}`;
      if (next) list.children[next].querySelector("a").focus();
    };
    add();
    return [Kis.make("p", {}, Kis.make("bdi", {}, name), `: ${Kis.number.format(own.length)} of ${Kis.number.format(set.queries.length)} queries.`), list, more];
  };

  if (heading) Kis.near(heading).then(Kis.explored).then((explored) => {
    if (!explored || explored.data.privacy) return;
    const { data, route } = explored;
    const grids = data.sets.flatMap((set) => grid(data, route, set));
    if (!grids.length) return;
    const rule = heading.nextElementSibling;
    for (let next = rule.nextElementSibling; next && !/^H[1-4]$/.test(next.tagName); next = next.nextElementSibling) next.classList.add("printed");
    rule.after(Kis.make("div", { class: "grids" }, ...grids));
  });
}
