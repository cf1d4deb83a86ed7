//! Two processes with one key, as on two machines: each has a clean log and a disk of its own, and neither sees the other.
//! Whoever comes second stops or stops the first; whoever is started alone again goes on.

use std::collections::BTreeSet;

use consensus::Message;

use crate::sim::{Options, Sim};

const DEVNET: &[u64] = &[4, 3, 3, 3];
/// The index of the process that runs beside one of the members.
const SECOND: usize = DEVNET.len();

/// A committee of which one member runs twice. Its halves are heard by all, or each peer is connected to one of them
/// at a time and changes over every second, as peers of two nodes with one node key do.
fn committee_with(twin: u16, seed: u64, one_at_a_time: bool) -> Sim {
    let mut sim = Sim::new(Options {
        twins: vec![twin],
        ..Options::new(seed, DEVNET)
    });
    let halves = [usize::from(twin), SECOND];
    sim.filter = Box::new(move |now, from, to, _: &Message| {
        let reaches = |half: usize, peer: usize| {
            let turn = usize::try_from(now / 1_000).unwrap_or(0) + peer;
            half == halves[turn % 2]
        };
        match (halves.contains(&from), halves.contains(&to)) {
            _ if !one_at_a_time => true,
            (true, false) => reaches(from, to),
            (false, true) => reaches(to, from),
            _ => true,
        }
    });
    sim
}

#[test]
fn of_two_processes_with_one_key_one_stops_and_the_other_goes_on_when_it_is_alone() {
    for one_at_a_time in [false, true] {
        for (twin, seed) in (0..4).flat_map(|twin| (0..2).map(move |seed| (twin, seed))) {
            let case = format!("member {twin}, seed {seed}, one at a time: {one_at_a_time}");
            let mut sim = committee_with(twin, seed, one_at_a_time);
            let mut end = 0;
            while sim.stopped.is_empty() {
                end += 100;
                assert!(end <= 30_000, "{case}: nobody stops");
                sim.run_until(end)
                    .unwrap_or_else(|why| panic!("{case}: {why}"));
            }
            let halves = BTreeSet::from([usize::from(twin), SECOND]);
            assert!(sim.stopped.is_subset(&halves), "{case}: {:?}", sim.stopped);
            // The operator turns the second off for good, and starts the first again if it stopped, too: by what was still
            // on its way, at the latest.
            sim.turn_off(SECOND);
            sim.filter = Box::new(|_, _, _, _| true);
            sim.run_until(end + 1_000)
                .unwrap_or_else(|why| panic!("{case}: {why}"));
            if sim.stopped.contains(&usize::from(twin)) {
                sim.start(usize::from(twin));
            }
            let before = sim.heights().into_iter().max().unwrap_or(0);
            sim.run_until(end + 12_000)
                .unwrap_or_else(|why| panic!("{case}: {why}"));
            assert_eq!(sim.stopped, BTreeSet::from([SECOND]), "{case}");
            sim.require_height(before + 6)
                .unwrap_or_else(|why| panic!("{case}: {why}"));
        }
    }
}
