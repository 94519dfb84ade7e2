// The page of a batch's files: sends what is picked, and leaves out what the batch has.

(() => {
  const { Uploads, dropsInto, problem } = window.interlockUploads;
  const form = document.getElementById("more-files");
  const input = document.getElementById("files");
  dropsInto(document.getElementById("drop"), input);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem(input.files.length ? "" : "Choose the files first.");
    if (input.files.length) await new Uploads(form.dataset.files, form.dataset.batch).start([...input.files]);
  });
})();
