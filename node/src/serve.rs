//! Answers to validators that catch up: blocks and ranges of final blocks, from the store.

use consensus::{Message, Range, Request};
use state::{ChainStore, StateError};
use types::block::Header;
use types::limits::MAX_HEADER_PATH;
use types::number::Height;
use types::vote::Certificate;

/// Answers what a validator asks about decided blocks, or nothing if they are not here.
pub fn answer(store: &impl ChainStore, request: Request) -> Result<Option<Message>, StateError> {
    match request {
        Request::Block(id) => {
            let block = store.block(&id)?;
            Ok(block.map(|block| Message::Block(Box::new(block))))
        }
        Request::Range(from) => {
            Ok(range(store, from)?.map(|range| Message::Range(Box::new(range))))
        }
        Request::Certificates { .. } | Request::VoteRecovery { .. } => Ok(None),
    }
}

/// Final blocks from a height on: as many as fit and are proven, see [`Range::pack`].
fn range(store: &impl ChainStore, from: Height) -> Result<Option<Range>, StateError> {
    let newest = store
        .newest_certificate()?
        .map_or(Height::ZERO, |(height, _)| height);
    let blocks = (from.0..=newest.0).map_while(|height| store.block_at(Height(height)).transpose());
    Range::pack(blocks, |height| finality(store, height))
}

/// The headers above `last` up to the next block with a finalization, and that finalization; nothing if those are more
/// headers than a path may have.
fn finality(
    store: &impl ChainStore,
    last: Height,
) -> Result<Option<(Vec<Header>, Certificate)>, StateError> {
    let Some((finalised, certificate)) = store.certificate_from(last)? else {
        return Ok(None);
    };
    if !usize::try_from(finalised.0.saturating_sub(last.0))
        .is_ok_and(|headers| headers <= MAX_HEADER_PATH)
    {
        return Ok(None);
    }
    let mut headers = Vec::new();
    for height in last.0.saturating_add(1)..=finalised.0 {
        let Some(header) = store.header_at(Height(height))? else {
            return Ok(None);
        };
        headers.push(header);
    }
    Ok(Some((headers, certificate)))
}
