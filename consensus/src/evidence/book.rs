//! The evidence that a validator found, on disk: it survives a crash right after it was found, and every restart.
//!
//! What is kept of a term is one segment of a [`LogStorage`], named by the term's first epoch and replaced as a whole for
//! each piece, so that a crash leaves the old pieces, or all of them and the new one. It is bounded: of each validator the
//! first [`MAX_EVIDENCE_OF_ONE`] pieces, of which one alone proves its guilt. Nothing that is read is believed: each piece
//! must prove itself again.
//!
//! What it leaves out: what becomes of evidence. No stake is taken for it yet.

use types::codec::{Bounded, CodecError, decode, encode};
use types::limits::MAX_COMMITTEE;
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::Term;

use super::Evidence;
use crate::log::{LogStorage, StorageError};

#[cfg(test)]
mod tests;

/// Pieces of evidence that are kept against one validator in one term.
pub const MAX_EVIDENCE_OF_ONE: usize = 8;
const MAX_EVIDENCE: usize = MAX_COMMITTEE * MAX_EVIDENCE_OF_ONE;
/// Bytes of a book at most: a piece has less than 256.
const MAX_BOOK_BYTES: usize = 4 + MAX_EVIDENCE * 256;

/// Why evidence cannot be kept, or what was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceBookError {
    /// The disk could not.
    #[error("evidence: {0}")]
    Storage(#[from] StorageError),
    /// What is on the disk is not what was written.
    #[error(
        "the evidence of the term of epoch {epoch} cannot be read: {source}. Put its folder back as the last run left it, \
         or move it away: nothing that this validator promised is in it"
    )]
    Damaged {
        /// First epoch of the term.
        epoch: Epoch,
        /// What does not decode.
        source: CodecError,
    },
    /// A piece proves nothing against that validator of this chain.
    #[error(
        "the evidence of the term of epoch {epoch} holds a piece about validator {signer} in view {view} that proves \
         nothing. Put its folder back as the last run left it, or move it away: nothing that this validator promised is in it"
    )]
    ProvesNothing {
        /// First epoch of the term.
        epoch: Epoch,
        /// Position of the validator that the piece names.
        signer: ValidatorIndex,
        /// View that the piece names.
        view: View,
    },
}

/// The evidence of one term that is on disk.
#[derive(Debug)]
pub struct EvidenceBook<S> {
    storage: S,
    epoch: Epoch,
    pieces: Vec<Evidence>,
}

impl<S: LogStorage> EvidenceBook<S> {
    /// Reads what was kept of a term; nothing is an empty book.
    pub fn open(storage: S, term: &Term<'_>) -> Result<Self, EvidenceBookError> {
        let epoch = term.epoch;
        let bytes = if storage.segments()?.contains(&epoch.0) {
            storage.read(epoch.0)?
        } else {
            encode(&Bounded::<Evidence, MAX_EVIDENCE>::default())
        };
        let pieces: Bounded<Evidence, MAX_EVIDENCE> = decode(&bytes, MAX_BOOK_BYTES)
            .map_err(|source| EvidenceBookError::Damaged { epoch, source })?;
        let pieces = pieces.into_inner();
        if let Some(piece) = pieces.iter().find(|piece| !piece.verify(term)) {
            let (signer, view) = (piece.signer(), piece.view());
            return Err(EvidenceBookError::ProvesNothing {
                epoch,
                signer,
                view,
            });
        }
        Ok(Self {
            storage,
            epoch,
            pieces,
        })
    }

    /// Keeps a piece that verifies; it is on disk when this returns. False if nothing was written: it is of another term,
    /// is held already, or enough is held against its signer.
    pub fn add(&mut self, piece: Evidence) -> Result<bool, EvidenceBookError> {
        let of_signer = self.against(piece.signer());
        let is_held = of_signer.clone().any(|held| held.says_the_same(&piece));
        let is_full = of_signer.count() >= MAX_EVIDENCE_OF_ONE;
        if piece.first.statement.epoch != self.epoch || is_held || is_full {
            return Ok(false);
        }
        let mut pieces = self.pieces.clone();
        pieces.push(piece);
        self.storage.rewrite(self.epoch.0, &encode(&pieces))?;
        self.pieces = pieces;
        Ok(true)
    }

    /// Everything that is kept of the term, in the order in which it was found.
    #[must_use]
    pub fn pieces(&self) -> &[Evidence] {
        &self.pieces
    }

    fn against(&self, signer: ValidatorIndex) -> impl Iterator<Item = &Evidence> + Clone {
        let of_signer = move |piece: &&Evidence| piece.signer() == signer;
        self.pieces.iter().filter(of_signer)
    }
}
