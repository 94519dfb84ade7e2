// Where no stream of changes is to be had (a process keeps only so many open), the page asks every five seconds.
"use strict";
(() => {
  const EVERY_MS = 5000;
  let timer = 0;

  document.body.addEventListener("htmx:sseError", () => {
    timer ||= setInterval(() => document.body.dispatchEvent(new CustomEvent("poll")), EVERY_MS);
  });
  document.body.addEventListener("htmx:sseOpen", () => {
    clearInterval(timer);
    timer = 0;
  });
})();
