"use strict";
// Ctrl+Enter saves; what can't be sent stays in the page and is sent again.
const form = document.getElementById("texts");
form.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
});
