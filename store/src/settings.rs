//! Memory and files that the store may use, and RocksDB's options that follow.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    Options,
};

use crate::layout::FAMILIES;

/// Bounds on what the store takes from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// Cache of blocks, indices and filters, in bytes.
    pub cache_bytes: usize,
    /// Nodes of the state tree in memory, in bytes. The upper ones are needed for every block.
    pub tree_bytes: usize,
    /// Buffers of writes that are not in files yet, all families together, in bytes.
    pub write_buffer_bytes: usize,
    /// Maximum number of files that RocksDB keeps open.
    pub open_files: i32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            tree_bytes: 64 << 20,
            write_buffer_bytes: 64 << 20,
            open_files: 256,
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
        options.set_max_open_files(self.open_files);
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
