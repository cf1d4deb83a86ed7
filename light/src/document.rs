//! The file that a customer keeps of a settled job: `receipt.json`.
//!
//! Its one source is the proof in hex; everything else in it is there to be read and derived from the proof. A text is
//! taken only if it is, byte for byte, what its own proof gives: nothing in the file can be changed and still be
//! accepted, not even a space. No certificate has a signer more than it needs.

mod shape;

use serde::{Deserialize, Serialize};
use types::chain_record::ChainRecord;
use types::codec::{CodecError, decode, encode};
use types::hash::{BlockId, ChainId, ValidatorId};
use types::job::JobReceipt;
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::{ChainTime, Epoch, Height, Timestamp};
use types::proof::{ReceiptProof, ValueProof};

use crate::Light;
use shape::ShownReceipt;

/// What the document says it is.
pub const FORMAT: &str = "gridproof job receipt 2";
/// Longest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// Why a text is refused as a receipt document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document is longer than one may be.
    #[error("the document has {found} bytes, at most {MAX_DOCUMENT_BYTES} are read")]
    TooLong {
        /// Length of the document, in bytes.
        found: usize,
    },
    /// Not JSON with a proof.
    #[error("the document is not JSON with a proof, at line {line}, column {column}: {reason}")]
    NotJson {
        /// Line of the first character that does not fit, counted from 1.
        line: usize,
        /// Column of that character, counted from 1; 0 before the first.
        column: usize,
        /// The parser's own words.
        reason: String,
    },
    /// The proof is not hexadecimal.
    #[error("the proof is not in hexadecimal digits")]
    NotHex,
    /// The proof does not decode.
    #[error("the proof does not decode: {0}")]
    NotProof(CodecError),
    /// The proof shows no value, or no header.
    #[error("the proof shows no receipt under a header")]
    NoReceipt,
    /// The proof shows no chain time.
    #[error("the proof shows no chain time")]
    NoTime,
    /// The value is not a job's receipt.
    #[error("the value is not a job's receipt: {0}")]
    NotReceipt(CodecError),
    /// The certificate is of a committee that is not proven.
    #[error("the certificate is of the committee of epoch {0}, of which there is no proof here")]
    UnknownCommittee(Epoch),
    /// The text differs from what its proof gives.
    #[error("the document differs from what its own proof says, from byte {at} on")]
    NotCanonical {
        /// The first byte that differs.
        at: usize,
    },
}

impl DocumentError {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it away")]
    fn not_json(error: serde_json::Error) -> Self {
        Self::NotJson {
            line: error.line(),
            column: error.column(),
            // The place is told beside it.
            reason: match error.to_string().split_once(" at line ") {
                Some((reason, _)) => reason.to_owned(),
                None => error.to_string(),
            },
        }
    }
}

/// The document, in the order in which it is written.
#[derive(Serialize)]
struct Document {
    format: &'static str,
    chain: ChainId,
    receipt: ShownReceipt,
    proven: Proven,
    standing: ShownStanding,
    proof: String,
}

/// Where the proof ends.
#[derive(Serialize)]
struct Proven {
    /// The header whose state root shows the receipt.
    height: Height,
    block: BlockId,
    timestamp: Timestamp,
    /// The block that the certificate finalizes.
    final_height: Height,
    final_block: BlockId,
    /// The validators whose votes make it final.
    signers: Vec<ValidatorId>,
}

/// As of when the receipt stands.
#[derive(Serialize)]
struct ShownStanding {
    /// The header whose state root shows that there is no revocation.
    height: Height,
    block: BlockId,
    timestamp: Timestamp,
    /// A chain time that was reached by then, in milliseconds.
    chain_time: ChainTime,
    /// True if nobody can challenge the receipt any more.
    is_final: bool,
}

/// What of a text is read; the rest is compared as text.
#[derive(Deserialize)]
struct Source {
    proof: String,
}

