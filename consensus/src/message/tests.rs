//! Where a range ends, and what a message promises.

use std::collections::BTreeSet;

use types::hash::{BlockId, ChainId, Hash32};
use types::key::{SecretKey, Signature};
use types::number::{Epoch, Timestamp};
use types::testing::{certificate, empty_block, validator_id};
use types::vote::{Statement, Subject};

use super::*;

/// A server's blocks 1 to 300, and the heights of which it has finalizations.
struct Server {
    blocks: Vec<Block>,
    certified: BTreeSet<u64>,
    asked: usize,
}

fn block(parent: BlockId, height: u64) -> Block {
    empty_block(
        ChainId(Hash32::ZERO),
        parent,
        Height(height),
        Timestamp(height),
        validator_id(0),
    )
}

fn server(certified: impl IntoIterator<Item = u64>) -> Server {
    let mut blocks: Vec<Block> = Vec::new();
    for height in 1..=300 {
        let parent = blocks.last().map(Block::id).unwrap_or_default();
        blocks.push(block(parent, height));
    }
    Server {
        blocks,
        certified: certified.into_iter().collect(),
        asked: 0,
    }
}

impl Server {
    fn finality(&mut self, height: Height) -> Option<(Vec<Header>, Certificate)> {
        self.asked += 1;
        let end = *self.certified.range(height.0..).next()?;
        let at = |height: u64| &self.blocks[usize::try_from(height).unwrap() - 1];
        let headers = (height.0 + 1..=end)
            .map(|height| at(height).header.clone())
            .collect();
        let subject = Subject::Finalize {
            block: at(end).id(),
        };
        let statement = Statement {
            epoch: Epoch::FIRST,
            view: View(end),
            subject,
        };
        Some((headers, Certificate::from_votes(statement, &[])))
    }

    /// First and last height of the blocks, how many headers, and the view of the certificate.
    fn answer(&mut self, from: usize) -> Option<(u64, u64, usize, u64)> {
        let blocks: Vec<Result<Block, ()>> =
            self.blocks[from - 1..].iter().cloned().map(Ok).collect();
        let range = Range::pack(blocks, |height| Ok(self.finality(height))).unwrap()?;
        let height = |block: Option<&Block>| block.unwrap().header.height.0;
        let (first, last) = (height(range.blocks.first()), height(range.blocks.last()));
        Some((
            first,
            last,
            range.headers.len(),
            range.certificate.statement.view.0,
        ))
    }
}

#[test]
fn a_range_is_as_long_as_it_may_be_where_each_block_has_its_own_finalization() {
    let mut server = server(1..=300);
    assert_eq!(server.answer(1), Some((1, 64, 0, 64)));
    assert_eq!(server.asked, 1, "and costs one look");
    assert_eq!(server.answer(290), Some((290, 300, 0, 300)));
}

#[test]
fn a_range_ends_at_the_last_block_that_has_its_own_finalization() {
    let mut server = server([1, 20, 40, 100, 300]);
    assert_eq!(server.answer(1), Some((1, 40, 0, 40)));
    assert_eq!(server.answer(41), Some((41, 100, 0, 100)));
    assert_eq!(server.answer(40), Some((40, 100, 0, 100)));
    assert_eq!(server.answer(250), Some((250, 300, 0, 300)));
}

#[test]
fn a_range_without_such_a_block_is_proven_by_headers() {
    let mut server = server([100]);
    assert_eq!(server.answer(1), Some((1, 64, 36, 100)));
    assert_eq!(server.answer(65), Some((65, 100, 0, 100)));
    assert_eq!(
        server.answer(101),
        None,
        "and without any proof it is not given"
    );
}

#[test]
fn an_answer_has_room_for_one_block_and_for_more_within_its_bytes() {
    let block = block(BlockId::default(), 1);
    let length = encode(&block).len();
    assert!(Range::has_room(0, 0, &block));
    assert!(Range::has_room(1, MAX_BLOCK_BYTES - length, &block));
    assert!(!Range::has_room(1, MAX_BLOCK_BYTES - length + 1, &block));
    assert!(!Range::has_room(MAX_RANGE_BLOCKS, 0, &block));
}

#[test]
fn a_proposal_brings_the_votes_of_its_sender_that_its_certificates_show() {
    let keys = [1, 2].map(|byte| SecretKey::from_bytes(&[byte; 32]));
    let chain = ChainId(Hash32::ZERO);
    let by = |signers: &[(u16, &SecretKey)], subject| certificate(chain, subject, signers);
    let notarize = Subject::Notarize {
        parent_view: View(0),
        block: BlockId::default(),
    };
    let (ours, theirs) = ([(0, &keys[0]), (1, &keys[1])], [(1, &keys[1])]);
    let brings = |parent: Certificate, nullification: Certificate| {
        let proposal = Proposal {
            epoch: Epoch::FIRST,
            view: View(9),
            parent_view: View(7),
            block: block(BlockId::default(), 1),
            parent_certificate: Some(parent),
            nullifications: Bounded::new(vec![nullification]).unwrap(),
            signature: Signature([0; 64]),
            notarize: Signature([0; 64]),
        };
        let promise = Message::Proposal(Box::new(proposal)).promise(ValidatorIndex(0));
        let Promise::Proposal { view, carries } = promise else {
            panic!("{promise:?}");
        };
        assert_eq!(view, View(9));
        carries.iter().map(|said| said.subject).collect::<Vec<_>>()
    };
    let nullify = Subject::Nullify;
    assert_eq!(
        brings(by(&ours, notarize), by(&ours, nullify)),
        [notarize, nullify]
    );
    assert_eq!(brings(by(&theirs, notarize), by(&ours, nullify)), [nullify]);
    assert_eq!(brings(by(&theirs, notarize), by(&theirs, nullify)), []);
}
