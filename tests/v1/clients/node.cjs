// A program for OpenAI's Batch API, by the SDK for Node; prints what it saw. Argument: its input.

const fs = require("node:fs");
const { OpenAI, NotFoundError, toFile } = require("openai");

const path = process.argv[2];
const client = new OpenAI(); // the address and the key are in the environment
const FINAL = ["completed", "failed", "expired", "cancelled"];

const create = (file, metadata) =>
  client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata,
  });

async function endOf(batch) {
  while (!FINAL.includes(batch.status)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

const text = async (fileId) => (await client.files.content(fileId)).text();

async function inParts() {
  const data = fs.readFileSync(path);
  const half = Math.floor(data.length / 2);
  const upload = await client.uploads.create({
    bytes: data.length, filename: "parts.jsonl", mime_type: "text/jsonl", purpose: "batch",
  });
  const ids = [];
  for (const piece of [data.subarray(0, half), data.subarray(half)]) {
    ids.push((await client.uploads.parts.create(upload.id, { data: await toFile(piece, "part") })).id);
  }
  const done = await client.uploads.complete(upload.id, { part_ids: ids });
  return { status: done.status, content: await text(done.file.id) };
}

async function isGone(fileId) {
  try {
    await client.files.retrieve(fileId);
  } catch (error) {
    return error instanceof NotFoundError;
  }
  return false;
}

async function main() {
  const file = await client.files.create({ file: fs.createReadStream(path), purpose: "batch" });
  const batch = await endOf(await create(file, { by: "a test" }));
  const held = await create(file, { "interlock.max_cost": "0" }); // is paused before a line is sent
  const cancelled = await client.batches.cancel(held.id);
  const first = await client.batches.list({ limit: 1 });
  const files = await client.files.list({ limit: 1 });
  const saw = {
    file: await client.files.retrieve(file.id),
    content: await text(file.id),
    batch,
    output: await text(batch.output_file_id),
    cancelled: [cancelled.id, cancelled.status, (await endOf(cancelled)).status],
    batches: [first.data[0].id, (await first.getNextPage()).data[0].id],
    files: [files.data[0].id, (await files.getNextPage()).data[0].id],
    upload: await inParts(),
    deleted: (await client.files.delete(file.id)).deleted && (await isGone(file.id)),
  };
  console.log(JSON.stringify(saw));
}

main();
