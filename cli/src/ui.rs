//! What a person or a program sees: progress on a terminal, plain lines otherwise, one JSON object with `--json`.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Where a command's output goes.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// True if standard output is to hold one JSON object and nothing else.
    pub json: bool,
    terminal: bool,
}

impl Ui {
    /// Looks at standard error: progress is drawn only on a terminal.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// The final result: `json` for programs, `text` for people.
    pub fn result(self, json: &Value, text: &str) {
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's choice, not an error.
        let _ = if self.json {
            writeln!(out, "{json:#}")
        } else {
            writeln!(out, "{text}")
        };
    }

    /// A line for people on the way; with `--json` it goes to standard error.
    pub fn line(self, text: &str) {
        let _ = if self.json || self.terminal {
            writeln!(std::io::stderr().lock(), "{text}")
        } else {
            writeln!(std::io::stdout().lock(), "{text}")
        };
    }

    /// The one object of standard output.
    pub fn object(json: &Value) {
        let _ = writeln!(std::io::stdout().lock(), "{json:#}");
    }

    /// A failure on standard error; with `--json` also the object on standard output.
    pub fn failure(self, failure: &crate::failure::CommandFailure) {
        if self.json {
            Self::object(&failure.to_json());
        }
        let _ = writeln!(std::io::stderr().lock(), "{failure}");
    }

    /// A spinner with a changing message, for waiting. Off a terminal each message is a line.
    pub fn spinner(self, message: &str) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").expect("a valid template"),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        let progress = ProgressLine { bar, ui: self };
        progress.message(message);
        progress
    }

    /// A bar over a number of bytes.
    pub fn bytes(self, total: u64, message: &str) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(Some(total), self.target());
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        let progress = ProgressLine { bar, ui: self };
        progress.message(message);
        progress
    }

    fn target(self) -> ProgressDrawTarget {
        if self.terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }
    }
}

/// Progress of one piece of long work.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    ui: Ui,
}

impl ProgressLine {
    /// Shows another text beside the spinner or bar.
    pub fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if !self.ui.terminal {
            self.ui.line(text);
        }
    }

    /// Adds to a bar.
    pub fn advance(&self, amount: u64) {
        self.bar.inc(amount);
    }

    /// Takes the drawing away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The present time of this machine, in milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "what is shown to people is told beside their clock"
)]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
