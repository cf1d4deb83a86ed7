//! The random beacon: who contributes to a step, and how it moves.
//!
//! Step `s` has one contributor by a stake-weighted order that depends on the epoch's seed alone, whoever proposes
//! blocks. The output is a VRF proof over (seed, s); `beacon_s = H(beacon_(s-1), s, output or nothing)`. Outputs enter
//! in order, at most one per block. A step that stays silent for `beacon_skip_blocks` blocks and `beacon_skip_ms` of
//! chain time, in which leaders with more than F of the stake proposed, is skipped at a cost to its contributor's
//! account, never to its stake.
//!
//! A step belongs to the epoch in which it became due and keeps that epoch's seed until it is over, so that its
//! contributor never has two outputs to choose from.

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::attestation::beacon_input;
use types::hash::{ChainId, Domain, Hash32, ValidatorId};
use types::key::{VrfOutput, VrfProof};
use types::number::{BeaconStep, ChainTime, Epoch, Height};
use types::order::{stake_order, window_of};
use types::state_key::StateKey;

use crate::{Abort, Corruption, Rules};

/// The beacon, under [`StateKey::Beacon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Beacon {
    /// Its value after `step`.
    pub value: Hash32,
    /// The last step that is over; the next one is due.
    pub step: BeaconStep,
    /// The seed that the next step is run over.
    pub seed: Hash32,
    /// The block that ended `step`.
    pub since_height: Height,
    /// Chain time at that block.
    pub since_time: ChainTime,
}

/// Why an output is not the one that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeaconError {
    /// The output is of another step than the one that is awaited.
    #[error("the output is of step {found}, due is step {due}")]
    WrongStep {
        /// Step that the output names.
        found: BeaconStep,
        /// The step that is due.
        due: BeaconStep,
    },
    /// Not by the step's contributor, or over another seed.
    #[error("the proof of step {0} is not that of its contributor")]
    BadProof(BeaconStep),
}

/// What is due: whoever has `contributor`'s VRF key proves `input`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconDuty {
    /// Step that the output is for.
    pub step: BeaconStep,
    /// The validator whose output the step takes.
    pub contributor: ValidatorId,
    /// What its VRF is run over.
    pub input: Hash32,
}

impl Beacon {
    /// The beacon before the first step.
    #[must_use]
    pub fn genesis(chain_id: ChainId) -> Self {
        Self {
            value: Hash32::of(Domain::BEACON, &chain_id),
            step: BeaconStep::ZERO,
            seed: first_seed(chain_id, Epoch::FIRST),
            since_height: Height::ZERO,
            since_time: ChainTime::ZERO,
        }
    }

    /// The beacon in any state.
    pub fn read(state: &dyn StateRead) -> Result<Self, Abort> {
        Ok(read_as(state, &StateKey::Beacon)?.ok_or(Corruption::NoBeacon)?)
    }

    /// What is due after this state. To be published once the block that ended `step` is final.
    #[must_use]
    pub fn duty(&self, rules: &Rules) -> BeaconDuty {
        let step = self.step.next();
        BeaconDuty {
            step,
            contributor: contributor(rules, &self.seed, step),
            input: beacon_input(&self.seed, step),
        }
    }

    /// Checks an output of the step that is due.
    // Rule C49.
    pub fn check(
        &self,
        rules: &Rules,
        step: BeaconStep,
        proof: &VrfProof,
    ) -> Result<VrfOutput, BeaconError> {
        let duty = self.duty(rules);
        if step != duty.step {
            return Err(BeaconError::WrongStep {
                found: step,
                due: duty.step,
            });
        }
        let member = rules
            .committee
            .validator(&duty.contributor)
            .ok_or(BeaconError::BadProof(step))?;
        member
            .vrf_key
            .verify(&duty.input, proof)
            .map_err(|_| BeaconError::BadProof(step))
    }
}

/// The seed of the first two epochs.
#[must_use]
pub fn first_seed(chain_id: ChainId, epoch: Epoch) -> Hash32 {
    Hash32::of(Domain::EPOCH_SEED, &(chain_id, epoch))
}

/// The contributor of a step: windows of 256 steps, slots in proportion to stake, permuted by seed and window.
// Rule C49.
#[must_use]
pub fn contributor(rules: &Rules, seed: &Hash32, step: BeaconStep) -> ValidatorId {
    let (window, slot) = window_of(step.0);
    let seed = Hash32::of(Domain::CONTRIBUTORS, &(seed, window));
    let order = stake_order(&rules.committee, &seed);
    rules
        .committee
        .id(order[slot])
        .expect("the order holds members only")
}
