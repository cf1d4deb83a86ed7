//! Missing blobs: whom to ask for each, how many at a time, and when to ask again.
//!
//! A validator that said to hold a blob is asked first, then all others in turn. Different blobs begin at different
//! validators.

use types::hash::{BlobId, ValidatorId};

use super::{BlobBook, BlobRequest};

/// Most blobs that are fetched from other validators at a time.
const MAX_FETCHES: usize = 8;
/// Time after which a blob that nobody gave is asked for again, in milliseconds.
pub(super) const RETRY_MS: u64 = 1_000;
/// Most validators that are remembered to hold one missing blob.
const MAX_HOLDERS: usize = 8;

/// A blob that a live job needs and that is not here yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Missing {
    /// Validators that said to hold it, oldest word first.
    holders: Vec<ValidatorId>,
    /// Who is being asked now.
    asking: Option<ValidatorId>,
    /// When to ask again.
    not_before_ms: u64,
    /// How often it was asked for, to go round.
    asked: usize,
}

impl BlobBook {
    /// A validator did not give a blob.
    pub fn fetch_failed(&mut self, blob: BlobId, from: ValidatorId, monotonic_ms: u64) {
        let Some(missing) = self.missing.get_mut(&blob) else {
            return;
        };
        if missing.asking == Some(from) {
            missing.asking = None;
            missing.holders.retain(|holder| *holder != from);
            let wait = if missing.holders.is_empty() {
                RETRY_MS
            } else {
                0
            };
            missing.not_before_ms = monotonic_ms.saturating_add(wait);
            self.changed = true;
        }
    }

    /// A validator says that it holds a blob.
    pub fn offered(&mut self, blob: BlobId, by: ValidatorId) {
        let Some(missing) = self.missing.get_mut(&blob) else {
            return;
        };
        if missing.holders.len() < MAX_HOLDERS && !missing.holders.contains(&by) {
            missing.holders.push(by);
            missing.not_before_ms = 0;
            self.changed = true;
        }
    }

    /// When a missing blob is to be asked for, if nothing else happens.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        if self.peers.iter().all(|peer| Some(*peer) == self.own) || self.fetches() >= MAX_FETCHES {
            return None;
        }
        let waiting = self
            .missing
            .values()
            .filter(|missing| missing.asking.is_none());
        waiting.map(|missing| missing.not_before_ms).min()
    }

    fn fetches(&self) -> usize {
        self.missing
            .values()
            .filter(|missing| missing.asking.is_some())
            .count()
    }

    pub(super) fn start_fetches(&mut self, now_ms: u64, requests: &mut Vec<BlobRequest>) {
        let peers: Vec<_> = self
            .peers
            .iter()
            .copied()
            .filter(|peer| Some(*peer) != self.own)
            .collect();
        if peers.is_empty() {
            return;
        }
        let mut running = self.fetches();
        for (blob, missing) in &mut self.missing {
            if running >= MAX_FETCHES {
                break;
            }
            if missing.asking.is_some() || missing.not_before_ms > now_ms {
                continue;
            }
            let holder = missing
                .holders
                .iter()
                .copied()
                .find(|holder| peers.contains(holder));
            let next = first_peer(blob, peers.len()).wrapping_add(missing.asked) % peers.len();
            let from = holder.unwrap_or(peers[next]);
            missing.asked = missing.asked.wrapping_add(1);
            missing.asking = Some(from);
            running += 1;
            requests.push(BlobRequest::Fetch { blob: *blob, from });
        }
    }
}

/// The position of the peer that is asked first for a blob. Blobs begin at different peers, so that many missing blobs
/// are not all asked of one.
fn first_peer(blob: &BlobId, peers: usize) -> usize {
    let spread = blob
        .hash
        .0
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    usize::try_from(spread).map_or(0, |spread| spread % peers)
}
