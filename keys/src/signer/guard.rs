//! What a signer signed, and what that forbids it to sign.
//!
//! Pure: a request and what was signed before give a verdict. In each view of a chain at most one proposal, at most one block that is
//! notarized and one that is finalized; never a nullification beside a finalization, and no notarization after a nullification (rules
//! 2 to 5 of docs/spec/consensus.md). The same request again is no other statement. The newest views are remembered; at or below
//! what is forgotten nothing is signed.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use types::hash::{BlockId, ChainId};
use types::key::PublicKey;
use types::number::{Amount, Epoch, Nonce, View};
use types::signer::SigningRequest;
use types::transaction::{Action, JobStep, Transaction};
use types::vote::{Statement, Subject};

/// Views that are remembered.
pub const MAX_VIEWS: usize = 128;

/// A view of a term of office; later terms are above.
type SignedPlace = (Epoch, View);

/// Why something is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningRefusal {
    /// The key signs for one chain.
    #[error("this key signs for the chain {own}, not for {asked}")]
    OtherChain {
        /// The chain of the first thing that was signed.
        own: ChainId,
        /// The chain of the request.
        asked: ChainId,
    },
    /// A view of which nothing is remembered any more.
    #[error("view {0} is forgotten: something may have been signed in it")]
    Forgotten(View),
    /// Another proposal was signed in that view.
    #[error("another proposal was signed in view {0}")]
    SecondProposal(View),
    /// Another block was notarized in that view.
    #[error("another block was notarized in view {0}")]
    SecondNotarize(View),
    /// Another block was finalized in that view.
    #[error("another block was finalized in view {0}")]
    SecondFinalize(View),
    /// That view was nullified.
    #[error("view {0} was nullified: no block of it is notarized or finalized")]
    Nullified(View),
    /// A block was finalized in that view.
    #[error("a block of view {0} was finalized: it is not nullified")]
    Finalized(View),
    /// A transaction that is no vote of a referee.
    #[error("a validator's key signs no transaction but a referee's votes")]
    Transaction,
    /// Something that names another validator.
    #[error("the request is for the key of another validator")]
    OtherKey,
}

/// What was signed in one view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct SignedView {
    /// View of the parent, and the block.
    proposal: Option<(View, BlockId)>,
    /// View of the parent, and the block.
    notarize: Option<(View, BlockId)>,
    nullify: bool,
    finalize: Option<BlockId>,
}

/// What a key signed on one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedPast {
    chain: Option<ChainId>,
    /// At or below it nothing is signed.
    floor: Option<SignedPlace>,
    views: BTreeMap<SignedPlace, SignedView>,
}

impl SignedPast {
    /// Takes a request of the key `own` into account; false if nothing changed. After a refusal nothing has.
    pub fn allow(
        &mut self,
        request: &SigningRequest,
        own: &PublicKey,
    ) -> Result<bool, SigningRefusal> {
        self.check_chain(chain(request))?;
        let (place, change): (SignedPlace, SignedChange) = match request {
            SigningRequest::Vote { statement, .. } => {
                let Statement {
                    epoch,
                    view,
                    subject,
                } = *statement;
                ((epoch, view), SignedChange::Vote(subject))
            }
            SigningRequest::Proposal {
                epoch,
                view,
                parent_view,
                block,
                ..
            } => (
                (*epoch, *view),
                SignedChange::Proposal(*parent_view, *block),
            ),
            SigningRequest::Transaction(transaction) => {
                check_transaction(transaction, own)?;
                return Ok(self.learn_chain(transaction.chain_id));
            }
            SigningRequest::RefereeSalt(context) if context.referee != own.validator_id() => {
                return Err(SigningRefusal::OtherKey);
            }
            SigningRequest::PeerRecord { record, .. } if !record.starts_with(&own.0) => {
                return Err(SigningRefusal::OtherKey);
            }
            SigningRequest::Stored { .. }
            | SigningRequest::RefereeSalt(_)
            | SigningRequest::PeerRecord { .. } => return Ok(self.learn_chain(chain(request))),
        };
        let known = self.views.get(&place).copied();
        if known.is_none() && self.floor.is_some_and(|floor| place <= floor) {
            return Err(SigningRefusal::Forgotten(place.1));
        }
        let before = known.unwrap_or_default();
        let after = before.with(place.1, change)?;
        let learnt = self.learn_chain(chain(request));
        self.views.insert(place, after);
        while self.views.len() > MAX_VIEWS {
            let forgotten = self.views.pop_first();
            self.floor = self.floor.max(forgotten.map(|(place, _)| place));
        }
        Ok(learnt || known != Some(after))
    }

