//! Which parameters a network can run with. A genesis with others is refused.

use std::collections::BTreeSet;

use super::{ClassParams, ComputeParams, Params, VersionStart};
use crate::limits::{
    MAX_ATTEMPTS, MAX_CLASSES, MAX_DURATION_MS, MAX_JOB_INPUT_BYTES, MAX_JOB_OUTPUT_BYTES,
    MAX_PAST_SNAPSHOTS, MAX_PROFILE_BYTES, MAX_PROTOCOL_VERSIONS,
};
use crate::number::{Amount, EngineClass, Height, ProtocolVersion, SQUARE};
use crate::spec::CLASS_WASM_V2;

/// Shortest window outside of devnets, in milliseconds: 5 minutes.
const MIN_WINDOW_MS: u64 = 300_000;
/// Fewest leaders' terms in a window outside of devnets, each as long as an idle block takes.
const MIN_WINDOW_TERMS: u64 = 4;
/// Shortest interval of renewals outside of devnets, in milliseconds.
const MIN_RENEWAL_MS: u64 = 30_000;
/// Fewest steps between an event and its beacon outside of devnets.
const MIN_BEACON_LAG: u64 = 8;
/// Bytes that one transaction adds to the state for good at most: an account and a partner's registration, with their keys and
/// their part of the tree.
const MAX_LASTING_BYTES: u128 = 1_024;
const _: () = assert!(
    MAX_PROFILE_BYTES + 512 <= 1_024,
    "a profile, and an account with its keys"
);
/// Least fee outside of devnets, in base units: a GiB of lasting state costs 10,000 SQUARE.
const MIN_FEE: u128 = (10_000 * SQUARE.0 * MAX_LASTING_BYTES) >> 30;

/// The rule that a network's parameters break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A number that must be above zero is zero.
    #[error("parameter {0} must be above zero")]
    Zero(&'static str),
    /// Leaders would wait longer for a busy block than for an idle one.
    #[error(
        "parameter pace_ms is {pace_ms}, it must be at most idle_target_ms, which is {idle_target_ms}"
    )]
    PaceAboveIdleTarget {
        /// Pace of busy blocks, in milliseconds.
        pace_ms: u64,
        /// Pace of idle blocks, in milliseconds.
        idle_target_ms: u64,
    },
    /// A duration above a year.
    #[error("parameter {name} is {found} ms, at most {MAX_DURATION_MS} are allowed")]
    TooLong {
        /// Name of the parameter.
        name: &'static str,
        /// Duration, in milliseconds.
        found: u64,
    },
    /// A value that only a devnet may have.
    #[error(
        "parameter {name} is {found}, a network that is no devnet needs {min} or more (devnet = true says that it is one)"
    )]
    BelowFloor {
        /// Name of the parameter.
        name: &'static str,
        /// Value of the parameter.
        found: u128,
        /// Lowest value outside of devnets.
        min: u128,
    },
    /// Snapshots of partners go before the last announcement that they are needed for.
    #[error(
        "parameter epoch_length must be longer: {MAX_PAST_SNAPSHOTS} snapshots of partners last {kept_ms} ms, an \
         announcement may come {needed_ms} ms later"
    )]
    EpochTooShort {
        /// Shortest time for which a snapshot is kept, in milliseconds.
        kept_ms: u64,
        /// Longest time after which it may be asked for, in milliseconds.
        needed_ms: u64,
    },
    /// More starts of protocol versions than there may be.
    #[error(
        "parameter protocol_versions has {found} entries, at most {MAX_PROTOCOL_VERSIONS} are allowed"
    )]
    TooManyVersions {
        /// Entries of the schedule of versions.
        found: usize,
    },
    /// No version is in force at height 0.
    #[error("parameter protocol_versions must begin at height 0")]
    NoFirstVersion,
    /// A version that does not start above the one before it, in height and number.
    #[error(
        "parameter protocol_versions must ascend, in heights and in versions; the entry of height {0} does not"
    )]
    VersionsNotAscending(Height),
    /// Room in which a job of the largest size would find none.
    #[error("parameter compute.blob_room_bytes is {found}, one job may need {min}")]
    BlobRoomTooSmall {
        /// Bytes in the parameters.
        found: u64,
        /// Bytes that one job may need.
        min: u64,
    },
    /// A number of attempts that no job can have.
    #[error("parameter compute.max_attempts is {found}, it must be from 1 to {MAX_ATTEMPTS}")]
    MaxAttempts {
        /// Number of attempts in the parameters.
        found: u16,
    },
    /// A decline penalty that a partner of the minimum bond cannot pay.
    #[error(
        "parameter compute.decline_penalty is {penalty}, it must be at most the least bond, which is {min_bond}"
    )]
    PenaltyAboveBond {
        /// Penalty for declining, in base units.
        penalty: Amount,
        /// Minimum bond, in base units.
        min_bond: Amount,
    },
    /// A receipt goes before its results can no longer be contradicted.
    #[error(
        "parameter compute.audit_window_ms is {audit_ms}, it must be at most ended_jobs_kept_ms, which is {kept_ms}"
    )]
    AuditAfterReceipt {
        /// The audit window, in milliseconds.
        audit_ms: u64,
        /// Time for which a receipt is kept, in milliseconds.
        kept_ms: u64,
    },
    /// A job is forgotten before the bonds that were forfeited in it are paid out.
    #[error(
        "parameter compute.appeal_window_ms is {appeal_ms}, it must be at most ended_jobs_kept_ms, which is {kept_ms}"
    )]
    AppealAfterEnd {
        /// The appeal window, in milliseconds.
        appeal_ms: u64,
        /// Time for which an ended job is kept, in milliseconds.
        kept_ms: u64,
    },
    /// More engine classes than there may be.
    #[error("parameter compute.classes has {found} entries, at most {MAX_CLASSES} are allowed")]
    TooManyClasses {
        /// Entries of the schedule of classes.
        found: usize,
    },
    /// An engine class stands twice: it has one window of heights, so that what a class means never changes on a chain.
    #[error("parameter compute.classes has class {0} twice")]
    ClassTwice(EngineClass),
    /// An engine class that never was one, or that no build runs any more.
    #[error("parameter compute.classes has class {0}, the first that there is is {CLASS_WASM_V2}")]
    NoSuchClass(EngineClass),
    /// An engine class that ends before it takes a job.
    #[error(
        "parameter compute.classes: class {class} ends at height {until}, it must end above height {from} where it begins"
    )]
    ClassNeverOpen {
        /// Number of the class.
        class: EngineClass,
        /// The first height of the class.
        from: Height,
        /// The first height without it.
        until: Height,
    },
}

