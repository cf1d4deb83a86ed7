//! Evidence (rule 13): two signed statements of one validator that no correct validator makes both. It proves itself to
//! anybody who knows the committee; nothing has to be believed about who found it.
//!
//! What it leaves out: what becomes of it; [`book`] keeps it. Two proposals of one view are two notarize votes, because a
//! proposal carries its leader's, so that pairs of votes cover every kind.

use borsh::{BorshDeserialize, BorshSerialize};
use types::number::{ValidatorIndex, View};
use types::vote::{Statement, Subject, Term, Vote};

pub mod book;

/// Two votes of one signer in one view that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    /// The vote that was held before.
    pub first: Vote,
    /// The vote that contradicts it.
    pub second: Vote,
}

impl Evidence {
    /// Pairs two votes, if they are one signer's and contradict each other. Signatures are not looked at.
    #[must_use]
    pub fn new(first: Vote, second: Vote) -> Option<Self> {
        let is_one = first.signer == second.signer;
        (is_one && contradict(&first.statement, &second.statement))
            .then_some(Self { first, second })
    }

    /// The view in which the signer said both.
    #[must_use]
    pub fn view(&self) -> View {
        self.first.statement.view
    }

    /// The position of the signer in the committee of the votes' epoch.
    #[must_use]
    pub fn signer(&self) -> ValidatorIndex {
        self.first.signer
    }

    /// True if the other piece proves nothing more: the same two statements of the same signer, in any order.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |piece: &Self| (piece.first.statement, piece.second.statement);
        let (first, second) = said(other);
        self.signer() == other.signer() && [(first, second), (second, first)].contains(&said(self))
    }

    /// True if the votes contradict each other, are of the term, and both signatures are the signer's.
    #[must_use]
    pub fn verify(&self, term: &Term<'_>) -> bool {
        let Some(pair) = Self::new(self.first, self.second) else {
            return false;
        };
        let signed = [pair.first, pair.second].map(|vote| {
            vote.signed(term.committee, term.chain)
                .filter(|_| vote.statement.epoch == term.epoch)
        });
        match signed {
            // One by one: whoever made the evidence may know any secret of ours.
            [Some(first), Some(second)] => verify_one(first) && verify_one(second),
            _ => false,
        }
    }
}

fn verify_one(signed: types::key::Signed) -> bool {
    signed
        .key
        .verify(&signed.message, &signed.signature)
        .is_ok()
}

/// True if no correct validator states both: two notarize or two finalize votes of one view that differ, or nullify and
/// finalize in one view.
#[must_use]
pub fn contradict(a: &Statement, b: &Statement) -> bool {
    if (a.epoch, a.view) != (b.epoch, b.view) {
        return false;
    }
    match (&a.subject, &b.subject) {
        (Subject::Notarize { .. }, Subject::Notarize { .. })
        | (Subject::Finalize { .. }, Subject::Finalize { .. }) => a != b,
        (Subject::Nullify, Subject::Finalize { .. })
        | (Subject::Finalize { .. }, Subject::Nullify) => true,
        _ => false,
    }
}
