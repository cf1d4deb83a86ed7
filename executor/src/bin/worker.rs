//! A worker and nothing else: what the crate's tests start as child process, as `gridproof worker` is in a node.

use std::process::ExitCode;

fn main() -> ExitCode {
    gridproof_executor::worker::main()
}
