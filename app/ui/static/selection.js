// Which batches are chosen, kept while the list is fetched anew. A choice is of a version: if that changes, it goes.
"use strict";
(() => {
  const chosen = new Set();
  let scope = "chosen";
  const boxes = () => document.querySelectorAll("#list input[name=batch]");
  for (const box of boxes()) if (box.checked) chosen.add(box.value); // before this script ran

  // An action is offered if it is possible for one of the batches that are chosen.
  function offer() {
    const possible = new Set([...boxes()].filter((box) => box.checked).flatMap((box) => box.dataset.actions.split(" ")));
    for (const button of document.querySelectorAll(".bulk button")) button.hidden = scope === "chosen" && !possible.has(button.value);
  }

  document.body.addEventListener("change", (event) => {
    const box = event.target;
    if (box.id === "all") for (const each of boxes()) set(each, box.checked);
    else if (box.name === "batch" && box.closest("#list")) set(box, box.checked);
    else if (box.name === "scope") scope = box.value;
    offer();
  });
  const tickChosen = () => boxes().forEach((box) => (box.checked = chosen.has(box.value)));
  document.body.addEventListener("htmx:afterSwap", () => {
    tickChosen();
    const kept = document.querySelector(`#list input[name=scope][value=${scope}]`);
    if (kept) kept.checked = true;
    offer();
  });

  // Nothing moves under the pointer: while it is over the list, rows change in place, and a button shows the new order.
  const moved = document.getElementById("moved");
  const places = (list) => {
    const found = new Map();
    for (const row of list.querySelectorAll("tr[id]")) {
      found.set(row.id, row.closest("div").previousElementSibling?.firstChild?.textContent.trim()); // the heading
    }
    return found;
  };
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const list = document.getElementById("list");
    if (event.detail.target !== list) return;
    moved.hidden = true;
    if (event.detail.requestConfig.elt !== list || !list.matches(":hover") || event.detail.xhr.status !== 200) return;
    const fresh = new DOMParser().parseFromString(event.detail.serverResponse, "text/html").getElementById("list");
    const [old, now] = [places(list), places(fresh ?? list)];
    if ([...old.keys()].join() === [...now.keys()].join() && [...old.values()].join() === [...now.values()].join()) return;
    event.detail.shouldSwap = false;
    for (const id of old.keys()) {
      if (now.has(id)) Idiomorph.morph(document.getElementById(id), fresh.querySelector(`#${CSS.escape(id)}`));
    }
    const amount = [...now].filter(([id, place]) => old.get(id) !== place).length || 1;
    moved.textContent = `${amount} changed: show`;
    moved.hidden = false;
    tickChosen();
    offer();
  });
  moved.addEventListener("click", () => document.body.dispatchEvent(new CustomEvent("poll")));

  // What an action would do to those chosen is shown in a dialog.
  const dialog = document.getElementById("bulk-dialog");
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && !dialog.open) dialog.showModal();
  });
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-closes]")) return;
    event.preventDefault();
    dialog.close();
  });

  function set(box, checked) {
    box.checked = checked;
    if (checked) chosen.add(box.value);
    else chosen.delete(box.value);
  }

  offer();
})();
