//! How a block moves the beacon: by the output that it carries, or by a skip of a step that was silent for too long.

use types::attestation::next_beacon;
use types::key::VrfOutput;
use types::limits::BEACON_STEPS_KEPT;
use types::state_key::StateKey;

use super::Context;
use crate::beacon::Beacon;
use crate::{Abort, Corruption};

impl Context<'_> {
    /// Begin hook: moves the beacon by the block's output, or skips the step if it was silent for too long.
    // Rule C49.
    pub(crate) fn move_beacon(&mut self, output: Option<VrfOutput>) -> Result<(), Abort> {
        if output.is_none() {
            if !self.step_is_overdue() {
                return Ok(());
            }
            let silent = self.beacon.duty(self.rules).contributor;
            self.burn_from(&silent.account(), self.rules.params.beacon_skip_penalty)?;
        }
        let step = self.beacon.step.next();
        self.beacon = Beacon {
            value: next_beacon(&self.beacon.value, step, output.as_ref()),
            step,
            seed: self
                .overlay
                .get(&StateKey::EpochSeed(self.epoch))?
                .ok_or(Corruption::NoEpochSeed(self.epoch))?,
            since_height: self.height,
            since_time: self.chain_time,
        };
        self.overlay.put(StateKey::Beacon, &self.beacon);
        self.overlay
            .put(StateKey::BeaconAt(step), &self.beacon.value);
        let kept = self
            .rules
            .params
            .beacon_lag
            .saturating_add(BEACON_STEPS_KEPT);
        if let Some(old) = step.checked_sub(kept) {
            self.overlay.delete(StateKey::BeaconAt(old));
        }
        Ok(())
    }

    // Rule C50.
    fn step_is_overdue(&self) -> bool {
        let blocks = self.height.0.saturating_sub(self.beacon.since_height.0);
        let time = self.chain_time.0.saturating_sub(self.beacon.since_time.0);
        let long = blocks > self.rules.params.beacon_skip_blocks
            && time >= self.rules.params.beacon_skip_ms;
        // As for the windows of jobs: no coalition within F could have kept the output out of all those blocks.
        long && self.may_close(self.beacon.since_height)
    }

    /// End hook of an epoch's last block: the beacon here seeds the epoch after the next.
    // Rule C50.
    pub(crate) fn write_seed(&mut self) {
        self.overlay.put(
            StateKey::EpochSeed(self.epoch.saturating_add(2)),
            &self.beacon.value,
        );
        self.overlay.delete(StateKey::EpochSeed(self.epoch));
    }
}
