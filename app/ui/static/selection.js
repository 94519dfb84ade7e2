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
    else if (box.name === "batch") set(box, box.checked);
    else if (box.name === "scope") scope = box.value;
    offer();
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const box of boxes()) box.checked = chosen.has(box.value);
    const kept = document.querySelector(`#list input[name=scope][value=${scope}]`);
    if (kept) kept.checked = true;
    offer();
  });

  function set(box, checked) {
    box.checked = checked;
    if (checked) chosen.add(box.value);
    else chosen.delete(box.value);
  }

  offer();
})();
