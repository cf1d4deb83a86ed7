//! What an operator holds of a running daemon.

use std::future::Future;
use std::sync::Arc;

use keys::passphrase::Passphrases;
use metrics::Heartbeat;
use tokio::sync::mpsc;

use crate::config::Config;

/// What an operator does with a running daemon.
#[derive(Debug)]
pub struct DaemonControls<F> {
    /// Completes when the daemon is to stop.
    pub shutdown: F,
    /// Configurations that were read again. Bond, reserve, places, the time of a task and the offer are taken over; everything
    /// else waits for the next start.
    pub reloads: mpsc::Receiver<Config>,
    /// Opens encrypted key files.
    pub passphrases: Arc<Passphrases>,
    /// Beats every second while the loop runs.
    pub heartbeat: Heartbeat,
}

impl<F: Future<Output = ()>> DaemonControls<F> {
    /// Only stops.
    pub fn until(shutdown: F) -> Self {
        let (_, reloads) = mpsc::channel(1);
        Self {
            shutdown,
            reloads,
            passphrases: Arc::default(),
            heartbeat: Heartbeat::default(),
        }
    }
}
