"use strict";
// What every report has: contents that open and close, and colours that people choose.
const Kis = {};

// An element; what people wrote only ever becomes an attribute's value or a text node.
Kis.make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};
Kis.redraw = []; // called when colours have changed

// What is large lies in the page packed: text, compressed, as base64.
Kis.unpacked = async (name) => {
  const bytes = Uint8Array.from(atob(document.getElementById(name).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
// Fulfilled once an element is about to be seen.
Kis.near = (element) => new Promise((fulfil) => {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    fulfil();
  }, { rootMargin: "600px 0px" });
  observer.observe(element);
});

{
  const root = document.documentElement;
  const contents = document.getElementById("contents");
  const narrow = matchMedia("(max-width: 64rem)");

  const toggle = Kis.make("button", { type: "button", "aria-controls": "contents", id: "toggle" }, "Contents");
  const show = (open) => {
    contents.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
  };
  toggle.addEventListener("click", () => {
    show(contents.hidden);
    if (narrow.matches && !contents.hidden) (contents.querySelector("a") || toggle).focus();
  });
  contents.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) show(false);
  });
  document.addEventListener("click", (event) => { // beside the drawer
    if (narrow.matches && !contents.hidden && !contents.contains(event.target) && event.target !== toggle) show(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !narrow.matches || contents.hidden) return;
    event.stopImmediatePropagation();
    show(false);
    toggle.focus();
  });
  narrow.addEventListener("change", () => show(!narrow.matches));

  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("kis-bench-theme"); } catch { /* some browsers keep nothing for files */ }
  const button = Kis.make("button", { type: "button", id: "theme" });
  const apply = () => {
    if (!themes.includes(theme)) theme = "auto";
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    button.textContent = `Colours: ${theme}`;
    Kis.redraw.forEach((draw) => draw());
  };
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("kis-bench-theme", theme); } catch { /* then it holds for this visit */ }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);

  const bar = document.getElementById("bar");
  bar.append(toggle, Kis.make("p", {}, document.title), button);
  root.classList.add("ready");
  toggle.hidden = !contents.querySelector("a");
  show(!toggle.hidden && !narrow.matches);
  apply();

  // The section that is being read.
  const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.getAttribute("href").slice(1), link]));
  let current = null;
  const seen = new IntersectionObserver((entries) => {
    const entered = entries.filter((entry) => entry.isIntersecting);
    if (!entered.length) return;
    if (current) current.removeAttribute("aria-current");
    current = links.get(entered[0].target.id);
    current.setAttribute("aria-current", "true");
  }, { rootMargin: "-60px 0px -70% 0px" });
  for (const name of links.keys()) {
    const heading = document.getElementById(name);
    if (heading) seen.observe(heading);
  }
}
