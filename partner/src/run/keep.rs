//! What tells the daemon's loop of the world: the watch of the chain, and the operator's mark of a pause.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::ShellInput;
use crate::core::Event;
use crate::operator::PauseMark;
use crate::watch::ChainWatch;

/// Tells the loop when the operator pauses the partner, or lets it go on.
pub(super) async fn keep_looking(
    mark: PauseMark,
    mut paused: bool,
    every: Duration,
    inputs: mpsc::Sender<ShellInput>,
) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = mark.is_set();
        if now != paused {
            paused = now;
            if inputs.send(ShellInput::Paused(now)).await.is_err() {
                return;
            }
        }
    }
}

/// Brings a proven state every now and then, as long as the loop takes them.
pub(super) async fn keep_watching(
    mut watch: ChainWatch,
    every: Duration,
    inputs: mpsc::Sender<ShellInput>,
) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(proven) = watch.proven_state().await
            && inputs
                .send(ShellInput::Event(Event::Proven(Box::new(proven))))
                .await
                .is_err()
        {
            return;
        }
    }
}
