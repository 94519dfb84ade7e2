// Sends files one by one, each with its progress, its outcome in words, and a way to try it again.

window.interlockUploads = (() => {
  const csrf = () => document.querySelector("input[name=csrf_token]").value;

  // Sends a body with progress; resolves to {ok, status, answer}, whatever becomes of it.
  function send(address, body, kind, onProgress) {
    return new Promise((resolve) => {
      const call = new XMLHttpRequest();
      const lost = () => resolve({ ok: false, status: 0, answer: { message: "The service could not be reached." } });
      call.open("POST", address);
      call.setRequestHeader("X-CSRFToken", csrf());
      call.setRequestHeader("Accept", "application/json");
      call.setRequestHeader("Content-Type", kind);
      call.upload.onprogress = (event) => event.lengthComputable && event.total && onProgress(event.loaded / event.total);
      call.onerror = call.onabort = call.ontimeout = lost;
      call.onload = () => {
        let answer = {};
        try {
          answer = JSON.parse(call.responseText);
        } catch {
          answer = { message: `The service answered ${call.status}. Sign in again, or try later.` };
        }
        resolve({ ok: call.status >= 200 && call.status < 300, status: call.status, answer });
      };
      call.send(body);
    });
  }

  const MOST_NAMES = 500;
  const MOST_HASHED_BYTES = 64 * 1024 * 1024;

  // Equal name and size; where the browser can hash (over https, or on this machine), equal content too.
  async function isThere(file, known) {
    const twins = known.filter((each) => each.name === file.name && each.size_bytes === file.size);
    if (!twins.length || !window.crypto?.subtle || file.size > MOST_HASHED_BYTES) return twins.length > 0;
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const hex = Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return twins.some((each) => each.sha256 === hex);
  }

  async function filesThere(address, files) {
    const found = [];
    for (let at = 0; at < files.length; at += MOST_NAMES) {
      const names = files.slice(at, at + MOST_NAMES).map((file) => file.name);
      const { ok, answer } = await send(`${address}/known`, JSON.stringify({ names }), "application/json", () => {});
      if (ok) found.push(...answer.files);
    }
    return found;
  }

  class Uploads {
    constructor(address, batch) {
      this.address = address;
      this.section = document.getElementById("uploads");
      this.sum = document.getElementById("uploads-sum");
      this.all = document.getElementById("uploads-all");
      this.again = document.getElementById("uploads-again");
      this.done = document.getElementById("uploads-done");
      this.done.href = batch;
      this.rows = [];
      this.again.onclick = () => this.run(this.rows.filter((row) => row.state === "failed"));
    }

    async start(files) {
      this.section.hidden = false;
      this.rows = files.map((file) => this.row(file));
      document.getElementById("uploads-list").replaceChildren(...this.rows.map((row) => row.item));
      this.section.scrollIntoView({ block: "nearest" });
      await this.run(this.rows);
    }

    row(file) {
      const item = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
      const row = { file, item, state: "waiting", again: item.querySelector("button") };
      item.querySelector(".file").textContent = file.name;
      item.querySelector("progress").setAttribute("aria-label", `Upload of ${file.name}`);
      row.again.setAttribute("aria-label", `Try again: ${file.name}`);
      row.again.onclick = () => this.run([row]);
      return row;
    }

    async run(rows) {
      if (this.running) return;
      this.running = true;
      this.again.hidden = this.done.hidden = true;
      const known = await filesThere(this.address, rows.map((row) => row.file));
      for (const row of rows) {
        this.say(row, "sending", "");
        if (await isThere(row.file, known)) this.say(row, "done", "The batch has it already.");
        else await this.one(row);
      }
      this.running = false;
      this.tell();
    }

    async one(row) {
      const query = new URLSearchParams({ name: row.file.name, type: row.file.type });
      const bar = row.item.querySelector("progress");
      const { ok, answer } = await send(`${this.address}?${query}`, row.file, "application/octet-stream", (share) => {
        bar.value = share;
      });
      this.say(row, ok ? "done" : "failed", answer.message ?? "It was refused without a reason.");
    }

    say(row, state, words) {
      row.state = state;
      row.item.dataset.upload = state;
      row.item.querySelector(".outcome").textContent = words;
      row.item.querySelector("progress").value = state === "done" ? 1 : 0;
      row.again.hidden = state !== "failed";
      this.all.max = this.rows.length || 1;
      this.all.value = this.rows.filter((each) => each.state === "done").length;
      this.tell();
    }

    tell() {
      const amount = (state) => this.rows.filter((row) => row.state === state).length;
      const failed = amount("failed");
      const done = `${amount("done")} of ${this.rows.length} files are there.`;
      this.sum.textContent = failed ? `${done} ${failed} failed: the reason stands beside each.` : done;
      if (!this.running) {
        this.again.hidden = !failed;
        this.done.hidden = false;
      }
    }
  }

  // A box that takes dropped files and gives them to the file input that lies in it: one way for both.
  // The whole page takes files that are dropped; the box shows it.
  function dropsInto(box, input) {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    for (const name of ["dragenter", "dragover"]) {
      document.body.addEventListener(name, (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        box.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) document.body.addEventListener(name, () => box.classList.remove("over"));
    document.body.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }

  function problem(words) {
    const place = document.getElementById("problem");
    place.textContent = words;
    place.hidden = !words;
    if (words) place.focus();
  }

  return { Uploads, dropsInto, problem, send };
})();
