//! What an engine is told once: chain, committee, key and timing.

use types::committee::Committee;
use types::hash::{BlockId, ChainId, ValidatorId};
use types::key::PublicKey;
use types::number::{Epoch, ValidatorIndex};
use types::params::Params;
use types::signer::Signer;
use types::vote::Term;

/// Bytes that a validator is relied upon to send in the long run, per millisecond: a quarter of a gigabit per second. All
/// others together are served at that rate.
pub(crate) const BYTES_PER_MS: u64 = 32 << 10;

/// Durations of the protocol, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// What a network delay, with what is done in it, is taken for before it is measured.
    pub delta_ms: u64,
    /// Smallest value that is measured, in milliseconds: a process may be stopped for that long.
    pub delta_min_ms: u64,
    /// Largest value, measured or grown, in milliseconds.
    pub delta_max_ms: u64,
    /// Growth per consecutive view without finality, in percent: 130 is 1.3.
    pub growth_percent: u64,
    /// Time without a new finalization after which certificates and votes are sent again.
    pub standstill_ms: u64,
    /// Time after which a nullify vote or an unanswered request is sent again.
    pub retry_ms: u64,
    /// Least time between blocks, kept when something is urgent.
    pub pace_ms: u64,
    /// Time between blocks otherwise.
    pub idle_target_ms: u64,
    /// How far ahead of our clock a block's timestamp may be when we notarize it.
    pub max_clock_ahead_ms: u64,
}

impl Timing {
    /// The protocol's timing with a network's choices.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        Self {
            delta_ms: 500,
            delta_min_ms: 50,
            delta_max_ms: 10_000,
            growth_percent: 130,
            standstill_ms: 2_000,
            retry_ms: 500,
            pace_ms: params.pace_ms,
            idle_target_ms: params.idle_target_ms,
            max_clock_ahead_ms: params.max_clock_ahead_ms,
        }
    }

    /// An estimate after that many consecutive views without finality.
    #[must_use]
    pub fn delta_after(&self, delta_ms: u64, unfinalised: u64) -> u64 {
        let mut delta = delta_ms;
        for _ in 0..unfinalised {
            if delta >= self.delta_max_ms || self.growth_percent <= 100 {
                break;
            }
            delta = delta.saturating_mul(self.growth_percent) / 100;
        }
        delta.min(self.delta_max_ms)
    }
}

/// Why a configuration is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The key is no member's.
    #[error("validator key {0} is not in the committee: check the key file and the genesis")]
    NotAMember(PublicKey),
}

/// What stays the same while an engine lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    /// Chain whose id every signature covers.
    pub chain: ChainId,
    /// The committee's term of office.
    pub epoch: Epoch,
    /// Validators with their stakes in this term.
    pub committee: Committee,
    /// Our position in this committee.
    pub me: ValidatorIndex,
    /// Signs our votes and proposals.
    pub signer: Signer,
    /// The block of height 0, final in view 0.
    pub genesis: BlockId,
    /// Timeouts and paces; see [`Timing`].
    pub timing: Timing,
}

impl Config {
    /// Finds the key's place in the committee.
    pub fn new(
        chain: ChainId,
        epoch: Epoch,
        committee: Committee,
        signer: impl Into<Signer>,
        genesis: BlockId,
        timing: Timing,
    ) -> Result<Self, ConfigError> {
        let signer = signer.into();
        let me = committee
            .index_of_key(&signer.public())
            .ok_or(ConfigError::NotAMember(signer.public()))?;
        Ok(Self {
            chain,
            epoch,
            committee,
            me,
            signer,
            genesis,
            timing,
        })
    }

    /// The id of the member at a position; positions inside the engine are those of members.
    #[must_use]
    pub fn id_of(&self, index: ValidatorIndex) -> ValidatorId {
        let id = self.committee.id(index);
        id.expect("the engine names members of its committee only")
    }

    /// What votes of this term are verified by.
    #[must_use]
    pub fn term(&self) -> Term<'_> {
        Term {
            chain: self.chain,
            epoch: self.epoch,
            committee: &self.committee,
        }
    }

    /// Our id, the address of our key.
    #[must_use]
    pub fn id(&self) -> ValidatorId {
        self.id_of(self.me)
    }
}
