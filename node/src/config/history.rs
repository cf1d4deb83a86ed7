//! The configuration of the store: how much of the past is kept, and the share of the machine that this takes.

use serde::{Deserialize, Serialize};
use store::{HistoryPreset, KeptHistory, LEAST_BLOCKS, StoreSettings};

use crate::machine;

/// The share of the machine's memory that a store takes where nothing else is said, in percent.
const MEMORY_PERCENT: u8 = 10;
/// The same of the files that the process may open.
const OPEN_FILES_PERCENT: u8 = 25;
/// The largest share that may be set, in percent: the node needs memory and files for more than its store.
const MOST_PERCENT: u8 = 80;

/// What a node keeps of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryKind {
    /// Every block, and the state of every height.
    Archive,
    /// Every block, and the state of the newest heights.
    #[default]
    Full,
    /// The newest blocks, and the state of the newest heights.
    Validator,
}

/// What a node keeps of the chain, and what that takes of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Preset of what is kept.
    pub history: HistoryKind,
    /// Number of newest heights whose blocks and receipts are kept, in place of the preset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_blocks: Option<u64>,
    /// Number of newest heights whose transactions are found by id, in place of the preset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_transactions: Option<u64>,
    /// Share of the machine's memory, or of the control group's, in percent.
    pub memory_percent: u8,
    /// Share of the files that the process may open, in percent.
    pub open_files_percent: u8,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            history: HistoryKind::default(),
            keep_blocks: None,
            keep_transactions: None,
            memory_percent: MEMORY_PERCENT,
            open_files_percent: OPEN_FILES_PERCENT,
        }
    }
}

/// Why a configuration of the store cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreConfigError {
    /// A share is zero or too large.
    #[error("store.{key} is {percent}, it may be from 1 to {MOST_PERCENT}")]
    Percent {
        /// The key below `store`.
        key: &'static str,
        /// The percentage in the configuration.
        percent: u8,
    },
    /// Too few heights are to be kept.
    #[error(
        "store.{key} is {kept}, it must be at least {LEAST_BLOCKS}: a transaction may be valid for so long"
    )]
    TooFew {
        /// The key below `store`.
        key: &'static str,
        /// The number of heights in the configuration.
        kept: u64,
    },
}

impl StoreConfig {
    /// The settings for this machine.
    pub fn settings(&self) -> Result<StoreSettings, StoreConfigError> {
        self.settings_on(machine::memory_bytes(), machine::open_files())
    }

    /// The settings for a machine with so many bytes of memory, on which the process may open so many files.
    fn settings_on(&self, memory: u64, files: u64) -> Result<StoreSettings, StoreConfigError> {
        for (key, percent) in [
            ("memory_percent", self.memory_percent),
            ("open_files_percent", self.open_files_percent),
        ] {
            if percent == 0 || percent > MOST_PERCENT {
                return Err(StoreConfigError::Percent { key, percent });
            }
        }
        for (key, kept) in [
            ("keep_blocks", self.keep_blocks),
            ("keep_transactions", self.keep_transactions),
        ] {
            if let Some(kept) = kept.filter(|kept| *kept < LEAST_BLOCKS) {
                return Err(StoreConfigError::TooFew { key, kept });
            }
        }
        let memory = machine::share(memory, self.memory_percent);
        let files = machine::share(files, self.open_files_percent);
        let mut settings = StoreSettings::of_share(
            usize::try_from(memory).unwrap_or(usize::MAX),
            u32::try_from(files).unwrap_or(u32::MAX),
        );
        settings.history = self.history();
        Ok(settings)
    }

    fn history(&self) -> KeptHistory {
        let preset = KeptHistory::of(match self.history {
            HistoryKind::Archive => HistoryPreset::Archive,
            HistoryKind::Full => HistoryPreset::Full,
            HistoryKind::Validator => HistoryPreset::Validator,
        });
        KeptHistory {
            blocks: self.keep_blocks.or(preset.blocks),
            transactions: self
                .keep_transactions
                .or(self.keep_blocks)
                .or(preset.transactions),
            ..preset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u64 = 16 << 30;
    const FILES: u64 = 1_024;

    fn with(change: impl FnOnce(&mut StoreConfig)) -> Result<StoreSettings, StoreConfigError> {
        let mut config = StoreConfig::default();
        change(&mut config);
        config.settings_on(MEMORY, FILES)
    }

    fn bytes(settings: &StoreSettings) -> usize {
        let held = settings.tree_bytes + settings.value_bytes;
        settings.cache_bytes + held + settings.write_buffer_bytes
    }

    #[test]
    fn a_store_takes_its_share_of_the_machine() {
        let settings = with(|_| ()).unwrap();
        let total = bytes(&settings);
        assert_eq!(u64::try_from(total).unwrap(), MEMORY / 10);
        assert_eq!(settings.open_files, 256);
        let small = StoreConfig::default().settings_on(1, 1).unwrap();
        assert_eq!(
            (small.open_files, small.history),
            (store::LEAST_OPEN_FILES, settings.history)
        );
        let total = bytes(&small);
        assert_eq!(total, store::LEAST_MEMORY_BYTES, "it can work at all");
        assert!(StoreConfig::default().settings().is_ok(), "on this machine");
    }

    #[test]
    fn shares_outside_their_bounds_are_refused() {
        for percent in [0, 81, 255] {
            let key = "memory_percent";
            let refused = with(|config| config.memory_percent = percent);
            assert_eq!(refused, Err(StoreConfigError::Percent { key, percent }));
            let key = "open_files_percent";
            let refused = with(|config| config.open_files_percent = percent);
            assert_eq!(refused, Err(StoreConfigError::Percent { key, percent }));
        }
        assert!(with(|config| config.memory_percent = 80).is_ok());
    }

    #[test]
    fn presets_and_numbers_say_what_is_kept() {
        let history = |change: &dyn Fn(&mut StoreConfig)| with(change).map(|s| s.history);
        for (kind, preset) in [
            (HistoryKind::Archive, HistoryPreset::Archive),
            (HistoryKind::Full, HistoryPreset::Full),
            (HistoryKind::Validator, HistoryPreset::Validator),
        ] {
            let found = history(&|config| config.history = kind).unwrap();
            assert_eq!(found, KeptHistory::of(preset));
        }
        let blocks = history(&|config| config.keep_blocks = Some(200_000)).unwrap();
        assert_eq!(
            (blocks.blocks, blocks.transactions),
            (Some(200_000), Some(200_000))
        );
        let index = history(&|config| config.keep_transactions = Some(100_000)).unwrap();
        assert_eq!((index.blocks, index.transactions), (None, Some(100_000)));
        for key in ["keep_blocks", "keep_transactions"] {
            let kept = LEAST_BLOCKS - 1;
            let refused = history(&|config| {
                if key == "keep_blocks" {
                    config.keep_blocks = Some(kept);
                } else {
                    config.keep_transactions = Some(kept);
                }
            });
            assert_eq!(refused, Err(StoreConfigError::TooFew { key, kept }));
        }
    }

    #[test]
    fn the_names_of_presets_are_lower_case() {
        let read = |text: &str| toml::from_str::<StoreConfig>(text);
        let archive = read("history = \"archive\"").unwrap();
        assert_eq!(archive.history, HistoryKind::Archive);
        assert_eq!(read("").unwrap(), StoreConfig::default());
        assert!(read("history = \"Archive\"").is_err());
        assert!(read("cache_bytes = 5").is_err(), "no fixed sizes");
    }
}