    fn check_chain(&self, asked: ChainId) -> Result<(), SigningRefusal> {
        match self.chain {
            Some(own) if own != asked => Err(SigningRefusal::OtherChain { own, asked }),
            _ => Ok(()),
        }
    }

    /// Binds the key to a chain; false if it is bound already.
    fn learn_chain(&mut self, chain: ChainId) -> bool {
        self.chain.replace(chain).is_none()
    }
}

/// What a request adds to a view.
#[derive(Debug, Clone, Copy)]
enum SignedChange {
    Proposal(View, BlockId),
    Vote(Subject),
}

impl SignedView {
    fn with(mut self, view: View, change: SignedChange) -> Result<Self, SigningRefusal> {
        /// Puts a value into an empty place, or finds the same one there.
        fn once<T: PartialEq>(place: &mut Option<T>, value: T) -> bool {
            let fits = place.as_ref().is_none_or(|there| *there == value);
            if fits {
                *place = Some(value);
            }
            fits
        }
        let (fits, refusal) = match change {
            SignedChange::Proposal(parent, block) => (
                once(&mut self.proposal, (parent, block)),
                SigningRefusal::SecondProposal(view),
            ),
            // The same vote as before the nullification is no other statement.
            SignedChange::Vote(Subject::Notarize { parent_view, block })
                if self.nullify && self.notarize != Some((parent_view, block)) =>
            {
                (false, SigningRefusal::Nullified(view))
            }
            SignedChange::Vote(Subject::Notarize { parent_view, block }) => (
                once(&mut self.notarize, (parent_view, block)),
                SigningRefusal::SecondNotarize(view),
            ),
            SignedChange::Vote(Subject::Nullify) => {
                let fits = self.finalize.is_none();
                self.nullify |= fits;
                (fits, SigningRefusal::Finalized(view))
            }
            SignedChange::Vote(Subject::Finalize { .. }) if self.nullify => {
                (false, SigningRefusal::Nullified(view))
            }
            SignedChange::Vote(Subject::Finalize { block }) => (
                once(&mut self.finalize, block),
                SigningRefusal::SecondFinalize(view),
            ),
        };
        if fits { Ok(self) } else { Err(refusal) }
    }
}

fn chain(request: &SigningRequest) -> ChainId {
    match request {
        SigningRequest::Vote { chain, .. }
        | SigningRequest::Proposal { chain, .. }
        | SigningRequest::Stored { chain, .. }
        | SigningRequest::PeerRecord { chain, .. } => *chain,
        SigningRequest::RefereeSalt(context) => context.chain,
        SigningRequest::Transaction(transaction) => transaction.chain_id,
    }
}

/// A referee's vote costs nothing and moves nothing; whatever else an account can do is refused, so that whoever breaks into the node
/// gets no money of its key's account.
fn check_transaction(transaction: &Transaction, own: &PublicKey) -> Result<(), SigningRefusal> {
    if transaction.sender != *own {
        return Err(SigningRefusal::OtherKey);
    }
    let is_vote = matches!(
        &transaction.action,
        Action::Job(step) if matches!(step.step, JobStep::Vote { .. } | JobStep::OpenVote { .. })
    );
    let is_free = transaction.fee == Amount::ZERO && transaction.nonce == Nonce::ZERO;
    if is_vote && is_free {
        return Ok(());
    }
    Err(SigningRefusal::Transaction)
}

#[cfg(test)]
mod tests;
