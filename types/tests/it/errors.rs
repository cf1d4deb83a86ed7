//! `docs/errors.md` lists every code that the program has, with its exit codes, and no other.

use std::collections::{BTreeMap, BTreeSet};
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

type Exits = BTreeMap<String, BTreeSet<u8>>;

/// The exit code of each kind of ending.
fn exit_codes() -> BTreeMap<String, u8> {
    let source = fs::read_to_string(root().join("cli/src/failure.rs")).unwrap();
    let body = source.split("pub fn code(self) -> u8").nth(1).unwrap();
    let body = body.split("\n    }\n").next().unwrap();
    let arms = body.lines().filter_map(|line| {
        let (kind, code) = line
            .trim()
            .strip_prefix("Self::")?
            .strip_suffix(',')?
            .split_once(" => ")?;
        Some((kind.to_owned(), code.parse().unwrap()))
    });
    arms.collect()
}

/// The kinds of ending that a text names, each with what follows its name.
fn kinds(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("ExitKind::").map(|(at, path)| {
        let kind = &text[at + path.len()..];
        let rest = kind.trim_start_matches(char::is_alphabetic);
        (&kind[..kind.len() - rest.len()], rest)
    })
}

/// The codes of the command line's sources with the exit codes that they end with.
fn of_commands() -> Exits {
    let exit_codes = exit_codes();
    let mut codes = Exits::new();
    let mut add = |code: Option<&str>, kind: &str| {
        if let Some(code) = code {
            let exits = codes.entry(code.to_owned()).or_default();
            exits.insert(exit_codes[kind]);
        }
    };
    for source in sources(&root().join("cli/src")) {
        for (kind, rest) in kinds(&source) {
            add(rest.strip_prefix(',').and_then(quoted), kind);
        }
        for call in source.split("at(self.path, source,").skip(1) {
            add(quoted(call), "BadInput");
        }
        // A kind that a variable holds is one of those that the function names.
        for (at, _) in source.match_indices("CommandFailure::new(kind,") {
            let before = &source[..at];
            let begin = before.rfind("\nfn ").max(before.rfind("\npub fn "));
            let code = source[at..]
                .split_once(',')
                .and_then(|(_, rest)| quoted(rest));
            for (kind, _) in kinds(&before[begin.unwrap()..]) {
                add(code, kind);
            }
        }
        if let Some((_, reasons)) = source.split_once("pub fn explain(reason: JobFailure)") {
            let reasons = reasons.split("\n}\n").next().unwrap();
            for reason in reasons.split("=> (").skip(1) {
                add(quoted(reason), "JobFailed");
            }
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

/// The rows of the table below a heading, each as its cells.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.split(" | ");
        cells
            .map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned())
            .collect()
    })
    .collect()
}

/// The first column of the table below a heading.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let rows = rows(page, heading).into_iter();
    rows.map(|row| row[0].clone()).collect()
}

/// The first two columns of the table of commands.
fn listed_exits(page: &str) -> Exits {
    let rows = rows(page, "Commands").into_iter().map(|row| {
        let exits = row[1].split(", ").map(|exit| exit.parse().unwrap());
        (row[0].clone(), exits.collect())
    });
    rows.collect()
}

#[test]
fn every_code_of_an_error_is_listed_with_its_exit_code() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let commands = of_commands();
    assert!(commands.len() > 50, "{commands:?}");
    assert_eq!(listed_exits(&page), commands);
    assert_eq!(
        listed(&page, "Connections"),
        of_function("rpc/src/client/error.rs")
    );
    let mut chain = of_function("vm/src/error.rs");
    chain.extend(of_function("vm/src/error/job.rs"));
    assert!(chain.len() > 60, "{chain:?}");
    assert_eq!(listed(&page, "The chain"), chain);
}
