//! What is taken, when it is verified, and who is found out.

use types::hash::{BlockId, ChainId, Hash32};
use types::key::SecretKey;
use types::number::{Epoch, Stake, ValidatorIndex, View};
use types::params::Params;
use types::vote::{Certificate, CertificateError, Statement, Subject, Vote};

use super::fixtures::committee;
use super::{Collector, VIEWS_AHEAD, VIEWS_BELOW_FINAL};
use crate::config::{Config, Timing};
use crate::effect::Fault;
use crate::evidence::Evidence;

const CHAIN: ChainId = ChainId(Hash32([3; 32]));

fn collector(stakes: &[u64]) -> (Collector, Vec<SecretKey>) {
    let (committee, keys) = committee(stakes);
    let timing = Timing::new(&Params::devnet());
    let config = Config::new(
        CHAIN,
        Epoch::FIRST,
        committee,
        keys[0].clone(),
        BlockId::default(),
        timing,
    )
    .unwrap();
    (Collector::new(&config, Hash32([5; 32])), keys)
}

fn statement(view: u64, block: u8) -> Statement {
    Statement {
        epoch: Epoch::FIRST,
        view: View(view),
        subject: Subject::Finalize {
            block: BlockId(Hash32([block; 32])),
        },
    }
}

fn vote(keys: &[SecretKey], signer: u16, statement: Statement) -> Vote {
    Vote::sign(
        statement,
        ValidatorIndex(signer),
        &keys[usize::from(signer)],
        CHAIN,
    )
}

fn forged(keys: &[SecretKey], signer: u16, statement: Statement) -> Vote {
    let mut vote = vote(keys, signer, statement);
    vote.signature.0[3] ^= 1;
    vote
}

fn insert(collector: &mut Collector, vote: Vote) -> super::Collected {
    collector.insert(vote.signer, vote, false)
}

#[test]
fn a_quorum_is_of_stake() {
    let (mut collector, keys) = collector(&[3, 2, 1, 1]);
    let subject = statement(1, 1);
    for signer in [1, 2, 3] {
        assert_eq!(
            insert(&mut collector, vote(&keys, signer, subject)).certificate,
            None,
            "4 of 7 do not decide"
        );
    }
    let certificate = insert(&mut collector, vote(&keys, 0, subject))
        .certificate
        .unwrap();
    let signers: Vec<u16> = certificate.signers.iter().map(|index| index.0).collect();
    assert_eq!(
        signers,
        [0, 1],
        "no more signers than needed, the heaviest first"
    );
    assert_eq!(certificate.verify(&collector.term(), None), Ok(()));
    assert_eq!(collector.verify_certificate(&certificate), Ok(()));
}

#[test]
fn forged_votes_are_found_in_the_batch_and_their_senders_remembered() {
    let (mut collector, keys) = collector(&[1; 10]);
    let subject = statement(1, 1);
    let mut faults = Vec::new();
    for signer in 0..10 {
        let vote = if signer % 5 == 2 {
            forged(&keys, signer, subject)
        } else {
            vote(&keys, signer, subject)
        };
        let collected = insert(&mut collector, vote);
        faults.extend(collected.faults);
        assert_eq!(
            collected.certificate.is_some(),
            signer == 8,
            "seven good ones after {signer}"
        );
    }
    let liars = [ValidatorIndex(2), ValidatorIndex(7)];
    assert_eq!(faults, liars.map(|index| (index, Fault::BadSignature)));
    // From now on a forger's vote is verified when it comes.
    let collected = insert(&mut collector, forged(&keys, 2, statement(2, 1)));
    assert_eq!(collected.faults, [(ValidatorIndex(2), Fault::BadSignature)]);
    assert!(insert(&mut collector, vote(&keys, 2, statement(2, 1))).verified);
}

#[test]
fn a_vote_is_taken_from_its_signer_only() {
    let (mut collector, keys) = collector(&[1; 4]);
    let relayed = collector.insert(ValidatorIndex(1), vote(&keys, 2, statement(1, 1)), false);
    assert_eq!(relayed.faults, [(ValidatorIndex(1), Fault::NotItsOwn)]);
    assert!(collector.is_empty());
}

