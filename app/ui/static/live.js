// A page that changes by itself asks every five seconds where no stream of changes is to be had (a process keeps only so
// many open), and tells its other parts when the batch has another version.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const say = (word) => document.body.dispatchEvent(new CustomEvent(word));
  const shown = () => document.querySelector("#now [data-version]")?.dataset.version;
  let timer = 0;
  let version = shown();

  const poll = () => (timer ||= setInterval(() => say("poll"), EVERY_MS));

  document.body.addEventListener("htmx:sseError", poll);
  document.body.addEventListener("htmx:sseClose", poll); // a newer page of this session has the stream
  document.body.addEventListener("htmx:sseOpen", () => {
    clearInterval(timer);
    timer = 0;
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    if (shown() === version) return;
    version = shown();
    say("changed");
  });
})();
