//! A scalar of the document, read as what its field takes. Every mistake names the line, the field and what was expected.

use std::str::FromStr;

use serde_saphyr::Spanned;

use super::document::Scalar;
use super::mistake::{FoundValue, Mistake, SpecError, expected_at};

/// Units of time with their milliseconds.
pub const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
/// Units of sizes with their bytes; decimal and binary ones.
pub const BYTE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
/// Suffixes of fuel with their factors.
pub const FUEL_UNITS: [(&str, u64); 4] = [
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];
/// Digits that a probability has after its point at most.
const PROBABILITY_DIGITS: usize = 6;

/// A scalar and its path.
#[derive(Debug)]
pub struct Field<'a> {
    path: String,
    scalar: &'a Scalar,
}

impl<'a> Field<'a> {
    /// The scalar at a path.
    pub fn new(path: impl Into<String>, scalar: &'a Scalar) -> Self {
        Self {
            path: path.into(),
            scalar,
        }
    }

    /// The scalar at a path, if it was written.
    pub fn optional(path: &str, scalar: Option<&'a Scalar>) -> Option<Self> {
        scalar.map(|scalar| Self::new(path, scalar))
    }

    /// The field `name` of the mapping at `path`, which begins at `line`.
    pub fn required(
        path: &str,
        line: u64,
        name: &'static str,
        scalar: Option<&'a Scalar>,
    ) -> Result<Self, SpecError> {
        required(path, line, name, scalar).map(|scalar| Self::new(join(path, name), scalar))
    }

    /// The line it is on.
    pub fn line(&self) -> u64 {
        self.scalar.referenced.line()
    }

    /// Its path, as in `inputs[0].target`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text as it was written.
    pub fn text(&self) -> &'a str {
        &self.scalar.value
    }

    /// The mistake, with this field's line and path.
    pub fn error(&self, mistake: Mistake) -> SpecError {
        SpecError::new(self.line(), self.path.clone(), mistake)
    }

    /// The text is none that this field takes.
    pub fn expected(&self) -> SpecError {
        self.expected_instead(expected_at(&self.path))
    }

    /// The text is not `what` this field takes here.
    pub fn expected_instead(&self, what: String) -> SpecError {
        let found = FoundValue::of(self.text());
        self.error(Mistake::Expected { what, found })
    }

    /// A text that a type reads itself.
    pub fn parsed<T: FromStr>(&self) -> Result<T, SpecError> {
        self.text().parse().map_err(|_| self.expected())
    }

    /// A whole number within bounds. Underscores may group digits.
    pub fn integer(&self, min: u64, max: u64) -> Result<u64, SpecError> {
        let value = self.text().replace('_', "").parse::<u64>().ok();
        value
            .filter(|value| (min..=max).contains(value))
            .ok_or_else(|| {
                let what = expected_at(&self.path);
                self.expected_instead(format!("{what}: a whole number from {min} to {max}"))
            })
    }

    /// A whole number with one of the units, as in `256MiB`, within bounds; `what` says what it counts.
    pub fn scaled(
        &self,
        units: &[(&str, u64)],
        min: u64,
        max: u64,
        what: &str,
    ) -> Result<u64, SpecError> {
        let text = self.text().replace('_', "");
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "" => Some(1),
            unit => units.iter().find(|(name, _)| *name == unit).map(|u| u.1),
        };
        let value = digits
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(value, factor)| value.checked_mul(factor));
        let found = value.ok_or_else(|| self.expected())?;
        if (min..=max).contains(&found) {
            return Ok(found);
        }
        Err(self.error(Mistake::OutOfLimits {
            what: what.to_owned(),
            min,
            max,
            found,
        }))
    }

    /// A decimal above 0 and below 1, in millionths.
    pub fn millionths(&self) -> Result<u32, SpecError> {
        let expected = || self.expected();
        let digits = self.text().strip_prefix("0.").ok_or_else(expected)?;
        if digits.len() > PROBABILITY_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit())
        {
            return Err(expected());
        }
        format!("{digits:0<PROBABILITY_DIGITS$}")
            .parse()
            .ok()
            .filter(|value| *value > 0)
            .ok_or_else(expected)
    }
}

/// The value of the field `name` of the mapping at `path`, which begins at `line`.
pub fn required<'a, T>(
    path: &str,
    line: u64,
    name: &'static str,
    value: Option<&'a Spanned<T>>,
) -> Result<&'a Spanned<T>, SpecError> {
    value.ok_or_else(|| {
        let what = expected_at(&join(path, name));
        SpecError::new(line, path.to_owned(), Mistake::MissingField { name, what })
    })
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
