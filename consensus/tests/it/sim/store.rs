//! A store of final blocks that forgets on a crash what was not synced.

use consensus::CommittedTip;
use types::block::{Block, Header};
use types::hash::BlockId;
use types::number::Height;
use types::vote::Certificate;

use super::{Violation, tip_of};

/// Blocks by height, with the finalizations of those that are directly final.
#[derive(Debug, Clone)]
pub struct Store {
    chain: Vec<(Block, Option<Certificate>)>,
    synced: usize,
}

impl Store {
    pub fn new(genesis: Block) -> Self {
        Self {
            chain: vec![(genesis, None)],
            synced: 1,
        }
    }

    pub fn tip(&self) -> CommittedTip {
        tip_of(&self.chain.last().expect("genesis").0)
    }

    /// Certificate of the highest block that has one of its own.
    pub fn finality(&self) -> Option<Certificate> {
        self.chain
            .iter()
            .rev()
            .find_map(|(_, certificate)| certificate.clone())
    }

    /// True if the last block is directly final.
    pub fn is_proven(&self) -> bool {
        self.chain
            .last()
            .is_some_and(|(_, certificate)| certificate.is_some())
    }

    pub fn commit(
        &mut self,
        block: Block,
        finalization: Option<Certificate>,
    ) -> Result<(), Violation> {
        let tip = self.tip();
        if block.header.parent != tip.id || block.header.height != tip.height.next() {
            return Err(format!(
                "a commit at height {} does not follow {}",
                block.header.height, tip.height
            ));
        }
        self.chain.push((block, finalization));
        Ok(())
    }

    pub fn sync(&mut self) {
        self.synced = self.chain.len();
    }

    pub fn crash(&mut self) {
        self.chain.truncate(self.synced);
    }

    pub fn block(&self, id: BlockId) -> Option<Block> {
        self.chain
            .iter()
            .map(|(block, _)| block)
            .find(|block| block.id() == id)
            .cloned()
    }

    /// Loses everything above genesis.
    pub fn forget(&mut self) {
        self.chain.truncate(1);
        self.synced = 1;
    }

    pub fn blocks_from(&self, height: Height) -> impl Iterator<Item = Block> {
        self.chain
            .iter()
            .skip(usize::try_from(height.0).unwrap())
            .map(|(block, _)| block.clone())
    }

    /// The headers above `height` up to the first that is directly final, and its finalization.
    pub fn finality_above(&self, height: Height) -> Option<(Vec<Header>, Certificate)> {
        let mut headers = Vec::new();
        for (block, certificate) in self.chain.iter().skip(usize::try_from(height.0).unwrap()) {
            if block.header.height > height {
                headers.push(block.header.clone());
            }
            if let Some(certificate) = certificate {
                return Some((headers, certificate.clone()));
            }
        }
        None
    }
}
