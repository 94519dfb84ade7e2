// Parts of a form that are added and removed: prompts and models.
"use strict";
window.interlockParts = (form) => {
  const field = (id) => document.getElementById(id);

  function renumber(noun) {
    [...field(`${noun}s`).children].forEach((part, at) => {
      const number = at + 1;
      part.querySelector("[data-number]").textContent = number;
      for (const name of ["id", "for", "aria-describedby"]) {
        for (const each of part.querySelectorAll(`[${name}]`)) {
          each.setAttribute(name, each.getAttribute(name).replace(/_\d+(-error)?$/, `_${number}$1`));
        }
      }
      part.querySelector("[data-remove]").hidden = field(`${noun}s`).children.length === 1;
    });
  }

  function add(noun) {
    const part = field(`new-${noun}`).content.querySelector("fieldset").cloneNode(true);
    field(`${noun}s`).append(part);
    renumber(noun);
    return part;
  }

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.add) add(button.dataset.add).querySelector("input").focus();
    if (button && "remove" in button.dataset) {
      const part = button.closest("[data-part]");
      const noun = part.dataset.part;
      part.remove();
      renumber(noun);
      form.querySelector(`[data-add=${noun}]`).focus();
    }
  });
  for (const noun of ["prompt", "model"]) if (field(`${noun}s`)) renumber(noun);
  return add;
};
