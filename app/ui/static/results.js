// The answer that is chosen, beside the matrix: opened by a click, changed by arrows, closed by Esc.
"use strict";
(() => {
  const drawer = document.getElementById("drawer");
  let chosen = null; // the cell whose answer is shown

  // The page may have come with an answer.
  const named = new URLSearchParams(location.search).get("cell");
  if (named) chosen = [...document.querySelectorAll(".cell")].find((each) => new URL(each.href).searchParams.get("cell") === named) ?? null;
  chosen?.classList.add("chosen");

  function mark(cell) {
    chosen?.classList.remove("chosen");
    chosen = cell;
    chosen?.classList.add("chosen");
    const address = new URL(chosen?.href ?? location.href);
    if (!chosen) for (const name of ["cell", "against"]) address.searchParams.delete(name);
    history.replaceState(null, "", address); // a reload shows the same answer
  }

  function close() {
    drawer.hidden = true;
    const cell = chosen;
    mark(null);
    cell?.focus();
  }

  // The cell above or below, in the same column.
  function step(by) {
    const cell = chosen.closest("td");
    const row = by > 0 ? cell.parentElement.nextElementSibling : cell.parentElement.previousElementSibling;
    const next = row?.children[cell.cellIndex]?.querySelector(".cell");
    if (!next) return;
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    next.click();
  }

  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.matches(".cell")) mark(event.detail.elt);
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== drawer) return;
    const wasHidden = drawer.hidden;
    drawer.hidden = false;
    if (wasHidden) drawer.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (drawer.hidden || document.querySelector("dialog[open]") || event.target.matches("input, select, textarea")) return;
    if (event.key === "Escape") close();
    const by = { ArrowDown: 1, ArrowUp: -1, "]": 1, "[": -1 }[event.key];
    if (chosen && by && !(event.key.startsWith("Arrow") && event.target.closest("pre"))) {
      event.preventDefault();
      event.stopPropagation();
      step(by);
    }
  }, true);
  drawer.addEventListener("click", async (event) => {
    if (event.target.closest("[data-closes-drawer]")) {
      event.preventDefault();
      close();
    }
    const button = event.target.closest("[data-copies-answer]");
    if (!button) return;
    const text = document.getElementById("answer-text");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      // Without https a browser may refuse: show and mark the text, so that one key copies it.
      text.hidden = false;
      getSelection().selectAllChildren(text);
      button.textContent = "Marked: copy it with your keyboard";
    }
  });
})();
