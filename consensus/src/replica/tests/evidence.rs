//! Rule 13: whoever says two things is found out, whatever the order in which they come, and the proof is kept whole.

use super::*;
use crate::evidence::Evidence;

fn finalize(view: u64, block: u8) -> Statement {
    let block = BlockId(Hash32([block; 32]));
    statement(view, Subject::Finalize { block })
}

fn nullify(view: u64) -> Statement {
    statement(view, Subject::Nullify)
}

/// The evidence against a validator among effects, verified.
fn evidence_of(replica: &Replica, effects: &[Effect], validator: ValidatorIndex) -> Vec<Evidence> {
    let term = types::vote::Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &replica.config.committee,
    };
    let mut all = Vec::new();
    for fault in faults_of(effects, validator) {
        let Fault::Equivocation(evidence) = fault else {
            panic!("{fault}");
        };
        assert!(evidence.verify(&term));
        assert_eq!(evidence.signer(), validator);
        all.push(*evidence);
    }
    all
}

fn send(replica: &mut Replica, from: ValidatorIndex, message: Message) -> Vec<Effect> {
    effects(replica.receive(now(0), id(from), message))
}

#[test]
fn a_second_proposal_is_evidence_and_verified_once() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let of = |fee| Message::Proposal(Box::new(proposal(&keys, leader, view, block(leader, fee))));
    assert_eq!(faults_of(&send(&mut replica, leader, of(1)), leader), []);
    assert_eq!(faults_of(&send(&mut replica, leader, of(1)), leader), []);
    let found = send(&mut replica, leader, of(2));
    let evidence = evidence_of(&replica, &found, leader);
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].view(), View(view));
    assert_ne!(evidence[0].first.statement, evidence[0].second.statement);
    let mut bad = proposal(&keys, leader, view, block(leader, 3));
    bad.signature.0[0] ^= 1;
    let found = send(&mut replica, leader, Message::Proposal(Box::new(bad)));
    assert_eq!(found, [], "a third one is not looked at");
}

#[test]
fn a_forged_second_proposal_accuses_nobody_of_equivocation() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let first = proposal(&keys, leader, view, block(leader, 1));
    send(&mut replica, leader, Message::Proposal(Box::new(first)));
    let mut second = proposal(&keys, leader, view, block(leader, 2));
    second.notarize.0[0] ^= 1;
    let found = send(
        &mut replica,
        leader,
        Message::Proposal(Box::new(second.clone())),
    );
    assert_eq!(faults_of(&found, leader), [Fault::BadSignature]);
    let other = ValidatorIndex(if leader.0 == 1 { 2 } else { 1 });
    let second = proposal(&keys, leader, view, block(leader, 2));
    let found = send(&mut replica, other, Message::Proposal(Box::new(second)));
    assert_eq!(found, [], "nobody speaks for the leader");
}

#[test]
fn a_proposal_and_another_notarize_of_its_leader_are_evidence_in_both_orders() {
    for proposal_first in [true, false] {
        let (mut replica, keys) = replica();
        let (view, leader) = led_by_others(&mut replica)[0];
        let proposal = proposal(&keys, leader, view, block(leader, 1));
        let subject = Subject::Notarize {
            parent_view: View::ZERO,
            block: BlockId(Hash32([6; 32])),
        };
        let vote = Message::Vote(signed(&keys, leader, statement(view, subject)));
        let proposal = Message::Proposal(Box::new(proposal));
        let (first, second) = if proposal_first {
            (proposal, vote)
        } else {
            (vote, proposal)
        };
        assert_eq!(faults_of(&send(&mut replica, leader, first), leader), []);
        let found = send(&mut replica, leader, second);
        assert_eq!(evidence_of(&replica, &found, leader).len(), 1);
    }
}

