// The dialog of an action: opened when its content has come, closed when the service has answered. Holds no rule.
"use strict";
(() => {
  const dialog = document.getElementById("dialog");
  if (!dialog) return; // the page offers no action of a batch

  // The service showed it already, or the answer of an action: this is the page of the batch all the same.
  if (/\/act(\/|$)/.test(location.pathname)) history.replaceState(null, "", dialog.dataset.page);
  if (dialog.open) {
    dialog.close();
    dialog.showModal();
  }
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && !dialog.open) dialog.showModal();
    if (event.detail.target.id === "answer") event.detail.target.querySelector(".notice")?.focus();
  });
  // The outcome of a request that waited in line reaches the page as well: it must not close another dialog.
  document.body.addEventListener("acted", (event) => {
    if (dialog.contains(event.target)) dialog.close();
  });
  dialog.addEventListener("click", (event) => {
    // A click on the dialog itself, and not on what is in it, is one on the backdrop.
    if (event.target === dialog || event.target.closest("[data-closes]")) dialog.close();
  });
  dialog.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.innerText);
      button.textContent = "Copied";
    } catch {
      // Without https a browser may refuse: mark the text, so that one key copies it.
      getSelection().selectAllChildren(source);
      button.textContent = "Marked: copy it with your keyboard";
    }
  });
})();
