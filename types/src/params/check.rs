//! Which parameters a network can run with. A genesis with others is refused.

use std::collections::BTreeSet;

use super::{ClassParams, ComputeParams, Params, VersionStart};
use crate::limits::{
    MAX_ATTEMPTS, MAX_CLASSES, MAX_DURATION_MS, MAX_PAST_SNAPSHOTS, MAX_PROTOCOL_VERSIONS,
};
use crate::number::{Amount, EngineClass, Height, ProtocolVersion};
use crate::spec::CLASS_WASM_V2;

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
    fn windows(&self) -> [(&'static str, u64); 8] {
        [
            ("compute.open_window_ms", self.open_window_ms),
            ("compute.acknowledge_window_ms", self.acknowledge_window_ms),
            ("compute.announce_window_ms", self.announce_window_ms),
            ("compute.execute_window_ms", self.execute_window_ms),
            ("compute.reveal_window_ms", self.reveal_window_ms),
            ("compute.store_window_ms", self.store_window_ms),
            ("compute.unbonding_ms", self.unbonding_ms),
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
            (
                "compute.classes.lowest_bytes_per_ms",
                self.lowest_bytes_per_ms,
            ),
        ])
    }
}

fn all_positive(values: &[(&'static str, u64)]) -> Result<(), ParamsError> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(ParamsError::Zero(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Epoch;
    use crate::params::{UnknownProtocolVersion, newest_open_class};

    type Change = fn(&mut Params);

    fn wrong(change: impl FnOnce(&mut Params)) -> ParamsError {
        let mut params = Params::devnet();
        change(&mut params);
        params.check().unwrap_err()
    }

    #[test]
    fn a_devnet_can_run() {
        assert_eq!(Params::devnet().check(), Ok(()));
    }

    #[test]
    fn each_rule_has_its_error_with_the_values_that_broke_it() {
        let zero = ParamsError::Zero;
        assert_eq!(wrong(|p| p.epoch_length = 0), zero("epoch_length"));
        let pace = ParamsError::PaceAboveIdleTarget {
            pace_ms: 501,
            idle_target_ms: 500,
        };
        assert_eq!(wrong(|p| p.pace_ms = 501), pace);
        let too_long = |name| ParamsError::TooLong {
            name,
            found: u64::MAX,
        };
        assert_eq!(
            wrong(|p| p.max_clock_ahead_ms = u64::MAX),
            too_long("max_clock_ahead_ms")
        );
        assert_eq!(
            wrong(|p| p.compute.open_window_ms = u64::MAX),
            too_long("compute.open_window_ms")
        );
        let zeros: [(&str, Change); 7] = [
            ("reveal_window_ms", |p| p.compute.reveal_window_ms = 0),
            ("unbonding_ms", |p| p.compute.unbonding_ms = 0),
            ("ended_jobs_kept_ms", |p| p.compute.ended_jobs_kept_ms = 0),
            ("verifier_fee_percent", |p| {
                p.compute.verifier_fee_percent = 0;
            }),
            ("verifications_per_place", |p| {
                p.compute.verifications_per_place = 0;
            }),
            ("live_jobs_per_customer", |p| {
                p.compute.live_jobs_per_customer = 0;
            }),
            ("min_bond", |p| p.compute.min_bond = Amount::ZERO),
        ];
        for (name, change) in zeros {
            let ParamsError::Zero(found) = wrong(change) else {
                panic!("{name} may be zero");
            };
            assert_eq!(found, format!("compute.{name}"));
        }
        for found in [0, MAX_ATTEMPTS + 1] {
            let attempts = ParamsError::MaxAttempts { found };
            assert_eq!(wrong(|p| p.compute.max_attempts = found), attempts);
        }
        let penalty = Amount(u128::MAX);
        let min_bond = Params::devnet().compute.min_bond;
        assert_eq!(
            wrong(|p| p.compute.decline_penalty = penalty),
            ParamsError::PenaltyAboveBond { penalty, min_bond }
        );
        let class = Params::devnet().compute.classes[0].class;
        assert_eq!(
            wrong(|p| p.compute.classes.extend(p.compute.classes.clone())),
            ParamsError::ClassTwice(class)
        );
        let many = |p: &mut Params| {
            p.compute.classes = vec![p.compute.classes[0].clone(); MAX_CLASSES + 1];
        };
        let found = MAX_CLASSES + 1;
        assert_eq!(wrong(many), ParamsError::TooManyClasses { found });
        assert_eq!(
            wrong(|p| p.compute.classes[0].min_fuel_per_ms = 0),
            zero("compute.classes.min_fuel_per_ms")
        );
    }

    #[test]
    fn a_class_is_one_that_there_is_and_opens_before_it_ends() {
        for number in [0, 1] {
            let gone = EngineClass(number);
            assert_eq!(
                wrong(|p| p.compute.classes[0].class = gone),
                ParamsError::NoSuchClass(gone)
            );
        }
        let mut params = Params::devnet();
        // A class of a later build is no fault: nodes run no programs, and partners say that they lack it.
        params.compute.classes[0].class = EngineClass(3);
        params.compute.classes[0].from_height = Height(9);
        for (until, may_end) in [(0, false), (9, false), (10, true)] {
            params.compute.classes[0].until_height = Some(Height(until));
            let never = ParamsError::ClassNeverOpen {
                class: EngineClass(3),
                from: Height(9),
                until: Height(until),
            };
            let expected = if may_end { Ok(()) } else { Err(never) };
            assert_eq!(params.check(), expected, "until {until}");
        }
    }

    #[test]
    fn a_class_is_open_from_its_first_height_to_the_one_before_its_end() {
        let mut old = Params::devnet().compute.classes[0].clone();
        (old.from_height, old.until_height) = (Height(5), Some(Height(8)));
        let open: Vec<u64> = (0..20).filter(|h| old.is_open(Height(*h))).collect();
        assert_eq!(open, [5, 6, 7]);
        old.until_height = None;
        assert!(old.is_open(Height(u64::MAX)));
    }

    #[test]
    fn the_newest_open_class_that_is_known_is_taken() {
        let mut compute = Params::devnet().compute;
        let mut new = compute.classes[0].clone();
        compute.classes[0].until_height = Some(Height(20));
        (new.class, new.from_height) = (EngineClass(3), Height(10));
        compute.classes.insert(0, new);
        let (two, three) = (EngineClass(2), EngineClass(3));
        let taken = |known: &[EngineClass], height| {
            let height = Height(height);
            newest_open_class(&compute.classes, known, height)
        };
        assert_eq!(taken(&[two, three], 9), Some(two));
        assert_eq!(taken(&[two, three], 10), Some(three));
        assert_eq!(taken(&[two], 19), Some(two));
        assert_eq!(taken(&[two], 20), None);
        assert_eq!(taken(&[three], 9), None);
    }

    #[test]
    fn an_announcement_may_not_come_after_what_counts_for_it_is_gone() {
        // 512 epochs of 20 blocks at 10 ms; the beacon may take 27 s until the window opens.
        let kept = 512 * 20 * 10;
        assert_eq!(Params::devnet().announcements_last_ms(), 30_000);
        let mut params = Params::devnet();
        params.compute.announce_window_ms = kept - 27_000;
        assert_eq!(params.check(), Ok(()));
        assert_eq!(
            wrong(|p| p.compute.announce_window_ms = kept - 26_999),
            ParamsError::EpochTooShort {
                kept_ms: kept,
                needed_ms: kept + 1
            }
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
        assert_eq!(wrong(versions(&[])), ParamsError::NoFirstVersion);
        assert_eq!(wrong(versions(&[(1, 1)])), ParamsError::NoFirstVersion);
        let zero = ParamsError::Zero("protocol_versions");
        assert_eq!(wrong(versions(&[(0, 0)])), zero);
        for (second, height) in [((0, 2), 0), ((9, 1), 9), ((9, 0), 9)] {
            let falls = ParamsError::VersionsNotAscending(Height(height));
            assert_eq!(wrong(versions(&[(0, 1), second])), falls);
        }
        let many: Vec<_> = (0..65u16).map(|n| (u64::from(n), n + 1)).collect();
        let found = many.len();
        assert_eq!(
            wrong(versions(&many)),
            ParamsError::TooManyVersions { found }
        );
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
