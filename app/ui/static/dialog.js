// The dialog of an action: opened when its content has come, closed when the service has answered. Holds no rule.
"use strict";
(() => {
  const dialog = document.getElementById("dialog");
  let opener = "";

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== dialog || dialog.open) return;
    opener = event.detail.requestConfig.elt.id;
    dialog.showModal();
  });
  // By its id: the button itself may have been fetched anew while the dialog was open.
  dialog.addEventListener("close", () => document.getElementById(opener)?.focus());
  // The outcome of a request that waited in line is told to the page as well: it must not close another dialog.
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
