"""Runs a WASI program under wasmtime's own WASI: plain.py MODULE ROOT STDIN STDOUT STDERR [ARGUMENT ...]

ROOT is what the program sees as /. Its exit code is this script's; a trap is 134.
"""

import sys

import wasmtime

module, root, stdin, stdout, stderr, *arguments = sys.argv[1:]
config = wasmtime.Config()
# Only what comes out is compared, and this compiles fastest.
config.cranelift_opt_level = "none"
engine = wasmtime.Engine(config)
store = wasmtime.Store(engine)
wasi = wasmtime.WasiConfig()
wasi.argv = ["program", *arguments]
wasi.env = [("GRIDPROOF_TASK_COUNT", "1"), ("GRIDPROOF_TASK_INDEX", "0")]
wasi.preopen_dir(root, "/")
wasi.stdin_file = stdin
wasi.stdout_file = stdout
wasi.stderr_file = stderr
store.set_wasi(wasi)
linker = wasmtime.Linker(engine)
linker.define_wasi()
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, module))
try:
    instance.exports(store)["_start"](store)
except wasmtime.ExitTrap as end:
    sys.exit(end.code)
except wasmtime.Trap as trap:
    print(trap, file=sys.stderr)
    sys.exit(134)
