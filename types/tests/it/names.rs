//! One name, one thing: a type's name is defined once in the workspace, whatever crate it is in.

use std::collections::BTreeMap;

use crate::modules::{code, sources};
use crate::workspace::{members, root};

/// Names of a pattern that several crates follow.
const PATTERNS: &[&str] = &["Config", "Effect", "Error", "Event"];

/// The types that a text defines outside of its unit tests, at any depth.
fn types(text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for line in code.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let keyword = match words.as_slice() {
            [visibility, keyword, name, ..] if visibility.starts_with("pub") => {
                Some((keyword, name))
            }
            [keyword, name, ..] => Some((keyword, name)),
            _ => None,
        };
        let Some((keyword, name)) = keyword else {
            continue;
        };
        // Associated types are indented and named by their trait.
        let defines = ["struct", "enum", "trait", "union"].contains(keyword)
            || (*keyword == "type" && !line.starts_with(' '));
        if defines {
            let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

/// Where each type name is defined, unit tests aside.
fn definitions() -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in members() {
        let mut files = Vec::new();
        sources(&root().join(&member).join("src"), &mut files);
        for file in files {
            let path = file.strip_prefix(root()).unwrap().display().to_string();
            let is_test = ["/tests/", "/tests.rs"]
                .iter()
                .any(|part| path.contains(part));
            if is_test {
                continue;
            }
            for name in types(&std::fs::read_to_string(&file).unwrap()) {
                places.entry(name).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 200, "the types were not found");
    places
}

#[test]
fn the_glossary_names_types_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let defined = definitions();
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<_> = quoted.filter(|path| path.contains("::")).collect();
    assert!(paths.len() > 30, "the types of the glossary were not found");
    for path in paths {
        let mut parts = path.split("::");
        let crate_name = parts.next().unwrap();
        let name = path.rsplit("::").next().unwrap();
        if name.starts_with(char::is_uppercase) {
            let places = defined.get(name).into_iter().flatten();
            let inside = format!("{crate_name}/");
            let found = places.into_iter().any(|place| place.starts_with(&inside));
            let field = defined.contains_key(crate_name);
            // Some types are made by a macro: their name stands in the file of their module.
            let module = path.split("::").nth(1).unwrap();
            let file = root().join(crate_name).join(format!("src/{module}.rs"));
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let by_macro = text.contains(&format!("    {name}("));
            assert!(
                found || field || by_macro,
                "the glossary names {path}, which is not defined"
            );
        }
    }
}

#[test]
fn a_type_name_is_defined_once() {
    let places = definitions();
    let twice: Vec<_> = places
        .iter()
        .filter(|(name, places)| places.len() > 1 && !PATTERNS.contains(&name.as_str()))
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(
        twice.is_empty(),
        "{} names stand for several things:\n{}",
        twice.len(),
        twice.join("\n")
    );
}

#[test]
fn definitions_are_told_from_uses() {
    let text = "pub struct A(u8);\n    pub(crate) enum B {\n}\ntype C<'a> = &'a A;\n    type Output = A;\n\
        // struct D;\nlet x = \"struct E\";\n#[cfg(test)]\nmod tests {\n    struct F;\n}\n";
    assert_eq!(types(text), ["A", "B", "C"]);
}
