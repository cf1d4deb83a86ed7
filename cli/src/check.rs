//! What `doctor` found: one line for each check, and what to do where one fails.

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// As it should be.
    Fine,
    /// It works, perhaps not as meant.
    Doubtful,
    /// It cannot work.
    Wrong,
    /// Not looked at, because something before it is wrong or an argument is missing.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A stable short name.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Finding,
    /// What is there.
    pub found: String,
    /// What to do about it; none where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    /// One that ended well.
    pub fn fine(name: &'static str, found: impl Into<String>) -> Self {
        Self::of(name, Finding::Fine, found, None)
    }

    /// One that found something which works, perhaps not as meant.
    pub fn doubtful(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(name, Finding::Doubtful, found, Some(hint.into()))
    }

    /// One that found what cannot work.
    pub fn wrong(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(name, Finding::Wrong, found, Some(hint.into()))
    }

    /// One that was not made.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::of(name, Finding::Skipped, why, None)
    }

    fn of(
        name: &'static str,
        outcome: Finding,
        found: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            name,
            outcome,
            found: found.into(),
            hint,
        }
    }

    /// The check for people.
    pub fn line(&self) -> String {
        let mark = match self.outcome {
            Finding::Fine => "ok     ",
            Finding::Doubtful => "look   ",
            Finding::Wrong => "WRONG  ",
            Finding::Skipped => "skipped",
        };
        let hint = self
            .hint
            .as_ref()
            .map(|hint| format!("\n{:25}-> {hint}", ""))
            .unwrap_or_default();
        format!("{mark} {:<16} {}{hint}", self.name, self.found)
    }
}

/// Shows every check, with what else a program wants to know; a failure if one of them is wrong.
pub fn conclude(checks: &[Check], about: Value, ui: Ui) -> Result<(), CommandFailure> {
    let wrong: Vec<_> = checks
        .iter()
        .filter(|check| check.outcome == Finding::Wrong)
        .map(|check| check.name)
        .collect();
    let lines: Vec<_> = checks.iter().map(Check::line).collect();
    let mut object = about;
    object["checks"] = json!(checks);
    if wrong.is_empty() {
        ui.result(&object, &lines.join("\n"));
        return Ok(());
    }
    if !ui.json {
        ui.result(&Value::Null, &lines.join("\n"));
    }
    let message = format!("wrong: {}", wrong.join(", "));
    Err(CommandFailure::new(ExitKind::BadInput, "doctor", message)
        .hint("mend the first one, then run this again: what follows often rests on it")
        .with_all(object))
}
