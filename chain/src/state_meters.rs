//! What is read of the store, the blobs and the decided state when somebody looks at the metrics.

use blobs::BlobStore;
use metrics::value::float_wide;
use metrics::{Catalogue, Gauge, Labelled};
use state::ChainStore as _;
use types::number::{Amount, SQUARE};

use crate::backend::{At, ChainBackend};

/// What is read of the store, the blobs and the decided state.
pub struct StateMetrics {
    database: DatabaseMetrics,
    blobs: BlobMetrics,
    market: MarketMetrics,
    gas_limit: Gauge,
}

impl StateMetrics {
    /// Registers them.
    pub fn register(all: &mut Catalogue) -> Self {
        Self {
            database: DatabaseMetrics::register(all),
            blobs: BlobMetrics::register(all),
            market: MarketMetrics::register(all),
            gas_limit: all.gauge(
                "gridproof_chain_block_gas_limit",
                "Most gas that a block may use.",
            ),
        }
    }

    /// Reads them. It may go to the disk.
    pub fn refresh(&self, backend: &ChainBackend) {
        self.database.refresh(&backend.store);
        self.blobs.refresh(&backend.blobs);
        self.market.refresh(backend);
        // Of a state that cannot be read the last value stays.
        let state = At::tip(backend.store.clone());
        if let Ok(rules) = backend.rules.in_force(&state) {
            self.gas_limit.set(rules.block_gas_limit().0);
        }
    }
}

/// What is kept of jobs' data.
struct BlobMetrics {
    used: Gauge,
    quota: Gauge,
    stored: Gauge,
}

impl BlobMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            used: all.gauge("gridproof_blobs_bytes", "Bytes of the blobs that are kept."),
            quota: all.gauge(
                "gridproof_blobs_quota_bytes",
                "Most bytes of blobs that are kept.",
            ),
            stored: all.gauge("gridproof_blobs_stored", "Blobs that are here as a whole."),
        }
    }

    fn refresh(&self, blobs: &BlobStore) {
        self.used.set(blobs.used());
        self.quota.set(blobs.quota());
        self.stored.set_len(blobs.ids().len());
    }
}

/// What RocksDB says of itself.
struct DatabaseMetrics {
    files: Gauge,
    memtables: Gauge,
    cache: Gauge,
    pending: Gauge,
    compactions: Gauge,
    stopped: Gauge,
    family_bytes: Labelled<Gauge>,
    family_rows: Labelled<Gauge>,
    oldest: Gauge,
}

impl DatabaseMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            files: all.gauge(
                "gridproof_store_file_bytes",
                "Bytes of the database's files that hold current data.",
            ),
            memtables: all.gauge(
                "gridproof_store_memtable_bytes",
                "Bytes of writes that are not in the database's files yet.",
            ),
            cache: all.gauge(
                "gridproof_store_cache_bytes",
                "Bytes in the database's cache of blocks.",
            ),
            pending: all.gauge(
                "gridproof_store_pending_compaction_bytes",
                "Bytes that compactions must still rewrite, by the database's estimate.",
            ),
            compactions: all.gauge(
                "gridproof_store_compactions",
                "Compactions of the database that run now.",
            ),
            stopped: all.gauge(
                "gridproof_store_writes_stopped",
                "1 while the database takes no writes because compactions do not keep up.",
            ),
            family_bytes: all.gauges(
                "gridproof_store_family_bytes",
                &["family"],
                "Bytes of a family's files.",
            ),
            family_rows: all.gauges(
                "gridproof_store_family_rows",
                &["family"],
                "Rows of a family, by the database's estimate.",
            ),
            oldest: all.gauge(
                "gridproof_store_oldest_block",
                "Lowest height whose block is kept.",
            ),
        }
    }

    fn refresh(&self, store: &store::Store) {
        let stats = store.engine_stats();
        self.files.set(stats.file_bytes);
        self.memtables.set(stats.memtable_bytes);
        self.cache.set(stats.cache_bytes);
        self.pending.set(stats.pending_compaction_bytes);
        self.compactions.set(stats.compactions);
        self.stopped.set_bool(stats.writes_stopped);
        for (family, rows, bytes) in stats.families {
            self.family_rows.of(&[family]).set(rows);
            self.family_bytes.of(&[family]).set(bytes);
        }
        self.oldest.set(store.kept().blocks.0);
    }
}

/// The partners as the newest decided state has them.
struct MarketMetrics {
    partners: Gauge,
    paused: Gauge,
    places: Gauge,
    bond: Gauge,
    locked: Gauge,
}

impl MarketMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            partners: all.gauge(
                "gridproof_partners",
                "Partners with at least the minimum bond.",
            ),
            paused: all.gauge("gridproof_partners_paused", "Those of them without places."),
            places: all.gauge(
                "gridproof_partners_places",
                "Jobs that all partners together offer to run at a time.",
            ),
            bond: all.gauge("gridproof_partners_bond_square", "Bond of all partners."),
            locked: all.gauge(
                "gridproof_partners_locked_square",
                "Bond of all partners that is locked.",
            ),
        }
    }

    /// A state that cannot be read keeps the last values: the node stops by itself then.
    fn refresh(&self, backend: &ChainBackend) {
        let Ok(partners) = vm::query::partners(&At::tip(backend.store.clone())) else {
            return;
        };
        let all = || partners.iter().map(|(_, partner)| partner);
        self.partners.set_len(partners.len());
        let places = |partner: &vm::Partner| u64::from(partner.profile.places);
        self.paused
            .set_len(all().filter(|partner| places(partner) == 0).count());
        self.places.set(all().map(places).sum());
        self.bond
            .set_float(all().map(|partner| square(partner.bond)).sum());
        self.locked
            .set_float(all().map(|partner| square(partner.locked())).sum());
    }
}

/// An amount in SQUARE, rounded to what a float holds.
fn square(amount: Amount) -> f64 {
    float_wide(amount.0) / float_wide(SQUARE.0)
}
