//! How transactions get around.

use types::block::{Block, Body};
use types::codec::Bounded;

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
fn a_transaction_goes_to_each_validator_once_from_where_it_was_submitted() {
    let mut host = Host::of(4);
    let all: Vec<_> = (0..3).map(|nonce| transfer(&host.genesis, nonce)).collect();
    let ids: Vec<_> = all.iter().map(SignedTransaction::id).collect();
    host.submit(all[0].clone());
    host.pass(1);
    host.submit_all(all[1..].to_vec());
    assert_eq!(transactions(&host.seen), [], "more may come");
    host.pass(5);
    let to_all = Destination::All { except: None };
    assert_eq!(
        transactions(&host.seen),
        [(to_all, ids.clone())],
        "one frame"
    );
    host.seen.clear();
    host.step(from(2, all.clone()));
    host.submit(all[1].clone());
    host.pass(1_000);
    assert_eq!(transactions(&host.seen), []);
    let answer = host.seen.iter().find_map(|effect| match effect {
        Effect::Answer { ticket, results } => Some((*ticket, results.clone())),
        _ => None,
    });
    assert_eq!(
        answer,
        Some((Ticket(7), vec![Ok(ids[1])])),
        "a transaction that waits already is no error"
    );

    let mut other = Host::of(4);
    other.step(from(2, all));
    other.verify();
    other.pass(1_000);
    assert_eq!(other.chain.mempool().len(), 3);
    assert_eq!(
        transactions(&other.seen),
        [],
        "whoever gave it to us told the others"
    );
}

#[test]
fn what_is_not_valid_is_refused_and_whoever_passed_it_on_is_named() {
    let mut host = Host::of(4);
    let mut forged = transfer(&host.genesis, 0);
    let types::transaction::SignedTransaction::Native(native) = &mut forged;
    native.signature.0[3] ^= 1;
    host.step(from(2, vec![forged.clone(), transfer(&host.genesis, 1)]));
    host.verify();
    let forgers = |host: &Host| {
        let named = host.seen.iter().filter_map(|effect| match effect {
            Effect::Forged(by) => Some(*by),
            _ => None,
        });
        named.collect::<Vec<_>>()
    };
    assert_eq!(forgers(&host), [validator_id(2)]);
    assert_eq!(host.chain.mempool().len(), 1, "the other one is good");
    host.submit_all(vec![forged, transfer(&host.genesis, 0)]);
    assert!(
        host.seen.iter().any(
            |effect| matches!(effect, Effect::Answer { results, .. } if matches!(results[..], [Err(_), Ok(_)]))
        ),
        "each is answered in its place"
    );
    assert_eq!(forgers(&host).len(), 1, "clients are no validators");
    assert!(host.stops().is_empty());
}

#[test]
fn a_signature_is_verified_once_and_another_for_the_same_id_is_not_taken_for_it() {
    let mut host = Host::of(4);
    let below = host.grow().id();
    host.submit(transfer(&host.genesis, 0));
    let block = host.build(below, Timestamp(BEGIN + 1_001));
    let known = |host: &mut Host, block: &WholeBlock| {
        let effects = host.chain.execute(block.clone());
        let Some(Effect::Work(work)) = effects.into_iter().next() else {
            panic!("an execution")
        };
        let Work::Execute(execution) = *work else {
            panic!("an execution")
        };
        execution.verified
    };
    assert_eq!(known(&mut host, &block), [0].into());
    let mut other = block.block().as_ref().clone();
    let mut transactions = other.body.transactions.into_inner();
    let id = transactions[0].id();
    let SignedTransaction::Native(native) = &mut transactions[0];
    native.signature.0[3] ^= 1;
    assert_eq!(transactions[0].id(), id, "no signature is in an id");
    other.body.transactions = Bounded::new(transactions).unwrap();
    other.header.transaction_root = other.body.root();
    let other = WholeBlock::new(other).unwrap();
    assert_eq!(known(&mut host, &other), BTreeSet::new());
    assert!(!host.execute(&other) && host.execute(&block));
}

#[test]
fn one_validator_takes_no_more_than_its_share_of_what_waits_to_be_verified() {
    let mut host = Host::of(4);
    let mut large = |nonce| {
        let mut transaction = transfer(&host.genesis, nonce).into_transaction();
        transaction.valid_until = Height(nonce % 1_000 + 1);
        transaction.nonce = types::number::Nonce(nonce);
        // Whatever is in the signature: nobody looks at it before it is its turn.
        let signature = types::key::Signature([7; 64]);
        SignedTransaction::Native(types::transaction::NativeTransaction {
            transaction,
            signature,
        })
    };
    let frame: Vec<_> = (0..500).map(&mut large).collect();
    for _ in 0..60 {
        host.step(from(2, frame.clone()));
    }
    let bytes: usize = host
        .work
        .iter()
        .map(|work| match work {
            Work::Verify(arrivals) => arrivals.bytes,
            _ => 0,
        })
        .sum();
    assert!((3 << 20..=4 << 20).contains(&bytes), "{bytes}");
    host.step(from(3, vec![transfer(&host.genesis, 0)]));
    host.verify();
    assert_eq!(host.chain.mempool().len(), 1, "another one has room");
    host.step(from(2, vec![transfer(&host.genesis, 1)]));
    host.verify();
    assert_eq!(host.chain.mempool().len(), 2, "and so has it again");
}

#[test]
fn what_was_submitted_here_is_sent_again_until_it_is_final() {
    let mut host = Host::of(4);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.pass(5);
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
    host.pass(5);
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
    for one in all {
        host.submit(one);
    }
    host.pass(5);
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
        .filter_map(|message| match message {
            SystemMessage::Beacon { step, .. } => Some(step),
            SystemMessage::Stored(_) => None,
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
