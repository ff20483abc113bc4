"use strict";
// Tables fit their place: columns give way from the right, all but the first two, and a button shows them all.

{
  // What isn't wider than its place need not be stopped at with the Tab key.
  const reach = (boxes) => {
    for (const [box, scrolls] of boxes.map((box) => [box, box.scrollWidth > box.clientWidth])) {
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  Kis.scrolling = new ResizeObserver((entries) => reach(entries.map(({ target }) => target)));

  const LEAST = 2, MOST = 40;
  document.head.append(Kis.make("style", {}, Array.from({ length: MOST }, (_, shown) =>
    `@media screen { table[data-shown="${shown}"] tr > :nth-child(n + ${shown + 1}) { display: none } }`).join("\n")));
  const fitted = new Map();
  // All that changed at once: first written, then measured, so that the page is laid out once.
  const fit = (boxes) => {
    const own = boxes.map((box) => fitted.get(box)).filter(({ table }) => table.tHead.rows.length);
    for (const { box, table } of own) {
      box.style.contentVisibility = "visible"; // until now it was not laid out, unless seen
      delete table.dataset.shown;
      table.style.width = "min-content";
    }
    const sizes = own.map(({ box, table }) => {
      const edges = [...table.tHead.rows[0].cells].map((cell) => cell.offsetLeft + cell.offsetWidth);
      return [edges.filter((edge) => edge <= box.clientWidth + 1).length, edges.length];
    });
    own.forEach((one, i) => {
      const [fits, all] = sizes[i], shown = Math.max(LEAST, fits);
      one.table.style.width = "";
      one.note.hidden = fits >= all;
      if (one.note.hidden) return;
      const gives = shown < Math.min(all, MOST);
      if (gives && !one.whole) one.table.dataset.shown = shown;
      const gone = [...one.table.tHead.rows[0].cells].slice(shown).map((cell) => cell.textContent.trim());
      one.said.textContent = one.whole || !gives ? "Wider than its place: scroll it sideways →"
        : `${gone.length === 1 ? "The last column" : `The last ${gone.length} columns`} gave way: ${gone.join(", ")}.`;
      one.button.hidden = !gives;
      one.button.textContent = one.whole ? "Show what fits" : "Show all columns";
    });
    reach(own.map(({ box }) => box));
  };
  const widths = new ResizeObserver((entries) => {
    const changed = entries.map(({ target }) => target).filter((box) => box.clientWidth && box.clientWidth !== fitted.get(box).width);
    for (const box of changed) fitted.get(box).width = box.clientWidth;
    const seen = changed.filter((box) => box.getBoundingClientRect().top < 2 * innerHeight);
    if (seen.length) fit(seen);
    later(changed.filter((box) => !seen.includes(box)));
  });
  // What lies farther down is laid out when nothing else is to be done.
  const later = (boxes) => {
    if (!boxes.length) return;
    if (window.requestIdleCallback) requestIdleCallback(() => fit(boxes), { timeout: 200 });
    else setTimeout(() => fit(boxes));
  };
  // Makes a table fit its place now and later; returns what to call when its columns have changed.
  Kis.fitting = (box, table) => {
    const said = Kis.make("span", {});
    const one = { box, table, said, whole: false, width: 0 };
    one.button = Kis.make("button", { type: "button", click: () => { one.whole = !one.whole; fit([box]); } });
    one.note = Kis.make("p", { class: "gave", hidden: true }, said, " ", one.button);
    fitted.set(box, one);
    widths.observe(box);
    box.after(one.note);
    return () => fit([box]);
  };
}
