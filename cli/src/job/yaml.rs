//! A YAML document as a tree in which every node knows its line, so that whoever reads a field can say where it is.
//!
//! Scalars keep the text as it was written: `0.10` stays `0.10`, `no` stays `no`, and whether a field wants a number, a
//! boolean or a text is its reader's business, not the guess of a YAML schema. Only what is empty, `~` or `null` without
//! quotes is nothing.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A node of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it starts; the first line is 1.
    pub line: u64,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written.
    Null,
    /// Text, number or boolean, as it was written (without quotes).
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written: key, line of the key, value.
    Map(Vec<(String, u64, Node)>),
}

/// A document that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where; 0 if unknown.
    pub line: u64,
    /// What the parser says.
    pub message: String,
}

impl Value {
    /// What it is, for messages: "found a list".
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Scalar(text) if text.chars().count() > 60 => "a long text".to_owned(),
            Self::Scalar(text) => format!("{text:?}"),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads one document.
pub fn parse(source: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options) {
        Ok(root) => Ok(finish(root, source)),
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let message = error
                .to_string()
                .lines()
                .next()
                .unwrap_or("not YAML")
                .to_owned();
            Err(SyntaxError { line, message })
        }
    }
}

/// A node as the deserializer gives it: numbers and booleans have lost their spelling, which the span gives back.
#[derive(Debug)]
enum Raw {
    Null,
    Text(String),
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn finish(node: Spanned<Raw>, source: &str) -> Node {
    let line = node.referenced.line();
    let value = match node.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(text),
        Raw::Plain => {
            let span = node.defined.span();
            let start = usize::try_from(span.offset()).unwrap_or(usize::MAX);
            let length = usize::try_from(span.len()).unwrap_or(0);
            Value::Scalar(
                source
                    .chars()
                    .skip(start)
                    .take(length)
                    .collect::<String>()
                    .trim()
                    .to_owned(),
            )
        }
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| finish(item, source)).collect())
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, item)| (key.value, key.referenced.line(), finish(item, source)))
                .collect(),
        ),
    };
    Node { line, value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_spelling_and_nodes_their_lines() {
        let root = parse("a: 0.10\nb:\n  - 1_000\n  - \"7\"\n  - true\nc: {d: ~, e: 0x10}\nf: 18446744073709551616\n")
            .unwrap();
        let Value::Map(entries) = root.value else {
            panic!("a mapping")
        };
        let scalar = |text: &str, line| Node {
            line,
            value: Value::Scalar(text.to_owned()),
        };
        assert_eq!(entries[0], ("a".to_owned(), 1, scalar("0.10", 1)));
        let items = vec![scalar("1_000", 3), scalar("7", 4), scalar("true", 5)];
        assert_eq!(entries[1].2.value, Value::List(items));
        let Value::Map(inner) = &entries[2].2.value else {
            panic!("a mapping")
        };
        assert_eq!(inner[0].2.value, Value::Null);
        assert_eq!(inner[1].2, scalar("0x10", 6));
        assert_eq!(entries[3].2, scalar("18446744073709551616", 7));
    }

    /// The items of a list of scalars.
    fn scalars(source: &str) -> Vec<Value> {
        let Value::List(items) = parse(source).unwrap().value else {
            panic!("a list: {source:?}")
        };
        items.into_iter().map(|item| item.value).collect()
    }

    #[test]
    fn scalars_keep_their_text_whatever_a_schema_would_make_of_it() {
        let texts = [
            "y",
            "Y",
            "n",
            "yes",
            "No",
            "NO",
            "on",
            "Off",
            "off",
            "true",
            "True",
            "TRUE",
            "false",
            "False",
            "0x10",
            "0o17",
            "007",
            "1e3",
            "1E3",
            "+1",
            "-0",
            "1_000",
            "0b1",
            "1.",
            ".5",
            "-.inf",
            ".NaN",
            "nan",
            "0.10",
            "12:30:45",
            "2020-01-01",
            "18446744073709551616",
            "=",
            "<<",
            "null0",
            "nULl-",
        ];
        for text in texts {
            let expected = vec![Value::Scalar(text.to_owned()); 2];
            for source in [
                format!("[{text}, {text}]"),
                format!("[ {text} , {text} ]"),
                format!("- {text}\n- {text} # a comment\n"),
                format!("- {text}\r\n- {text}\r\n"),
                format!("# größer ✓\n- {text}\n- {text}"),
                format!("\u{feff}- {text}\n- {text}"),
                format!("- \"{text}\"\n- '{text}'\n"),
                format!("- &a {text}\n- *a\n"),
            ] {
                assert_eq!(scalars(&source), expected, "{source:?}");
            }
        }
    }

    #[test]
    fn keys_keep_their_text_too() {
        for text in [
            "y",
            "No",
            "on",
            "True",
            "0x10",
            "007",
            "1e3",
            "1.0",
            "2020-01-01",
        ] {
            let root = parse(&format!("{text}: 1\n")).unwrap();
            let Value::Map(entries) = root.value else {
                panic!("a mapping")
            };
            assert_eq!(entries[0].0, text);
        }
    }

    #[test]
    fn only_an_unquoted_null_is_nothing() {
        for text in ["~", "null", "Null", "NULL", ""] {
            assert_eq!(
                scalars(&format!("- {text}\n- '{text}'\n")),
                [Value::Null, Value::Scalar(text.to_owned())]
            );
        }
    }

    #[test]
    fn what_is_not_yaml_names_its_line() {
        assert_eq!(parse("a: 1\nb: [1, 2\n").unwrap_err().line, 2);
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err().line, 2);
    }
}
