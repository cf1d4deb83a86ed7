//! State sync: the summaries that the host's nodes agree on, and answers to nodes that fetch the state of one.
//!
//! A summary is the header of a block, and nothing else: so all nodes give the same bytes for a height, whatever signature
//! of its proposer they hold. Its id is the block's. It names the state below the block, which
//! [`chain::state_sync`] fetches; the host has the outer block beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chain::blob_tasks::{AskError, ChunkSource};
use chain::state_sync::request::{self, NoAnswer};
use state::{DecidedState, StateError};
use store::{ChainStore, Store};
use types::block::Header;
use types::codec::{decode, encode};
use types::hash::{ChainId, ValidatorId};
use types::number::Height;

use crate::message;
use crate::network::SubnetNodes;

/// Largest encoded summary, in bytes.
const MAX_SUMMARY_BYTES: usize = 1_024;
/// Answers to one node that are made at a time.
const ANSWERS_FOR_ONE: usize = 4;
/// Answers that are made at a time in all: each takes a thread and reads up to a mebibyte.
const ANSWERS_FOR_ALL: usize = 8;

/// The bytes of a summary.
pub fn summary_bytes(header: &Header) -> Vec<u8> {
    encode(header)
}

/// The summary that these bytes are, if they are one of this chain.
pub fn parse(bytes: &[u8], chain: ChainId) -> Option<Header> {
    let header: Header = decode(bytes, MAX_SUMMARY_BYTES).ok()?;
    (header.chain_id == chain && header.height > Height::ZERO).then_some(header)
}

/// The summary of a height, as long as the state below its block is kept.
pub fn at(store: &Store, height: Height) -> Result<Option<Header>, StateError> {
    let is_kept = height.0 > store.oldest().0 && height <= store.tip().height;
    if is_kept {
        store.header_at(height)
    } else {
        Ok(None)
    }
}

/// The newest summary at a multiple of the interval; none before the first, and for an interval of none.
pub fn newest(store: &Store, interval: u64) -> Result<Option<Header>, StateError> {
    let tip = store.tip().height.0;
    match tip.checked_rem(interval) {
        Some(beyond) => at(store, Height(tip - beyond)),
        None => Ok(None),
    }
}

/// The other nodes, as far as a state is fetched from them.
#[derive(Debug, Clone)]
pub struct StateNodes(pub SubnetNodes);

impl ChunkSource for StateNodes {
    async fn ask(&self, from: ValidatorId, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let request = message::request_of(message::SYNC_PREFIX, &request);
        self.0.request(from, request).await
    }
}

/// Answers nodes that fetch a state, a few at a time. Copies share the count.
#[derive(Debug, Clone, Default)]
pub struct StateAnswers(Arc<Mutex<BTreeMap<ValidatorId, usize>>>);

impl StateAnswers {
    fn under_way(&self) -> MutexGuard<'_, BTreeMap<ValidatorId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to make an answer for a node; none while too many are made.
    pub fn begin(&self, node: ValidatorId) -> Option<AnswerUnderWay> {
        let mut under_way = self.under_way();
        let all: usize = under_way.values().sum();
        let one = under_way.get(&node).copied().unwrap_or_default();
        if all >= ANSWERS_FOR_ALL || one >= ANSWERS_FOR_ONE {
            return None;
        }
        under_way.insert(node, one + 1);
        let answers = self.clone();
        Some(AnswerUnderWay { answers, node })
    }
}

/// An answer that is made.
#[derive(Debug)]
pub struct AnswerUnderWay {
    answers: StateAnswers,
    node: ValidatorId,
}

impl AnswerUnderWay {
    /// Makes it; none is a refusal.
    pub fn make(self, store: &Store, request: &[u8]) -> Option<Vec<u8>> {
        match request::answer(store, request) {
            Ok(answer) => Some(answer),
            Err(NoAnswer::State(error)) => {
                tracing::error!(%error, "the store cannot be read");
                None
            }
            Err(_) => None,
        }
    }
}

impl Drop for AnswerUnderWay {
    fn drop(&mut self) {
        let mut under_way = self.answers.under_way();
        if let Some(count) = under_way.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use types::testing::numbered::genesis;
    use types::testing::validator_id;

    use super::*;

    #[test]
    fn only_headers_of_this_chain_above_genesis_are_summaries() {
        let genesis = genesis(1);
        let chain = genesis.chain_id();
        let mut header = genesis.header();
        assert_eq!(parse(&encode(&header), chain), None, "genesis");
        header.height = Height(7);
        let bytes = summary_bytes(&header);
        assert_eq!(parse(&bytes, chain), Some(header.clone()));
        assert_eq!(parse(&bytes, ChainId::default()), None);
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut], chain), None);
        }
        assert_eq!(parse(&[bytes, vec![0]].concat(), chain), None);
    }

    #[test]
    fn one_node_and_all_together_get_a_bounded_number_of_answers() {
        let answers = StateAnswers::default();
        let begin = |n| answers.begin(validator_id(n));
        let first: Vec<_> = std::iter::from_fn(|| begin(1)).collect();
        assert_eq!(first.len(), ANSWERS_FOR_ONE);
        let others: Vec<_> = (2..100).filter_map(begin).collect();
        assert_eq!(first.len() + others.len(), ANSWERS_FOR_ALL);
        drop(first);
        assert!(begin(1).is_some());
        drop(others);
        assert!(answers.under_way().is_empty());
    }
}
