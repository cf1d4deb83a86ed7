//! The shape inside the crates: how long a file is, that each says what it is for, and that modules form no cycle.
//!
//! A cycle is counted between siblings: two modules of one parent, each with everything below it, of which one names
//! something of the other and is named by it, directly or over others. A parent and its children may name each other.
//! Re-exports are followed to the module that defines the name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::workspace::{members, root};

/// Maximum length of a source file, in lines.
const MAX_LINES: usize = 500;

/// A module's path inside its crate; the root is empty.
type Module = Vec<String>;

pub fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_tells_one_story() {
    let mut files = Vec::new();
    for member in members() {
        sources(&root().join(member), &mut files);
    }
    assert!(files.len() > 50, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (lines, name) = (text.lines().count(), file.display());
        assert!(
            lines <= MAX_LINES,
            "{name} has {lines} lines, more than {MAX_LINES}"
        );
        assert!(
            text.starts_with("//!"),
            "{name} does not say what it is for"
        );
        let unfinished = ["#[ignore", "todo!(", "unimplemented!("];
        let found = unfinished.iter().find(|mark| text.contains(**mark));
        let this = file.ends_with("modules.rs");
        assert!(this || found.is_none(), "{name} contains {found:?}");
    }
}

/// The modules of one crate and what they name.
#[derive(Default)]
struct Crate {
    /// For each module, the paths that it uses, and whether it re-exports them.
    uses: BTreeMap<Module, Vec<(bool, Vec<String>)>>,
    /// For each module and name that it re-exports, where the name comes from: a module and the rest of the path.
    exports: BTreeMap<(Module, String), (Module, Vec<String>)>,
}

/// The text without comments, strings and the unit tests at its end.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let mut out = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or("");
        let outside_strings = line.split('"').step_by(2);
        out.extend(outside_strings.flat_map(|part| [part, " "]));
        out.push('\n');
    }
    out
}

/// The paths of a use tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or("");
        return vec![path.split_whitespace().collect()];
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&inside[start..]);
    let prefix: String = before.split_whitespace().collect();
    let items = items.into_iter().filter(|item| !item.trim().is_empty());
    items
        .flat_map(expand)
        .map(|path| format!("{prefix}{path}"))
        .collect()
}

/// Every path that the code names from `crate`, `self` or `super`, or in a `use`; true for re-exports.
fn paths(code: &str) -> Vec<(bool, Vec<String>)> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        let words = statement.rfind("use ").filter(|at| {
            let before = statement[..*at].trim_end();
            before.is_empty() || before.ends_with(['}', ']', ')', ';']) || before.ends_with("pub")
        });
        let Some(at) = words.filter(|_| statement.ends_with(';')) else {
            rest.push_str(statement);
            continue;
        };
        rest.push_str(&statement[..at]);
        let before = statement[..at].trim_end();
        let public =
            before.ends_with("pub") || before.ends_with("(crate)") || before.ends_with("(super)");
        let tree = statement[at + 4..].trim_end_matches(';');
        found.extend(expand(tree).into_iter().map(|path| (public, path)));
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in rest.split(|c| !is_path(c)) {
        if ["crate::", "self::", "super::"]
            .iter()
            .any(|start| word.starts_with(start))
        {
            found.push((false, word.to_owned()));
        }
    }
    let segments = |path: String| path.split("::").map(str::to_owned).collect();
    found
        .into_iter()
        .map(|(public, path)| (public, segments(path)))
        .collect()
}

impl Crate {
    fn read(directory: &Path) -> Self {
        let (mut found, mut files) = (Self::default(), Vec::new());
        let source = directory.join("src");
        sources(&source, &mut files);
        for file in files {
            let inside = file.strip_prefix(&source).unwrap().with_extension("");
            let mut module: Module = inside
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            if module.iter().any(|part| part == "tests") {
                continue;
            }
            if module == ["lib"] || module == ["main"] {
                module.clear();
            }
            let text = std::fs::read_to_string(&file).unwrap();
            found
                .uses
                .entry(module)
                .or_default()
                .extend(paths(&code(&text)));
        }
        for (module, uses) in found.uses.clone() {
            for (_, path) in uses.into_iter().filter(|(public, _)| *public) {
                if let (Some(name), Some(origin)) =
                    (path.last().cloned(), found.start(&module, &path))
                {
                    found.exports.insert((module.clone(), name), origin);
                }
            }
        }
        found
    }