#[test]
fn one_vote_per_slot_and_two_if_they_conflict() {
    let (mut collector, keys) = collector(&[1; 4]);
    assert_eq!(
        insert(&mut collector, vote(&keys, 1, statement(1, 1))).faults,
        []
    );
    assert_eq!(
        insert(&mut collector, vote(&keys, 1, statement(1, 1))).faults,
        []
    );
    assert_eq!(collector.len(), 1);
    let second = insert(&mut collector, vote(&keys, 1, statement(1, 2)));
    let evidence = Evidence::new(
        vote(&keys, 1, statement(1, 1)),
        vote(&keys, 1, statement(1, 2)),
    );
    assert_eq!(
        second.faults,
        [(ValidatorIndex(1), evidence.unwrap().into())]
    );
    assert!(second.verified, "a second vote is verified at once");
    for block in 3..100 {
        assert_eq!(
            insert(&mut collector, vote(&keys, 1, statement(1, block))).faults,
            []
        );
    }
    assert_eq!(collector.len(), 2);
}

#[test]
fn a_forged_second_vote_accuses_nobody_of_equivocation() {
    let (mut collector, keys) = collector(&[1; 4]);
    insert(&mut collector, vote(&keys, 1, statement(1, 1)));
    let second = insert(&mut collector, forged(&keys, 1, statement(1, 2)));
    assert_eq!(second.faults, [(ValidatorIndex(1), Fault::BadSignature)]);
    assert_eq!(
        collector.latest_of(ValidatorIndex(1)),
        (vec![vote(&keys, 1, statement(1, 1))], None)
    );
}

#[test]
fn views_out_of_the_window_are_not_kept() {
    let (mut collector, keys) = collector(&[1; 4]);
    collector.advance(View(500), View(490));
    for view in 0..1_000 {
        insert(&mut collector, vote(&keys, 1, statement(view, 1)));
    }
    let first = 490 - VIEWS_BELOW_FINAL + 1;
    let last = 500 + VIEWS_AHEAD;
    assert_eq!(collector.len(), usize::try_from(last - first + 1).unwrap());
    collector.advance(View(900), View(899));
    assert!(collector.is_empty());
}

#[test]
fn what_falls_out_of_the_window_is_forgotten_to_the_view() {
    let (mut collector, keys) = collector(&[1; 4]);
    let views = 1..=3;
    for view in views.clone() {
        let votes: Vec<Vote> = (0..3)
            .map(|signer| vote(&keys, signer, statement(view, 1)))
            .collect();
        collector.learn(&Certificate::from_votes(statement(view, 1), &votes));
    }
    assert!(!collector.is_empty());
    for last in views {
        collector.advance(View(100), View(last + VIEWS_BELOW_FINAL));
        let left = usize::try_from(3 - last).unwrap();
        assert_eq!(collector.len(), 3 * left, "votes after view {last}");
        assert_eq!(collector.done.len(), left, "certificates after view {last}");
    }
    let old = statement(3, 1);
    let votes: Vec<Vote> = (0..3).map(|signer| vote(&keys, signer, old)).collect();
    assert_eq!(collector.learn(&Certificate::from_votes(old, &votes)), []);
    assert!(collector.done.is_empty(), "nor comes again");
}

#[test]
fn a_vote_that_comes_again_is_as_good_as_it_was() {
    let (mut collector, keys) = collector(&[1; 4]);
    for at_once in [false, true] {
        let vote = vote(&keys, 1, statement(1 + u64::from(at_once), 1));
        for _ in 0..2 {
            let collected = collector.insert(vote.signer, vote, at_once);
            assert_eq!(collected.verified, at_once);
        }
    }
}

#[test]
fn a_certificate_proves_the_votes_in_it_and_no_others() {
    let (mut collector, keys) = collector(&[1; 5]);
    let liar = ValidatorIndex(4);
    insert(&mut collector, forged(&keys, liar.0, statement(1, 2)));
    for signer in 0..4 {
        insert(&mut collector, vote(&keys, signer, statement(1, 1)));
    }
    for kept in collector.slots.values().flatten() {
        assert_eq!(kept.verified, kept.vote.signer != liar);
    }
    let second = insert(&mut collector, vote(&keys, liar.0, statement(1, 1)));
    assert_eq!(
        second.faults,
        [(liar, Fault::BadSignature)],
        "it forged, and said one thing"
    );
}

