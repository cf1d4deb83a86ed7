//! Signs of life of a loop, for a watchdog.

use tokio::sync::watch;

/// Counts the looks of a loop; its clones count the same ones.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(watch::Sender<u64>);

impl Heartbeat {
    /// The loop looked around once more.
    pub fn beat(&self) {
        self.0.send_modify(|beats| *beats = beats.wrapping_add(1));
    }

    /// Sees beats from now on; closed once every clone is gone.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
