//! The ledger on disk: `ledger.jsonl`, one entry a line, and `ledger.json`, what was seen last with the sums.
//!
//! Both can be lost without harm to anything but the operator's books. The lines are bounded: a full file becomes
//! `ledger.1.jsonl` in place of the one before; the sums go on.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::hash::Address;
use types::params::Params;

use super::{BookedState, LedgerEntry, LedgerTotals, entries, news, share};
use crate::core::ProvenState;

/// Name of the file with what was seen last and the sums.
pub const LEDGER_FILE: &str = "ledger.json";
/// Names of the files with the lines, the older one first.
const LINES: [&str; 2] = ["ledger.1.jsonl", "ledger.jsonl"];
/// Length from which on a file of lines is put aside, in bytes: some 30,000 entries.
const MAX_LINES_BYTES: u64 = 8 << 20;
/// Longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 4_096;
/// Longest file of sums that is read, in bytes: one with as many duties as there are places.
const MAX_BOOK_BYTES: u64 = 1 << 20;

/// What was seen last, and the sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerBook {
    /// The newest state; none before the first.
    pub seen: Option<BookedState>,
    /// Sums since the ledger began.
    pub totals: LedgerTotals,
}

impl LedgerBook {
    /// The book of a partner's directory; none before the daemon has seen a state.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(LEDGER_FILE);
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > MAX_BOOK_BYTES => {
                return Err(io::Error::other("it is too long"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let book = serde_json::from_slice(&std::fs::read(&path)?)?;
        Ok(Some(book))
    }

    /// The entries that are kept, oldest first. A line that cannot be read is left out.
    pub fn entries(dir: &Path) -> Vec<LedgerEntry> {
        let mut all = Vec::new();
        for name in LINES {
            let Ok(file) = std::fs::File::open(dir.join(name)) else {
                continue;
            };
            let lines = BufReader::new(io::Read::take(file, 2 * MAX_LINES_BYTES)).lines();
            let short = lines
                .map_while(Result::ok)
                .filter(|line| line.len() <= MAX_LINE_BYTES);
            all.extend(short.filter_map(|line| serde_json::from_str::<LedgerEntry>(&line).ok()));
        }
        all
    }
}

/// The ledger as the daemon keeps it.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    own: Address,
    book: LedgerBook,
    /// True after a write failed and before one succeeds: it is told once.
    failed: bool,
}

impl Ledger {
    /// Goes on with the ledger of a partner's directory. One that cannot be read begins anew.
    #[must_use]
    pub fn open(dir: &Path, own: Address) -> Self {
        let book = LedgerBook::read(dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the ledger {LEDGER_FILE} cannot be read and begins anew");
            None
        });
        Self {
            dir: dir.to_owned(),
            own,
            book: book.unwrap_or_default(),
            failed: false,
        }
    }

    /// Sums since the ledger began.
    #[must_use]
    pub fn totals(&self) -> &LedgerTotals {
        &self.book.totals
    }

    /// Compares a state with the newest one before, writes what came of it and tells it.
    pub fn take(&mut self, proven: &ProvenState) {
        let mut after = BookedState::of(proven, &self.own);
        let mut before = self.book.seen.take();
        if let Some(newer) = before
            .as_ref()
            .filter(|before| before.height > after.height)
        {
            self.book.seen = Some(newer.clone());
            return;
        }
        if let Some(before) = &mut before {
            before.judge(&after, proven, &self.own);
            after.keep_ending(before, proven.newest);
        }
        let params: &Params = &proven.params;
        for text in news(before.as_ref(), &after, params.epoch(proven.height)) {
            tracing::info!("{text}");
        }
        let new = before
            .as_ref()
            .map(|before| entries(before, &after, params.min_fee));
        if let (Some(before), Some(new)) = (&before, &new) {
            after.shares = share::awaited(before, &after, proven, new);
        }
        if before.is_none() {
            self.book.totals.since = after.time;
        }
        let is_same = before.as_ref().is_some_and(|before| {
            (before.balance, before.bond, before.unbonding, before.offer)
                == (after.balance, after.bond, after.unbonding, after.offer)
                && (&before.duties, &before.shares) == (&after.duties, &after.shares)
        });
        self.book.seen = Some(after);
        for entry in new.iter().flatten() {
            if entry.lost == types::number::Amount::ZERO {
                tracing::info!("{}", entry.words());
            } else {
                tracing::warn!("{}", entry.words());
            }
            self.book.totals.add(entry);
        }
        if is_same {
            return;
        }
        let written = self.write(&new.unwrap_or_default());
        if let Err(error) = &written
            && !self.failed
        {
            tracing::warn!(%error, "the ledger cannot be written: sums of this time may be lacking");
        }
        self.failed = written.is_err();
    }

    fn write(&self, new: &[LedgerEntry]) -> io::Result<()> {
        let [old, lines] = LINES.map(|name| self.dir.join(name));
        if !new.is_empty() {
            let full = std::fs::metadata(&lines).is_ok_and(|found| found.len() > MAX_LINES_BYTES);
            if full {
                std::fs::rename(&lines, old)?;
            }
            let mut file = OpenOptions::new().create(true).append(true).open(&lines)?;
            let mut text = Vec::new();
            for entry in new {
                serde_json::to_writer(&mut text, entry)?;
                text.push(b'\n');
            }
            file.write_all(&text)?;
        }
        let (path, next) = (self.dir.join(LEDGER_FILE), self.dir.join("ledger.json.new"));
        std::fs::write(&next, serde_json::to_vec(&self.book)?)?;
        std::fs::rename(next, path)
    }
}
