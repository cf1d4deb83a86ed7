//! What the service manager that started a daemon is told (systemd's `sd_notify`): ready, alive, stopping. Without one
//! nothing is told to anybody.

use std::time::Duration;

use node::Heartbeat;
use sd_notify::NotifyState;
use tokio::time::Instant;

/// Tells that the daemon is ready once its loop beats, and from then on that it is alive as long as the loop goes on
/// beating: a loop that hangs is what a watchdog is for.
pub fn watch(heartbeat: &Heartbeat) {
    let mut beats = heartbeat.listen();
    let every = sd_notify::watchdog_enabled().map(|within| within / 4);
    tokio::spawn(async move {
        if beats.changed().await.is_err() {
            return;
        }
        say(&NotifyState::Ready);
        let Some(every) = every else { return };
        let mut told = Instant::now();
        while beats.changed().await.is_ok() {
            if due(told.elapsed(), every) {
                say(&NotifyState::Watchdog);
                told = Instant::now();
            }
        }
    });
}

/// True if the watchdog is to be fed again; a beat comes every second, so that shorter times are fed at each.
fn due(since: Duration, every: Duration) -> bool {
    since >= every.saturating_sub(Duration::from_secs(1))
}

/// Tells that the daemon was asked to stop.
pub fn stopping() {
    say(&NotifyState::Stopping);
}

fn say(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!("the service manager cannot be told {state:?}: {error}");
    }
}