#[test]
fn votes_of_another_epoch_are_not_taken() {
    let (mut collector, keys) = collector(&[1; 4]);
    let later = Statement {
        epoch: Epoch(2),
        ..statement(1, 1)
    };
    insert(&mut collector, vote(&keys, 1, later));
    assert!(collector.is_empty());
    let votes: Vec<Vote> = (0..4).map(|signer| vote(&keys, signer, later)).collect();
    let certificate = Certificate::from_votes(later, &votes);
    assert_eq!(
        collector.verify_certificate(&certificate),
        Err(CertificateError::OtherEpoch {
            found: Epoch(2),
            expected: Epoch::FIRST
        })
    );
}

#[test]
fn certificates_that_prove_nothing_are_refused() {
    let (collector, keys) = collector(&[3, 2, 1, 1]);
    let subject = statement(1, 1);
    let of = |signers: &[u16]| {
        let votes: Vec<Vote> = signers
            .iter()
            .map(|signer| vote(&keys, *signer, subject))
            .collect();
        Certificate::from_votes(subject, &votes)
    };
    assert_eq!(collector.verify_certificate(&of(&[0, 1])), Ok(()));
    let light = CertificateError::NoQuorum {
        found: Stake(4),
        quorum: Stake(5),
    };
    assert_eq!(collector.verify_certificate(&of(&[1, 2, 3])), Err(light));
    let mut bad = of(&[0, 1]);
    bad.signatures.as_mut_slice()[1].0[0] ^= 1;
    assert_eq!(
        collector.verify_certificate(&bad),
        Err(CertificateError::Signature)
    );
    let mut short = of(&[0, 1]);
    short.signatures = of(&[0]).signatures;
    assert!(matches!(
        collector.verify_certificate(&short),
        Err(CertificateError::Count { .. })
    ));
}

#[test]
fn the_latest_vote_of_each_kind_is_found_also_in_certificates() {
    let (mut collector, keys) = collector(&[1; 4]);
    let nullify = |view| Statement {
        subject: Subject::Nullify,
        ..statement(view, 1)
    };
    insert(&mut collector, vote(&keys, 1, nullify(3)));
    insert(&mut collector, vote(&keys, 1, nullify(5)));
    insert(&mut collector, forged(&keys, 1, nullify(6)));
    let votes: Vec<Vote> = (0..3)
        .map(|signer| vote(&keys, signer, statement(9, 1)))
        .collect();
    collector.learn(&Certificate::from_votes(statement(9, 1), &votes));
    let (latest, fault) = collector.latest_of(ValidatorIndex(1));
    let latest: Vec<Statement> = latest.iter().map(|vote| vote.statement).collect();
    assert_eq!(
        (latest, fault),
        (vec![nullify(5), statement(9, 1)], Some(Fault::BadSignature))
    );
}

#[test]
fn votes_planted_with_garbage_for_a_signature_are_verified_once_for_a_vote_recovery() {
    let (mut collector, keys) = collector(&[1; 4]);
    for view in 1..=60 {
        insert(&mut collector, forged(&keys, 1, statement(view, 1)));
    }
    assert_eq!(collector.len(), 60);
    assert_eq!(
        collector.latest_of(ValidatorIndex(1)),
        (Vec::new(), Some(Fault::BadSignature))
    );
    assert!(collector.is_empty(), "none of them is looked at again");
    assert_eq!(collector.latest_of(ValidatorIndex(1)), (Vec::new(), None));
    let again = insert(&mut collector, forged(&keys, 1, statement(61, 1)));
    assert_eq!(
        again.faults,
        [(ValidatorIndex(1), Fault::BadSignature)],
        "and what follows is verified when it comes"
    );
    assert!(collector.is_empty());
}

#[test]
fn votes_that_come_before_their_view_still_count() {
    // A collector that dropped what it could not yet use would stall.
    let (mut collector, keys) = collector(&[1; 4]);
    let subject = statement(40, 1);
    insert(&mut collector, vote(&keys, 1, subject));
    insert(&mut collector, vote(&keys, 2, subject));
    collector.advance(View(39), View(38));
    collector.advance(View(41), View(39));
    assert!(
        insert(&mut collector, vote(&keys, 3, subject))
            .certificate
            .is_some()
    );
}

#[test]
fn a_vote_of_no_member_is_not_kept() {
    let (mut collector, keys) = collector(&[1, 1, 1, 1]);
    let mut stranger = vote(&keys, 0, statement(1, 1));
    stranger.signer = ValidatorIndex(4);
    insert(&mut collector, stranger);
    assert!(collector.is_empty());
}
