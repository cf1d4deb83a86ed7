//! The same module under Node's WASI gives the same bytes: what the class adds changes no result of a program that
//! does not ask for its surroundings.

use std::process::Command;

use types::attestation::Exit;

use crate::support::{Job, numbers, program, program_path, text};

/// What Node gave: exit code, standard output, and the file `/out/<name>`.
fn node(
    name: &str,
    input: &[u8],
    arguments: &[&str],
    output: &str,
) -> (Option<i32>, Vec<u8>, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("in")).unwrap();
    std::fs::create_dir(path("out")).unwrap();
    std::fs::write(path("in/data"), input).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent.mjs");
    let ran = Command::new("node")
        .args(["--no-warnings", script])
        .arg(program_path(name))
        .args([path("in"), path("out"), path("stdout")])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("node 18 or later is needed for this test: {error}"));
    assert!(ran.stderr.is_empty(), "{}", text(&ran.stderr));
    (
        ran.status.code(),
        std::fs::read(path("stdout")).unwrap(),
        std::fs::read(path("out").join(output)).ok(),
    )
}

#[test]
fn a_float_kernel_gives_the_same_bytes() {
    let (code, stdout, _) = node("kernel", b"", &["5000"], "none");
    let run = Job::new(&program("kernel")).argument("5000").run();
    assert_eq!((code, run.outcome.exit), (Some(0), Exit::Code { code: 0 }));
    assert_eq!(text(&run.stdout), text(&stdout));
}

#[test]
fn a_histogram_gives_the_same_bytes() {
    let (code, stdout, table) = node("histogram", &numbers(), &["25"], "hist.csv");
    let job = Job::new(&program("histogram"))
        .argument("25")
        .input("/in/data", &numbers());
    let run = job.output("hist", "/out/hist.csv").run();
    assert_eq!((code, run.outcome.exit), (Some(0), Exit::Code { code: 0 }));
    assert_eq!(text(&run.stdout), text(&stdout));
    assert_eq!(run.outputs[0], table);
}

#[test]
fn a_program_that_reads_many_files_gives_the_same_bytes() {
    let (code, stdout, table) = node("words", b"some words and some more", &[], "words.csv");
    // Under Node the input folder can be written: the program notices and says so with its exit code.
    assert_eq!(code, Some(3));
    let run = Job::new(&program("words")).input("/in/data", b"some words and some more");
    let run = run.output("words", "/out/words.csv").run();
    assert_eq!(run.outcome.exit, Exit::Code { code: 0 });
    assert_eq!(
        format!("{}wrote an input\n", text(&run.stdout)),
        text(&stdout)
    );
    assert_eq!(run.outputs[0], table);
}
