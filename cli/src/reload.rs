//! What goes on beside a daemon: reading its configuration again while it runs.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Override};

/// Runs a daemon with something beside it, which may end before it and ends with it.
pub async fn with_beside<T>(run: impl Future<Output = T>, beside: impl Future<Output = ()>) -> T {
    tokio::pin!(run, beside);
    tokio::select! {
        ended = &mut run => ended,
        () = &mut beside => run.await,
    }
}

/// Reads the configuration again at each SIGHUP, with what overrides it, and hands it over, until that says false. A file
/// that cannot be used is logged, and what was in force stays.
pub async fn at_each_hangup<C: DeserializeOwned>(
    file: PathBuf,
    overrides: Vec<Override>,
    mut take: impl AsyncFnMut(C) -> bool,
) {
    let Ok(mut signals) = signal(SignalKind::hangup()) else {
        return;
    };
    while signals.recv().await.is_some() {
        match config::load::<C>(&file, overrides.clone()) {
            Ok(config) => {
                if !take(config).await {
                    return;
                }
            }
            Err(failure) => tracing::error!("the configuration is not taken over: {failure}"),
        }
    }
}
