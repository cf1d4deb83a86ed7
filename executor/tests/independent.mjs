// Runs a WASI program under Node's own WASI: node independent.mjs MODULE IN OUT STDOUT [ARGUMENT ...]
// IN and OUT are the folders that the program sees as /in and /out; STDOUT is a file for its standard output.
import { closeSync, openSync, readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [module, input, output, stdout, ...args] = process.argv.slice(2);
const out = openSync(stdout, "w");
const wasi = new WASI({
  version: "preview1",
  args: ["program", ...args],
  env: { GRIDPROOF_TASK_COUNT: "1", GRIDPROOF_TASK_INDEX: "0" },
  preopens: { "/in": input, "/out": output },
  stdout: out,
  returnOnExit: true,
});
const instance = await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(module)), wasi.getImportObject());
const code = wasi.start(instance);
closeSync(out);
process.exit(code);
