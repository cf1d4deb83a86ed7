//! What RocksDB says of itself, for metrics.

use crate::database::{Store, family};
use crate::layout::FAMILIES;

/// RocksDB's own numbers, over all families unless they say otherwise. Zero where RocksDB gives none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Bytes of files that hold current data.
    pub file_bytes: u64,
    /// Bytes of writes that are not in files yet.
    pub memtable_bytes: u64,
    /// Bytes in the cache of blocks, which all families share.
    pub cache_bytes: u64,
    /// Bytes that compactions must still rewrite, by RocksDB's estimate.
    pub pending_compaction_bytes: u64,
    /// Compactions that run now.
    pub compactions: u64,
    /// True while RocksDB takes no writes because compactions do not keep up.
    pub writes_stopped: bool,
    /// Of each family its name, its rows by RocksDB's estimate, and the bytes of its files.
    pub families: Vec<(&'static str, u64, u64)>,
}

impl Store {
    /// Asks RocksDB how it is doing. It reads no rows.
    #[must_use]
    pub fn engine_stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        for name in FAMILIES {
            let number = |property: &str| {
                let db = &self.0.db;
                let read = db.property_int_value_cf(family(db, name), property);
                read.ok().flatten().unwrap_or_default()
            };
            let bytes = number("rocksdb.live-sst-files-size");
            stats.file_bytes = stats.file_bytes.saturating_add(bytes);
            let memtable = number("rocksdb.cur-size-all-mem-tables");
            stats.memtable_bytes = stats.memtable_bytes.saturating_add(memtable);
            let pending = number("rocksdb.estimate-pending-compaction-bytes");
            stats.pending_compaction_bytes = stats.pending_compaction_bytes.saturating_add(pending);
            // One cache and one set of compactions for all.
            stats.cache_bytes = number("rocksdb.block-cache-usage");
            stats.compactions = number("rocksdb.num-running-compactions");
            stats.writes_stopped |= number("rocksdb.is-write-stopped") != 0;
            let rows = number("rocksdb.estimate-num-keys");
            stats.families.push((name, rows, bytes));
        }
        stats
    }
}
