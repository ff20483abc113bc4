"use strict";
// Everything works without this script. With it nothing that was typed is lost while the server is away: a text stays in the
// page and in this browser until the server has said that it is saved. And the next picture is there at once.
const RETRY_S = [1, 2, 4, 8];
const SETTLE_MS = 500; // keys that were pressed twice don't send the next page empty
const mac = /^Mac|^iP/.test(navigator.platform); // there Alt types letters, and accesskey is Ctrl and Alt
let form, fields, draft, letters, came = 0, ahead = null, sending = false;

const keep = change => { try { return change(localStorage); } catch { return null; } }; // it may be full, or forbidden
const words = typeof Intl.Segmenter === "function"
  ? text => [...new Intl.Segmenter(undefined, { granularity: "word" }).segment(text)].filter(part => part.isWordLike).length
  : text => (text.match(/\S+/g) || []).length;

function count(field) {
  const shown = form.querySelector(`output[for="${field.id}"]`);
  const n = words(field.value), long = [...field.value].length;
  shown.textContent = long > 0.9 * letters ? `${long.toLocaleString("en")} of ${letters.toLocaleString("en")} characters`
    : n ? `${n} word${n === 1 ? "" : "s"}` : "";
  shown.classList.toggle("many", long > letters);
}

function warn(field, text) {
  document.getElementById(`problem-${field.id.split("-")[1]}`).textContent = text;
  if (text) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
}

function say(text) {
  const unsent = form.querySelector(".unsent");
  unsent.hidden = !text;
  unsent.textContent = text;
}

// Takes over a page that has just come.
function begin() {
  form = document.getElementById("texts");
  fields = [...form.querySelectorAll("textarea")];
  came = performance.now();
  draft = `kis-bench:${form.dataset.draft}`;
  letters = Number(form.dataset.letters);
  const saved = fields.map(field => field.defaultValue);
  // What was typed and not saved comes back after a reload, unless other texts were saved meanwhile.
  const before = JSON.parse(keep(store => store.getItem(draft)) || "null");
  if (before && JSON.stringify(before.saved) === JSON.stringify(saved))
    fields.forEach((field, i) => { field.value = before.typed[i] ?? field.value; });
  fields.forEach(field => {
    count(field);
    field.addEventListener("input", () => {
      count(field);
      warn(field, "");
      const typed = fields.map(each => each.value);
      keep(store => store.setItem(draft, JSON.stringify({ saved, typed })));
    });
  });
  document.querySelectorAll('form[method="post"]').forEach(each => each.addEventListener("submit", submit));
  document.querySelector("details").addEventListener("toggle", event => {
    if (event.target.open) event.target.querySelector("button").focus();
  });
  if (mac) document.querySelectorAll(".keys kbd.alt").forEach(key => { key.textContent = "⌃⌥"; });
  const first = fields.find(field => field.hasAttribute("aria-invalid")) || fields[0];
  first.focus();
  first.setSelectionRange(first.value.length, first.value.length);
  // The next picture is fetched and decoded while this one is looked at.
  const picture = document.querySelector("figure img");
  const fetchAhead = () => {
    if (!form.dataset.ahead) return;
    ahead = new Image();
    ahead.src = form.dataset.ahead;
    ahead.decode().catch(() => { ahead = null; });
  };
  if (!picture || picture.complete) fetchAhead(); else picture.addEventListener("load", fetchAhead, { once: true });
}

const wait = seconds => new Promise(done => {
  const timer = setTimeout(done, 1000 * seconds);
  addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
});

async function send(action, body) {
  for (let turn = 0; ; turn++) {
    let answer = null;
    try {
      answer = await fetch(action, { method: "POST", body, headers: { Accept: "application/json" } });
    } catch { /* the server is away */ }
    if (answer && answer.status < 500) return answer;
    const why = answer ? (await answer.text()).slice(0, 300) : "The server does not answer.";
    say(`Not saved yet. ${why} Your text stays here, and is sent again by itself.`);
    await wait(RETRY_S[Math.min(turn, RETRY_S.length - 1)]);
  }
}

async function submit(event) {
  event.preventDefault();
  if (sending) return;
  sending = true;
  form.setAttribute("aria-busy", "true");
  const body = new URLSearchParams(new FormData(event.target));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  const answer = await send(event.target.getAttribute("action"), body);
  say("");
  if (answer.ok) {
    keep(store => store.removeItem(draft));
    await goOn((await answer.json()).next);
  } else if (answer.status === 422) {
    const { problems, confirmed } = await answer.json();
    fields.forEach(field => warn(field, problems[field.name.slice("text:".length)] || ""));
    form.elements.confirmed.value = confirmed;
    fields.find(field => field.hasAttribute("aria-invalid"))?.focus();
  } else {
    say("Not saved: this page is no longer valid. Your text stays in this browser; reload the page and save again.");
  }
  sending = false;
  form.removeAttribute("aria-busy");
}

// The next page in place of this one, with the picture that is here already; what is no such page is opened as usual.
async function goOn(next) {
  if (next === location.pathname + location.search) {
    try {
      const answer = await fetch(next);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && page.getElementById("texts")) { show(page); return; }
    } catch { /* the server is away; the browser says so */ }
  }
  location.assign(next);
}

function show(page) {
  const picture = page.querySelector("figure img");
  if (picture && ahead?.getAttribute("src") === picture.getAttribute("src")) {
    ahead.alt = picture.alt;
    picture.replaceWith(ahead);
  }
  ahead = null;
  document.title = page.title;
  document.body.replaceChildren(...page.body.children);
  scrollTo(0, 0);
  begin();
}

document.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const twice = performance.now() - came < SETTLE_MS && fields.every(field => !field.value);
    if (!event.repeat && !twice) form.requestSubmit(form.querySelector("button.main"));
  } else if (event.altKey && !event.ctrlKey && !mac && !event.defaultPrevented) {
    // Browsers press other keys for accesskey, each its own; AltGr, which types letters, is Ctrl and Alt.
    const meant = document.querySelector(`[accesskey="${CSS.escape(event.key.toLowerCase())}"]`);
    if (meant) { event.preventDefault(); meant.click(); }
  }
});
begin();
