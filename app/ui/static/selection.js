// Which batches are chosen, kept while the list is fetched anew. A choice is of a version: if that changes, it goes.
"use strict";
(() => {
  const chosen = new Set();
  let scope = "chosen";
  const boxes = () => document.querySelectorAll("#list input[name=batch]");
  for (const box of boxes()) if (box.checked) chosen.add(box.value); // before this script ran

  document.body.addEventListener("change", (event) => {
    const box = event.target;
    if (box.id === "all") for (const each of boxes()) set(each, box.checked);
    else if (box.name === "batch") set(box, box.checked);
    else if (box.name === "scope") scope = box.value;
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const box of boxes()) box.checked = chosen.has(box.value);
    const kept = document.querySelector(`#list input[name=scope][value=${scope}]`);
    if (kept) kept.checked = true;
  });

  function set(box, checked) {
    box.checked = checked;
    if (checked) chosen.add(box.value);
    else chosen.delete(box.value);
  }
})();