impl Params {
    /// Refuses parameters that cannot work.
    pub fn check(&self) -> Result<(), ParamsError> {
        all_positive(&[
            ("epoch_length", self.epoch_length),
            ("idle_target_ms", self.idle_target_ms),
            ("pace_ms", self.pace_ms),
            ("block_gas_limit", self.block_gas_limit),
            ("beacon_lag", self.beacon_lag),
            ("beacon_skip_blocks", self.beacon_skip_blocks),
        ])?;
        if self.pace_ms > self.idle_target_ms {
            return Err(ParamsError::PaceAboveIdleTarget {
                pace_ms: self.pace_ms,
                idle_target_ms: self.idle_target_ms,
            });
        }
        self.check_versions()?;
        self.compute.check()?;
        let durations = [
            ("idle_target_ms", self.idle_target_ms),
            ("max_clock_ahead_ms", self.max_clock_ahead_ms),
            ("beacon_skip_ms", self.beacon_skip_ms),
        ];
        for (name, found) in durations.into_iter().chain(self.compute.windows()) {
            if found > MAX_DURATION_MS {
                return Err(ParamsError::TooLong { name, found });
            }
        }
        if !self.devnet {
            self.check_floors()?;
        }
        let snapshots = u64::try_from(MAX_PAST_SNAPSHOTS).unwrap_or(u64::MAX);
        let kept_ms = self
            .epoch_length
            .saturating_mul(self.pace_ms)
            .saturating_mul(snapshots);
        let needed_ms = self.announcements_last_ms();
        if needed_ms > kept_ms {
            return Err(ParamsError::EpochTooShort { kept_ms, needed_ms });
        }
        Ok(())
    }

    /// What a network must keep to on which somebody has something to lose: windows that an operator and a network outlive, beacons
    /// that nobody foresees, bonds that stay until nothing can be contradicted any more, primaries that are checked until others have
    /// earned by them, and state and room that cost what they take.
    // Rule C21.
    fn check_floors(&self) -> Result<(), ParamsError> {
        let compute = &self.compute;
        let terms_ms = self.idle_target_ms.saturating_mul(MIN_WINDOW_TERMS);
        let windows = [
            ("compute.open_window_ms", compute.open_window_ms),
            (
                "compute.acknowledge_window_ms",
                compute.acknowledge_window_ms,
            ),
            ("compute.announce_window_ms", compute.announce_window_ms),
            ("compute.execute_window_ms", compute.execute_window_ms),
            ("compute.reveal_window_ms", compute.reveal_window_ms),
            ("compute.store_window_ms", compute.store_window_ms),
            ("compute.audit_window_ms", compute.audit_window_ms),
            ("compute.appeal_window_ms", compute.appeal_window_ms),
        ];
        for (name, found) in windows {
            at_least(name, found, terms_ms.max(MIN_WINDOW_MS))?;
        }
        let above_zero = [
            ("compute.place_rent", compute.place_rent.0),
            ("compute.blob_rent_per_gib", compute.blob_rent_per_gib.0),
            ("compute.bond_rent_ppb", compute.bond_rent_ppb.into()),
            (
                "compute.probation_multiple",
                compute.probation_multiple.into(),
            ),
        ];
        for (name, found) in above_zero {
            at_least(name, found, 1_u8)?;
        }
        let renewal = compute.renewal_interval_ms;
        let min = terms_ms.max(MIN_RENEWAL_MS);
        at_least("compute.renewal_interval_ms", renewal, min)?;
        let until_final = compute
            .audit_window_ms
            .saturating_add(compute.appeal_window_ms);
        let min = until_final.saturating_add(1);
        at_least("compute.unbonding_ms", compute.unbonding_ms, min)?;
        at_least("beacon_lag", self.beacon_lag, MIN_BEACON_LAG)?;
        at_least("min_fee", self.min_fee.0, MIN_FEE)
    }

