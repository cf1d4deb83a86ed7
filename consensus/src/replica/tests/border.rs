//! Each check of what comes from outside: without it, the test that is named after it fails.

use super::*;
use crate::message::MAX_CERTIFICATES;

const HONEST: ValidatorIndex = ValidatorIndex(3);

fn nullify(view: u64) -> Statement {
    statement(view, Subject::Nullify)
}

fn notarization(keys: &[SecretKey], view: u64, parent_view: u64, block: BlockId) -> Certificate {
    let parent_view = View(parent_view);
    let statement = statement(view, Subject::Notarize { parent_view, block });
    certificate(keys, statement, &[0, 1, 2])
}

fn send(replica: &mut Replica, from: ValidatorIndex, message: Message) -> Vec<Effect> {
    effects(replica.receive(now(0), id(from), message))
}

fn requests(effects: &[Effect]) -> Vec<Request> {
    let request = |effect: &Effect| match effect {
        Effect::Send {
            message: Message::Request(request),
            ..
        } => Some(*request),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

fn restart_with(finalization: Option<Certificate>, records: Vec<Record>) -> Result<(), StartError> {
    let (fresh, _) = replica();
    let restored = Restored {
        tip: CommittedTip {
            id: BlockId(Hash32([4; 32])),
            height: Height(0),
            timestamp: Timestamp(START),
        },
        finalization,
        records,
    };
    let config = fresh.config.as_ref().clone();
    Replica::start(config, Hash32([5; 32]), now(0), restored).map(|_| ())
}

#[test]
fn a_start_verifies_the_certificates_of_log_and_store() {
    let (_, keys) = replica();
    let good = certificate(&keys, nullify(1), &[0, 1, 2]);
    assert_eq!(restart_with(None, vec![Record::Certificate(good)]), Ok(()));
    let bad = forged(&keys, nullify(1));
    let refused = Err(StartError::BadCertificate(View(1)));
    assert_eq!(restart_with(None, vec![Record::Certificate(bad)]), refused);
    let block = BlockId(Hash32([4; 32]));
    let bad = forged(&keys, statement(1, Subject::Finalize { block }));
    assert_eq!(restart_with(Some(bad), vec![]), refused);
}

#[test]
fn strangers_and_our_own_name_are_not_heard() {
    let (mut replica, keys) = replica();
    let ask = || Message::Request(Request::VoteRecovery { session: 1 });
    let stranger = types::testing::validator_id(99);
    assert_eq!(effects(replica.receive(now(0), stranger, ask())), []);
    let me = ValidatorIndex(0);
    assert_eq!(send(&mut replica, me, ask()), []);
    let vote = signed(&keys, me, nullify(1));
    assert_eq!(send(&mut replica, me, Message::Vote(vote)), []);
    assert!(replica.collector.is_empty());
}

#[test]
fn a_vote_is_taken_from_its_signers_connection() {
    let (mut replica, keys) = replica();
    let vote = signed(&keys, HONEST, nullify(1));
    let found = send(&mut replica, MALLORY, Message::Vote(vote));
    assert_eq!(faults_of(&found, MALLORY), [Fault::NotItsOwn]);
    assert!(replica.collector.is_empty());
}

#[test]
fn votes_without_good_signatures_make_no_certificate() {
    let (mut replica, keys) = replica();
    let before = replica.view();
    for signer in 1..4 {
        let signer = ValidatorIndex(signer);
        let mut vote = signed(&keys, signer, nullify(1));
        if signer == MALLORY {
            vote.signature.0[0] ^= 1;
        }
        send(&mut replica, signer, Message::Vote(vote));
    }
    assert_eq!(replica.view(), before, "9 of 13 need 9: all three");
    let vote = signed(&keys, MALLORY, nullify(1));
    send(&mut replica, MALLORY, Message::Vote(vote));
    assert_eq!(replica.view(), before.next(), "once it is signed");
}

/// Makes a message of a validator.
type Case<'a> = &'a dyn Fn(&mut Replica) -> (ValidatorIndex, Message);

#[test]
fn forged_certificates_move_nothing_however_they_come() {
    let (_, keys) = replica();
    let of = |n: u64| forged(&keys, nullify(n));
    let offer = |_: &mut Replica| (MALLORY, Message::Certificate(of(1)));
    let answer = |replica: &mut Replica| {
        // A notarization of a view whose parent view is unknown has its certificates asked for.
        let unknown = notarization(&keys, 7, 3, BlockId(Hash32([8; 32])));
        let asked = send(replica, HONEST, Message::Certificate(unknown));
        let asks = |request: &Request| matches!(request, Request::Certificates { .. });
        assert!(requests(&asked).iter().any(asks), "{asked:?}");
        let certificates = Bounded::<_, MAX_CERTIFICATES>::new(vec![of(9)]).unwrap();
        (MALLORY, Message::Certificates(certificates))
    };
    let parent = |replica: &mut Replica| {
        let (view, leader) = led_by_others(replica)[0];
        let mut proposal = proposal(&keys, leader, view, block(leader, 1));
        proposal.parent_certificate = Some(of(20));
        (leader, Message::Proposal(Box::new(proposal)))
    };
    let gap = |replica: &mut Replica| {
        let (view, leader) = led_by_others(replica)[0];
        let mut proposal = proposal(&keys, leader, view, block(leader, 1));
        proposal.nullifications = Bounded::new(vec![of(20)]).unwrap();
        (leader, Message::Proposal(Box::new(proposal)))
    };
    let cases: [Case; 4] = [&offer, &answer, &parent, &gap];
    for (number, make) in cases.into_iter().enumerate() {
        let (mut replica, _) = replica();
        let (from, message) = make(&mut replica);
        let before = replica.view();
        let found = send(&mut replica, from, message);
        assert_eq!(
            faults_of(&found, from),
            [Fault::BadCertificate],
            "case {number}"
        );
        assert_eq!(replica.view(), before, "case {number}");
    }
}

#[test]
fn certificates_that_nobody_asked_for_are_not_looked_into() {
    let (mut replica, keys) = replica();
    let certificates = Bounded::new(vec![forged(&keys, nullify(1))]).unwrap();
    let found = send(&mut replica, MALLORY, Message::Certificates(certificates));
    assert_eq!(found, []);
}

#[test]
fn a_proposal_comes_from_the_leader_of_its_view() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let other = ValidatorIndex(if leader == MALLORY { 2 } else { 1 });
    let false_leader = proposal(&keys, other, view, block(leader, 1));
    let found = send(
        &mut replica,
        other,
        Message::Proposal(Box::new(false_leader)),
    );
    assert_eq!(faults_of(&found, other), [Fault::NotItsOwn]);
    assert!(
        replica.engine.awaits_proposal(View(view)),
        "the leader's may come"
    );
}

#[test]
fn both_signatures_of_a_proposal_are_verified() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    for which in 0..2 {
        let mut bad = proposal(&keys, leader, view, block(leader, 1));
        if which == 0 {
            bad.signature.0[0] ^= 1;
        } else {
            bad.notarize.0[0] ^= 1;
        }
        let found = send(&mut replica, leader, Message::Proposal(Box::new(bad)));
        assert_eq!(faults_of(&found, leader), [Fault::BadSignature]);
        assert!(replica.engine.awaits_proposal(View(view)));
    }
    let good = proposal(&keys, leader, view, block(leader, 1));
    send(&mut replica, leader, Message::Proposal(Box::new(good)));
    assert!(!replica.engine.awaits_proposal(View(view)));
}