#[test]
fn nullify_and_finalize_of_one_view_are_evidence_in_both_orders() {
    for pair in [[nullify(5), finalize(5, 1)], [finalize(5, 1), nullify(5)]] {
        let (mut replica, keys) = replica();
        let [first, second] =
            pair.map(|statement| Message::Vote(signed(&keys, MALLORY, statement)));
        assert_eq!(send(&mut replica, MALLORY, first), []);
        let found = send(&mut replica, MALLORY, second.clone());
        assert_eq!(evidence_of(&replica, &found, MALLORY).len(), 1);
        assert_eq!(send(&mut replica, MALLORY, second), [], "said again");
    }
    let (mut replica, keys) = replica();
    for statement in [nullify(5), finalize(6, 1), nullify(7)] {
        let vote = Message::Vote(signed(&keys, MALLORY, statement));
        assert_eq!(send(&mut replica, MALLORY, vote), [], "of other views");
    }
}

#[test]
fn of_a_contradiction_with_a_forged_vote_only_the_forgery_is_a_fault() {
    for forged_first in [true, false] {
        let (mut replica, keys) = replica();
        let mut votes =
            [nullify(5), finalize(5, 1)].map(|statement| signed(&keys, MALLORY, statement));
        votes[usize::from(!forged_first)].signature.0[1] ^= 1;
        let [first, second] = votes.map(Message::Vote);
        assert_eq!(send(&mut replica, MALLORY, first), []);
        let found = send(&mut replica, MALLORY, second);
        assert_eq!(faults_of(&found, MALLORY), [Fault::BadSignature]);
    }
}

#[test]
fn certificates_are_compared_with_the_votes_held() {
    let other = statement(
        5,
        Subject::Notarize {
            parent_view: View::ZERO,
            block: BlockId(Hash32([7; 32])),
        },
    );
    let notarize = statement(
        5,
        Subject::Notarize {
            parent_view: View(2),
            block: BlockId(Hash32([7; 32])),
        },
    );
    for (said, certified) in [
        (finalize(5, 1), nullify(5)),
        (nullify(5), finalize(5, 1)),
        (finalize(5, 2), finalize(5, 1)),
        (notarize, other),
    ] {
        let (mut replica, keys) = replica();
        let vote = Message::Vote(signed(&keys, MALLORY, said));
        assert_eq!(send(&mut replica, MALLORY, vote), []);
        let certificate = certificate(&keys, certified, &[0, 1, 2]);
        let relay = ValidatorIndex(3);
        let found = send(&mut replica, relay, Message::Certificate(certificate));
        assert_eq!(evidence_of(&replica, &found, MALLORY).len(), 1, "{said:?}");
        assert_eq!(
            faults_of(&found, relay),
            [],
            "whoever relays it says nothing"
        );
        assert_eq!(faults_of(&found, ValidatorIndex(2)), []);
    }
}

/// A replica that holds Mallory's nullify of view 5, and has seen the others finalize it.
fn finalized_without_mallory() -> (Replica, Vec<SecretKey>) {
    let (mut replica, keys) = replica();
    let vote = Message::Vote(signed(&keys, MALLORY, nullify(5)));
    assert_eq!(send(&mut replica, MALLORY, vote), []);
    let known = Message::Certificate(certificate(&keys, finalize(5, 1), &[0, 2, 3]));
    let found = send(&mut replica, ValidatorIndex(3), known);
    assert_eq!(faults_of(&found, MALLORY), []);
    (replica, keys)
}

#[test]
fn a_certificate_that_says_nothing_new_is_compared_with_the_votes_held() {
    let (mut replica, keys) = finalized_without_mallory();
    let relay = ValidatorIndex(3);
    let again = || Message::Certificate(certificate(&keys, finalize(5, 1), &[0, 1, 2]));
    let found = send(&mut replica, relay, again());
    assert_eq!(evidence_of(&replica, &found, MALLORY).len(), 1);
    assert_eq!(faults_of(&found, relay), []);
    let found = send(&mut replica, relay, again());
    assert_eq!(faults_of(&found, MALLORY), [], "once");
}

#[test]
fn of_a_known_certificate_with_a_forged_contradiction_the_sender_is_at_fault() {
    let (mut replica, keys) = finalized_without_mallory();
    let relay = ValidatorIndex(3);
    let mut forged = certificate(&keys, finalize(5, 1), &[0, 1, 2]);
    forged.signatures.as_mut_slice()[1].0[4] ^= 1;
    let found = send(&mut replica, relay, Message::Certificate(forged));
    assert_eq!(faults_of(&found, MALLORY), []);
    assert_eq!(faults_of(&found, relay), [Fault::BadCertificate]);
    let mut unread = certificate(&keys, finalize(5, 1), &[0, 2, 3]);
    unread.signatures.as_mut_slice()[1].0[4] ^= 1;
    let found = send(&mut replica, relay, Message::Certificate(unread));
    assert_eq!(faults_of(&found, relay), [], "it contradicts nobody");
}