    fn check_versions(&self) -> Result<(), ParamsError> {
        let versions = &self.protocol_versions;
        if versions.len() > MAX_PROTOCOL_VERSIONS {
            let found = versions.len();
            return Err(ParamsError::TooManyVersions { found });
        }
        let first = versions
            .first()
            .filter(|first| first.height == Height::ZERO)
            .ok_or(ParamsError::NoFirstVersion)?;
        // Those that follow are above the first.
        if first.version == ProtocolVersion::ZERO {
            return Err(ParamsError::Zero("protocol_versions"));
        }
        let ascends = |pair: &&[VersionStart]| {
            pair[0].height < pair[1].height && pair[0].version < pair[1].version
        };
        match versions.windows(2).find(|pair| !ascends(pair)) {
            Some(pair) => Err(ParamsError::VersionsNotAscending(pair[1].height)),
            None => Ok(()),
        }
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
    fn windows(&self) -> [(&'static str, u64); 11] {
        [
            ("compute.open_window_ms", self.open_window_ms),
            ("compute.acknowledge_window_ms", self.acknowledge_window_ms),
            ("compute.announce_window_ms", self.announce_window_ms),
            ("compute.execute_window_ms", self.execute_window_ms),
            ("compute.renewal_interval_ms", self.renewal_interval_ms),
            ("compute.reveal_window_ms", self.reveal_window_ms),
            ("compute.store_window_ms", self.store_window_ms),
            ("compute.unbonding_ms", self.unbonding_ms),
            ("compute.audit_window_ms", self.audit_window_ms),
            ("compute.appeal_window_ms", self.appeal_window_ms),
            ("compute.ended_jobs_kept_ms", self.ended_jobs_kept_ms),
        ]
    }

    fn check(&self) -> Result<(), ParamsError> {
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
        let (found, min) = (
            self.blob_room_bytes,
            MAX_JOB_INPUT_BYTES + MAX_JOB_OUTPUT_BYTES,
        );
        if found < min {
            return Err(ParamsError::BlobRoomTooSmall { found, min });
        }
        let found = self.max_attempts;
        if !(1..=MAX_ATTEMPTS).contains(&found) {
            return Err(ParamsError::MaxAttempts { found });
        }
        if self.min_bond == Amount::ZERO {
            return Err(ParamsError::Zero("compute.min_bond"));
        }
        let (penalty, min_bond) = (self.decline_penalty, self.min_bond);
        if penalty > min_bond {
            return Err(ParamsError::PenaltyAboveBond { penalty, min_bond });
        }
        let (audit_ms, kept_ms) = (self.audit_window_ms, self.ended_jobs_kept_ms);
        if audit_ms > kept_ms {
            return Err(ParamsError::AuditAfterReceipt { audit_ms, kept_ms });
        }
        let appeal_ms = self.appeal_window_ms;
        if appeal_ms > kept_ms {
            return Err(ParamsError::AppealAfterEnd { appeal_ms, kept_ms });
        }
        if self.classes.len() > MAX_CLASSES {
            let found = self.classes.len();
            return Err(ParamsError::TooManyClasses { found });
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.classes.iter().find(|class| !names.insert(class.class)) {
            return Err(ParamsError::ClassTwice(twice.class));
        }
        self.classes.iter().try_for_each(ClassParams::check)
    }
}

impl ClassParams {
    fn check(&self) -> Result<(), ParamsError> {
        let (class, from) = (self.class, self.from_height);
        if class < CLASS_WASM_V2 {
            return Err(ParamsError::NoSuchClass(class));
        }
        if let Some(until) = self.until_height.filter(|until| *until <= from) {
            return Err(ParamsError::ClassNeverOpen { class, from, until });
        }
        all_positive(&[
            ("compute.classes.min_fuel_per_ms", self.min_fuel_per_ms),
            ("compute.classes.max_task_fuel", self.max_task_fuel),
            (
                "compute.classes.lowest_bytes_per_ms",
                self.lowest_bytes_per_ms,
            ),
        ])
    }
}

fn at_least(
    name: &'static str,
    found: impl Into<u128>,
    min: impl Into<u128>,
) -> Result<(), ParamsError> {
    let (found, min) = (found.into(), min.into());
    if found < min {
        return Err(ParamsError::BelowFloor { name, found, min });
    }
    Ok(())
}

fn all_positive(values: &[(&'static str, u64)]) -> Result<(), ParamsError> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(ParamsError::Zero(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
