//! From committee to committee, and what the keys of a committee are worth after it left office.

use types::block::Header;
use types::codec::Bounded;
use types::committee::Committee;
use types::hash::BlockId;
use types::number::{ProtocolVersion, ValidatorIndex};
use types::params::NEWEST_PROTOCOL_VERSION;
use types::proof::FinalityProof;
use types::testing;
use types::vote::{Certificate, Statement, Vote};

use super::*;
use crate::FinalityError;

const STAKES: [u64; 4] = [4, 3, 3, 3];

/// The first committee is of four; the second of the same keys' first two.
fn second() -> Committee {
    testing::committee(&[5, 5])
}

fn light() -> Light {
    Light::new(&testing::genesis(&STAKES)).unwrap()
}

fn header(height: u64, next_committee: Hash32) -> Header {
    Header {
        height: Height(height),
        parent: BlockId::default(),
        next_committee,
        ..testing::genesis(&STAKES).header()
    }
}

/// A finalization of a header by everybody in the committee of these stakes.
fn finalized(header: &Header, epoch: u64, stakes: &[u64]) -> Certificate {
    let block = header.id();
    let statement = Statement {
        epoch: Epoch(epoch),
        view: types::number::View(3),
        subject: Subject::Finalize { block },
    };
    let validators = testing::validators(stakes);
    let vote = |(at, validator): (u16, &testing::TestValidator)| {
        let signer = ValidatorIndex(at);
        Vote::sign(statement, signer, &validator.key, header.chain_id)
    };
    let votes: Vec<_> = (0u16..).zip(&validators).map(vote).collect();
    Certificate::from_votes(statement, &votes)
}

fn handover() -> Handover {
    let committee = second();
    let header = header(20, committee.hash());
    Handover {
        certificate: finalized(&header, 1, &STAKES),
        header,
        committee,
    }
}

fn proof(header: &Header, epoch: u64, stakes: &[u64]) -> FinalityProof {
    FinalityProof {
        headers: Bounded::new(vec![header.clone()]).unwrap(),
        certificate: finalized(header, epoch, stakes),
    }
}

#[test]
fn a_boundary_header_hands_over() {
    let mut light = light();
    assert_eq!(light.advance(&handover()), Ok(()));
    let term = light.newest_term();
    assert_eq!((term.epoch, term.committee), (Epoch(2), &second()));
    let (old, new) = (header(19, Hash32::ZERO), header(21, Hash32::ZERO));
    assert!(light.verify_finality(&proof(&old, 1, &STAKES)).is_ok());
    assert!(light.verify_finality(&proof(&new, 2, &[5, 5])).is_ok());
}

#[test]
fn a_committee_finalizes_headers_of_its_own_term_only() {
    let mut light = light();
    let later = header(21, Hash32::ZERO);
    assert!(light.verify_finality(&proof(&later, 1, &STAKES)).is_ok());
    light.advance(&handover()).unwrap();
    assert_eq!(
        light.verify_finality(&proof(&later, 1, &STAKES)),
        Err(FinalityError::OutsideTerm {
            height: Height(21),
            epoch: Epoch(2),
            term: Epoch(1)
        }),
        "the keys of those who left are worth nothing for later heights"
    );
    let earlier = header(20, Hash32::ZERO);
    assert!(matches!(
        light.verify_finality(&proof(&earlier, 2, &[5, 5])),
        Err(FinalityError::OutsideTerm { .. })
    ));
    assert_eq!(
        light.verify_finality(&proof(&later, 3, &[5, 5])),
        Err(FinalityError::UnknownCommittee(Epoch(3)))
    );
}

#[test]
fn a_header_that_hands_over_ends_no_ordinary_path() {
    let handover = handover();
    let proof = proof(&handover.header, 1, &STAKES);
    let refused = light().verify_finality(&proof).unwrap_err();
    let announced = handover.committee.hash();
    assert_eq!(
        refused,
        FinalityError::OtherCommittee {
            height: Height(20),
            announced
        }
    );
}

#[test]
fn each_way_of_handing_over_nothing_has_its_error() {
    let refused = |change: &dyn Fn(&mut Handover)| {
        let (mut light, mut handover) = (light(), handover());
        change(&mut handover);
        let refused = light.advance(&handover).unwrap_err();
        assert_eq!(light.newest_term().epoch, Epoch::FIRST, "nothing changed");
        refused
    };
    let other = ChainId(Hash32([1; 32]));
    assert!(matches!(
        refused(&|handover| handover.header.chain_id = other),
        HandoverError::OtherChain { .. }
    ));
    assert_eq!(
        refused(&|handover| handover.header.height = Height(21)),
        HandoverError::NoBoundary(Height(21))
    );
    assert!(matches!(
        refused(&|handover| handover.committee = testing::committee(&[1, 2])),
        HandoverError::OtherCommittee { .. }
    ));
    assert_eq!(
        refused(&|handover| {
            handover.committee = testing::committee(&STAKES);
            handover.header.next_committee = handover.committee.hash();
        }),
        HandoverError::SameCommittee(Height(20))
    );
    assert!(matches!(
        refused(&|handover| handover.header.timestamp.0 += 1),
        HandoverError::NotFinalized(_)
    ));
    assert!(matches!(
        refused(&|handover| handover.certificate = finalized(&handover.header, 2, &STAKES)),
        HandoverError::Certificate(CertificateError::OtherEpoch { .. })
    ));
    assert!(matches!(
        refused(&|handover| handover.certificate = finalized(&handover.header, 1, &STAKES[..2])),
        HandoverError::Certificate(_)
    ));
}

#[test]
fn a_handover_from_before_the_newest_term_is_past() {
    let mut light = light();
    let first = handover();
    light.advance(&first).unwrap();
    assert!(matches!(
        light.advance(&first),
        Err(HandoverError::Past { .. })
    ));
}

#[test]
fn a_version_that_this_program_lacks_counts_once_a_quorum_has_said_it() {
    let (mut light, mut handover) = (light(), handover());
    let (height, version) = (
        handover.header.height,
        ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1),
    );
    handover.header.protocol_version = version;
    handover.certificate = finalized(&handover.header, 1, &STAKES[..1]);
    let liar = light.advance(&handover).unwrap_err();
    assert!(matches!(liar, HandoverError::Certificate(_)), "{liar}");
    handover.certificate = finalized(&handover.header, 1, &STAKES);
    let unknown = UnknownProtocolVersion { version, height };
    assert_eq!(
        light.advance(&handover),
        Err(HandoverError::Version(unknown))
    );
    assert_eq!(light.newest_term().epoch, Epoch::FIRST, "nothing changed");
}
