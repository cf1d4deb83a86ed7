//! The rules of the specification and the code that enforces them: each numbered rule of `docs/spec/compute.md` is cited
//! by code, and no code cites a rule that is not there. Tests do not count: a rule that only a test knows is enforced
//! nowhere.

use std::collections::BTreeSet;

use crate::modules::sources;
use crate::workspace::root;

/// A numbered rule.
type RuleNumber = u32;

/// Number of a rule's name such as `C12`, without what follows it.
fn number(name: &str) -> Option<RuleNumber> {
    let digits = name.strip_prefix('C')?;
    let end = digits
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// The rules that a specification defines: lines that begin with `- **C12.**`.
fn defined(spec: &str) -> Vec<RuleNumber> {
    spec.lines()
        .filter_map(|line| number(line.strip_prefix("- **")?))
        .collect()
}

/// The rules that comments of a source file cite: `rule C12`, `Rules C1, C2 and C3`.
fn cited(source: &str) -> BTreeSet<RuleNumber> {
    let comments = source.lines().filter_map(|line| line.split_once("//"));
    let words: Vec<_> = comments
        .flat_map(|(_, comment)| comment.split_whitespace())
        .map(|word| word.trim_start_matches(['/', '!', '(']))
        .collect();
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        if matches!(*word, "rule" | "Rule" | "rules" | "Rules") {
            let names = words[at + 1..].iter().filter(|word| **word != "and");
            found.extend(names.map_while(|name| number(name)));
        }
    }
    found
}

/// What does not hold between a specification and the code that cites it, one sentence each.
fn contradictions(spec: &str, cited: &BTreeSet<RuleNumber>) -> Vec<String> {
    let rules = defined(spec);
    let in_order = rules
        .iter()
        .zip(1..)
        .all(|(found, wanted)| *found == wanted);
    let order = (!in_order).then(|| "rules are not numbered 1, 2, 3, ...".to_owned());
    let uncited = rules.iter().filter(|rule| !cited.contains(rule));
    let unknown = cited.iter().filter(|rule| !rules.contains(rule));
    order
        .into_iter()
        .chain(uncited.map(|rule| format!("no code cites rule C{rule}")))
        .chain(unknown.map(|rule| format!("code cites C{rule}, which is no rule")))
        .collect()
}

#[test]
fn code_cites_every_rule_of_the_compute_spec_and_no_other() {
    let spec = std::fs::read_to_string(root().join("docs/spec/compute.md")).unwrap();
    assert!(defined(&spec).len() > 50, "the rules were not found");
    let mut all = BTreeSet::new();
    for krate in ["types", "vm", "light", "partner"] {
        let mut files = Vec::new();
        sources(&root().join(krate).join("src"), &mut files);
        for file in files {
            let is_test = ["/tests/", "/tests.rs"]
                .iter()
                .any(|part| file.to_str().unwrap().contains(part));
            if !is_test {
                all.extend(cited(&std::fs::read_to_string(file).unwrap()));
            }
        }
    }
    let found = contradictions(&spec, &all);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_rule_without_code_and_code_without_a_rule_are_found() {
    let spec = "- **C1.** First.\n  See C9.\n- **C2.** Second.\n- **C3.** Third.";
    let source = "//! Enforces rules C1 and C3.\nfn f() {} // (rule C2)\nconst C7: u8 = 7;";
    let cited = cited(source);
    assert_eq!(cited, BTreeSet::from([1, 2, 3]));
    assert_eq!(contradictions(spec, &cited), Vec::<String>::new());
    let less = BTreeSet::from([1, 2]);
    assert_eq!(contradictions(spec, &less), ["no code cites rule C3"]);
    let more = BTreeSet::from([1, 2, 3, 4]);
    assert_eq!(
        contradictions(spec, &more),
        ["code cites C4, which is no rule"]
    );
    let gap = spec.replace("**C2", "**C5");
    assert_eq!(contradictions(&gap, &cited).len(), 3);
}
