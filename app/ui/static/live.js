// A page that changes by itself asks every five seconds where no stream of changes is to be had: a process keeps only so
// many open, and the newest page of a session takes the place of its oldest.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const poll = () => document.body.dispatchEvent(new CustomEvent("poll"));
  let timer = 0;

  function fall() {
    timer ||= setInterval(poll, EVERY_MS);
    document.body.dispatchEvent(new CustomEvent("connection", { detail: "every 5 s" }));
  }

  document.body.addEventListener("htmx:sseError", fall);
  document.body.addEventListener("htmx:sseClose", fall);
  document.body.addEventListener("htmx:sseOpen", () => {
    clearInterval(timer);
    timer = 0;
    document.body.dispatchEvent(new CustomEvent("connection", { detail: "live" }));
  });
})();
