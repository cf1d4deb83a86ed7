//! The final blocks of a validator of the engine bench, in memory: what another one that was late asks for.

use std::collections::BTreeMap;
use std::convert::Infallible;

use consensus::{Message, Range, Request};
use types::block::{Block, Header};
use types::hash::BlockId;
use types::limits::MAX_HEADER_PATH;
use types::number::Height;
use types::vote::Certificate;

/// Final blocks, and the certificates of those that are final by one of their own.
#[derive(Debug, Default)]
pub struct History {
    blocks: BTreeMap<Height, (Block, Option<Certificate>)>,
    heights: BTreeMap<BlockId, Height>,
}

impl History {
    /// Adds the next final block.
    pub fn add(&mut self, block: &Block, finalization: Option<Certificate>) {
        let height = block.header.height;
        self.heights.insert(block.id(), height);
        self.blocks.insert(height, (block.clone(), finalization));
    }

    /// The answer to a request, if there is one.
    pub fn answer(&self, request: Request) -> Option<Message> {
        match request {
            Request::Block(id) => {
                let (block, _) = self.blocks.get(self.heights.get(&id)?)?;
                Some(Message::Block(Box::new(block.clone())))
            }
            Request::Range(from) => {
                let blocks = self.blocks.range(from..);
                let blocks = blocks.map(|(_, (block, _))| Ok::<_, Infallible>(block.clone()));
                let Ok(range) = Range::pack(blocks, |height| Ok(self.finality(height)));
                Some(Message::Range(Box::new(range?)))
            }
            Request::Certificates { .. } | Request::VoteRecovery { .. } => None,
        }
    }

    /// The headers above `last` up to the first block with a finalization, and that.
    fn finality(&self, last: Height) -> Option<(Vec<Header>, Certificate)> {
        let mut headers = Vec::new();
        for (height, (block, finalization)) in self.blocks.range(last..).take(MAX_HEADER_PATH) {
            if *height > last {
                headers.push(block.header.clone());
            }
            if let Some(certificate) = finalization {
                return Some((headers, certificate.clone()));
            }
        }
        None
    }
}
