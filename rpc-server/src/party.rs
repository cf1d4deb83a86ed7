//! Who signed a request, if it is a party: a bonded partner or a customer of a live job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::Method;
use axum::http::uri::PathAndQuery;
use rpc::signature::{RequestSignature, SIGNATURE_HEADER, SIGNATURE_WINDOW_MS, unix_ms};
use types::hash::Address;

use crate::backend::Backend;
use crate::caller::Caller;

/// Signatures of one key that an address may get wrong within a second; then they are not looked at until it is over.
const MAX_WRONG: u32 = 32;

/// What a request's head says about who signed it; not verified.
pub(crate) struct SignedHead {
    signature: RequestSignature,
    method: Method,
    target: PathAndQuery,
}

impl SignedHead {
    /// Nothing if the request is not signed, or not as it should be.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let text = request.headers().get(SIGNATURE_HEADER)?.to_str().ok()?;
        Some(Self {
            signature: text.parse().ok()?,
            method: request.method().clone(),
            target: request.uri().path_and_query()?.clone(),
        })
    }
}

/// Verifies signatures of requests.
#[derive(Clone)]
pub(crate) struct PartyBook {
    backend: Arc<dyn Backend>,
    wrong: Arc<Mutex<WrongSignatures>>,
}

/// Wrong signatures of the current second.
#[derive(Debug, Default)]
struct WrongSignatures {
    second: u64,
    counts: BTreeMap<(Caller, Address), u32>,
}

impl WrongSignatures {
    /// Forgets what was before the second that it is now.
    fn at(&mut self, now_ms: u64) -> &mut BTreeMap<(Caller, Address), u32> {
        let second = now_ms / 1_000;
        if self.second != second {
            self.second = second;
            self.counts.clear();
        }
        &mut self.counts
    }
}

impl PartyBook {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            wrong: Arc::default(),
        }
    }

    /// The claim's signature, if it is right and a party's. Only the name of a party costs the work of verifying, and
    /// wrong signatures cost it a bounded number of times.
    pub(crate) async fn verified(
        &self,
        claim: SignedHead,
        from: Caller,
    ) -> Option<RequestSignature> {
        let (signature, now) = (claim.signature, unix_ms());
        if now.abs_diff(signature.time) > SIGNATURE_WINDOW_MS {
            return None;
        }
        let party = signature.key.address();
        if !self.backend.is_party(party).await || self.wrong(now, from, party, 0) >= MAX_WRONG {
            return None;
        }
        let chain = self.backend.chain_id();
        let target = claim.target.as_str();
        if signature
            .verify(chain, claim.method.as_str(), target)
            .is_ok()
        {
            return Some(signature);
        }
        self.wrong(now, from, party, 1);
        None
    }

    /// Adds to the wrong signatures that an address sent in a party's name within this second, and gives their number.
    fn wrong(&self, now_ms: u64, from: Caller, party: Address, more: u32) -> u32 {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = wrong.at(now_ms);
        let count = counts.get(&(from, party)).copied().unwrap_or_default();
        if more > 0 {
            counts.insert((from, party), count.saturating_add(more));
        }
        count
    }
}
