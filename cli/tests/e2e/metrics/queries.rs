//! The queries of dashboards and alert rules: which metrics and labels each of them uses.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Labels that Prometheus adds to every series.
const ADDED: [&str; 2] = ["instance", "job"];
/// Ends of the series of a histogram.
const HISTOGRAM_ENDS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Words of PromQL that labels follow.
const GROUPING: [&str; 6] = [
    "by",
    "on",
    "ignoring",
    "without",
    "group_left",
    "group_right",
];

/// Labels of each known metric, by name.
pub type KnownMetrics = BTreeMap<String, Vec<String>>;

/// A query with what shows its result.
#[derive(Debug, Clone)]
pub struct Query {
    /// File and title, for messages.
    pub place: String,
    /// PromQL.
    pub expression: String,
    /// Labels that the text beside the result names.
    pub shown: BTreeSet<String>,
}

/// A name, a mark or a text of PromQL.
#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Mark(char),
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '$';
        let length = if first == '"' {
            rest[1..].find('"').expect("a text ends") + 2
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            all.push(Token::Word(&rest[..length]));
            length
        } else {
            if !first.is_whitespace() {
                all.push(Token::Mark(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    all
}

/// Takes an opening mark, if it comes next.
fn opens<'a>(tokens: &mut Peekable<impl Iterator<Item = Token<'a>>>, mark: char) -> bool {
    tokens.next_if_eq(&Token::Mark(mark)).is_some()
}

/// The words up to a closing mark; those before `=`, `!` and `~` are all that a selector has.
fn words_until<'a>(tokens: &mut impl Iterator<Item = Token<'a>>, end: char) -> Vec<&'a str> {
    let inside = tokens.take_while(|token| *token != Token::Mark(end));
    let words = inside.filter_map(|token| match token {
        Token::Word(word) => Some(word),
        Token::Mark(_) => None,
    });
    words.collect()
}

impl Query {
    /// The metrics that it reads. Errors: a metric that nothing shows, or a label that none of its metrics has.
    pub fn metrics(&self, known: &KnownMetrics) -> Result<BTreeSet<String>, String> {
        let mut tokens = tokens(&self.expression).into_iter().peekable();
        let (mut metrics, mut labels, mut needed) = (
            BTreeSet::new(),
            BTreeSet::from(ADDED.map(str::to_owned)),
            Vec::new(),
        );
        while let Some(token) = tokens.next() {
            let Token::Word(word) = token else { continue };
            if GROUPING.contains(&word) {
                if opens(&mut tokens, '(') {
                    needed.extend(words_until(&mut tokens, ')'));
                }
            } else if word.starts_with("gridproof_") || word.starts_with("process_") {
                let ends = HISTOGRAM_ENDS
                    .iter()
                    .filter_map(|end| word.strip_suffix(end));
                let name = std::iter::once(word)
                    .chain(ends)
                    .find(|name| known.contains_key(*name));
                let name = name.ok_or_else(|| format!("{}: nothing shows {word}", self.place))?;
                let own = &known[name];
                if word.ends_with("_bucket") {
                    labels.insert("le".to_owned());
                }
                if opens(&mut tokens, '{') {
                    for label in words_until(&mut tokens, '}') {
                        let has = own.iter().any(|own| own == label) || ADDED.contains(&label);
                        if !has {
                            return Err(format!("{}: {word} has no label {label}", self.place));
                        }
                    }
                }
                labels.extend(own.iter().cloned());
                metrics.insert(name.to_owned());
            } else if word == "up" && opens(&mut tokens, '{') {
                words_until(&mut tokens, '}');
            }
        }
        let shown = self.shown.iter().map(String::as_str);
        match needed
            .into_iter()
            .chain(shown)
            .find(|label| !labels.contains(*label))
        {
            Some(label) => Err(format!("{}: no metric has the label {label}", self.place)),
            None => Ok(metrics),
        }
    }
}

/// The words between two marks of a text, as in `{{validator}}`.
fn between(text: &str, open: &str, close: &str) -> BTreeSet<String> {
    let parts = text.split(open).skip(1);
    let words = parts.filter_map(|part| part.split_once(close).map(|(word, _)| word));
    words.map(|word| word.trim().to_owned()).collect()
}

/// A folder of the checkout.
pub fn folder(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join(path)
}

/// The dashboards, by file name.
pub fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder("deploy/grafana/dashboards")).unwrap();
    let read = files.map(|file| {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).unwrap())
    });
    read.collect()
}

/// The queries of all panels.
pub fn of_dashboards() -> Vec<Query> {
    let mut all = Vec::new();
    for (file, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                all.push(Query {
                    place: format!("{file}, {}", panel["title"]),
                    expression: target["expr"].as_str().unwrap().to_owned(),
                    shown: between(target["legendFormat"].as_str().unwrap(), "{{", "}}"),
                });
            }
        }
    }
    all
}

/// The queries of all alert rules. Each rule has its keys on lines of their own.
pub fn of_alerts() -> Vec<Query> {
    let text = std::fs::read_to_string(folder("deploy/prometheus/rules/alerts.yml")).unwrap();
    let rules = text.split("- alert: ").skip(1).map(|rule| {
        let name = rule.lines().next().unwrap().to_owned();
        let expression = rule
            .lines()
            .find_map(|line| line.trim().strip_prefix("expr: "));
        let values = between(rule, "$labels.", " ").into_iter();
        Query {
            place: name,
            expression: expression.unwrap().to_owned(),
            shown: values.collect(),
        }
    });
    rules.collect()
}

#[test]
fn a_query_of_an_unknown_metric_or_label_is_found() {
    let known = KnownMetrics::from([
        ("gridproof_a_total".to_owned(), vec!["kind".to_owned()]),
        ("gridproof_b_seconds".to_owned(), vec![]),
    ]);
    let check = |expression: &str, shown: &str| {
        let query = Query {
            place: "here".to_owned(),
            expression: expression.to_owned(),
            shown: between(shown, "{{", "}}"),
        };
        query.metrics(&known)
    };
    let good = [
        (
            "sum by (kind) (rate(gridproof_a_total{kind=~\"x|by (y)\", instance=\"$i\"}[5m]))",
            "{{kind}}",
        ),
        (
            "histogram_quantile(0.9, sum by (le) (rate(gridproof_b_seconds_bucket[1m])))",
            "",
        ),
        (
            "gridproof_b_seconds_sum / on (instance) gridproof_b_seconds_count",
            "{{instance}}",
        ),
        ("up{job=\"gridproof\"} == 0", "{{job}}"),
    ];
    for (expression, shown) in good {
        assert!(check(expression, shown).is_ok(), "{expression}");
    }
    let bad = [
        ("rate(gridproof_c_total[5m])", ""),
        ("gridproof_a", ""),
        ("gridproof_a_total{other=\"x\"}", ""),
        ("sum by (other) (gridproof_a_total)", ""),
        ("gridproof_b_seconds_sum", "{{kind}}"),
        ("sum by (le) (gridproof_a_total)", ""),
    ];
    for (expression, shown) in bad {
        assert!(check(expression, shown).is_err(), "{expression}");
    }
}
