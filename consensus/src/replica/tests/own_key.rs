//! Who meets a vote of its own that it did not cast stops; what was signed before the start is no such vote.

use super::*;
use crate::effect::Halt;
use crate::evidence::Evidence;

const ME: ValidatorIndex = ValidatorIndex(0);
const PEERS: [ValidatorIndex; 3] = [MALLORY, ValidatorIndex(2), ValidatorIndex(3)];

fn nullify(view: u64) -> Statement {
    statement(view, Subject::Nullify)
}

fn finalize(view: u64) -> Statement {
    let block = BlockId(Hash32([1; 32]));
    statement(view, Subject::Finalize { block })
}

fn send(replica: &mut Replica, from: ValidatorIndex, message: Message) -> Vec<Effect> {
    effects(replica.receive(now(0), id(from), message))
}

/// A replica whose peers said what they hold of it.
fn recovered(told: &[Vote]) -> (Replica, Vec<SecretKey>) {
    let (mut replica, keys) = replica();
    recover(&mut replica, told);
    (replica, keys)
}

fn recover(replica: &mut Replica, told: &[Vote]) {
    for peer in PEERS {
        let votes = Bounded::new(told.to_vec()).unwrap();
        let session = START;
        let answer = Message::VoteRecovery {
            session,
            votes,
            entry: None,
        };
        send(replica, peer, answer);
    }
    assert!(replica.engine.is_voting());
}

fn stops_in(effects: &[Effect]) -> Option<View> {
    effects.iter().find_map(|effect| match effect {
        Effect::Stop(Halt::ForeignVote { view }) => Some(*view),
        _ => None,
    })
}

fn by_all(keys: &[SecretKey], statement: Statement) -> Message {
    Message::Certificate(certificate(keys, statement, &[0, 1, 2]))
}

#[test]
fn a_certificate_with_a_vote_that_we_did_not_cast_stops_us() {
    for said in [nullify(9), finalize(9)] {
        let (mut replica, keys) = recovered(&[]);
        let found = send(&mut replica, MALLORY, by_all(&keys, said));
        assert_eq!(stops_in(&found), Some(View(9)), "{said:?}");
        let floor = |effect: &Effect| matches!(effect, Effect::Persist(records) if records.contains(&Record::Floor(View(9))));
        assert!(found.iter().any(floor), "the next start votes above it");
        let after = send(&mut replica, MALLORY, by_all(&keys, nullify(10)));
        assert_eq!(after, [], "it says nothing more");
    }
}

#[test]
fn a_validator_is_ready_once_it_votes_and_holds_what_is_final() {
    let (mut replica, keys) = replica();
    assert!(!replica.is_ready(), "nobody has answered");
    recover(&mut replica, &[]);
    assert!(replica.is_ready());
    let others = certificate(&keys, finalize(9), &[1, 2, 3]);
    send(&mut replica, MALLORY, Message::Certificate(others));
    assert!(replica.engine.is_voting());
    assert!(!replica.is_ready(), "the final block is missing");
}

#[test]
fn a_certificate_without_us_stops_nobody() {
    let (mut replica, keys) = recovered(&[]);
    let others = certificate(&keys, nullify(9), &[1, 2, 3]);
    let found = send(&mut replica, MALLORY, Message::Certificate(others));
    assert_eq!(stops_in(&found), None);
    // Known now, so that only our vote in it is looked at.
    let mut forged = certificate(&keys, nullify(9), &[0, 1, 2]);
    forged.signatures.as_mut_slice()[0].0[4] ^= 1;
    let found = send(&mut replica, MALLORY, Message::Certificate(forged));
    assert_eq!(stops_in(&found), None);
    assert_eq!(faults_of(&found, MALLORY), [Fault::BadCertificate]);
    let found = send(&mut replica, MALLORY, by_all(&keys, nullify(9)));
    assert_eq!(stops_in(&found), Some(View(9)));
}

#[test]
fn what_the_peers_told_of_before_the_start_stops_nobody() {
    let (_, keys) = replica();
    let (mut replica, _) = recovered(&[signed(&keys, ME, finalize(9))]);
    for past in [nullify(8), nullify(9), finalize(9)] {
        assert_eq!(
            stops_in(&send(&mut replica, MALLORY, by_all(&keys, past))),
            None
        );
    }
    let found = send(&mut replica, MALLORY, by_all(&keys, nullify(11)));
    assert_eq!(stops_in(&found), Some(View(11)));
}

