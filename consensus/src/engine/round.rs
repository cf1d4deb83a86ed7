//! What is known of one view, and of one block.

use types::codec::Bounded;
use types::hash::BlockId;
use types::key::Signature;
use types::number::{Epoch, View};
use types::vote::{Certificate, Proposal, Statement, Subject, Vote};

use types::whole::WholeBlock;

/// One view above the highest final one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ViewState {
    /// The first proposal of the leader.
    pub proposal: Option<Proposed>,
    /// The leader's proposal breaks the rules.
    pub spoiled: bool,
    /// The leader gave the view up.
    pub leader_nullified: bool,
    /// Q of the stake notarized this.
    pub notarization: Option<Certificate>,
    /// Q of the stake nullified the view.
    pub nullification: Option<Certificate>,
    /// The notarized block is held, its parent is certified, and execution accepted it.
    pub certified: bool,
    /// Which certificates are in the log.
    pub logged: Logged,
    /// Votes that this validator signed in this view.
    pub own: OwnVotes,
    /// The parent that the application builds on for us.
    pub asked: Option<(View, BlockId)>,
}

/// Certificates that need not be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Logged {
    pub notarization: bool,
    pub nullification: bool,
}

impl ViewState {
    /// The block that is notarized and the view of its parent.
    pub(super) fn notarized(&self) -> Option<(View, BlockId)> {
        notarized(self.notarization.as_ref()?)
    }
}

/// What a notarization says.
pub(super) fn notarized(certificate: &Certificate) -> Option<(View, BlockId)> {
    match certificate.statement.subject {
        Subject::Notarize { parent_view, block } => Some((parent_view, block)),
        _ => None,
    }
}

/// A proposal whose block is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proposed {
    pub parent_view: View,
    pub block: BlockId,
}

/// Our own word in a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct OwnVotes {
    pub proposal: Option<HeldProposal>,
    pub notarize: Option<Vote>,
    pub nullify: Option<Vote>,
    pub finalize: Option<Vote>,
}

impl OwnVotes {
    /// Our votes of this view, at most one of each kind.
    pub(super) fn votes(&self) -> impl Iterator<Item = &Vote> {
        [&self.notarize, &self.nullify, &self.finalize]
            .into_iter()
            .flatten()
    }

    /// The place of a vote of that kind.
    pub(super) fn slot(&mut self, subject: &Subject) -> &mut Option<Vote> {
        match subject {
            Subject::Notarize { .. } => &mut self.notarize,
            Subject::Nullify => &mut self.nullify,
            Subject::Finalize { .. } => &mut self.finalize,
        }
    }
}

/// A proposal with its block shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HeldProposal {
    pub epoch: Epoch,
    pub view: View,
    pub parent_view: View,
    pub block: WholeBlock,
    pub parent_certificate: Option<Certificate>,
    pub nullifications: Vec<Certificate>,
    pub signature: Signature,
    pub notarize: Signature,
}

impl HeldProposal {
    /// As it is sent and written.
    pub(super) fn to_proposal(&self) -> Proposal {
        Proposal {
            epoch: self.epoch,
            view: self.view,
            parent_view: self.parent_view,
            block: self.block.block().as_ref().clone(),
            parent_certificate: self.parent_certificate.clone(),
            nullifications: Bounded::new(self.nullifications.clone()).unwrap_or_default(),
            signature: self.signature,
            notarize: self.notarize,
        }
    }

    /// Reads one back, unless its block is not whole.
    pub(super) fn from_proposal(proposal: &Proposal) -> Option<Self> {
        Some(Self {
            epoch: proposal.epoch,
            view: proposal.view,
            parent_view: proposal.parent_view,
            block: WholeBlock::new(proposal.block.clone())?,
            parent_certificate: proposal.parent_certificate.clone(),
            nullifications: proposal.nullifications.to_vec(),
            signature: proposal.signature,
            notarize: proposal.notarize,
        })
    }

    /// What its notarize vote says.
    pub(super) fn statement(&self) -> Statement {
        let subject = Subject::Notarize {
            parent_view: self.parent_view,
            block: self.block.id(),
        };
        Statement {
            epoch: self.epoch,
            view: self.view,
            subject,
        }
    }
}

/// How far the execution of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ExecutionState {
    /// Waits for its parent's.
    New,
    /// The application runs it.
    Running,
    /// The application executed it and found it valid.
    Valid {
        /// The next block should follow soon.
        urgent: bool,
    },
    /// The application found that it breaks a rule.
    Invalid,
}

/// A block above the last committed one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub block: WholeBlock,
    pub execution: ExecutionState,
    /// The body is in the log.
    pub logged: bool,
    /// It was asked for by its id because nobody gave it in a range.
    pub sought: bool,
}
