//! For tests: proofs of a version of the protocol that this program lacks, under the committee of a genesis.

use light::Light;
use types::block::Header;
use types::codec::Bounded;
use types::hash::BlockId;
use types::number::{Height, ProtocolVersion, Timestamp};
use types::params::NEWEST_PROTOCOL_VERSION;
use types::proof::{FinalityProof, ReceiptProof, StateProof, ValueProof};
use types::testing;
use types::vote::Subject;

use crate::failure::{CommandFailure, ExitKind};

/// What is verified against: a genesis of one validator.
pub fn light() -> Light {
    Light::new(&testing::genesis(&[1])).unwrap()
}

/// A value under a header of the next version that the validator finalized. Nothing beside can be read or leads to the state root.
pub fn value_proof() -> ValueProof {
    let chain = light().chain();
    let validator = &testing::validators(&[1])[0];
    let (parent, height, time) = (BlockId::default(), Height(9), Timestamp(9_000));
    let header = Header {
        protocol_version: ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1),
        ..testing::empty_block(chain, parent, height, time, validator.id()).header
    };
    let subject = Subject::Finalize { block: header.id() };
    ValueProof {
        value: Some(b"of another version".to_vec()),
        proof: StateProof {
            leaf: None,
            siblings: Bounded::default(),
        },
        finality: FinalityProof {
            headers: Bounded::new(vec![header]).unwrap(),
            certificate: testing::certificate(chain, subject, &[(0, &validator.key)]),
        },
    }
}

/// The same of a receipt that stands.
pub fn receipt_proof() -> ReceiptProof {
    let [time, revocation, receipt] = [value_proof(), value_proof(), value_proof()];
    ReceiptProof {
        time,
        revocation,
        receipt,
    }
}

/// Asserts that it is told that this program is too old, and nothing else.
pub fn assert_too_old<T>(found: Result<T, CommandFailure>) {
    let Err(failure) = found else {
        panic!("it is taken for true");
    };
    assert_eq!(failure.kind, ExitKind::UnknownVersion, "{failure}");
    assert_eq!(failure.kind.code(), 12);
    let says = "install a newer gridproof";
    assert!(failure.message.contains(says), "{failure}");
}
