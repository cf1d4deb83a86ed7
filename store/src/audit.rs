//! Reads everything back and checks it against itself: for an operator who doubts a disk.

use state::tree;
use state::{
    ChainStore, DecidedState, StateError, StoreDamage, StoredRecord, Writes, tree_changes,
};
use types::number::Height;
use types::state_key::StateKey;

use crate::database::{Store, family, stored};
use crate::error::engine_failure;
use crate::layout::{FAMILIES, FLAT, FlatRow};
use crate::read::row;

/// Numbers of an audit that found everything in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// Blocks that are kept.
    pub blocks: u64,
    /// Number of values in the flat state.
    pub values: u64,
    /// Rows of all families.
    pub rows: u64,
}

/// What a family of the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilySize {
    /// Name of the family.
    pub family: &'static str,
    /// Number of its rows.
    pub rows: u64,
    /// Bytes of their keys and values, before compression.
    pub bytes: u64,
}

impl Store {
    /// Counts the rows of every family and their bytes, which takes as long as the store is large.
    pub fn sizes(&self) -> Result<Vec<FamilySize>, StateError> {
        let size = |family: &'static str| {
            let mut size = FamilySize {
                family,
                rows: 0,
                bytes: 0,
            };
            self.each(family, |key, value| {
                let bytes = u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX);
                size.rows += 1;
                size.bytes = size.bytes.saturating_add(bytes);
                Ok(())
            })?;
            Ok(size)
        };
        FAMILIES.into_iter().map(size).collect()
    }

    /// Reads every row under RocksDB's checksums, follows the chain of blocks from the tip to the lowest kept one and builds the
    /// tree anew from the flat state: it must have the tip's root. Takes as long as the store is large; blocks decided
    /// meanwhile make it fail, so it is for a store that is not in use.
    pub fn audit(&self) -> Result<Audit, StateError> {
        let mut rows = 0;
        for name in FAMILIES {
            self.each(name, |_, _| {
                rows += 1;
                Ok(())
            })?;
        }
        let values = self.audit_state()?;
        Ok(Audit {
            blocks: self.audit_blocks()?,
            values,
            rows,
        })
    }

    fn audit_state(&self) -> Result<u64, StateError> {
        let mut flat = Writes::new();
        self.each(FLAT, |key, value| {
            let (record, length) = (StoredRecord::Value, key.len());
            let (found, value): FlatRow = stored(record, value)?;
            if key != found.hash().0 {
                return Err(StoreDamage::BadKey { record, length }.into());
            }
            flat.insert(found, Some(value));
            Ok(())
        })?;
        let tip = self.tip();
        let found = tree::update(&(), None, Height::ZERO, &tree_changes(&flat))?.root;
        if found != tip.root {
            return Err(StateError::RootMismatch {
                height: tip.height,
                expected: tip.root,
                found,
            });
        }
        let root = self.root_at(tip.height)?;
        tree::prove(self, tip.height, &root, &StateKey::Chain.hash())?;
        Ok(u64::try_from(flat.len()).expect("a length fits 64 bits"))
    }

    fn audit_blocks(&self) -> Result<u64, StateError> {
        let tip = self.tip();
        let mut expected = tip.block;
        for height in (self.kept().blocks.0..=tip.height.0).rev().map(Height) {
            let missing = |record| StoreDamage::MissingAt { record, height };
            let block = self
                .block_at(height)?
                .ok_or_else(|| missing(StoredRecord::Block))?;
            let found = block.id();
            if found != expected {
                return Err(StoreDamage::OtherBlock {
                    height,
                    expected,
                    found,
                }
                .into());
            }
            if !block.is_whole() {
                let block = found;
                return Err(StoreDamage::OtherBody { height, block }.into());
            }
            if self.height_of(&found)? != Some(height) {
                return Err(missing(StoredRecord::BlockHeight).into());
            }
            if self.receipts_at(height)?.is_none() {
                return Err(missing(StoredRecord::Receipts).into());
            }
            expected = block.header.parent;
        }
        Ok(tip.height.0 + 1 - self.kept().blocks.0)
    }

    fn each(
        &self,
        name: &str,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut rows = self.0.db.raw_iterator_cf(family(&self.0.db, name));
        rows.seek_to_first();
        while let Some((key, value)) = row(&rows)? {
            visit(&key, &value)?;
            rows.next();
        }
        rows.status().map_err(|error| engine_failure(&error))
    }
}
