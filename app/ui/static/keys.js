// Keys: a letter does what a click on what it stands for would do; it does nothing while somebody writes or a dialog is open.
"use strict";
(() => {
  let isGoing = false;

  const press = (selector) => document.querySelector(selector)?.click();

  // To the link of the next row, or of the one before.
  function move(by) {
    const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
    rows[rows.indexOf(document.activeElement?.closest("tr")) + by]?.querySelector("a").focus();
  }

  function act(key) {
    if (isGoing) return press(`[data-go="${CSS.escape(key)}"]`);
    if (key === "/") return document.querySelector(".find input")?.focus();
    if (key === "?") return press('[data-opens="keys"]');
    if (key === "p") return press("#act-pause:not([aria-disabled]), #act-resume:not([aria-disabled])");
    if (key === "t") return press("#exact");
    if (key === "j") return move(1);
    if (key === "k") return move(-1);
    if (key === "[" || key === "]") return (document.querySelector(`[data-run-key="${key}"]`) ?? document.querySelector(`[data-key="${key}"]`))?.click();
    if (key === "x") return document.activeElement?.closest("tr")?.querySelector("[type=checkbox]")?.click();
    if (/^[1-6]$/.test(key)) return document.querySelectorAll(".tabs a")[Number(key) - 1]?.click();
    return undefined;
  }

  document.addEventListener("keydown", (event) => {
    const menu = document.activeElement?.closest("details.menu[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    const find = event.target.closest(".find");
    if (find && event.key === "Escape") document.activeElement.blur();
    if (find && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const stops = [...find.querySelectorAll("input, #found a")];
      const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) event.preventDefault();
      next?.focus();
    }
    const isWriting = event.target.closest("input, textarea, select, [contenteditable]");
    if (isWriting || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/") event.preventDefault();
    act(event.key);
    isGoing = event.key === "g";
  });

  // What opens a dialog of the page, and a menu that is left.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    const opener = event.target.closest("[data-opens]");
    const dialog = opener && document.getElementById(opener.dataset.opens);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
    }
    if (event.target.localName === "dialog" && event.target.id !== "dialog") event.target.close(); // a click beside it
  });
})();
