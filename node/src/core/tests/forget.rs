//! What is kept of blocks that come to nothing.

use types::key::SecretKey;
use types::number::{Epoch, ValidatorIndex};
use types::vote::{Certificate, Proposal, Statement, Vote};

use super::*;

/// The id of the member at a position.
fn id_of(host: &Host, index: ValidatorIndex) -> ValidatorId {
    host.node.rules().committee.id(index).unwrap()
}

/// The key of a member.
fn key_of(host: &Host, index: ValidatorIndex) -> SecretKey {
    let member = host.node.rules().committee.member(index).unwrap().key;
    (1..=4).map(key).find(|key| key.public() == member).unwrap()
}

fn others(host: &Host) -> Vec<ValidatorIndex> {
    (0..4)
        .map(ValidatorIndex)
        .filter(|index| id_of(host, *index) != host.node.id())
        .collect()
}

fn say(host: &mut Host, from: ValidatorIndex, message: &consensus::Message) {
    host.step(Event::Frame {
        from: id_of(host, from),
        frame: Frame::consensus(message),
    });
    host.work_off();
}

/// The others end a view without a block.
fn nullify(host: &mut Host, view: View) {
    let statement = Statement {
        epoch: Epoch::FIRST,
        view,
        subject: Subject::Nullify,
    };
    let chain = host.node.rules().chain_id;
    let sign = |index: &ValidatorIndex| Vote::sign(statement, *index, &key_of(host, *index), chain);
    let votes: Vec<_> = others(host).iter().map(sign).collect();
    let from = others(host)[0];
    say(
        host,
        from,
        &consensus::Message::Certificate(Certificate::from_votes(statement, &votes)),
    );
}

/// The leader's block for the current view, on top of genesis.
fn proposal(host: &Host, leader: ValidatorIndex, nullifications: Vec<Certificate>) -> Proposal {
    let (view, key, chain) = (
        host.node.replica.view(),
        key_of(host, leader),
        host.node.rules().chain_id,
    );
    let parent = host.node.chain.tip().clone();
    let building = Building {
        request: BuildRequest {
            ticket: BuildTicket(view.0),
            parent: parent.id,
            timestamp: Timestamp(parent.header.timestamp.0 + 1),
            proposer: id_of(host, leader),
        },
        branch: state::Branch::decided(host.store.tip()),
        parent,
        system: Vec::new(),
        candidates: Vec::new(),
    };
    let block = building.run(host.node.rules(), &host.store).unwrap().block;
    let (epoch, parent_view) = (Epoch::FIRST, View::ZERO);
    let hash = Proposal::signing_hash(epoch, view, parent_view, block.id(), chain);
    let notarize = Statement {
        epoch,
        view,
        subject: Subject::Notarize {
            parent_view,
            block: block.id(),
        },
    };
    Proposal {
        epoch,
        view,
        parent_view,
        block: block.block().as_ref().clone(),
        parent_certificate: None,
        nullifications: Bounded::new(nullifications).unwrap(),
        signature: key.sign(&hash),
        notarize: key.sign(&notarize.signing_hash(chain)),
    }
}

#[test]
fn the_result_of_a_block_that_consensus_forgot_is_dropped() {
    let mut host = Host::of(4);
    answer_vote_recovery(&mut host);
    let leader = loop {
        let view = host.node.replica.view();
        let leader = host.node.replica.engine().clone().leader(view);
        if id_of(&host, leader) != host.node.id() {
            break leader;
        }
        nullify(&mut host, view);
    };
    // Too late for our vote, but executed in case that the others notarize it.
    host.pass(60_000);
    let view = host.node.replica.view();
    let voted =
        |record: &Record| matches!(record, Record::Vote(vote) if vote.statement.view == view);
    assert!(host.log.iter().any(voted), "given up");
    let proposal = proposal(&host, leader, Vec::new());
    let id = proposal.block.id();
    say(
        &mut host,
        leader,
        &consensus::Message::Proposal(Box::new(proposal)),
    );
    assert!(host.node.chain.blocks().holds(&id));
    nullify(&mut host, view);
    assert_eq!(host.node.replica.view(), view.next());
    // The next leader may be this validator, with a block of its own.
    assert!(!host.node.chain.blocks().holds(&id));
    assert_eq!(host.stops(), [""; 0]);
}
