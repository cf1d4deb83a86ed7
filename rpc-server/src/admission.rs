//! What stands before every handler that asks the backend: who asks, the whole body, a place, time, and the budget of
//! answers.
//!
//! A body is read before a place is taken, so that one which never becomes whole takes bytes of its sender's share and
//! nothing else. Whoever signs as a party has shares of its own in everything; if they are used up, it is served like a
//! stranger.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use rpc::signature::RequestSignature;
use tokio::time::timeout;

use crate::caller::Caller;
use crate::config::ServerConfig;
use crate::error::{ApiError, ErrorKind};
use crate::party::{PartyBook, SignedHead};
use crate::pool::{KIB, Pool, Taking};
use crate::turn::Turn;
use crate::unsent;

/// What a route costs, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteCost {
    /// Places that a request takes.
    pub(crate) weight: usize,
    /// Longest body in canonical bytes; JSON may have four times as many. Zero: the body is not looked at.
    pub(crate) max_body: usize,
}

/// The pools of a server.
#[derive(Clone)]
pub(crate) struct Admission {
    parties: PartyBook,
    requests: Pool,
    polls: Pool,
    unread: Pool,
    unsent: Pool,
    time: Duration,
}

/// The way into one route.
#[derive(Clone)]
pub(crate) struct Gate {
    admission: Admission,
    places: Pool,
    cost: RouteCost,
    time: Duration,
}

impl Admission {
    pub(crate) fn new(config: &ServerConfig, parties: PartyBook) -> Self {
        let pool = |capacity| Pool::new(capacity, config.address_percent, config.party_percent);
        Self {
            parties,
            requests: pool(config.max_requests),
            polls: pool(config.max_waiting),
            unread: pool(config.max_unread_bytes / KIB),
            unsent: pool(config.max_unsent_bytes / KIB),
            time: config.request_timeout,
        }
    }

    /// The way into a route that answers as soon as it can.
    pub(crate) fn request(&self, cost: RouteCost) -> Gate {
        Gate {
            admission: self.clone(),
            places: self.requests.clone(),
            cost,
            time: self.time,
        }
    }

    /// The way into a route that waits for as long as `wait` before it answers, and takes a body of so many bytes.
    pub(crate) fn poll(&self, wait: Duration, max_body: usize) -> Gate {
        let cost = RouteCost {
            weight: 1,
            max_body,
        };
        Gate {
            admission: self.clone(),
            places: self.polls.clone(),
            cost,
            time: self.time + wait,
        }
    }
}

/// Whose shares a request takes of.
#[derive(Debug, Clone, Copy)]
struct Asker {
    stranger: Caller,
    party: Option<Caller>,
}

impl Asker {
    /// Takes of the party's own share, else of the strangers' pool.
    fn take(self, pool: &Pool, units: usize) -> Option<Taking> {
        let own = self.party.and_then(|party| pool.take(party, units));
        own.or_else(|| pool.take(self.stranger, units))
    }
}

/// The layer before a route.
pub(crate) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let answered = gate.serve(request, next).await;
    answered.unwrap_or_else(IntoResponse::into_response)
}

impl Gate {
    async fn serve(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        let stranger = request.extensions().get::<Caller>().copied();
        let stranger = stranger.unwrap_or(Caller::Host);
        let turn = request.extensions().get::<Turn>().cloned();
        let signature = match SignedHead::of(&request) {
            Some(head) => self.admission.parties.verified(head, stranger).await,
            None => None,
        };
        let party = signature.map(|signature| signature.key.address());
        let asker = Asker {
            stranger,
            party: party.map(Caller::Party),
        };
        if let (Some(turn), Some(party)) = (&turn, party) {
            turn.belongs_to(party);
        }
        let (request, _held) = self.whole(request, asker, signature).await?;
        let _whole = turn.as_ref().map(Turn::node_owes);
        let place = asker.take(&self.places, self.cost.weight);
        let place = place.ok_or_else(|| {
            ApiError::overloaded("the node answers as many requests as it can, or as many of yours")
        })?;
        let response = timeout(self.time, next.run(request)).await;
        let response = response.map_err(|_| late("answer", self.time))?;
        if response.body().size_hint().exact().is_none() {
            return Ok(unsent::holding(response, place));
        }
        let bound = unsent::bound(response, |units| asker.take(&self.admission.unsent, units));
        let response = bound.await;
        drop(place);
        response
    }

    /// The request with its whole body in memory, and what that takes of the asker's share.
    async fn whole(
        &self,
        request: Request,
        asker: Asker,
        signature: Option<RequestSignature>,
    ) -> Result<(Request, Option<Taking>), ApiError> {
        if self.cost.max_body == 0 {
            return Ok((request, None));
        }
        let limit = if is_json(&request) {
            4 * self.cost.max_body
        } else {
            self.cost.max_body
        };
        check_announced(&request, limit)?;
        let mut held = asker
            .take(&self.admission.unread, 1)
            .ok_or_else(too_many_bytes)?;
        let (parts, body) = request.into_parts();
        let time = self.admission.time;
        let bytes = timeout(time, read(body, limit, &mut held))
            .await
            .map_err(|_| late("whole body", time))??;
        if signature.is_some_and(|signature| !signature.covers(&bytes)) {
            let hint = "sign the bytes that are sent";
            let message = "the body is not the one that was signed";
            return Err(ApiError::malformed("signed_other_body", message, hint));
        }
        Ok((Request::from_parts(parts, Body::from(bytes)), Some(held)))
    }
}

/// True if a request says that its body is JSON.
pub(crate) fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// Refuses a body by its announced length, before a byte is read.
fn check_announced(request: &Request, limit: usize) -> Result<(), ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced.map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= limit => Ok(()),
        None => Ok(()),
        Some(_) => Err(too_large(limit)),
    }
}

/// All of a body, as long as it keeps to the limit and its sender to the share.
async fn read(mut body: Body, limit: usize, held: &mut Taking) -> Result<Bytes, ApiError> {
    let (mut all, mut counted) = (Vec::new(), KIB);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::malformed("broken_body", error.to_string(), "send the whole body")
        })?;
        let Some(part) = frame.data_ref() else {
            continue;
        };
        let length = all.len() + part.len();
        if length > limit {
            return Err(too_large(limit));
        }
        if length > counted {
            let more = (length - counted).div_ceil(KIB);
            if !held.grow(more) {
                return Err(too_many_bytes());
            }
            counted += more * KIB;
        }
        all.extend_from_slice(part);
    }
    Ok(all.into())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("the body has more than {limit} bytes");
    let hint = "send less; large blobs travel in chunks";
    ApiError::new(ErrorKind::TooLarge, "body_too_large", message, hint)
}

fn too_many_bytes() -> ApiError {
    ApiError::overloaded("the node holds as many unfinished bodies as it can, or as many of yours")
}

fn late(what: &str, time: Duration) -> ApiError {
    let message = format!("no {what} within {} ms", time.as_millis());
    let hint = "send the body faster, or try again";
    ApiError::new(ErrorKind::Timeout, "timeout", message, hint)
}