#[test]
fn a_known_certificate_is_not_looked_into_where_it_can_prove_nothing() {
    let relay = ValidatorIndex(3);
    let of_mallory_forged = |mut certificate: Certificate| {
        certificate.signatures.as_mut_slice()[1].0[4] ^= 1;
        Message::Certificate(certificate)
    };
    // Of another term: no vote that is held contradicts it.
    let (mut replica, keys) = finalized_without_mallory();
    let other_term = Statement {
        epoch: Epoch(2),
        ..finalize(5, 1)
    };
    let other_term = certificate(&keys, other_term, &[0, 1, 2]);
    assert_eq!(send(&mut replica, relay, of_mallory_forged(other_term)), []);
    // Of a signer whose contradiction is held already.
    let (mut replica, keys) = finalized_without_mallory();
    for said in [finalize(5, 2), finalize(5, 3)] {
        let vote = Message::Vote(signed(&keys, MALLORY, said));
        let found = send(&mut replica, MALLORY, vote);
        assert_eq!(evidence_of(&replica, &found, MALLORY).len(), 1);
    }
    let known = certificate(&keys, finalize(5, 1), &[0, 1, 2]);
    assert_eq!(send(&mut replica, relay, of_mallory_forged(known)), []);
}

#[test]
fn a_forged_vote_gives_way_to_the_certificates() {
    let (mut replica, keys) = replica();
    let mut vote = signed(&keys, MALLORY, finalize(5, 2));
    vote.signature.0[1] ^= 1;
    send(&mut replica, MALLORY, Message::Vote(vote));
    let certificate = certificate(&keys, finalize(5, 1), &[0, 1, 2]);
    let found = send(
        &mut replica,
        ValidatorIndex(3),
        Message::Certificate(certificate),
    );
    assert_eq!(faults_of(&found, MALLORY), [Fault::BadSignature]);
    let (latest, fault) = replica.collector.latest_of(MALLORY);
    assert_eq!(
        (latest, fault),
        (vec![signed(&keys, MALLORY, finalize(5, 1))], None)
    );
}

#[test]
fn evidence_proves_itself_or_is_nothing() {
    let (replica, keys) = replica();
    let term = types::vote::Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &replica.config.committee,
    };
    let by = |signer, statement| signed(&keys, ValidatorIndex(signer), statement);
    let good = Evidence::new(by(1, nullify(5)), by(1, finalize(5, 1))).unwrap();
    assert!(good.verify(&term));
    assert_eq!(
        Evidence::new(by(1, nullify(5)), by(2, finalize(5, 1))),
        None
    );
    assert_eq!(
        Evidence::new(by(1, nullify(5)), by(1, finalize(6, 1))),
        None
    );
    assert_eq!(Evidence::new(by(1, nullify(5)), by(1, nullify(5))), None);
    let forge = |change: fn(&mut Evidence)| {
        let mut evidence = good;
        change(&mut evidence);
        evidence.verify(&term)
    };
    assert!(!forge(|evidence| evidence.first.signature.0[3] ^= 1));
    assert!(!forge(|evidence| evidence.second.signature.0[3] ^= 1));
    assert!(!forge(|evidence| evidence.second = evidence.first));
    assert!(!forge(|evidence| {
        evidence.first.signer = ValidatorIndex(2);
        evidence.second.signer = ValidatorIndex(2);
    }));
    assert!(!forge(|evidence| {
        evidence.first.signer = ValidatorIndex(200);
        evidence.second.signer = ValidatorIndex(200);
    }));
    let later = |mut statement: Statement| {
        statement.epoch = Epoch(2);
        statement
    };
    let other_term = Evidence::new(by(1, later(nullify(5))), by(1, later(finalize(5, 1))));
    assert!(!other_term.unwrap().verify(&term), "of another committee");
}
