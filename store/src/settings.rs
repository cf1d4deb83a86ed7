//! Memory and files that the store may use, and RocksDB's options that follow.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    Options,
};

use crate::history::KeptHistory;
use crate::layout::FAMILIES;

/// Bounds on what the store takes from the machine, and how much of the past it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// Cache of blocks, indices and filters, in bytes.
    pub cache_bytes: usize,
    /// Nodes of the state tree in memory, in bytes. The upper ones are needed for every block.
    pub tree_bytes: usize,
    /// Flat values in memory, in bytes.
    pub value_bytes: usize,
    /// Buffers of writes that are not in files yet, all families together, in bytes.
    pub write_buffer_bytes: usize,
    /// Maximum number of files that RocksDB keeps open.
    pub open_files: u32,
    /// How much of the past is kept.
    pub history: KeptHistory,
}

/// Below this share of memory a store would go to the disk for everything, in bytes.
pub const LEAST_MEMORY_BYTES: usize = 32 << 20;
/// Above these, buffers of writes only make a restart read more of the log, in bytes.
const MOST_WRITE_BUFFER_BYTES: usize = 256 << 20;
/// Fewest open files: those that RocksDB writes at a time, and a few of each family.
pub const LEAST_OPEN_FILES: u32 = 64;

impl Default for StoreSettings {
    /// For tools and tests: 256 MiB and 256 files.
    fn default() -> Self {
        Self::of_share(256 << 20, 256)
    }
}

impl StoreSettings {
    /// Divides what the store may take: memory in bytes, and open files. Shares that are too small to work with are
    /// raised to [`LEAST_MEMORY_BYTES`] and [`LEAST_OPEN_FILES`].
    #[must_use]
    pub fn of_share(memory_bytes: usize, open_files: u32) -> Self {
        let memory_bytes = memory_bytes.max(LEAST_MEMORY_BYTES);
        let value_bytes = memory_bytes / 16;
        let write_buffer_bytes = (memory_bytes / 4 - value_bytes).min(MOST_WRITE_BUFFER_BYTES);
        let tree_bytes = memory_bytes / 4;
        Self {
            cache_bytes: memory_bytes - write_buffer_bytes - tree_bytes - value_bytes,
            tree_bytes,
            value_bytes,
            write_buffer_bytes,
            open_files: open_files.max(LEAST_OPEN_FILES),
            history: KeptHistory::default(),
        }
    }
}

impl StoreSettings {
    pub(crate) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        // Records after a torn one are dropped: the store then ends at an earlier block, and catches up.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_db_write_buffer_size(self.write_buffer_bytes);
        options.set_max_total_wal_size(u64::try_from(self.write_buffer_bytes).unwrap_or(u64::MAX));
        options.set_max_open_files(i32::try_from(self.open_files).unwrap_or(i32::MAX));
        options.set_max_background_jobs(2);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(1 << 20);
        options
    }

    pub(crate) fn families(&self) -> Vec<ColumnFamilyDescriptor> {
        let cache = Cache::new_lru_cache(self.cache_bytes);
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(self.write_buffer_bytes / 4);
        FAMILIES
            .iter()
            .map(|name| ColumnFamilyDescriptor::new(*name, options.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_divided_and_never_exceeded() {
        for megabytes in [32usize, 100, 1_000, 2_400, 100_000] {
            let settings = StoreSettings::of_share(megabytes << 20, 1_000);
            let parts = settings.cache_bytes
                + settings.tree_bytes
                + settings.value_bytes
                + settings.write_buffer_bytes;
            assert_eq!(parts, megabytes << 20);
            assert!(settings.cache_bytes >= parts / 2 && settings.tree_bytes >= parts / 5);
            assert!(settings.write_buffer_bytes <= MOST_WRITE_BUFFER_BYTES);
            assert_eq!(settings.open_files, 1_000);
        }
    }

    #[test]
    fn a_share_that_is_too_small_is_raised() {
        let least = StoreSettings::of_share(0, 0);
        assert_eq!(
            least,
            StoreSettings::of_share(LEAST_MEMORY_BYTES, LEAST_OPEN_FILES)
        );
        assert!(least.cache_bytes >= 8 << 20);
    }
}
