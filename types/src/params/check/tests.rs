//! Each rule of a network's parameters, and the epochs, versions and classes that follow from them.

use super::*;
use crate::number::Epoch;
use crate::params::newest_open_class;

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

/// Parameters of a network on which somebody has something to lose.
fn real() -> Params {
    let devnet = Params::devnet();
    Params {
        devnet: false,
        epoch_length: 100_000,
        beacon_lag: 8,
        min_fee: Amount(SQUARE.0 / 10),
        compute: ComputeParams {
            open_window_ms: 3_600_000,
            acknowledge_window_ms: 300_000,
            announce_window_ms: 300_000,
            execute_window_ms: 300_000,
            renewal_interval_ms: 30_000,
            reveal_window_ms: 300_000,
            store_window_ms: 600_000,
            unbonding_ms: 14 * 86_400_000,
            audit_window_ms: 86_400_000,
            appeal_window_ms: 86_400_000,
            ended_jobs_kept_ms: 2 * 86_400_000,
            ..devnet.compute
        },
        ..devnet
    }
}

#[test]
fn only_a_devnet_may_have_short_windows_near_beacons_cheap_state_and_unchecked_newcomers() {
    assert_eq!(real().check(), Ok(()));
    let undeclared = Params {
        devnet: false,
        ..Params::devnet()
    };
    assert!(matches!(
        undeclared.check(),
        Err(ParamsError::BelowFloor { .. })
    ));
    let below: [(&str, u128, Change); 17] = [
        ("compute.open_window_ms", 300_000, |p| {
            p.compute.open_window_ms = 1;
        }),
        ("compute.acknowledge_window_ms", 300_000, |p| {
            p.compute.acknowledge_window_ms -= 1;
        }),
        ("compute.announce_window_ms", 300_000, |p| {
            p.compute.announce_window_ms -= 1;
        }),
        ("compute.execute_window_ms", 300_000, |p| {
            p.compute.execute_window_ms -= 1;
        }),
        ("compute.reveal_window_ms", 300_000, |p| {
            p.compute.reveal_window_ms -= 1;
        }),
        ("compute.store_window_ms", 300_000, |p| {
            p.compute.store_window_ms = 299_999;
        }),
        ("compute.audit_window_ms", 300_000, |p| {
            p.compute.audit_window_ms = 299_999;
        }),
        ("compute.appeal_window_ms", 300_000, |p| {
            p.compute.appeal_window_ms = 299_999;
        }),
        ("compute.place_rent", 1, |p| {
            p.compute.place_rent = Amount::ZERO;
        }),
        ("compute.blob_rent_per_gib", 1, |p| {
            p.compute.blob_rent_per_gib = Amount::ZERO;
        }),
        ("compute.bond_rent_ppb", 1, |p| p.compute.bond_rent_ppb = 0),
        ("compute.probation_multiple", 1, |p| {
            p.compute.probation_multiple = 0;
        }),
        ("compute.acknowledge_window_ms", 400_000, |p| {
            p.idle_target_ms = 100_000;
        }),
        ("compute.renewal_interval_ms", 30_000, |p| {
            p.compute.renewal_interval_ms -= 1;
        }),
        ("compute.unbonding_ms", 172_800_001, |p| {
            p.compute.unbonding_ms = 172_800_000;
        }),
        ("beacon_lag", 8, |p| p.beacon_lag = 7),
        ("min_fee", MIN_FEE, |p| p.min_fee = Amount(MIN_FEE - 1)),
    ];
    for (name, min, change) in below {
        let mut params = real();
        change(&mut params);
        let Err(ParamsError::BelowFloor {
            name: found,
            min: floor,
            ..
        }) = params.check()
        else {
            panic!("{name} may be below its floor: {:?}", params.check());
        };
        assert_eq!((found, floor), (name, min));
    }
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
}

#[test]
fn what_must_be_above_zero_says_so() {
    let zeros: [(&str, Change); 9] = [
        ("reveal_window_ms", |p| p.compute.reveal_window_ms = 0),
        ("unbonding_ms", |p| p.compute.unbonding_ms = 0),
        ("audit_window_ms", |p| p.compute.audit_window_ms = 0),
        ("appeal_window_ms", |p| p.compute.appeal_window_ms = 0),
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
    let changes: [(&str, Change); 2] = [
        ("max_task_fuel", |p| p.compute.classes[0].max_task_fuel = 0),
        ("min_fuel_per_ms", |p| {
            p.compute.classes[0].min_fuel_per_ms = 0;
        }),
    ];
    for (name, change) in changes {
        let ParamsError::Zero(found) = wrong(change) else {
            panic!("{name} may be zero");
        };
        assert_eq!(found, format!("compute.classes.{name}"));
    }
}

#[test]
fn each_rule_of_jobs_parameters_has_its_error() {
    for found in [0, MAX_ATTEMPTS + 1] {
        let attempts = ParamsError::MaxAttempts { found };
        assert_eq!(wrong(|p| p.compute.max_attempts = found), attempts);
    }
    let min = 8 << 30;
    let room = ParamsError::BlobRoomTooSmall {
        found: min - 1,
        min,
    };
    assert_eq!(wrong(|p| p.compute.blob_room_bytes = min - 1), room);
    let penalty = Amount(u128::MAX);
    let min_bond = Params::devnet().compute.min_bond;
    assert_eq!(
        wrong(|p| p.compute.decline_penalty = penalty),
        ParamsError::PenaltyAboveBond { penalty, min_bond }
    );
    let (audit_ms, kept_ms) = (30_000, 29_999);
    assert_eq!(
        wrong(|p| p.compute.ended_jobs_kept_ms = kept_ms),
        ParamsError::AuditAfterReceipt { audit_ms, kept_ms }
    );
    let appeal_ms = 3_600_001;
    assert_eq!(
        wrong(|p| p.compute.appeal_window_ms = appeal_ms),
        ParamsError::AppealAfterEnd {
            appeal_ms,
            kept_ms: 3_600_000
        }
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
