//! Reading a document's fields by name: every mistake names the line, the field and what was expected there.

use std::fmt;

use super::yaml::{Node, SyntaxError, Value};

/// A mistake in a job spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// The line; 0 if the document has no such place.
    pub line: u64,
    /// The field's path, as in `inputs[0].target`; empty for the document.
    pub field: String,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl From<SyntaxError> for SpecError {
    fn from(error: SyntaxError) -> Self {
        Self {
            line: error.line,
            field: String::new(),
            message: format!("expected YAML: {}", error.message),
        }
    }
}

/// A node with its path.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Field<'a> {
    /// The document.
    pub fn root(node: &'a Node) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    /// The line it starts on.
    pub fn line(&self) -> u64 {
        self.node.line
    }

    /// The path of the field.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An error at this field.
    pub fn error(&self, message: impl Into<String>) -> SpecError {
        SpecError {
            line: self.node.line,
            field: self.path.clone(),
            message: message.into(),
        }
    }

    /// An error that says what was expected instead of this field's value.
    pub fn expected(&self, what: &str) -> SpecError {
        self.error(format!("expected {what}, found {}", self.node.value.kind()))
    }

    fn child(&self, key: &str, node: &'a Node) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self { node, path }
    }

    /// The entries of a mapping with exactly the `known` keys, none of them twice.
    pub fn mapping(&self, known: &[&str]) -> Result<Mapping<'a>, SpecError> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.expected(&format!("a mapping with {}", known.join(", "))));
        };
        for (key, line, _) in entries {
            if !known.contains(&key.as_str()) {
                let field = if self.path.is_empty() {
                    key.clone()
                } else {
                    format!("{}.{key}", self.path)
                };
                let message = format!("unknown field; expected one of {}", known.join(", "));
                return Err(SpecError {
                    line: *line,
                    field,
                    message,
                });
            }
        }
        Ok(Mapping {
            field: self.clone(),
            entries,
        })
    }

    /// The entries of a mapping with free keys.
    pub fn entries(&self) -> Result<Vec<(&'a str, Field<'a>)>, SpecError> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries
                .iter()
                .map(|(key, _, node)| (key.as_str(), self.child(key, node)))
                .collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(self.expected("a mapping from names to texts")),
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Result<Vec<Field<'a>>, SpecError> {
        match &self.node.value {
            Value::List(items) => {
                let at = |(index, node)| Field {
                    node,
                    path: format!("{}[{index}]", self.path),
                };
                Ok(items.iter().enumerate().map(at).collect())
            }
            Value::Null => Ok(Vec::new()),
            _ => Err(self.expected("a list")),
        }
    }

    /// A scalar's text.
    pub fn text(&self, what: &str) -> Result<&'a str, SpecError> {
        match &self.node.value {
            Value::Scalar(text) => Ok(text),
            _ => Err(self.expected(what)),
        }
    }

    /// A whole number within bounds. Underscores may group digits.
    pub fn integer(&self, least: u64, most: u64, what: &str) -> Result<u64, SpecError> {
        let expected = || self.expected(&format!("{what}: a whole number from {least} to {most}"));
        let digits = self.text(what)?.replace('_', "");
        let value = digits.parse::<u64>().map_err(|_| expected())?;
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(expected())
        }
    }

    /// A whole number with one of the units, as in `256MiB`, within bounds.
    pub fn scaled(
        &self,
        units: &[(&str, u64)],
        least: u64,
        most: u64,
        what: &str,
    ) -> Result<u64, SpecError> {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let expected = || {
            self.expected(&format!(
                "{what}: a whole number with one of the units {names} or none"
            ))
        };
        let text = self.text(what)?.replace('_', "");
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = unit.trim();
        let factor = if unit.is_empty() {
            Some(1)
        } else {
            units.iter().find(|(name, _)| *name == unit).map(|u| u.1)
        };
        let value = digits
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(value, factor)| value.checked_mul(factor));
        let value = value.ok_or_else(expected)?;
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        Err(self.error(format!(
            "expected {what} from {least} to {most}, found {value}: the limit is {most}"
        )))
    }

    /// A decimal above 0 and below 1 with at most 6 digits after its point, in millionths.
    pub fn millionths(&self, what: &str) -> Result<u32, SpecError> {
        let expected = || self.expected(&format!("{what}, with at most 6 digits after the point"));
        let digits = self.text(what)?.strip_prefix("0.").ok_or_else(expected)?;
        if digits.len() > 6 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(expected());
        }
        format!("{digits:0<6}")
            .parse()
            .ok()
            .filter(|value| *value > 0)
            .ok_or_else(expected)
    }

    /// A scalar that a type reads itself.
    pub fn parsed<T: std::str::FromStr>(&self, what: &str) -> Result<T, SpecError> {
        self.text(what)?.parse().map_err(|_| self.expected(what))
    }
}

/// The fields of a mapping.
#[derive(Debug, Clone)]
pub struct Mapping<'a> {
    field: Field<'a>,
    entries: &'a [(String, u64, Node)],
}

impl<'a> Mapping<'a> {
    /// The field, if it was written with a value.
    pub fn optional(&self, key: &str) -> Option<Field<'a>> {
        let (_, _, node) = self.entries.iter().find(|(name, _, _)| name == key)?;
        (node.value != Value::Null).then(|| self.field.child(key, node))
    }

    /// The field; its absence is a mistake of the mapping.
    pub fn required(&self, key: &str, what: &str) -> Result<Field<'a>, SpecError> {
        self.optional(key).ok_or_else(|| {
            self.field
                .error(format!("expected the field {key}: {what}"))
        })
    }
}
