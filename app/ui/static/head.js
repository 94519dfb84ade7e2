// The head of a batch's pages: it says when the batch has another version, and the favicon follows the state.
"use strict";
(() => {
  const head = () => document.getElementById("head");
  if (!head()) return; // another page
  const version = () => Number(head().dataset.version);
  let shown = version();

  function favicon() {
    const colour = getComputedStyle(head().querySelector(".state")).color;
    const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="${colour}"/></svg>`;
    document.getElementById("icon").href = `data:image/svg+xml,${encodeURIComponent(icon)}`;
  }

  // A notice speaks of one version of the batch: it goes when the batch has a newer one.
  function tidy() {
    for (const notice of document.querySelectorAll("#answer > [data-version]")) {
      if (Number(notice.dataset.version) < version()) notice.remove();
    }
  }

  // The colour needs the styles of the whole page: the page is loaded first.
  if (document.readyState === "complete") favicon();
  else addEventListener("load", () => setTimeout(favicon));
  document.body.addEventListener("htmx:afterSwap", () => {
    if (version() === shown) return;
    shown = version();
    tidy();
    favicon();
    const picture = document.querySelector("[data-picture]");
    if (picture) picture.src = `${picture.dataset.picture}?version=${shown}`;
    document.body.dispatchEvent(new CustomEvent("changed"));
  });
})();
