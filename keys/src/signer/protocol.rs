//! Frames between a node and its signer: a length of four bytes, little end first, and a borsh value. One answer for each request, in
//! their order.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{Bounded, Text, decode, encode};
use types::key::{PublicKey, Signature};
use types::signer::SigningRequest;

/// Largest frame, in bytes.
const MAX_FRAME_BYTES: usize = 64 << 10;
/// Most signatures that are asked for at once: a proposal needs two.
pub(super) const MAX_REQUESTS: usize = 8;
/// Longest reason of a refusal, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 512;

/// How long a connection that asks to be the one that signs waits for the one before: its node may be ending.
pub(super) const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

/// What a node asks.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum SignerQuestion {
    /// Which key is it?
    Key,
    /// Signatures on all of these, or on none. Makes the connection the one that signs, if no other is. On nothing: asks for that
    /// alone, and is answered once the one before has gone, or after [`CLAIM_TIMEOUT`].
    Sign(Bounded<SigningRequest, MAX_REQUESTS>),
}

/// What a signer answers.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum SignerAnswer {
    /// The public half of the key.
    Key(PublicKey),
    /// One signature for each request, in their order.
    Signed(Bounded<Signature, MAX_REQUESTS>),
    /// Nothing was signed, for people.
    Refused(Text<MAX_REASON_BYTES>),
    /// Another connection is the one that signs: the answer to whoever asked for that alone.
    Taken,
}

/// Sends one value, as one write.
pub(super) fn send<T: BorshSerialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let body = encode(value);
    let length = u32::try_from(body.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend(body);
    to.write_all(&frame)
}

/// Receives one value, after its length in four bytes.
pub(super) fn receive<T: BorshDeserialize + BorshSerialize>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    decode(&body, MAX_FRAME_BYTES).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use types::testing::fuzz::{AnswerMark, fuzz};

    use super::*;

    #[test]
    fn what_is_too_long_is_refused_before_room_is_made() {
        let mut frame = &u32::MAX.to_le_bytes()[..];
        let refused = receive::<SignerQuestion>(&mut frame).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn fuzz_frames() {
        let mut seed = Vec::new();
        send(&mut seed, &SignerQuestion::Key).unwrap();
        fuzz("signer frame", vec![seed], |input| {
            let mut bytes = input;
            AnswerMark::of(&receive::<SignerQuestion>(&mut bytes))
        });
    }
}
