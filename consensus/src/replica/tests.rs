//! What peers can make a validator do with messages that it did not ask for.

use std::sync::LazyLock;

use types::block::{Block, Body, Header};
use types::committee::Committee;
use types::hash::{BlockId, ChainId};
use types::key::SecretKey;
use types::number::{Amount, Epoch, Gas, Height, ProtocolVersion, Timestamp};
use types::params::Params;
use types::vote::{Certificate, Statement};

use super::*;
use crate::collector::fixtures::committee;
use crate::config::Timing;
use crate::message::Range;

mod attacks;
mod border;
mod evidence;
mod own_key;

const CHAIN: ChainId = ChainId(Hash32([9; 32]));
const START: u64 = 1_000_000;
const MALLORY: ValidatorIndex = ValidatorIndex(1);

/// The id of the member at a position.
fn id(position: ValidatorIndex) -> ValidatorId {
    // Making the keys again for each of thousands of messages would be most of what the tests do.
    static IDS: LazyLock<Vec<ValidatorId>> = LazyLock::new(|| {
        let (committee, _) = committee(&[4, 3, 3, 3]);
        let positions = committee.indices();
        positions
            .filter_map(|position| committee.id(position))
            .collect()
    });
    IDS[usize::from(position.0)]
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

/// A body-less block of a proposer on genesis.
fn block(proposer: ValidatorIndex, base_fee: u128) -> Block {
    let body = Body::default();
    Block {
        header: Header {
            protocol_version: ProtocolVersion(1),
            chain_id: CHAIN,
            height: Height(1),
            parent: BlockId(Hash32([4; 32])),
            timestamp: Timestamp(START + 1),
            proposer: id(proposer),
            transaction_root: body.root(),
            base_fee: Amount(base_fee),
            next_committee: Hash32::ZERO,
            parent_state_root: Hash32::ZERO,
            parent_receipt_root: Hash32::ZERO,
            parent_gas_used: Gas(0),
        },
        body,
    }
}

fn statement(view: u64, subject: Subject) -> Statement {
    Statement {
        epoch: Epoch::FIRST,
        view: View(view),
        subject,
    }
}

fn signed(keys: &[SecretKey], signer: ValidatorIndex, statement: Statement) -> Vote {
    Vote::sign(statement, signer, &keys[usize::from(signer.0)], CHAIN)
}

/// A certificate of these signers, with good signatures.
fn certificate(keys: &[SecretKey], statement: Statement, signers: &[u16]) -> Certificate {
    let signers = signers.iter().copied().map(ValidatorIndex);
    let votes: Vec<Vote> = signers
        .map(|signer| signed(keys, signer, statement))
        .collect();
    Certificate::from_votes(statement, &votes)
}

/// The same with one signature changed.
fn forged(keys: &[SecretKey], statement: Statement) -> Certificate {
    let mut certificate = certificate(keys, statement, &[0, 1, 2]);
    certificate.signatures.as_mut_slice()[2].0[7] ^= 1;
    certificate
}

/// A proposal of that block on genesis, signed by `signer`.
fn proposal(keys: &[SecretKey], signer: ValidatorIndex, view: u64, block: Block) -> Proposal {
    let (view, parent_view, block_id) = (View(view), View::ZERO, block.id());
    let subject = Subject::Notarize {
        parent_view,
        block: block_id,
    };
    let hash = Proposal::signing_hash(Epoch::FIRST, view, parent_view, block_id, CHAIN);
    Proposal {
        epoch: Epoch::FIRST,
        view,
        parent_view,
        block,
        parent_certificate: None,
        nullifications: Bounded::default(),
        signature: keys[usize::from(signer.0)].sign(&hash),
        notarize: signed(keys, signer, statement(view.0, subject)).signature,
    }
}

/// The first views from 1 on that others than we lead, with their leaders.
fn led_by_others(replica: &mut Replica) -> Vec<(u64, ValidatorIndex)> {
    let views = (1..60).map(|view| (view, replica.engine.leader(View(view))));
    views.filter(|(_, leader)| leader.0 != 0).collect()
}

/// The faults that are reported of a validator.
fn faults_of(effects: &[Effect], validator: ValidatorIndex) -> Vec<Fault> {
    let of = |effect: &Effect| match effect {
        Effect::Report { by, fault } if *by == id(validator) => Some(fault.clone()),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn who_voted_in_a_view_is_known_to_need_no_proposal_of_it() {
    let (mut replica, keys) = replica();
    let other = ValidatorIndex(2);
    let block = BlockId(Hash32([8; 32]));
    let subjects = [
        Subject::Nullify,
        Subject::Notarize {
            parent_view: View::ZERO,
            block,
        },
    ];
    for (view, (voter, subject)) in (1..).zip([MALLORY, other].into_iter().zip(subjects)) {
        let vote = signed(&keys, voter, statement(view, subject));
        replica.receive(now(0), id(voter), Message::Vote(vote));
        assert!(replica.engine.has_voted(voter, View(view)), "{voter:?}");
        assert!(!replica.engine.has_voted(voter, View(view + 1)));
    }
    assert!(!replica.engine.has_voted(ValidatorIndex(3), View(1)));
}
