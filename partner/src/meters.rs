//! The metrics of a partner's daemon.

use std::sync::Arc;

use metrics::{Catalogue, process};

/// Everything that a partner shows.
pub(crate) fn catalogue() -> Arc<Catalogue> {
    let mut all = Catalogue::default();
    process::register(&mut all, env!("CARGO_PKG_VERSION"));
    Arc::new(all)
}
