// The form of a new batch: parts that are added and removed, what is known of picked files, and the sending.

(() => {
  const { Uploads, dropsInto, problem, send } = window.interlockUploads;
  const SAMPLE_CHARACTERS = 20000;
  const form = document.getElementById("new-batch");
  const picker = document.getElementById("files");
  const field = (id) => document.getElementById(id);

  // --- parts: prompts and models

  const add = window.interlockParts(form);
  const connectionOf = (part) => part.querySelector("[name=model_connection]");
  const modelOf = (part) => part.querySelector("[name=model_model]");
  const partOf = (tick) =>
    [...field("models").children].find((part) => connectionOf(part).value === tick.dataset.connection && modelOf(part).value === tick.dataset.model);

  // A tick of a known model stands for its part below.
  function followTick(tick) {
    const part = partOf(tick);
    if (tick.checked && !part) {
      const free = [...field("models").children].find((each) => !connectionOf(each).value && !modelOf(each).value) ?? add("model");
      connectionOf(free).value = tick.dataset.connection;
      modelOf(free).value = tick.dataset.model;
    } else if (!tick.checked && part) {
      if (field("models").children.length > 1) part.querySelector("[data-remove]").click();
      else for (const each of part.querySelectorAll("input")) each.value = "";
      tick.focus();
    }
  }
  function showTicks() {
    for (const tick of form.querySelectorAll("[data-connection]")) tick.checked = Boolean(partOf(tick));
  }
  form.addEventListener("input", (event) => {
    if (event.target.dataset.connection) followTick(event.target);
    else showTicks();
  });
  form.addEventListener("click", (event) => {
    if (!event.target.closest("button")) return;
    showTicks();
    lookSoon();
  });
  showTicks();

  // --- what it would make

  let timer;
  function lookSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => document.body.dispatchEvent(new Event("look")), 400);
  }
  form.addEventListener("input", lookSoon);

  // A file whose first part reads as text, without the character that no text has, is one.
  async function startOf(file) {
    const text = await file.slice(0, SAMPLE_CHARACTERS * 4).text();
    const isText = !text.includes("\0") && (text.match(/\uFFFD/g) ?? []).length < 3;
    return isText ? text.slice(0, SAMPLE_CHARACTERS) : "";
  }

  async function picked() {
    const files = [...picker.files];
    const plain = files.filter((file) => file.type.startsWith("text/") || /\.(txt|md|csv|jsonl?|html?)$/i.test(file.name));
    field("files-picked").textContent = files.length ? `${files.length} ${files.length === 1 ? "file" : "files"} picked.` : "";
    field("create-and-run").hidden = files.length > 0; // files are sent once the batch is there
    field("files_count").value = files.length;
    field("files_texts").value = plain.length;
    field("files_characters").value = plain.reduce((sum, file) => sum + file.size, 0);
    field("sample_name").value = files[0]?.name ?? "";
    field("sample_text").value = files.length && plain.includes(files[0]) ? await startOf(files[0]) : "";
    lookSoon();
  }
  picker.addEventListener("change", picked);
  if (picker.files.length) picked(); // before this script ran
  dropsInto(field("drop"), picker);

  // --- the limit of the cost: twice the estimate, until somebody writes another one

  const limit = field("max_cost");
  let isOwn = Boolean(limit.value);
  limit.addEventListener("input", () => (isOwn = true));
  function suggest() {
    if (!isOwn) limit.value = field("look").dataset.limit ?? "";
  }
  document.body.addEventListener("htmx:afterSwap", suggest);
  suggest();

  // --- the sending

  function show(errors) {
    for (const each of form.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
    for (const each of form.querySelectorAll(".field-note[id]")) if (each.id !== "files-picked") each.textContent = "";
    for (const [id, words] of Object.entries(errors)) {
      field(id)?.setAttribute("aria-invalid", "true");
      field(id)?.closest("details")?.setAttribute("open", "");
      if (field(`${id}-error`)) field(`${id}-error`).textContent = words;
    }
  }

  async function create(values) {
    const { ok, answer } = await send(form.action, values.toString(), "application/x-www-form-urlencoded", () => {});
    show(answer.errors ?? {});
    if (!ok) return problem([answer.message, ...Object.values(answer.errors ?? {})].join(" "));
    if (!picker.files.length) return window.location.assign(answer.batch);
    // From here on a reload shows the page of the batch's files: nothing is created twice.
    history.replaceState(null, "", answer.files);
    form.hidden = true;
    return new Uploads(answer.files, answer.batch).start([...picker.files]);
  }

  async function createOfLines() {
    const file = field("lines").files[0];
    field("lines-bad").replaceChildren();
    if (!file) return problem("Choose the JSONL file first.");
    const bar = field("lines-progress");
    bar.hidden = false;
    const query = new URLSearchParams({ name: field("name").value, on_truncated: field("lines_on_truncated").value });
    const { ok, answer } = await send(`${form.dataset.lines}?${query}`, file, "application/jsonl", (share) => {
      bar.value = share;
      field("lines-status").textContent = share < 1 ? "The file is on its way." : "The lines are being read.";
    });
    field("lines-status").textContent = "";
    bar.hidden = true;
    if (ok) return window.location.assign(answer.batch);
    show(answer.errors ?? {});
    const bad = Object.entries(answer.lines ?? {}).map(([line, words]) => {
      const item = document.createElement("li");
      item.textContent = `${line}: ${words}`;
      return item;
    });
    field("lines-bad").replaceChildren(...bad);
    return problem(answer.message);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = new URLSearchParams(new FormData(form, event.submitter)); // a button that is disabled is no part of it
    const buttons = [field("create"), field("create-and-run")];
    for (const each of buttons) each.disabled = true;
    problem("");
    await (field("of-lines").checked ? createOfLines() : create(values));
    for (const each of buttons) each.disabled = false;
  });
})();
