//! A signed request: how a bonded partner or a customer of a live job shows a node who asks, so that it is given a
//! place that no number of strangers takes.
//!
//! One header, [`SIGNATURE_HEADER`], holds four parts with a dot between: the public key of the account, the time in
//! milliseconds since 1970, the hash of the body and the signature, all but the time in hexadecimal digits. What is
//! signed is the chain's id, the method, path and query as the routes know them, the time, and the body's hash. A
//! signature is no permission: without it, or with one that is not valid, a request is answered like a stranger's.
//! Whoever overhears one can repeat that request for [`SIGNATURE_WINDOW_MS`] on that party's share, and nothing else.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use borsh::BorshSerialize;
use types::hash::{ChainId, Domain, Hash32};
use types::key::{KeyError, PublicKey, SecretKey, Signature, signing_hash};

/// The header's name.
pub const SIGNATURE_HEADER: &str = "x-gridproof-signature";
/// How far the time in a signature may be from the server's clock, in milliseconds.
pub const SIGNATURE_WINDOW_MS: u64 = 60_000;

/// Why a header holds no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header does not hold a key, a time, a hash and a signature with dots between")]
pub struct SignatureFormatError;

/// What a signature of a request stands over, before it is hashed for the chain.
#[derive(BorshSerialize)]
struct SignedRequest<'a> {
    method: &'a str,
    target: &'a str,
    time: u64,
    body: Hash32,
}

/// Who asks, as the header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSignature {
    /// Public key of the account that asks.
    pub key: PublicKey,
    /// When it was signed, in milliseconds since 1970.
    pub time: u64,
    /// Hash of the body.
    pub body: Hash32,
    /// Signature by the account's key.
    pub signature: Signature,
}

/// Hash of a request's body.
fn body_hash(body: &[u8]) -> Hash32 {
    Hash32::of_parts(Domain::REQUEST_BODY, &[body])
}

impl RequestSignature {
    /// True if the hash is that of this body.
    #[must_use]
    pub fn covers(&self, body: &[u8]) -> bool {
        body_hash(body) == self.body
    }

    /// Verifies it over a method, and a path with its query.
    pub fn verify(&self, chain: ChainId, method: &str, target: &str) -> Result<(), KeyError> {
        self.key.check_strong()?;
        let signed = SignedRequest {
            method,
            target,
            time: self.time,
            body: self.body,
        };
        let hash = signing_hash(Domain::SIGN_REQUEST, chain, &signed);
        self.key.verify(&hash, &self.signature)
    }
}

impl fmt::Display for RequestSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, signature) = (hex::encode(self.key.0), hex::encode(self.signature.0));
        write!(f, "{key}.{}.{}.{signature}", self.time, self.body)
    }
}

impl FromStr for RequestSignature {
    type Err = SignatureFormatError;

    fn from_str(text: &str) -> Result<Self, SignatureFormatError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(SignatureFormatError);
        let (key, time, body, signature) = (next()?, next()?, next()?, next()?);
        let parsed = Self {
            key: key.parse().map_err(|_| SignatureFormatError)?,
            time: time.parse().map_err(|_| SignatureFormatError)?,
            body: body.parse().map_err(|_| SignatureFormatError)?,
            signature: signature.parse().map_err(|_| SignatureFormatError)?,
        };
        match parts.next() {
            None => Ok(parsed),
            Some(_) => Err(SignatureFormatError),
        }
    }
}

/// Signs the requests of one account on one chain.
#[derive(Debug, Clone)]
pub struct RequestSigner {
    key: SecretKey,
    chain: ChainId,
}

impl RequestSigner {
    /// Signs with the account's key.
    #[must_use]
    pub fn new(key: SecretKey, chain: ChainId) -> Self {
        Self { key, chain }
    }

    /// The signature of a request that is sent now.
    #[must_use]
    pub fn sign_now(&self, method: &str, target: &str, body: &[u8]) -> RequestSignature {
        self.sign(method, target, body, unix_ms())
    }

    /// The signature of a request that is sent at a time in milliseconds since 1970.
    #[must_use]
    pub fn sign(&self, method: &str, target: &str, body: &[u8], time: u64) -> RequestSignature {
        let body = body_hash(body);
        let signed = SignedRequest {
            method,
            target,
            time,
            body,
        };
        let hash = signing_hash(Domain::SIGN_REQUEST, self.chain, &signed);
        RequestSignature {
            key: self.key.public(),
            time,
            body,
            signature: self.key.sign(&hash),
        }
    }
}

/// The system's clock, in milliseconds since 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a signature holds for a time, at both ends of a connection"
)]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: ChainId = ChainId(Hash32([7; 32]));

    fn signer() -> RequestSigner {
        RequestSigner::new(SecretKey::from_bytes(&[3; 32]), CHAIN)
    }

    #[test]
    fn a_signature_holds_for_one_request_on_one_chain() {
        let signature = signer().sign("POST", "/v1/estimate?a=b", b"body", 5);
        let verify = |chain, method, target| signature.verify(chain, method, target);
        assert_eq!(verify(CHAIN, "POST", "/v1/estimate?a=b"), Ok(()));
        assert!(signature.covers(b"body") && !signature.covers(b"other"));
        let bad = Err(KeyError::BadSignature);
        assert_eq!(verify(CHAIN, "PUT", "/v1/estimate?a=b"), bad);
        assert_eq!(verify(CHAIN, "POST", "/v1/estimate"), bad);
        let other = ChainId(Hash32([8; 32]));
        assert_eq!(verify(other, "POST", "/v1/estimate?a=b"), bad);
        let later = RequestSignature {
            time: 6,
            ..signature
        };
        assert_eq!(later.verify(CHAIN, "POST", "/v1/estimate?a=b"), bad);
    }

    #[test]
    fn the_header_is_read_as_it_is_written_and_nothing_else_is() {
        let signature = signer().sign("GET", "/v1/status", b"", 1_700_000_000_000);
        let text = signature.to_string();
        assert_eq!(text.parse(), Ok(signature));
        for bad in [
            "",
            "...",
            &text[1..],
            &format!("{text}."),
            &text.replace('.', ","),
            &format!("{text}.1"),
        ] {
            assert_eq!(bad.parse::<RequestSignature>(), Err(SignatureFormatError));
        }
    }

    /// Clients in other languages read the example.
    #[test]
    fn the_document_shows_a_signature() {
        let signature = signer().sign("POST", "/v1/estimate?a=b", b"body", 5);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md");
        let document = std::fs::read_to_string(path).unwrap();
        let header = format!("\n{SIGNATURE_HEADER}: {signature}\n");
        assert!(document.contains(&header), "{header}");
    }
}