#[test]
fn a_proposal_whose_body_is_not_its_headers_is_a_bad_one() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let mut block = block(leader, 1);
    block.header.transaction_root = Hash32([1; 32]);
    let bad = proposal(&keys, leader, view, block);
    let found = send(&mut replica, leader, Message::Proposal(Box::new(bad)));
    assert_eq!(faults_of(&found, leader), [Fault::BadProposal(View(view))]);
}

#[test]
fn only_the_leaders_signed_nullify_gives_a_view_up() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    if view > 1 {
        let before = certificate(&keys, nullify(view - 1), &[0, 1, 2]);
        send(&mut replica, HONEST, Message::Certificate(before));
    }
    assert_eq!(replica.view(), View(view));
    open_voting(&mut replica);
    let others = (1..4).map(ValidatorIndex).filter(|index| *index != leader);
    let own = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Send { message: Message::Vote(vote), .. }
                if vote.statement == nullify(view))
        })
    };
    let other = others.clone().next().unwrap();
    let vote = signed(&keys, other, nullify(view));
    assert!(!own(&send(&mut replica, other, Message::Vote(vote))));
    let mut vote = signed(&keys, leader, nullify(view));
    vote.signature.0[0] ^= 1;
    assert!(!own(&send(&mut replica, leader, Message::Vote(vote))));
    let vote = signed(&keys, leader, nullify(view));
    assert!(own(&send(&mut replica, leader, Message::Vote(vote))));
}

