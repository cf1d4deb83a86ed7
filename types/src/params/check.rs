//! Which parameters a network can run with. A genesis with others is refused.

use std::collections::BTreeSet;

use super::{ClassParams, ComputeParams, Params};
use crate::limits::{
    MAX_ATTEMPTS, MAX_CLASSES, MAX_DURATION_MS, MAX_PAST_SNAPSHOTS, MAX_PROTOCOL_VERSIONS,
};
use crate::number::{Amount, Height, ProtocolVersion};

/// A parameter's name and what is wrong with it.
pub type Wrong = (&'static str, &'static str);

const ZERO: &str = "must be above zero";

impl Params {
    /// Refuses parameters that cannot work.
    pub fn check(&self) -> Result<(), Wrong> {
        all_positive(&[
            ("epoch_length", self.epoch_length),
            ("idle_target_ms", self.idle_target_ms),
            ("pace_ms", self.pace_ms),
            ("block_gas_limit", self.block_gas_limit),
            ("beacon_lag", self.beacon_lag),
            ("beacon_skip_blocks", self.beacon_skip_blocks),
        ])?;
        ensure(
            self.pace_ms <= self.idle_target_ms,
            "pace_ms",
            "must be at most idle_target_ms",
        )?;
        self.check_versions()?;
        self.compute.check()?;
        let durations = [
            ("idle_target_ms", self.idle_target_ms),
            ("max_clock_ahead_ms", self.max_clock_ahead_ms),
            ("beacon_skip_ms", self.beacon_skip_ms),
        ];
        for (name, duration) in durations.into_iter().chain(self.compute.windows()) {
            ensure(duration <= MAX_DURATION_MS, name, "must be at most a year")?;
        }
        let snapshots = u64::try_from(MAX_PAST_SNAPSHOTS).unwrap_or(u64::MAX);
        let kept_ms = self
            .epoch_length
            .saturating_mul(self.pace_ms)
            .saturating_mul(snapshots);
        let long = "must be longer: what counted of partners is kept for 64 epochs, and an announcement may come later";
        ensure(
            self.announcements_last_ms() <= kept_ms,
            "epoch_length",
            long,
        )
    }

    fn check_versions(&self) -> Result<(), Wrong> {
        let name = "protocol_versions";
        let versions = &self.protocol_versions;
        ensure(
            versions.len() <= MAX_PROTOCOL_VERSIONS,
            name,
            "must be at most 64",
        )?;
        let from_genesis = versions
            .first()
            .is_some_and(|first| first.height == Height::ZERO);
        ensure(from_genesis, name, "must begin at height 0")?;
        let ascending = versions
            .windows(2)
            .all(|pair| pair[0].height < pair[1].height && pair[0].version < pair[1].version);
        ensure(ascending, name, "must ascend, in heights and in versions")?;
        let above_zero = versions
            .iter()
            .all(|start| start.version > ProtocolVersion::ZERO);
        ensure(above_zero, name, ZERO)
    }

    /// How long after its epoch a snapshot of partners may be asked for: until the announce window of a commitment of the
    /// epoch's last block is over, which opens with a beacon step `beacon_lag` later, be every step in between skipped.
    /// A draw comes sooner.
    #[must_use]
    pub fn announcements_last_ms(&self) -> u64 {
        let block = self.idle_target_ms.saturating_mul(2);
        let blocks = self
            .beacon_skip_blocks
            .saturating_add(2)
            .saturating_mul(block);
        let silence = self.beacon_skip_ms.saturating_add(blocks);
        let steps = silence.saturating_mul(self.beacon_lag.saturating_add(1));
        self.compute.announce_window_ms.saturating_add(steps)
    }
}

impl ComputeParams {
    fn windows(&self) -> [(&'static str, u64); 7] {
        [
            ("compute.open_window_ms", self.open_window_ms),
            ("compute.acknowledge_window_ms", self.acknowledge_window_ms),
            ("compute.announce_window_ms", self.announce_window_ms),
            ("compute.execute_window_ms", self.execute_window_ms),
            ("compute.reveal_window_ms", self.reveal_window_ms),
            ("compute.store_window_ms", self.store_window_ms),
            ("compute.unbonding_ms", self.unbonding_ms),
        ]
    }

    fn check(&self) -> Result<(), Wrong> {
        all_positive(&self.windows())?;
        all_positive(&[
            (
                "compute.verifier_fee_percent",
                self.verifier_fee_percent.into(),
            ),
            (
                "compute.verifications_per_place",
                self.verifications_per_place.into(),
            ),
            (
                "compute.live_jobs_per_customer",
                self.live_jobs_per_customer.into(),
            ),
        ])?;
        let attempts = (1..=MAX_ATTEMPTS).contains(&self.max_attempts);
        ensure(attempts, "compute.max_attempts", "must be from 1 to 8")?;
        ensure(self.min_bond > Amount::ZERO, "compute.min_bond", ZERO)?;
        let payable = self.decline_penalty <= self.min_bond;
        ensure(
            payable,
            "compute.decline_penalty",
            "must be at most the least bond",
        )?;
        let names: BTreeSet<_> = self.classes.iter().map(|class| class.class).collect();
        let few = self.classes.len() <= MAX_CLASSES;
        ensure(
            few && names.len() == self.classes.len(),
            "compute.classes",
            "must be at most 16, each once",
        )?;
        self.classes.iter().try_for_each(ClassParams::check)
    }
}

impl ClassParams {
    fn check(&self) -> Result<(), Wrong> {
        all_positive(&[
            ("compute.classes.min_fuel_per_ms", self.min_fuel_per_ms),
            (
                "compute.classes.lowest_bytes_per_ms",
                self.lowest_bytes_per_ms,
            ),
        ])
    }
}

fn ensure(holds: bool, name: &'static str, why: &'static str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err((name, why)) }
}

