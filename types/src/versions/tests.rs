//! Schedules of versions: what is in force, which upgrades fit, which final headers do.

use super::*;
use crate::limits::MAX_PROTOCOL_VERSIONS;

fn start((height, version): (u64, u16)) -> VersionStart {
    VersionStart {
        height: Height(height),
        version: ProtocolVersion(version),
    }
}

fn upgraded(upgrades: &[(u64, u16)]) -> Result<VersionSchedule, UpgradeError> {
    let upgrades: Vec<_> = upgrades.iter().copied().map(start).collect();
    VersionSchedule::of_genesis(&Params::devnet()).with_upgrades(&upgrades)
}

fn header(height: u64, version: ProtocolVersion) -> Header {
    let mut header = crate::testing::genesis(&[1]).header();
    (header.height, header.protocol_version) = (Height(height), version);
    header
}

#[test]
fn a_height_has_the_last_version_that_started() {
    let schedule = upgraded(&[(10, 2), (30, 5)]).unwrap();
    for (height, version) in [(0, 1), (9, 1), (10, 2), (29, 2), (30, 5), (u64::MAX, 5)] {
        let found = schedule.version(Height(height));
        assert_eq!(found, ProtocolVersion(version), "at height {height}");
    }
    for (height, next) in [
        (0, Some((10, 2))),
        (9, Some((10, 2))),
        (10, Some((30, 5))),
        (30, None),
    ] {
        assert_eq!(schedule.next_after(Height(height)), next.map(start));
    }
    let newer = NEWEST_PROTOCOL_VERSION.0 + 1;
    let schedule = upgraded(&[(10, newer)]).unwrap();
    assert!(schedule.known_version(Height(9)).is_ok());
    assert_eq!(
        schedule.known_version(Height(10)),
        Err(UnknownProtocolVersion {
            version: ProtocolVersion(newer),
            height: Height(10)
        })
    );
}

#[test]
fn upgrades_stand_above_genesis_and_ascend() {
    let falls = |upgrade, before| {
        Err(UpgradeError::NotAscending {
            upgrade: start(upgrade),
            before: start(before),
        })
    };
    assert_eq!(upgraded(&[(0, 2)]), falls((0, 2), (0, 1)));
    assert_eq!(upgraded(&[(9, 1)]), falls((9, 1), (0, 1)));
    assert_eq!(upgraded(&[(9, 2), (9, 3)]), falls((9, 3), (9, 2)));
    assert_eq!(upgraded(&[(9, 3), (10, 2)]), falls((10, 2), (9, 3)));
    let many = |count: u16| -> Vec<_> { (1..=count).map(|n| (u64::from(n), n + 1)).collect() };
    assert_eq!(
        upgraded(&many(63)).unwrap().starts().len(),
        MAX_PROTOCOL_VERSIONS
    );
    assert_eq!(
        upgraded(&many(64)),
        Err(UpgradeError::TooMany { found: 65 })
    );
}

#[test]
fn a_final_header_of_another_version_tells_an_old_program_from_another_schedule() {
    let schedule = upgraded(&[]).unwrap();
    assert_eq!(schedule.check_final(&header(9, ProtocolVersion(1))), Ok(()));
    let newer = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);
    let unknown = |height| {
        VersionError::Unknown(UnknownProtocolVersion {
            version: newer,
            height: Height(height),
        })
    };
    assert_eq!(schedule.check_final(&header(9, newer)), Err(unknown(9)));
    let upgraded = upgraded(&[(9, newer.0)]).unwrap();
    assert_eq!(upgraded.check_final(&header(8, ProtocolVersion(1))), Ok(()));
    assert_eq!(
        upgraded.check_final(&header(9, ProtocolVersion(1))),
        Err(VersionError::Schedule(OtherSchedule {
            height: Height(9),
            found: ProtocolVersion(1),
            expected: newer,
        }))
    );
    let zero = schedule.check_final(&header(9, ProtocolVersion::ZERO));
    assert!(matches!(zero, Err(VersionError::Unknown(_))), "{zero:?}");
}