/// Lets the validator vote: everybody has answered that it said nothing before.
fn open_voting(replica: &mut Replica) {
    for from in 1..4 {
        let answer = Message::VoteRecovery {
            session: START,
            votes: Bounded::default(),
            entry: None,
        };
        send(replica, ValidatorIndex(from), answer);
    }
    assert!(replica.engine.is_voting());
}

/// A replica that asked for a block of that body root, and the block.
fn asking_for_a_block(root: Hash32) -> (Replica, Block) {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let mut block = block(leader, 1);
    block.header.transaction_root = root;
    let known = notarization(&keys, view, 0, block.id());
    let asked = send(&mut replica, HONEST, Message::Certificate(known));
    assert!(requests(&asked).contains(&Request::Block(block.id())));
    (replica, block)
}

#[test]
fn a_block_that_was_asked_for_must_be_whole() {
    let (mut replica, broken) = asking_for_a_block(Hash32([1; 32]));
    let id = broken.id();
    let found = send(&mut replica, MALLORY, Message::Block(Box::new(broken)));
    assert_eq!(faults_of(&found, MALLORY), [Fault::BadAnswer]);
    assert!(replica.engine.awaits_block(id), "still asked for");
    let (mut replica, whole) = asking_for_a_block(Body::default().root());
    let id = whole.id();
    send(&mut replica, MALLORY, Message::Block(Box::new(whole)));
    assert!(replica.engine.holds(&id));
}

#[test]
fn a_proposal_that_comes_after_its_finalization_is_the_block_asked_for() {
    for whole in [true, false] {
        let (mut replica, keys) = replica();
        let (view, leader) = led_by_others(&mut replica)[0];
        let mut block = block(leader, 1);
        if !whole {
            block.header.transaction_root = Hash32([1; 32]);
        }
        let id = block.id();
        let late = || Message::Proposal(Box::new(proposal(&keys, leader, view, block.clone())));
        let subject = Subject::Finalize { block: id };
        let last = certificate(&keys, statement(view, subject), &[0, 1, 2]);
        let asked = send(&mut replica, HONEST, Message::Certificate(last));
        assert_eq!(requests(&asked), [Request::Block(id)]);
        let found = send(&mut replica, leader, late());
        assert_eq!(replica.engine.holds(&id), whole);
        let faults: &[Fault] = if whole { &[] } else { &[Fault::BadAnswer] };
        assert_eq!(faults_of(&found, leader), faults);
        if whole {
            assert_eq!(send(&mut replica, leader, late()), [], "once");
        }
    }
}

#[test]
fn blocks_and_ranges_that_were_not_asked_for_are_not_looked_into() {
    let (mut replica, keys) = replica();
    let mut block = block(MALLORY, 1);
    block.header.transaction_root = Hash32([8; 32]);
    let subject = Subject::Finalize { block: block.id() };
    let range = Range {
        blocks: Bounded::new(vec![block.clone()]).unwrap(),
        headers: Bounded::default(),
        certificate: forged(&keys, statement(3, subject)),
    };
    // Neither the body nor the certificate is what it should be; finding that out costs work.
    assert_eq!(
        send(&mut replica, MALLORY, Message::Block(Box::new(block))),
        []
    );
    assert_eq!(
        send(&mut replica, MALLORY, Message::Range(Box::new(range))),
        []
    );
}