fn all_positive(values: &[(&'static str, u64)]) -> Result<(), Wrong> {
    values
        .iter()
        .try_for_each(|(name, value)| ensure(*value > 0, name, ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Epoch;
    use crate::params::{UnknownProtocolVersion, VersionStart};

    fn wrong(change: impl FnOnce(&mut Params)) -> &'static str {
        let mut params = Params::devnet();
        change(&mut params);
        params.check().unwrap_err().0
    }

    #[test]
    fn a_devnet_can_run() {
        assert_eq!(Params::devnet().check(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(wrong(|p| p.epoch_length = 0), "epoch_length");
        assert_eq!(wrong(|p| p.pace_ms = 501), "pace_ms");
        assert_eq!(
            wrong(|p| p.max_clock_ahead_ms = u64::MAX),
            "max_clock_ahead_ms"
        );
        assert_eq!(
            wrong(|p| p.compute.reveal_window_ms = 0),
            "compute.reveal_window_ms"
        );
        assert_eq!(
            wrong(|p| p.compute.open_window_ms = u64::MAX),
            "compute.open_window_ms"
        );
        assert_eq!(
            wrong(|p| p.compute.unbonding_ms = 0),
            "compute.unbonding_ms"
        );
        assert_eq!(
            wrong(|p| p.compute.verifier_fee_percent = 0),
            "compute.verifier_fee_percent"
        );
        assert_eq!(
            wrong(|p| p.compute.verifications_per_place = 0),
            "compute.verifications_per_place"
        );
        assert_eq!(
            wrong(|p| p.compute.live_jobs_per_customer = 0),
            "compute.live_jobs_per_customer"
        );
        assert_eq!(
            wrong(|p| p.compute.max_attempts = 0),
            "compute.max_attempts"
        );
        assert_eq!(
            wrong(|p| p.compute.max_attempts = MAX_ATTEMPTS + 1),
            "compute.max_attempts"
        );
        assert_eq!(
            wrong(|p| p.compute.min_bond = Amount::ZERO),
            "compute.min_bond"
        );
        assert_eq!(
            wrong(|p| p.compute.decline_penalty = Amount(u128::MAX)),
            "compute.decline_penalty"
        );
        assert_eq!(
            wrong(|p| p.compute.classes.extend(p.compute.classes.clone())),
            "compute.classes"
        );
        let speed = wrong(|p| p.compute.classes[0].min_fuel_per_ms = 0);
        assert_eq!(speed, "compute.classes.min_fuel_per_ms");
    }

    #[test]
    fn an_announcement_may_not_come_after_what_counts_for_it_is_gone() {
        // 64 epochs of 20 blocks at 100 ms; the beacon may take 27 s until the window opens.
        let kept = 64 * 20 * 100;
        assert_eq!(Params::devnet().announcements_last_ms(), 30_000);
        let mut params = Params::devnet();
        params.compute.announce_window_ms = kept - 27_000;
        assert_eq!(params.check(), Ok(()));
        assert_eq!(
            wrong(|p| p.compute.announce_window_ms = kept - 26_999),
            "epoch_length"
        );
    }

    fn versions(starts: &[(u64, u16)]) -> impl FnOnce(&mut Params) {
        let start = |(height, version): &(u64, u16)| VersionStart {
            height: Height(*height),
            version: ProtocolVersion(*version),
        };
        let starts: Vec<_> = starts.iter().map(start).collect();
        |params| params.protocol_versions = starts
    }

    #[test]
    fn versions_begin_with_genesis_and_ascend() {
        let name = "protocol_versions";
        assert_eq!(wrong(versions(&[])), name);
        assert_eq!(wrong(versions(&[(1, 1)])), name);
        assert_eq!(wrong(versions(&[(0, 0)])), name);
        assert_eq!(wrong(versions(&[(0, 1), (0, 2)])), name);
        assert_eq!(wrong(versions(&[(0, 2), (9, 1)])), name);
        assert_eq!(wrong(versions(&[(0, 1), (9, 1)])), name);
        let many: Vec<_> = (0..65u16).map(|n| (u64::from(n), n + 1)).collect();
        assert_eq!(wrong(versions(&many)), name);
        let mut params = Params::devnet();
        versions(&many[..64])(&mut params);
        assert_eq!(params.check(), Ok(()));
    }

    #[test]
    fn a_height_has_the_last_version_that_started() {
        let mut params = Params::devnet();
        versions(&[(0, 1), (10, 2), (30, 5)])(&mut params);
        for (height, version) in [(0, 1), (9, 1), (10, 2), (29, 2), (30, 5), (u64::MAX, 5)] {
            let found = params.protocol_version(Height(height));
            assert_eq!(found, ProtocolVersion(version), "at height {height}");
        }
        assert!(params.known_protocol_version(Height(9)).is_ok());
        assert_eq!(
            params.known_protocol_version(Height(10)),
            Err(UnknownProtocolVersion {
                version: ProtocolVersion(2),
                height: Height(10)
            })
        );
    }

    #[test]
    fn epochs_are_counted_from_one_and_end_at_boundaries() {
        let params = Params::devnet();
        for (height, epoch) in [(0, 1), (1, 1), (20, 1), (21, 2), (40, 2), (41, 3)] {
            assert_eq!(
                params.epoch(Height(height)),
                Epoch(epoch),
                "height {height}"
            );
        }
        let boundary = |height| params.is_boundary(Height(height));
        assert!(!boundary(0) && !boundary(19) && boundary(20) && !boundary(21) && boundary(40));
        assert_eq!(params.epoch(Height(0)), Epoch::FIRST);
    }
}
