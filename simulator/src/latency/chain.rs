//! The decided blocks of a measurement, which are the same for all: what a validator's store would answer from, up to
//! the height that it committed.

use std::sync::Arc;

use consensus::{Message, Range, Request};
use types::block::{Block, Header};
use types::number::Height;
use types::testing;
use types::vote::Certificate;
use types::whole::WholeBlock;

/// Blocks from height 1 on, with the finalizations that came with them, and how much is in each.
pub(super) struct CommittedChain {
    blocks: Vec<(Arc<Block>, Option<Certificate>)>,
    block_bytes: usize,
}

impl CommittedChain {
    pub(super) fn new(block_bytes: usize) -> Self {
        Self {
            blocks: Vec::new(),
            block_bytes,
        }
    }

    /// That block, filled.
    pub(super) fn filled(&self, block: Block) -> WholeBlock {
        let block = testing::filled(block, self.block_bytes);
        WholeBlock::new(block).expect("its root was just made")
    }

    /// Notes what somebody committed.
    pub(super) fn commit(&mut self, block: &WholeBlock, finalization: Option<Certificate>) {
        let height = place(block.header.height);
        if height == self.blocks.len() {
            self.blocks.push((Arc::clone(block.block()), finalization));
        } else if let Some((_, known)) = self.blocks.get_mut(height)
            && known.is_none()
        {
            *known = finalization;
        }
    }

    /// What the store of a validator with that tip answers.
    pub(super) fn answer(&self, tip: Height, request: Request) -> Option<Message> {
        match request {
            Request::Block(id) => {
                let up_to = self.blocks.iter().take(place(tip.next()));
                let found = up_to.rev().find(|(block, _)| block.id() == id)?;
                Some(Message::Block(Box::new(found.0.as_ref().clone())))
            }
            Request::Range(from) => {
                let heights = from.0..=tip.0;
                let blocks = heights.map_while(|height| self.blocks.get(place(Height(height))));
                let blocks = blocks.map(|(block, _)| Ok::<_, ()>(block.as_ref().clone()));
                let range = Range::pack(blocks, |height| Ok(self.finality(height, tip))).ok()??;
                Some(Message::Range(Box::new(range)))
            }
            Request::Certificates { .. } | Request::VoteRecovery { .. } => None,
        }
    }

    /// The headers above `last` up to the first block that is directly final, and its finalization.
    fn finality(&self, last: Height, tip: Height) -> Option<(Vec<Header>, Certificate)> {
        let mut headers = Vec::new();
        for height in last.0..=tip.0 {
            let (block, finalization) = self.blocks.get(place(Height(height)))?;
            if height > last.0 {
                headers.push(block.header.clone());
            }
            if let Some(certificate) = finalization {
                return Some((headers, certificate.clone()));
            }
        }
        None
    }
}

/// Where a block of that height lies.
fn place(height: Height) -> usize {
    usize::try_from(height.0.saturating_sub(1)).unwrap_or(usize::MAX)
}
