//! How transactions get around.

use types::block::{Block, Body};

use types::hash::Hash32;
use types::number::Gas;
use types::testing::validator_id;

use super::*;
use crate::block::Built;

fn pool_frames(effects: &[Effect]) -> Vec<(Destination, PoolMessage)> {
    let pool = |effect: &Effect| match effect {
        Effect::Send {
            to,
            message: Gossip::Pool(message),
        } => Some((*to, message.clone())),
        _ => None,
    };
    effects.iter().filter_map(pool).collect()
}

fn transactions(effects: &[Effect]) -> Vec<(Destination, Vec<TransactionId>)> {
    let ids = |(to, message)| match message {
        PoolMessage::Transactions(all) => {
            Some((to, all.iter().map(SignedTransaction::id).collect()))
        }
        PoolMessage::System(_) => None,
    };
    pool_frames(effects).into_iter().filter_map(ids).collect()
}

fn from(peer: u8, transactions: Vec<SignedTransaction>) -> Event {
    let message = PoolMessage::Transactions(Bounded::new(transactions).unwrap());
    Event::Gossip {
        from: validator_id(peer),
        message: Gossip::Pool(message),
    }
}

#[test]
fn a_transaction_is_passed_on_once_and_not_back() {
    let mut host = Host::of(4);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.step(from(2, vec![transaction.clone()]));
    let all_but = Destination::All {
        except: Some(validator_id(2)),
    };
    assert_eq!(transactions(&host.seen), [(all_but, vec![id])]);
    host.seen.clear();
    host.step(from(3, vec![transaction.clone()]));
    host.submit(transaction);
    assert_eq!(transactions(&host.seen), []);
    let answer = host.seen.iter().find_map(|effect| match effect {
        Effect::Answer { ticket, result } => Some((*ticket, result.clone())),
        _ => None,
    });
    assert_eq!(
        answer,
        Some((Ticket(7), Ok(id))),
        "a transaction that waits already is no error"
    );
}

#[test]
fn what_is_not_valid_is_not_passed_on() {
    let mut host = Host::of(4);
    let mut forged = transfer(&host.genesis, 0);
    let types::transaction::SignedTransaction::Native(native) = &mut forged;
    native.signature.0[3] ^= 1;
    host.step(from(2, vec![forged.clone()]));
    host.submit(forged);
    assert_eq!(transactions(&host.seen), []);
    assert!(
        host.seen
            .iter()
            .any(|effect| matches!(effect, Effect::Answer { result: Err(_), .. }))
    );
    assert!(host.stops().is_empty());
}

#[test]
fn what_was_submitted_here_is_sent_again_until_it_is_final() {
    let mut host = Host::of(4);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.seen.clear();
    host.pass(75_000);
    let again = transactions(&host.seen)
        .into_iter()
        .filter(|(_, ids)| ids.contains(&id))
        .count();
    assert_eq!(again, 3, "after 10, 30 and 70 seconds");

    let mut alone = Host::of(1);
    alone.submit(transfer(&alone.genesis, 0));
    alone.grow();
    alone.seen.clear();
    alone.pass(60_000);
    assert_eq!(transactions(&alone.seen), [], "final long ago");
}

#[test]
fn much_that_was_submitted_here_is_sent_again_a_little_at_a_time() {
    let mut host = Host::of(4);
    // 16 of each account, as many as wait.
    let senders = [100, 1, 2, 3];
    for (sender, nonce) in senders
        .into_iter()
        .flat_map(|sender| (0..16).map(move |nonce| (sender, nonce)))
    {
        host.submit(transfer_of(&host.genesis, sender, nonce));
    }
    host.seen.clear();
    for (at, sent) in [
        (9_000, 0),
        (10_500, 32),
        (19_500, 32),
        (20_500, 64),
        (29_500, 64),
        (49_500, 128),
    ] {
        host.pass(at - host.now_ms);
        let all = transactions(&host.seen)
            .iter()
            .map(|(_, ids)| ids.len())
            .sum::<usize>();
        assert_eq!(all, sent, "after {at} ms");
    }
}

#[test]
fn who_connects_is_told_what_waits() {
    let mut host = Host::of(4);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.seen.clear();
    host.step(Event::Peers([validator_id(2)].into()));
    let greeted = Destination::One(validator_id(2));
    assert!(transactions(&host.seen).contains(&(greeted, vec![id])));
    host.seen.clear();
    host.step(Event::Peers([validator_id(2)].into()));
    assert_eq!(transactions(&host.seen), [], "once per connection");
}

#[test]
fn many_transactions_go_in_frames_that_a_peer_takes() {
    let mut host = Host::of(4);
    let all: Vec<_> = (0..16)
        .map(|nonce| transfer(&host.genesis, nonce))
        .collect();
    host.step(from(2, all));
    let frames = pool_frames(&host.seen);
    assert_eq!(
        transactions(&host.seen)
            .iter()
            .map(|(_, ids)| ids.len())
            .sum::<usize>(),
        16
    );
    assert!(frames.len() <= 2, "batched, not one by one");
}

#[test]
fn the_contributor_publishes_each_output_once() {
    let mut host = Host::of(1);
    for _ in 0..6 {
        host.grow();
    }
    let steps: Vec<_> = pool_frames(&host.seen)
        .into_iter()
        .filter_map(|(_, message)| match message {
            PoolMessage::System(all) => Some(all.into_inner()),
            PoolMessage::Transactions(_) => None,
        })
        .flatten()
        .filter_map(|transaction| match transaction {
            SystemTransaction::Beacon { step, .. } => Some(step),
            SystemTransaction::Stored { .. } => None,
        })
        .collect();
    assert!(steps.len() > 3);
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
}

#[test]
fn what_was_tried_in_vain_is_dropped() {
    let mut host = Host::of(4);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    let block = Block {
        header: host.genesis.header(),
        body: Body::default(),
    };
    let executed = vm::ExecutedBlock {
        writes: state::Writes::new(),
        receipts: Vec::new(),
        gas: Gas::ZERO,
        receipt_root: Hash32::ZERO,
        urgent: false,
    };
    host.step(Event::Done(Done::Built(Box::new(Built {
        ticket: BuildTicket(1_000),
        block: WholeBlock::new(block).unwrap(),
        refused: vec![id],
        executed: Box::new(executed),
    }))));
    host.seen.clear();
    host.step(Event::Peers([validator_id(2)].into()));
    assert_eq!(transactions(&host.seen), [], "it waits no more");
}
