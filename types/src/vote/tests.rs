//! One test per rule that a certificate or a proposal can break.

use super::*;
use crate::hash::ValidatorId;
use crate::number::{Height, Stake, Timestamp};
use crate::testing::{self, TestValidator};

const CHAIN: ChainId = ChainId(Hash32([7; 32]));
const STAKES: [u64; 4] = [4, 3, 3, 3];

fn statement() -> Statement {
    Statement {
        epoch: Epoch::FIRST,
        view: View(5),
        subject: Subject::Nullify,
    }
}

fn certificate(signers: &[u16]) -> Certificate {
    let validators = testing::validators(&STAKES);
    let vote = |signer: &u16| {
        let key = &validators[usize::from(*signer)].key;
        Vote::sign(statement(), ValidatorIndex(*signer), key, CHAIN)
    };
    let votes: Vec<_> = signers.iter().map(vote).collect();
    Certificate::from_votes(statement(), &votes)
}

fn verified(certificate: &Certificate) -> Result<(), CertificateError> {
    let committee = testing::committee(&STAKES);
    let term = Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &committee,
    };
    let alone = certificate.verify(&term, None);
    let batch = certificate.verify(&term, Some(&Hash32([9; 32])));
    assert_eq!(alone, batch, "one by one and as a batch are one verdict");
    alone
}

#[test]
fn a_quorum_of_good_signatures_is_a_certificate() {
    assert_eq!(verified(&certificate(&[0, 1, 2])), Ok(()));
    assert_eq!(verified(&certificate(&[3, 1, 2])), Ok(()));
    assert_eq!(verified(&certificate(&[0, 1, 2, 3])), Ok(()));
}

#[test]
fn each_way_of_proving_nothing_has_its_error() {
    assert_eq!(
        verified(&certificate(&[0, 1])),
        Err(CertificateError::NoQuorum {
            found: Stake(7),
            quorum: Stake(9)
        })
    );
    let mut other = certificate(&[0, 1, 2]);
    other.statement.epoch = Epoch(2);
    assert_eq!(
        verified(&other),
        Err(CertificateError::OtherEpoch {
            found: Epoch(2),
            expected: Epoch(1)
        })
    );
    let mut short = certificate(&[0, 1, 2]);
    short.signatures = Bounded::new(short.signatures[1..].to_vec()).unwrap();
    assert_eq!(
        verified(&short),
        Err(CertificateError::Count {
            signers: 3,
            signatures: 2
        })
    );
    let mut stranger = certificate(&[0, 1, 2]);
    stranger.signers.insert(ValidatorIndex(9));
    let signature = stranger.signatures[0];
    stranger.signatures.push(signature).unwrap();
    assert_eq!(
        verified(&stranger),
        Err(CertificateError::Stranger(ValidatorIndex(9)))
    );
    let committee = testing::committee(&STAKES);
    let term = Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &committee,
    };
    assert_eq!(
        stranger.check_shape(&term),
        Err(CertificateError::Stranger(ValidatorIndex(9))),
        "whoever looks at the shape alone finds it, too"
    );
    let mut forged = certificate(&[0, 1, 2]);
    forged.signatures.as_mut_slice()[1].0[3] ^= 1;
    assert_eq!(verified(&forged), Err(CertificateError::Signature));
    let mut moved = certificate(&[0, 1, 2]);
    moved.statement.view = View(6);
    assert_eq!(verified(&moved), Err(CertificateError::Signature));
}

#[test]
fn votes_count_once_each_and_in_order_of_position() {
    let validators = testing::validators(&STAKES);
    let vote = |at: u16| {
        let key = &validators[usize::from(at)].key;
        Vote::sign(statement(), ValidatorIndex(at), key, CHAIN)
    };
    let other = Statement {
        view: View(6),
        ..statement()
    };
    let elsewhere = Vote::sign(other, ValidatorIndex(3), &validators[3].key, CHAIN);
    let gathered = Certificate::from_votes(
        statement(),
        &[vote(2), vote(0), vote(2), elsewhere, vote(1)],
    );
    assert_eq!(gathered, certificate(&[0, 1, 2]));
}

#[test]
fn a_certificate_is_cut_down_to_its_smallest_quorum() {
    let committee = testing::committee(&STAKES);
    let term = Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &committee,
    };
    let full = certificate(&[0, 1, 2, 3]);
    assert_eq!(full.smallest(&term), certificate(&[0, 1, 2]));
    assert_eq!(full.smallest(&term).smallest(&term), full.smallest(&term));
    let none = certificate(&[1, 2]);
    assert_eq!(none.smallest(&term), none, "left as it is, to be refused");
}

fn proposal(leader: &TestValidator) -> Proposal {
    let (parent, proposer) = (BlockId::default(), leader.id());
    let block = testing::empty_block(CHAIN, parent, Height(1), Timestamp(9), proposer);
    let (epoch, view, parent_view) = (Epoch::FIRST, View(3), View::ZERO);
    let hash = Proposal::signing_hash(epoch, view, parent_view, block.id(), CHAIN);
    let mut proposal = Proposal {
        epoch,
        view,
        parent_view,
        block,
        parent_certificate: None,
        nullifications: Bounded::default(),
        signature: leader.key.sign(&hash),
        notarize: leader.key.sign(&hash),
    };
    let notarize = proposal.notarize_statement().signing_hash(CHAIN);
    proposal.notarize = leader.key.sign(&notarize);
    proposal
}

#[test]
fn a_proposal_is_signed_twice_by_the_leader_of_the_term() {
    let (committee, validators) = (testing::committee(&STAKES), testing::validators(&STAKES));
    let term = Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &committee,
    };
    let good = proposal(&validators[1]);
    let leader = ValidatorIndex(1);
    assert_ne!(good.block.header.proposer, ValidatorId::ZERO);
    assert_eq!(good.verify(&term, leader), Ok(()));
    let stranger = ValidatorIndex(4);
    assert_eq!(
        good.verify(&term, stranger),
        Err(ProposalError::Stranger(stranger))
    );
    let other = good.verify(&term, ValidatorIndex(0));
    assert!(matches!(other, Err(ProposalError::Signature(_))));
    let mut unsigned = good.clone();
    unsigned.notarize = good.signature;
    assert!(matches!(
        unsigned.verify(&term, leader),
        Err(ProposalError::Notarize(_))
    ));
    let mut later = good;
    later.epoch = Epoch(2);
    assert_eq!(
        later.verify(&term, leader),
        Err(ProposalError::OtherEpoch {
            found: Epoch(2),
            expected: Epoch(1)
        })
    );
}
