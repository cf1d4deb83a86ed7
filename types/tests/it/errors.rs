//! `docs/errors.md` lists every code that the program has, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources below a folder, without their tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            all.push(
                text.split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    all
}

fn quoted(text: &str) -> Option<&str> {
    let code = text.trim_start().strip_prefix('"')?.split('"').next()?;
    let is_code = !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_code.then_some(code)
}

/// The codes that follow an exit code in the command line's sources.
fn of_commands() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for source in sources(&root().join("cli/src")) {
        for (at, _) in source.match_indices("ExitKind::") {
            let kind = source[at + "ExitKind::".len()..].trim_start_matches(char::is_alphabetic);
            let code = kind.strip_prefix(',').and_then(quoted);
            codes.extend(code.map(str::to_owned));
        }
        for call in source.split("at(self.path, source,").skip(1) {
            codes.extend(quoted(call).map(str::to_owned));
        }
        for call in source.split("CommandFailure::new(").skip(1) {
            let code = call.split_once(',').and_then(|(_, rest)| quoted(rest));
            codes.extend(code.map(str::to_owned));
        }
    }
    codes
}

/// The codes that the function `code` of a file gives.
fn of_function(file: &str) -> BTreeSet<String> {
    let source = fs::read_to_string(root().join(file)).unwrap();
    let body = source.split("pub fn code(&self)").nth(1).unwrap();
    let body = body.split("\n    }\n").next().unwrap();
    let arms = body.split("=>").skip(1);
    arms.filter_map(|arm| quoted(arm).map(str::to_owned))
        .collect()
}

/// The first column of the table below a heading.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_code_of_an_error_is_listed() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let commands = of_commands();
    assert!(commands.len() > 50, "{commands:?}");
    assert_eq!(listed(&page, "Commands"), commands);
    assert_eq!(
        listed(&page, "Connections"),
        of_function("rpc/src/client/error.rs")
    );
    let mut chain = of_function("vm/src/error.rs");
    chain.extend(of_function("vm/src/error/job.rs"));
    assert!(chain.len() > 60, "{chain:?}");
    assert_eq!(listed(&page, "The chain"), chain);
}
