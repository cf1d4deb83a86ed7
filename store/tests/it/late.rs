//! What another host brings with a block or after it: the proposer's signature, and a certificate for a block that was
//! decided without one. The store on disk answers like the one in memory.

use gridproof_store::{ChainStore, Decision, Durability, StateError, Store};
use state::MemoryStore;
use types::key::{PublicKey, Signature};
use types::number::{Epoch, Height, View};
use types::signed_block::ProposerSignature;
use types::vote::{Certificate, Statement, Subject};

use crate::fixture::{genesis, genesis_writes, linear};

fn certificate(store: &dyn ChainStore, height: u64) -> Certificate {
    let block = store.header_at(Height(height)).unwrap().unwrap().id();
    let statement = Statement {
        epoch: Epoch::FIRST,
        view: View(height),
        subject: Subject::Finalize { block },
    };
    Certificate::from_votes(statement, &[])
}

fn signature(number: u8) -> ProposerSignature {
    ProposerSignature {
        key: PublicKey([number; 32]),
        signature: Signature([number; 64]),
    }
}

/// A store of four blocks without certificates, the first of them unsigned.
fn filled(store: &dyn ChainStore) {
    for number in 1..=4 {
        let decision = Decision {
            finality: None,
            proposer: (number > 1).then(|| signature(number)),
            ..linear(store)
        };
        store.commit(&decision, Durability::Buffered).unwrap();
    }
}

fn check(store: &dyn ChainStore) {
    filled(store);
    assert_eq!(store.proposer_at(Height(1)), Ok(None));
    assert_eq!(store.proposer_at(Height(3)), Ok(Some(signature(3))));
    assert_eq!(store.newest_certificate(), Ok(None));
    let second = certificate(store, 2);
    store.finalize(Height(2), &second).unwrap();
    assert_eq!(
        store.newest_certificate(),
        Ok(Some((Height(2), second.clone())))
    );
    let refused = store.finalize(Height(3), &second);
    assert!(matches!(refused, Err(StateError::WrongCertificate(_))));
    let fourth = certificate(store, 4);
    store.finalize(Height(4), &fourth).unwrap();
    let proof = store.finality_proof(Height(3)).unwrap();
    assert_eq!(
        (proof.headers.len(), proof.certificate),
        (2, fourth.clone())
    );
    assert!(store.finalize(Height(5), &fourth).is_err(), "no such block");
    store.undo().unwrap();
    assert_eq!(store.newest_certificate(), Ok(Some((Height(2), second))));
    assert_eq!(store.proposer_at(Height(4)), Ok(None));
}

#[test]
fn certificates_may_come_late_and_signatures_stay_beside_their_blocks() {
    let genesis = genesis("late");
    check(&MemoryStore::new(&genesis, genesis_writes()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), &genesis, genesis_writes()).unwrap();
    check(&open());
    let again = open();
    let (height, _) = again.newest_certificate().unwrap().unwrap();
    assert_eq!(height, Height(2));
    assert_eq!(again.proposer_at(Height(3)), Ok(Some(signature(3))));
}
