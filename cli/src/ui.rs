//! What a person or a program sees: progress on a terminal, plain lines otherwise, and with `--json` objects: the
//! result on standard output, progress as one object a line on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use keys::passphrase::{PassphraseSource, Passphrases};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Where a command's output goes.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// True if standard output is to hold one JSON object and nothing else.
    pub json: bool,
    terminal: bool,
    /// Where a passphrase is read from, for the length of the process; the passphrase itself is not kept here.
    passphrase: Option<&'static PassphraseSource>,
}

impl Ui {
    /// Looks at standard error: progress is drawn only on a terminal.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stderr().is_terminal(),
            passphrase: None,
        }
    }

    /// The same with a file of a passphrase.
    pub fn with_passphrase(self, source: Option<PassphraseSource>) -> Self {
        let passphrase = source.map(|source| &*Box::leak(Box::new(source)));
        Self { passphrase, ..self }
    }

    /// How this command comes by the passphrase of key files: from the file that was given, else from the terminal. Read once for
    /// each command: a descriptor gives nothing twice.
    pub fn passphrases(self) -> Passphrases {
        let prompt = self.terminal && std::io::stdin().is_terminal();
        Passphrases::new(self.passphrase.cloned(), prompt.then_some(ask))
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

    /// A line on the way, on standard error: for people as it is, with `--json` as an object on one line.
    pub fn line(self, text: &str) {
        self.progress(text, json!({}));
    }

    /// A line on the way with what programs want to know of it.
    pub fn progress(self, text: &str, mut object: Value) {
        let mut err = std::io::stderr().lock();
        let _ = if self.json {
            object["progress"] = json!(text);
            writeln!(err, "{object}")
        } else if self.terminal {
            // A spinner may stand in the line.
            writeln!(err, "\r\x1b[2K{text}")
        } else {
            writeln!(err, "{text}")
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
        let progress = ProgressLine::new(bar, self, 0);
        progress.message(message);
        progress
    }

    /// A bar over a number of bytes.
    pub fn bytes(self, total: u64, message: &str) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(Some(total), self.target());
        let template = "{msg} {percent} % {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        let progress = ProgressLine::new(bar, self, total);
        progress.message(message);
        progress
    }

    fn target(self) -> ProgressDrawTarget {
        if self.terminal && !self.json {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }
    }
}

/// Asks on the terminal; what is typed is not shown.
fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let terminal = console::Term::stderr();
    terminal.write_str(question)?;
    terminal.read_secure_line().map(Zeroizing::new)
}

/// Progress of one piece of long work.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    ui: Ui,
    /// Length of the bar, zero for a spinner.
    total: u64,
    /// The last percentage that was told off a terminal.
    told: AtomicU64,
}

/// Percentages between two lines off a terminal.
const PERCENT_STEP: u64 = 10;

impl ProgressLine {
    fn new(bar: ProgressBar, ui: Ui, total: u64) -> Self {
        Self {
            bar,
            ui,
            total,
            told: AtomicU64::new(0),
        }
    }

    /// Shows another text beside the spinner or bar.
    pub fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if self.is_told_in_lines() {
            self.ui.line(text);
        }
    }

    /// Shows another text, and gives programs what it says of a state that was reached after a time.
    pub fn report(&self, text: &str, mut state: Value, elapsed: Duration) {
        self.bar.set_message(text.to_owned());
        if self.is_told_in_lines() {
            state["elapsed_ms"] = json!(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            self.ui.progress(text, state);
        }
    }

    /// Adds to a bar.
    pub fn advance(&self, amount: u64) {
        self.bar.inc(amount);
        if self.total == 0 || !self.is_told_in_lines() {
            return;
        }
        let percent = self.bar.position().saturating_mul(100) / self.total;
        let step = percent / PERCENT_STEP * PERCENT_STEP;
        if self.told.swap(step, Ordering::Relaxed) < step {
            let object =
                json!({ "percent": step, "bytes": self.bar.position(), "total_bytes": self.total });
            let text = format!(
                "{} {step} % of {}",
                self.bar.message(),
                HumanBytes(self.total)
            );
            self.ui.progress(&text, object);
        }
    }

    /// Takes the drawing away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn is_told_in_lines(&self) -> bool {
        self.ui.json || !self.ui.terminal
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
