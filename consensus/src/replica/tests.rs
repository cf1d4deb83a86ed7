//! What peers can make a validator do with messages that it did not ask for.

use types::block::{Body, Header};
use types::committee::Committee;
use types::hash::{BlockId, ChainId};
use types::key::SecretKey;
use types::number::{Amount, Epoch, Gas, Height, ProtocolVersion, Timestamp};
use types::params::Params;
use types::vote::Statement;

use super::*;
use crate::collector::fixtures::committee;
use crate::config::Timing;
use crate::message::Range;

const CHAIN: ChainId = ChainId(Hash32([9; 32]));
const START: u64 = 1_000_000;
const MALLORY: ValidatorIndex = ValidatorIndex(1);

/// The id of the member at a position.
fn id(position: ValidatorIndex) -> ValidatorId {
    committee(&[4, 3, 3, 3]).0.id(position).unwrap()
}

fn replica() -> (Replica, Vec<SecretKey>) {
    let (committee, keys): (Committee, _) = committee(&[4, 3, 3, 3]);
    let timing = Timing::new(&Params::devnet());
    let genesis = BlockId(Hash32([4; 32]));
    let config = Config::new(
        CHAIN,
        Epoch::FIRST,
        committee,
        keys[0].clone(),
        genesis,
        timing,
    )
    .unwrap();
    let tip = CommittedTip {
        id: genesis,
        height: Height(0),
        timestamp: Timestamp(START),
    };
    let restored = Restored {
        tip,
        finalization: None,
        records: Vec::new(),
    };
    let (replica, _) = Replica::start(config, Hash32([5; 32]), now(0), restored).unwrap();
    (replica, keys)
}

fn now(after: u64) -> Now {
    Now {
        monotonic: Monotonic(START + after),
        unix: Timestamp(START + after),
    }
}

fn effects(effects: Effects) -> Vec<Effect> {
    effects
        .into_iter()
        .filter(|effect| !matches!(effect, Effect::SetTimer(_)))
        .collect()
}

#[test]
fn vote_recovery_are_answered_as_often_as_a_correct_validator_asks() {
    let (mut replica, _) = replica();
    let mut answered = Vec::new();
    for after in 0..1_200 {
        let request = Message::Request(Request::VoteRecovery { session: after });
        for effect in effects(replica.receive(now(after), id(MALLORY), request)) {
            assert!(
                matches!(
                    effect,
                    Effect::Send {
                        message: Message::VoteRecovery { .. },
                        ..
                    }
                ),
                "{effect:?}"
            );
            answered.push(after);
        }
    }
    assert_eq!(answered, [0, 500, 1_000]);
    let other = replica.receive(
        now(1_200),
        id(ValidatorIndex(2)),
        Message::Request(Request::VoteRecovery { session: 1 }),
    );
    assert_eq!(effects(other).len(), 1, "others are answered all the same");
}

#[test]
fn mallory_who_plants_garbage_for_vote_recovery_is_reported_once_and_remembered() {
    let (mut replica, keys) = replica();
    for view in 1..=60 {
        let statement = Statement {
            epoch: Epoch::FIRST,
            view: View(view),
            subject: Subject::Nullify,
        };
        let mut vote = Vote::sign(statement, MALLORY, &keys[1], CHAIN);
        vote.signature.0[1] ^= 1;
        replica.receive(now(0), id(MALLORY), Message::Vote(vote));
    }
    let ask = |replica: &mut Replica, after| {
        let request = Message::Request(Request::VoteRecovery { session: after });
        effects(replica.receive(now(after), id(MALLORY), request))
    };
    let report = Effect::Report {
        by: id(MALLORY),
        fault: Fault::BadSignature,
    };
    assert!(ask(&mut replica, 0).contains(&report));
    assert!(
        !ask(&mut replica, 500).contains(&report),
        "nothing is left to verify"
    );
}

#[test]
fn blocks_and_ranges_that_were_not_asked_for_are_not_looked_into() {
    let (mut replica, keys) = replica();
    let header = Header {
        protocol_version: ProtocolVersion(1),
        chain_id: CHAIN,
        height: Height(1),
        parent: BlockId(Hash32([4; 32])),
        timestamp: Timestamp(START + 1),
        proposer: id(MALLORY),
        transaction_root: Hash32([8; 32]),
        base_fee: Amount(1),
        next_committee: Hash32::ZERO,
        parent_state_root: Hash32::ZERO,
        parent_receipt_root: Hash32::ZERO,
        parent_gas_used: Gas(0),
    };
    let block = types::block::Block {
        header,
        body: Body::default(),
    };
    let subject = Subject::Finalize { block: block.id() };
    let vote = Vote::sign(
        Statement {
            epoch: Epoch::FIRST,
            view: View(3),
            subject,
        },
        MALLORY,
        &keys[1],
        CHAIN,
    );
    let range = Range {
        blocks: Bounded::new(vec![block.clone()]).unwrap(),
        headers: Bounded::default(),
        certificate: Certificate::from_votes(vote.statement, &[vote]),
    };
    // Neither the body nor the certificate is what it should be; finding that out costs work.
    assert_eq!(
        effects(replica.receive(now(0), id(MALLORY), Message::Block(Box::new(block)))),
        []
    );
    assert_eq!(
        effects(replica.receive(now(0), id(MALLORY), Message::Range(Box::new(range)))),
        []
    );
}
