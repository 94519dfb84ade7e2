// On every page: times in the reader's zone, with the exact one on hover, and refusals shown where they are read.
"use strict";
(() => {
  const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  function localise(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      time.title = time.dateTime;
      time.textContent = FORMAT.format(at);
      time.dataset.local = "";
    }
  }

  function say(words) {
    document.getElementById("notice").textContent = words;
  }

  localise(document);
  document.body.addEventListener("htmx:afterSwap", () => localise(document));
  document.body.addEventListener("htmx:beforeRequest", () => say(""));
  document.body.addEventListener("htmx:responseError", (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 401) location.assign("/sign-in");
    else say(responseText);
  });
  document.body.addEventListener("htmx:sendError", () => say("The service does not answer. Your request was not carried out, or not yet."));
})();
