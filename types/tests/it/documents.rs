//! The documents: what they link to exists, and every decision has a status, a date and a place in the index.

use std::path::{Path, PathBuf};

use crate::workspace::root;

/// Markdown files below a folder; build output is left out.
fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                documents(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The targets of the links `[text](target)` of a text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

#[test]
fn links_lead_somewhere() {
    let mut files = Vec::new();
    documents(&root(), &mut files);
    assert!(files.len() > 20, "the documents were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            let path = link.split('#').next().unwrap();
            let here = path.is_empty() || link.starts_with("http");
            let target = file.parent().unwrap().join(path);
            assert!(
                here || target.exists(),
                "{}: {link} leads nowhere",
                file.display()
            );
        }
    }
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

#[test]
fn links_to_a_heading_find_it() {
    let (mut files, mut seen) = (Vec::new(), 0);
    documents(&root(), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (path, heading) in links(&text).filter_map(|link| link.split_once('#')) {
            if path.starts_with("http") || heading.contains(char::is_whitespace) {
                continue;
            }
            seen += 1;
            let page = match path {
                "" => text.clone(),
                path => std::fs::read_to_string(file.parent().unwrap().join(path)).unwrap(),
            };
            let headings = page.lines().filter(|line| line.starts_with('#'));
            assert!(
                headings.map(anchor).any(|known| known == heading),
                "{}: {path}#{heading} leads nowhere",
                file.display()
            );
        }
    }
    assert!(seen > 20, "{seen} links");
}

#[test]
fn the_index_names_every_page_of_operators() {
    let index = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let mut pages = Vec::new();
    documents(&root().join("docs/operate"), &mut pages);
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(index.contains(&format!("](operate/{name})")), "{name}");
    }
}

/// The words of a command that say what it does: programs, subcommands, flags, names of services; no paths and values.
fn words(command: &str) -> Vec<String> {
    let bare = command
        .split(|c: char| c.is_whitespace() || "\"$()".contains(c))
        .filter(|word| !word.is_empty());
    let said = bare.filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    said.map(str::to_owned).collect()
}

/// True if a line has all words in their order, and all flags.
fn does(line: &str, command: &[String]) -> bool {
    let said = words(line);
    let (flags, names): (Vec<_>, Vec<_>) = command.iter().partition(|word| word.starts_with('-'));
    let mut rest = said.iter();
    let in_order = names.iter().all(|word| rest.any(|other| other == *word));
    in_order && flags.iter().all(|flag| said.contains(flag))
}

#[test]
fn what_the_devnets_page_does_in_containers_is_what_the_demo_does() {
    let page = std::fs::read_to_string(root().join("docs/operate/devnet.md")).unwrap();
    let script = std::fs::read_to_string(root().join("scripts/demo-compose")).unwrap();
    let blocks = page.split("```console\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    let commands: Vec<_> = lines.filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() > 7, "{commands:?}");
    for command in commands {
        let command = command.split(" #").next().unwrap();
        let wanted = words(command);
        assert!(wanted.len() > 1, "{command}");
        assert!(
            script.lines().any(|line| does(line, &wanted)),
            "scripts/demo-compose does not do: {command}"
        );
        let address = command.split_once("--rpc ").map(|(_, rest)| rest);
        if let Some(address) = address.and_then(|rest| rest.split_whitespace().next()) {
            assert!(script.contains(&format!("rpc={address}\n")), "{address}");
        }
    }
}

#[test]
fn no_merge_is_left_half_done() {
    let mut files = Vec::new();
    documents(&root(), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let marks = ["<<<<<<< ", ">>>>>>> "];
        let left = text
            .lines()
            .find(|line| marks.iter().any(|mark| line.starts_with(mark)));
        assert_eq!(left, None, "{}", file.display());
    }
}

#[test]
fn every_decision_has_a_status_a_date_and_a_place_in_the_index() {
    let folder = root().join("docs/adr");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "README.md" {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        for part in [
            "**Status.** ",
            "**Date.** 20",
            "**Problem.** ",
            "**Choice.** ",
        ] {
            let part = part.trim_end();
            assert!(text.contains(part), "{name} has no {part}");
        }
        assert!(
            index.contains(&format!("({name})")),
            "{name} is not in the index"
        );
        numbers.push(name.split('-').next().unwrap().parse::<u32>().unwrap());
    }
    numbers.sort_unstable();
    let mut distinct = numbers.clone();
    distinct.dedup();
    assert_eq!(numbers, distinct, "each decision has a number of its own");
}
