//! Who counts as heard, who missed a view, and when a chain stands still.

use types::hash::{ChainId, Hash32};
use types::number::{Epoch, Timestamp};
use types::testing::{committee, validator_id};

use super::*;

fn at(ms: u64) -> Now {
    Now {
        monotonic: Monotonic(ms),
        unix: Timestamp(1_000_000 + ms),
    }
}

/// Four validators as the first of them sees them, from time 0 in view 1 on.
fn four() -> Attendance {
    let committee = committee(&[4, 3, 3, 3]);
    let leaders = Leaders::new(ChainId(Hash32([1; 32])), Epoch::FIRST, committee.clone());
    let own = committee.ids()[0];
    Attendance::new(own, committee, leaders, View(1), 500, at(0))
}

#[test]
fn a_chain_that_grows_does_not_stand_still_and_one_that_does_not_names_the_silent() {
    let mut seen = four();
    let ids = seen.committee().ids().to_vec();
    assert_eq!(seen.standstill(at(STALLED_AFTER_MS - 1)), None);
    seen.voted(at(9_000), ids[1], View(3));
    let standstill = seen.standstill(at(10_000)).unwrap();
    let mut silent = vec![ids[2], ids[3]];
    silent.sort_unstable();
    assert_eq!(standstill.silent, silent);
    assert!(!standstill.quorum_is_heard, "7 of 13 do not decide");
    // What somebody said before the last ten seconds does not count.
    let later = seen.standstill(at(30_000)).unwrap();
    assert_eq!((later.for_ms, later.silent.len()), (30_000, 3));
    for id in &ids[1..3] {
        seen.voted(at(30_000), *id, View(4));
    }
    assert!(seen.standstill(at(30_001)).unwrap().quorum_is_heard);
    let header = types::testing::genesis(&[1]).header();
    seen.decided(at(30_002), &header);
    assert_eq!(seen.standstill(at(40_001)), None);
}

#[test]
fn ten_idle_blocks_take_longer_than_the_shortest_standstill() {
    let mut seen = four();
    seen.stalled_after_ms = 0;
    let committee = seen.committee.clone();
    let slow = Attendance::new(seen.own, committee, seen.leaders, View(1), 3_000, at(0));
    assert_eq!(slow.standstill(at(29_999)), None);
    assert!(slow.standstill(at(30_000)).is_some());
}

#[test]
fn only_views_that_were_nullified_are_missed_and_each_counts_once() {
    let mut seen = four();
    let is_odd = |view: View| view.0 % 2 == 1;
    seen.entered(View(9), is_odd);
    seen.entered(View(9), is_odd);
    seen.entered(View(4), is_odd);
    let missed = |seen: &Attendance| -> u64 { seen.members().map(|(_, one)| one.missed).sum() };
    assert_eq!(missed(&seen), 4, "1, 3, 5 and 7");
    assert_eq!(seen.missed(), 4);
    let leader = seen.leaders.clone().leader(View(9));
    let leader = seen.committee().id(leader).unwrap();
    let before = seen
        .members()
        .find(|(id, _)| *id == leader)
        .unwrap()
        .1
        .missed;
    seen.entered(View(10), |_| true);
    let after = seen
        .members()
        .find(|(id, _)| *id == leader)
        .unwrap()
        .1
        .missed;
    assert_eq!(after, before + 1);
    seen.entered(View(1_000_000), |_| true);
    assert_eq!(missed(&seen), 5 + COUNTED_VIEWS, "a long absence is cheap");
}

#[test]
fn of_strangers_nothing_is_kept() {
    let mut seen = four();
    seen.voted(at(1), validator_id(200), View(1));
    assert!(seen.seen.is_empty());
    let ids = seen.committee().ids().to_vec();
    seen.voted(at(5), ids[2], View(8));
    let (_, presence) = seen.members().nth(2).unwrap();
    assert_eq!(presence.voted, Some((View(8), at(5))));
}
