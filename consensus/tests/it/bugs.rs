//! Bugs that real engines shipped, each shown not to be here. Those of a single engine (resuming from the wrong record
//! and proposing twice, no timer after a restart, unbounded forks at one height) are tests of the engine itself.

use std::collections::BTreeSet;

use consensus::{Evidence, Leaders, Message};
use types::committee::ValidatorSet;
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::{Certificate, Subject};

use crate::sim::{CHAIN, Options, Sim};

const DEVNET: &[u64] = &[4, 3, 3, 3];

/// The views in which the validators are split; each of them leads at least one.
const SPLITS: std::ops::RangeInclusive<u64> = 4..=11;

/// When notarize votes of a split view come through, at the earliest: blocks take a second each, and everybody has given
/// the view up by then.
fn notarized_ms(split: View) -> u64 {
    (split.0 + 8) * 1_000
}

/// From then on nothing is held back.
fn healed_ms(split: View) -> u64 {
    (split.0 + 16) * 1_000
}

/// Of the view `split`, notarize votes reach the first half only, and only after everybody voted nullify; nullify votes
/// reach the second half only. Nothing tells one half what the other holds.
fn splits(split: View, now: u64, to: usize, message: &Message) -> bool {
    if now >= healed_ms(split) {
        return true;
    }
    let first_half = to < 2;
    match message {
        Message::Vote(vote) if vote.statement.view == split => match vote.statement.subject {
            Subject::Notarize { .. } => first_half && now >= notarized_ms(split),
            Subject::Nullify => !first_half,
            Subject::Finalize { .. } => true,
        },
        Message::Certificate(certificate) => certificate.statement.view < split,
        Message::Proposal(proposal) => proposal.view <= split,
        Message::Certificates(_) => false,
        _ => true,
    }
}

#[test]
fn a_certified_split_heals() {
    let mut leaders = BTreeSet::new();
    for split in SPLITS.map(View) {
        let end_ms = healed_ms(split) + 23_000;
        let mut sim = Sim::new(Options {
            end_ms,
            ..Options::new(split.0, DEVNET)
        });
        let committee = sim.term().committee.clone();
        leaders.insert(Leaders::new(CHAIN, Epoch::FIRST, committee).leader(split));
        sim.filter = Box::new(move |now, _, to, message| splits(split, now, to, message));
        sim.run_until(healed_ms(split) - 1).unwrap();
        for node in 0..4 {
            let held = sim.audit.certificates_of(node, split);
            let is_notarized = |certificate: &Certificate| {
                matches!(certificate.statement.subject, Subject::Notarize { .. })
            };
            assert_eq!(held.len(), 1, "view {split}, node {node}: {held:?}");
            assert_eq!(
                held.iter().any(is_notarized),
                node < 2,
                "view {split}, node {node}"
            );
        }
        let before = sim.heights().into_iter().max().unwrap();
        sim.run_until(end_ms).unwrap();
        sim.require_height(before + 10)
            .unwrap_or_else(|violation| panic!("view {split}: {violation}"));
    }
    assert_eq!(leaders.len(), DEVNET.len(), "whoever leads the view");
}

#[test]
fn two_conflicting_finalizations_name_more_than_f_of_the_stake() {
    // S5. Two members with 7 of 13 run twice, and each half of them decides with one honest member.
    for seed in 0..8 {
        let mut sim = Sim::new(Options {
            twins: vec![0, 1],
            ..Options::new(seed, DEVNET)
        });
        sim.part(&[0, 0, 0, 1, 1, 1]);
        let forked = sim.run_until(30_000).unwrap_err();
        assert!(
            forked.contains("two blocks are final"),
            "seed {seed}: {forked}"
        );
        let votes = sim.audit.votes_in_certificates(&[2, 3]);
        let mut named = ValidatorSet::default();
        for (first, second) in votes.iter().flat_map(|a| votes.iter().map(move |b| (a, b))) {
            if let Some(evidence) = Evidence::new(*first, *second) {
                assert!(evidence.verify(&sim.term()), "seed {seed}");
                named.insert(evidence.signer());
            }
        }
        let stake = sim.term().committee.stake_of(&named);
        assert!(
            stake > sim.term().committee.thresholds().faulty,
            "seed {seed}: {named:?}"
        );
        assert!(!named.contains(ValidatorIndex(2)) && !named.contains(ValidatorIndex(3)));
    }
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
    sim.filter = Box::new(|now, _, to, message| {
        to != 3 || now > 6_000 || !matches!(message, Message::Certificate(_))
    });
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