impl Light {
    /// The same proof with no signers more than it needs.
    fn cut(&self, proof: &ValueProof) -> Result<ValueProof, DocumentError> {
        let mut proof = proof.clone();
        let epoch = proof.finality.certificate.statement.epoch;
        let term = self
            .term(epoch)
            .ok_or(DocumentError::UnknownCommittee(epoch))?;
        proof.finality.certificate = proof.finality.certificate.smallest(&term);
        Ok(proof)
    }

    /// The document of a proof. The certificates are cut down to the signers that they need. The proof is not verified.
    pub fn receipt_document(&self, proof: &ReceiptProof) -> Result<String, DocumentError> {
        let proof = ReceiptProof {
            time: self.cut(&proof.time)?,
            revocation: self.cut(&proof.revocation)?,
            receipt: self.cut(&proof.receipt)?,
        };
        let receipt = receipt(&proof)?;
        let standing = shown_standing(&proof, &receipt)?;
        let finality = &proof.receipt.finality;
        let headers = &finality.headers;
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Err(DocumentError::NoReceipt);
        };
        let epoch = finality.certificate.statement.epoch;
        let term = self
            .term(epoch)
            .ok_or(DocumentError::UnknownCommittee(epoch))?;
        let signers = finality.certificate.signers.iter();
        let signers = signers
            .filter_map(|index| term.committee.id(index))
            .collect();
        let proven = Proven {
            height: first.height,
            block: first.id(),
            timestamp: first.timestamp,
            final_height: last.height,
            final_block: last.id(),
            signers,
        };
        let chain = first.chain_id;
        let document = Document {
            format: FORMAT,
            chain,
            receipt: (&receipt).into(),
            proven,
            standing,
            proof: hex::encode(encode(&proof)),
        };
        let text = serde_json::to_string_pretty(&document)
            .expect("texts, numbers and structs of them always have a JSON form");
        Ok(text + "\n")
    }

    /// The receipt that a proof shows, if a text is exactly the proof's document. The proof is not verified.
    pub(crate) fn receipt_of(
        &self,
        proof: &ReceiptProof,
        text: &str,
    ) -> Result<JobReceipt, DocumentError> {
        let receipt = receipt(proof)?;
        let canonical = self.receipt_document(proof)?;
        if canonical != text {
            let at = canonical
                .bytes()
                .zip(text.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            return Err(DocumentError::NotCanonical { at });
        }
        Ok(receipt)
    }
}

/// The proof that a text says it is the document of.
pub(crate) fn parse_document(text: &str) -> Result<ReceiptProof, DocumentError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError::TooLong { found: text.len() });
    }
    let source: Source = serde_json::from_str(text).map_err(DocumentError::not_json)?;
    let bytes = hex::decode(&source.proof).map_err(|_| DocumentError::NotHex)?;
    decode(&bytes, MAX_DOCUMENT_BYTES).map_err(DocumentError::NotProof)
}

fn receipt(proof: &ReceiptProof) -> Result<JobReceipt, DocumentError> {
    let value = proof.receipt.value.as_deref();
    let value = value.ok_or(DocumentError::NoReceipt)?;
    decode(value, MAX_STATE_VALUE_BYTES).map_err(DocumentError::NotReceipt)
}

/// The chain time that a proof shows.
pub(crate) fn chain_time(proof: &ReceiptProof) -> Result<ChainTime, DocumentError> {
    let record = proof.time.value.as_deref();
    let record = record.and_then(|value| decode::<ChainRecord>(value, MAX_STATE_VALUE_BYTES).ok());
    record
        .map(|record| record.chain_time)
        .ok_or(DocumentError::NoTime)
}

fn shown_standing(
    proof: &ReceiptProof,
    receipt: &JobReceipt,
) -> Result<ShownStanding, DocumentError> {
    let header = proof.revocation.finality.headers.first();
    let header = header.ok_or(DocumentError::NoReceipt)?;
    let chain_time = chain_time(proof)?;
    Ok(ShownStanding {
        height: header.height,
        block: header.id(),
        timestamp: header.timestamp,
        chain_time,
        is_final: chain_time >= receipt.revocable_until,
    })
}

#[cfg(test)]
mod tests;