    /// Where a path begins: a module of this crate and what follows; none for other crates.
    fn start(&self, module: &Module, path: &[String]) -> Option<(Module, Vec<String>)> {
        match path.first()?.as_str() {
            "crate" => Some((Vec::new(), path[1..].to_vec())),
            "self" => Some((module.clone(), path[1..].to_vec())),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                let kept = module.len().checked_sub(up)?;
                Some((module[..kept].to_vec(), path[up..].to_vec()))
            }
            first => {
                let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
                self.uses
                    .contains_key(&child)
                    .then(|| (module.clone(), path.to_vec()))
            }
        }
    }

    /// The module that defines what a path names, re-exports followed up to a depth.
    fn resolve(&self, mut module: Module, path: &[String], depth: usize) -> Module {
        for (at, part) in path.iter().enumerate() {
            let child: Module = module.iter().cloned().chain([part.clone()]).collect();
            if self.uses.contains_key(&child) {
                module = child;
                continue;
            }
            let export = self.exports.get(&(module.clone(), part.clone()));
            return match export.filter(|_| depth > 0) {
                Some((origin, rest)) => {
                    let rest: Vec<_> = rest.iter().chain(&path[at + 1..]).cloned().collect();
                    self.resolve(origin.clone(), &rest, depth - 1)
                }
                None => module,
            };
        }
        module
    }

    /// For each parent, which of its children names which other.
    fn edges(&self) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
        let mut edges: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (module, uses) in &self.uses {
            for (_, path) in uses {
                let Some((start, rest)) = self.start(module, path) else {
                    continue;
                };
                let target = self.resolve(start, &rest, 8);
                let shared = module
                    .iter()
                    .zip(&target)
                    .take_while(|(a, b)| a == b)
                    .count();
                if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
                    let siblings = edges.entry(module[..shared].to_vec()).or_default();
                    siblings.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        edges
    }
}

/// The nodes of a graph that reach themselves.
fn on_cycles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let reaches_itself = |node: &String| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![node]);
        while let Some(next) = left.pop() {
            for target in graph.get(next).into_iter().flatten() {
                if target == node {
                    return true;
                }
                if seen.insert(target) {
                    left.push(target);
                }
            }
        }
        false
    };
    graph
        .keys()
        .filter(|node| reaches_itself(node))
        .cloned()
        .collect()
}

#[test]
fn modules_form_no_cycle() {
    let mut cycles = Vec::new();
    for member in members() {
        for (parent, graph) in Crate::read(&root().join(&member)).edges() {
            let cycle = on_cycles(&graph);
            if !cycle.is_empty() {
                cycles.push(format!("{member}, below {parent:?}: {cycle:?}"));
            }
        }
    }
    assert!(
        cycles.is_empty(),
        "modules name each other:\n{}",
        cycles.join("\n")
    );
}

#[test]
fn a_cycle_is_seen_through_re_exports_and_nested_uses() {
    let module = |name: &str| vec![name.to_owned()];
    let mut planted = Crate::default();
    let files = [
        (
            Vec::new(),
            "mod a;\nmod b;\npub use b::{Deep, other::Name};",
        ),
        (
            module("a"),
            "use std::fmt;\nuse crate::{\n    Deep,\n};\nfn f() {}",
        ),
        (
            module("b"),
            "// use crate::c::X;\nfn g() { crate::a::f(\"crate::c::x\"); }",
        ),
        (module("c"), "use super::a::f;"),
    ];
    for (name, text) in files {
        planted.uses.insert(name, paths(&code(text)));
    }
    planted.exports.insert(
        (Vec::new(), "Deep".to_owned()),
        (module("b"), module("Deep")),
    );
    let edges = planted.edges();
    let found = on_cycles(&edges[&Vec::new()]);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}