#[test]
fn a_proposal_that_was_not_written_stops_nobody() {
    let (fresh, keys) = replica();
    let config = fresh.config.as_ref().clone();
    let restored = Restored {
        tip: fresh.tip(),
        finalization: None,
        records: vec![Record::Reserved(View(9))],
    };
    let (mut replica, _) = Replica::start(config, Hash32([5; 32]), now(0), restored).unwrap();
    recover(&mut replica, &[]);
    let mut fresh = replica.clone();
    let notarize = |view| {
        let block = BlockId(Hash32([1; 32]));
        let parent_view = View(0);
        statement(view, Subject::Notarize { parent_view, block })
    };
    let found = send(&mut replica, MALLORY, by_all(&keys, notarize(9)));
    assert_eq!(stops_in(&found), None, "it may have left before the crash");
    let block = BlockId(Hash32([2; 32]));
    let parent_view = View(0);
    let other = statement(9, Subject::Notarize { parent_view, block });
    for (view, said) in [(9, nullify(9)), (10, notarize(10)), (9, other)] {
        let mut stopped = replica.clone();
        let found = send(&mut stopped, MALLORY, by_all(&keys, said));
        assert_eq!(stops_in(&found), Some(View(view)), "{said:?}");
    }
    let said = [notarize(9), other].map(|said| signed(&keys, ME, said));
    let evidence = Evidence::new(said[0], said[1]).unwrap();
    let found = send(&mut fresh, MALLORY, Message::Evidence(Box::new(evidence)));
    assert_eq!(
        stops_in(&found),
        Some(View(9)),
        "one of two is somebody else's"
    );
}

#[test]
fn what_was_final_at_the_start_stops_nobody() {
    let (fresh, keys) = replica();
    let block = BlockId(Hash32([4; 32]));
    let last = certificate(&keys, statement(9, Subject::Finalize { block }), &[0, 1, 2]);
    let restored = Restored {
        tip: fresh.tip(),
        finalization: Some(last),
        records: Vec::new(),
    };
    let config = fresh.config.as_ref().clone();
    let (mut replica, _) = Replica::start(config, Hash32([5; 32]), now(0), restored).unwrap();
    recover(&mut replica, &[]);
    let of = |view| {
        let both = [nullify(view), finalize(view)].map(|said| signed(&keys, ME, said));
        Message::Evidence(Box::new(Evidence::new(both[0], both[1]).unwrap()))
    };
    for past in [8, 9] {
        let found = send(&mut replica, MALLORY, of(past));
        assert_eq!(stops_in(&found), None, "the log may have released it");
    }
    assert_eq!(
        stops_in(&send(&mut replica, MALLORY, of(10))),
        Some(View(10))
    );
}

#[test]
fn before_the_peers_answered_nothing_stops() {
    let (mut replica, keys) = replica();
    let found = send(&mut replica, MALLORY, by_all(&keys, nullify(9)));
    assert_eq!(stops_in(&found), None);
}

#[test]
fn our_own_votes_are_known() {
    let (mut replica, keys) = recovered(&[]);
    // Nobody proposes: we give the view up ourselves, and the others do, too.
    let mut cast = Vec::new();
    for after in (0..20_000).step_by(50) {
        let effects = effects(replica.step(now(after), Event::Timer));
        cast.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Send {
                message: Message::Vote(vote),
                ..
            } => Some(vote),
            _ => None,
        }));
    }
    let view = cast.first().expect("a vote").statement.view;
    assert_eq!(cast[0].statement.subject, Subject::Nullify);
    let found = send(&mut replica, MALLORY, by_all(&keys, nullify(view.0)));
    assert_eq!(stops_in(&found), None);
}

#[test]
fn evidence_goes_to_its_author_and_stops_it() {
    let (mut peer, keys) = recovered(&[]);
    let both = [nullify(5), finalize(5)].map(|said| signed(&keys, MALLORY, said));
    send(&mut peer, MALLORY, Message::Vote(both[0]));
    let found = send(&mut peer, MALLORY, Message::Vote(both[1]));
    let sent = found.iter().find_map(|effect| match effect {
        Effect::Send {
            to: Recipients::One(to),
            message: Message::Evidence(evidence),
        } => Some((*to, **evidence)),
        _ => None,
    });
    let evidence = Evidence::new(both[0], both[1]).unwrap();
    assert_eq!(sent, Some((id(MALLORY), evidence)));

    // The same about us.
    let of = |signer: ValidatorIndex| {
        let [first, second] = [nullify(5), finalize(5)].map(|said| signed(&keys, signer, said));
        Evidence::new(first, second).unwrap()
    };
    let (mut author, _) = recovered(&[]);
    let mut forged = of(ME);
    forged.second.signature.0[3] ^= 1;
    for (piece, fault) in [
        (of(MALLORY), Fault::NotItsOwn),
        (forged, Fault::BadSignature),
    ] {
        let found = send(&mut author, MALLORY, Message::Evidence(Box::new(piece)));
        assert_eq!(stops_in(&found), None);
        assert_eq!(faults_of(&found, MALLORY), [fault]);
    }
    let found = send(&mut author, MALLORY, Message::Evidence(Box::new(of(ME))));
    assert_eq!(stops_in(&found), Some(View(5)));

    // Of before the start: a story that is over.
    let (mut later, _) = recovered(&[signed(&keys, ME, nullify(7))]);
    let found = send(&mut later, MALLORY, Message::Evidence(Box::new(of(ME))));
    assert_eq!(
        (stops_in(&found), faults_of(&found, MALLORY)),
        (None, vec![])
    );
}
