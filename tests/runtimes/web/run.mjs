// Runs files in onnxruntime-web's WebAssembly: node run.mjs FOLDER JOB..., with onnxruntime-web installed in FOLDER. The folders of
// jobs and what is written there are described in tests/python/everywhere.py.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const TIMED = 5; // runs beyond the first, of which the fastest counts
const ARRAYS = {
  float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array,
};

const [installed, ...jobs] = process.argv.slice(2);
const ort = createRequire(join(resolve(installed), "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

async function job(folder) {
  const inputs = {};
  for (const line of readFileSync(join(folder, "inputs.tsv"), "utf8").split("\n")) {
    const [name, dtype, dims, file] = line.split("\t");
    if (!ARRAYS[dtype]) throw new Error(`${name}: no ${dtype} here`);
    const bytes = new Uint8Array(readFileSync(join(folder, file)));
    const shape = dims.split(",").filter(Boolean).map(Number);
    inputs[name] = new ort.Tensor(dtype, new ARRAYS[dtype](bytes.buffer), shape);
  }
  let start = performance.now();
  const model = new Uint8Array(readFileSync(readFileSync(join(folder, "model.txt"), "utf8")));
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const loaded = performance.now() - start;
  const found = await session.run(inputs);
  let fastest = Infinity;
  for (let at = 0; at < TIMED; at++) {
    start = performance.now();
    await session.run(inputs);
    fastest = Math.min(fastest, performance.now() - start);
  }
  const lines = [`${loaded / 1e3}\t${fastest / 1e3}`];
  session.outputNames.forEach((name, at) => {
    const { type, dims, data } = found[name];
    writeFileSync(join(folder, `output-${at}`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    lines.push(`${name}\t${type}\t${dims.join(",")}\toutput-${at}`);
  });
  await session.release();
  return lines.join("\n");
}

for (const folder of jobs) {
  let text, to;
  try {
    [text, to] = [await job(folder), "outputs.tsv"];
  } catch (error) {
    [text, to] = [String(error?.message ?? error), "refused.txt"];
  }
  writeFileSync(join(folder, "unfinished"), text);
  renameSync(join(folder, "unfinished"), join(folder, to));
}
