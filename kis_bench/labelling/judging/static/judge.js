"use strict";
// The keys 1 to 5 answer; an answer that can't be sent stays in the page and is sent again until it is saved.
const form = document.getElementById("judge"), said = form.querySelector(".unsaved");
const buttons = [...form.querySelectorAll("button[name=choice]")];
const AGAIN_MS = 2000, SETTLE_MS = 350; // a key that is pressed twice doesn't answer the next question
const kept = `seen-${form.elements.question.value}`; // how long it was looked at before it was reloaded
let shown = performance.now(), seen = Number(sessionStorage.getItem(kept)), sending = false;

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") shown = performance.now();
  else sessionStorage.setItem(kept, seen += performance.now() - shown);
});
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

async function send(body) {
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "application/json" } });
    if (answer.ok) { location.assign((await answer.json()).next); return; }
    if (answer.status < 500) { location.assign("/"); return; }
    said.textContent = `Not saved yet: ${(await answer.text()).slice(0, 300)} Your answer is sent again.`;
  } catch {
    said.textContent = "The server can't be reached. Your answer stays here and is sent again.";
  }
  said.hidden = false;
  setTimeout(send, AGAIN_MS, body);
}

form.addEventListener("submit", event => {
  event.preventDefault();
  if (sending) return;
  sending = true;
  form.elements.spent.value = Math.round(seen + performance.now() - shown);
  const body = new URLSearchParams(new FormData(form));
  body.set("choice", event.submitter.value);
  event.submitter.setAttribute("aria-pressed", "true");
  for (const button of buttons) button.disabled = true;
  send(body);
});

document.addEventListener("keydown", event => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || performance.now() - shown < SETTLE_MS) return;
  const button = buttons[Number(event.key) - 1];
  if (button && !sending) { event.preventDefault(); form.requestSubmit(button); }
  if (event.key === "Backspace") document.getElementById("back")?.click();
});
