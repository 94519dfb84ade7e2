// On every page: how long ago a time was, or exactly when, the time zone, and whether the service answers.
"use strict";
(() => {
  const root = document.documentElement.dataset.root;
  const zone = document.getElementById("zone");
  const place = document.getElementById("connection");
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const ahead = Date.parse(document.documentElement.dataset.now) - Date.now() || 0; // ages follow the database's clock
  const now = () => Date.now() + ahead;
  const exact = document.getElementById("exact");
  let isUtc = document.cookie.includes("interlock_utc=1");
  let isExact = document.cookie.includes("interlock_exact=1");
  let lostAt = null;

  const formats = new Map(); // kept: to make one takes long
  function format(options) {
    const key = JSON.stringify([isUtc, options]);
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, { ...options, timeZone: isUtc ? "UTC" : undefined }));
    return formats.get(key);
  }
  const exactly = (at) => format({ dateStyle: "medium", timeStyle: "long" }).format(at);

  function ago(at) {
    const seconds = (now() - at) / 1000;
    if (seconds < 1) return "now";
    const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
    return `${Math.floor(seconds / size)} ${unit} ago`;
  }

  function tell(node) {
    for (const time of node.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      time.title = exactly(at);
      const words = isExact || "coming" in time.dataset || at > now() + 60000 ? format({ dateStyle: "medium", timeStyle: "medium" }).format(at) : ago(at);
      if (time.textContent !== words) time.textContent = words;
    }
    if (!zone) return;
    const part = format({ timeZoneName: "short" }).formatToParts(new Date()).find((each) => each.type === "timeZoneName");
    zone.textContent = part.value;
    zone.title = isUtc ? "Show times in your zone" : "Show times in UTC";
    zone.hidden = false;
    exact.setAttribute("aria-pressed", isExact);
    exact.hidden = false;
  }

  const keep = (name, isOn) => (document.cookie = `${name}=${isOn ? 1 : 0}; path=${root || "/"}; max-age=31536000; samesite=lax`);

  function connection(words, isOn = true) {
    if (!place) return;
    place.hidden = false;
    const dot = document.createElement("span");
    dot.className = isOn ? "dot on" : "dot off";
    if (place.textContent !== words || !place.querySelector(`.${isOn ? "on" : "off"}`)) place.replaceChildren(dot, words);
  }

  const say = (words) => (document.getElementById("notice").textContent = words);
  const isLive = (event) => event.detail.elt?.hasAttribute?.("data-live");

  // A menu that is open stays open when what it stands in is refreshed.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details, dialog"));

  // The service has written the ages already: the page is loaded first.
  if (document.readyState === "complete") tell(document);
  else addEventListener("load", () => setTimeout(() => tell(document)));
  setInterval(() => tell(document), 15000);
  zone?.addEventListener("click", () => {
    isUtc = !isUtc;
    keep("interlock_utc", isUtc);
    tell(document);
  });
  exact?.addEventListener("click", () => {
    isExact = !isExact;
    keep("interlock_exact", isExact);
    tell(document);
  });
  document.body.addEventListener("htmx:afterSettle", () => tell(document));
  document.body.addEventListener("connection", (event) => {
    if (!lostAt) connection(event.detail);
  });
  // A part that changes has the mark of its content: while that is still so, the service answers without it.
  document.body.addEventListener("htmx:configRequest", (event) => {
    const { mark } = event.detail.elt.dataset;
    if (mark) event.detail.headers["If-None-Match"] = `"${mark}"`;
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status === 304) event.detail.shouldSwap = false;
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => isLive(event) || say(""));
  document.body.addEventListener("htmx:afterOnLoad", () => {
    if (lostAt) connection("every 5 s");
    lostAt = null;
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 401) location.assign(`${root}/sign-in`);
    else if (status === 404 || !isLive(event)) say(responseText);
  });
  document.body.addEventListener("htmx:sendError", (event) => {
    lostAt ??= new Date();
    connection(`not connected since ${format({ timeStyle: "medium" }).format(lostAt)}`, false);
    if (!isLive(event)) say("The service does not answer. Your request was not carried out, or not yet.");
  });
})();
