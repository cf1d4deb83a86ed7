//! Rules that can be broken on purpose, to show that the tests would notice. Built in only with the feature
//! `planted-bugs`; without it every question is answered "no" at compile time.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A quorum is anything over one half of the stake.
    HalfQuorum,
    /// A quorum counts validators, not their stake.
    CountValidators,
    /// Messages leave before the records they rest on are synced.
    SendBeforeSync,
    /// Finalize is sent although Nullify was.
    FinalizeAfterNullify,
    /// Notarize is sent without the block's body on disk.
    NotarizeWithoutBody,
    /// Certificates are not written to the log.
    CertificateNotLogged,
    /// Nullify is sent although Finalize was.
    NullifyAfterFinalize,
    /// A second proposal of a view is notarized, too.
    NotarizeTwice,
    /// A proposal is notarized although a view between it and its parent was not nullified.
    GapUnchecked,
    /// After a restart the leader proposes again instead of repeating itself.
    ProposeTwice,
    /// Voting starts without asking the peers for lost votes.
    NoVoteRecovery,
}

impl Mutation {
    /// Every mutation.
    pub const ALL: [Self; 11] = [
        Self::HalfQuorum,
        Self::CountValidators,
        Self::SendBeforeSync,
        Self::FinalizeAfterNullify,
        Self::NotarizeWithoutBody,
        Self::CertificateNotLogged,
        Self::NullifyAfterFinalize,
        Self::NotarizeTwice,
        Self::GapUnchecked,
        Self::ProposeTwice,
        Self::NoVoteRecovery,
    ];
}