#[test]
fn the_certificate_of_a_range_is_verified() {
    let (mut replica, keys) = replica();
    let mut chain = vec![block(HONEST, 1)];
    for height in 2..=6 {
        let mut next = block(HONEST, 1);
        next.header.height = Height(height);
        next.header.parent = chain.last().unwrap().id();
        next.header.timestamp = Timestamp(START + height);
        chain.push(next);
    }
    let last = chain.last().unwrap().clone();
    let finalize = statement(9, Subject::Finalize { block: last.id() });
    let known = certificate(&keys, finalize, &[0, 1, 2]);
    let asked = send(&mut replica, HONEST, Message::Certificate(known.clone()));
    // Once the last one is here, it is seen how far behind we are.
    assert_eq!(requests(&asked), [Request::Block(last.id())]);
    let asked = send(&mut replica, HONEST, Message::Block(Box::new(last)));
    assert_eq!(requests(&asked), [Request::Range(Height(1))]);
    let from = asked.iter().find_map(|effect| match effect {
        Effect::Send {
            to: Recipients::One(to),
            message: Message::Request(Request::Range(_)),
        } => replica.config.committee.index_of(to),
        _ => None,
    });
    let from = from.unwrap();
    let mut range = Range {
        blocks: Bounded::new(chain.clone()).unwrap(),
        headers: Bounded::default(),
        certificate: forged(&keys, finalize),
    };
    let found = send(&mut replica, from, Message::Range(Box::new(range.clone())));
    assert_eq!(faults_of(&found, from), [Fault::BadCertificate]);
    assert!(!replica.engine.holds(&chain[0].id()));
    range.certificate = known;
    send(&mut replica, from, Message::Range(Box::new(range)));
    assert!(replica.engine.holds(&chain[0].id()));
}

#[test]
fn only_our_own_signed_votes_show_that_the_log_was_cut() {
    let (_, keys) = replica();
    let me = ValidatorIndex(0);
    let good = signed(&keys, me, nullify(5));
    let mut bad_signature = good;
    bad_signature.signature.0[0] ^= 1;
    let of_another = signed(&keys, MALLORY, nullify(5));
    let mut stolen = of_another;
    stolen.signer = me;
    let of_another_term = signed(
        &keys,
        me,
        Statement {
            epoch: Epoch(2),
            ..nullify(5)
        },
    );
    for (vote, counts) in [
        (good, true),
        (bad_signature, false),
        (of_another, false),
        (stolen, false),
        (of_another_term, false),
    ] {
        let (mut replica, _) = replica();
        let answer = Message::VoteRecovery {
            session: START,
            votes: Bounded::new(vec![vote]).unwrap(),
            entry: None,
        };
        let found = send(&mut replica, MALLORY, answer);
        let floor = Effect::Persist(vec![Record::Floor(View(5))]);
        assert_eq!(found.contains(&floor), counts, "{vote:?}: {found:?}");
    }
}

#[test]
fn an_answer_to_the_vote_recovery_is_looked_into_once_and_only_if_it_is_of_this_start() {
    let (mut replica, keys) = replica();
    let mut forged = signed(&keys, ValidatorIndex(0), nullify(5));
    forged.signature.0[0] ^= 1;
    let answer = |session, votes: Vec<Vote>| Message::VoteRecovery {
        session,
        votes: Bounded::new(votes).unwrap(),
        entry: None,
    };
    let other_start = answer(START - 1, vec![forged]);
    assert_eq!(send(&mut replica, MALLORY, other_start), []);
    let found = send(&mut replica, MALLORY, answer(START, vec![forged]));
    assert_eq!(faults_of(&found, MALLORY), [Fault::BadAnswer]);
    let again = answer(START, vec![forged]);
    assert_eq!(send(&mut replica, MALLORY, again), [], "it has answered");
}

#[test]
fn a_proposal_that_comes_again_with_another_body_is_not_looked_into() {
    let (mut replica, keys) = replica();
    let (view, leader) = led_by_others(&mut replica)[0];
    let first = proposal(&keys, leader, view, block(leader, 1));
    let mut again = first.clone();
    again.block = types::testing::filled(again.block, 1_000);
    again.block.header = first.block.header.clone();
    send(&mut replica, leader, Message::Proposal(Box::new(first)));
    let found = send(&mut replica, leader, Message::Proposal(Box::new(again)));
    assert_eq!(found, []);
}

#[test]
fn an_answer_to_the_vote_recovery_shows_a_certificate_that_verifies() {
    let (fresh, keys) = replica();
    let good = notarization(&keys, 5, 4, block(HONEST, 1).id());
    let mut forged = good.clone();
    forged.signatures.as_mut_slice()[0].0[4] ^= 1;
    for (entry, faults) in [(good, vec![]), (forged, vec![Fault::BadAnswer])] {
        let mut replica = fresh.clone();
        let answer = Message::VoteRecovery {
            session: START,
            votes: Bounded::default(),
            entry: Some(entry),
        };
        let found = send(&mut replica, MALLORY, answer);
        assert_eq!(faults_of(&found, MALLORY), faults);
    }
}
