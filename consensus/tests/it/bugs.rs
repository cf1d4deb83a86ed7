//! Bugs that real engines shipped, each shown not to be here. Those of a single engine (resuming from the wrong record
//! and proposing twice, no timer after a restart, unbounded forks at one height) are tests of the engine itself.

use consensus::Message;
use types::vote::Subject;

use crate::sim::{Options, Sim};

const DEVNET: &[u64] = &[4, 3, 3, 3];

fn is_certificate(message: &Message, nullification: bool) -> bool {
    match message {
        Message::Certificate(certificate) => {
            matches!(certificate.statement.subject, Subject::Nullify) == nullification
        }
        _ => false,
    }
}

#[test]
fn a_certified_split_heals() {
    // For a while notarizations reach only the first half and nullifications only the second, and votes are lost at
    // random, so that the halves leave the same views by different certificates.
    let mut splits = 0;
    for seed in 8..24 {
        let mut sim = Sim::new(Options {
            loss_percent: 20,
            end_ms: 45_000,
            ..Options::new(seed, DEVNET)
        });
        sim.filter = |now, _, to, message| {
            let split = now < 15_000 && is_certificate(message, to < 2);
            let late_votes = now < 15_000
                && to >= 2
                && matches!(message, Message::Proposal(_))
                && now % 2_500 < 1_250;
            !split && !late_votes
        };
        sim.run_until(15_000).unwrap();
        let before = sim.heights().into_iter().max().unwrap();
        splits += sim.audit.splits();
        sim.run_until(45_000).unwrap();
        sim.require_height(before + 10)
            .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    assert!(splits > 0, "none of the seeds split the validators");
}

#[test]
fn messages_that_come_before_they_can_be_used_are_not_lost() {
    // Node 3 hears nothing of the first seconds but the votes and proposals of the present: what it gets before it
    // can verify or use it must count once the certificates have caught it up.
    let mut sim = Sim::new(Options {
        max_delay_ms: 400,
        end_ms: 30_000,
        ..Options::new(5, DEVNET)
    });
    sim.filter =
        |now, _, to, message| to != 3 || now > 6_000 || !matches!(message, Message::Certificate(_));
    sim.run().unwrap();
    sim.require_height(25).unwrap();
}

#[test]
fn the_last_votes_before_all_crash_do_not_halt_the_chain() {
    // Crashes of all at once at many different moments of a view: nobody may be left in a view that never ends.
    for moment in 0..24 {
        let mut sim = Sim::new(Options {
            end_ms: 12_000,
            ..Options::new(moment, DEVNET)
        });
        sim.run_until(2_000 + moment * 23).unwrap();
        for node in 0..4 {
            sim.crash(node, 100);
        }
        let before = sim.heights().into_iter().max().unwrap();
        sim.run().unwrap();
        sim.require_height(before + 4)
            .unwrap_or_else(|violation| panic!("moment {moment}: {violation}"));
    }
}
