//! A validator that passes on forged transactions: no correct one does, so that it counts as a fault of its own.

use chain::{Gossip, PoolMessage};
use types::key::Signature;

use super::*;

/// Consensus' faults until the first ban.
const TOLERATED: u64 = 8;

/// A pool frame with one transfer whose signature does not verify.
fn forged(genesis: &Genesis, nonce: u64) -> Frame {
    let SignedTransaction::Native(mut native) = transfer(genesis, nonce);
    native.signature = Signature([7; 64]);
    let transactions = vec![SignedTransaction::Native(native)];
    let transactions = Bounded::new(transactions).unwrap();
    Frame::gossip(&Gossip::Pool(PoolMessage::Transactions(transactions)))
}

fn bans(host: &Host) -> Vec<ValidatorId> {
    let ban = |effect: &Effect| match effect {
        Effect::Ban { validator, .. } => Some(*validator),
        _ => None,
    };
    host.seen.iter().filter_map(ban).collect()
}

#[test]
fn who_passes_on_forged_transactions_is_banned() {
    let mut host = Host::of(4);
    let ids = ids(&host.genesis);
    let from = *ids.iter().find(|id| **id != host.node.id()).unwrap();
    for nonce in 0..TOLERATED {
        assert_eq!(bans(&host), [], "after {nonce} frames");
        let frame = forged(&host.genesis, nonce);
        host.step(Event::Frame { from, frame });
        host.pass(1_000);
    }
    assert_eq!(bans(&host), [from]);
    assert!(host.node.mempool().is_empty());
    assert_eq!(host.stops(), [""; 0]);
}
