//! Sortition: which partners verify an attempt, and which tasks each of them runs.
//!
//! Every partner of the job's class but the primary evaluates its VRF over the commitment and a beacon that came after
//! it. The output decides whether the partner is drawn, with a chance in proportion to its share of the bonds, and which
//! tasks it runs. Partners evaluate this rule for themselves and the state machine checks it, both by [`Sortition`].

use borsh::BorshSerialize;
use ruint::aliases::U256;

use crate::attestation::{drawn_tasks, drawn_tasks_seed};
use crate::hash::{Address, ChainId, Domain, Hash32, JobId};
use crate::job::{Announcing, JobRecord, SortitionBeacon};
use crate::key::{VrfOutput, VrfProof, VrfSecretKey};
use crate::number::{Amount, Attempt, BeaconStep, EngineClass, Fixed64, TaskIndex};
use crate::snapshot::{EpochPartner, PartnerPage};
use crate::spec::TaskSet;
use crate::task_state::StateOutputs;

/// The sortition of one attempt.
#[derive(Debug, Clone)]
pub struct Sortition<'a> {
    chain: ChainId,
    job: JobId,
    attempt: Attempt,
    class: EngineClass,
    tasks: TaskSet,
    state: StateOutputs,
    tasks_per_verifier: u32,
    expected_verifiers: Fixed64,
    primary: Address,
    commitment: Hash32,
    beacon: Hash32,
    class_bond: Amount,
    page: &'a PartnerPage,
}

/// Why sortition does not make a partner a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SortitionError {
    /// The beacon that it runs over is not there yet.
    #[error("sortition runs over beacon step {0}, which is still to come")]
    BeaconAwaited(BeaconStep),
    /// The partner is the primary, whose work this is.
    #[error("the primary cannot verify its own work")]
    OwnWork,
    /// The snapshot of the commitment's epoch does not have the partner with the job's engine class.
    #[error("the snapshot of the commitment's epoch has no such partner of this engine class")]
    NotInSnapshot,
    /// The key is not the one in the snapshot, or the proof is not one of that key over this sortition.
    #[error("the proof does not fit the sender's key and this sortition")]
    BadProof,
    /// The VRF output is not below the partner's threshold.
    #[error("sortition did not draw the sender")]
    NotDrawn,
}

/// What a VRF is run over. The partner is part of it: a proof is of no use to anybody else, so that nothing is gained by
/// registering somebody else's key.
#[derive(BorshSerialize)]
struct SortitionInput {
    chain: ChainId,
    job: JobId,
    attempt: Attempt,
    partner: Address,
    commitment: Hash32,
    beacon: Hash32,
}

impl<'a> Sortition<'a> {
    /// The sortition of a job that is announcing, for the partners of one page as the stage's epoch sees them.
    // Rules C34, C36.
    pub fn new<S>(
        chain: ChainId,
        record: &JobRecord<S>,
        announcing: &Announcing,
        page: &'a PartnerPage,
    ) -> Result<Self, SortitionError> {
        let beacon = match announcing.beacon {
            SortitionBeacon::Awaited { step } => return Err(SortitionError::BeaconAwaited(step)),
            SortitionBeacon::Known { value } => value,
        };
        Ok(Self {
            chain,
            job: record.id,
            attempt: record.attempt,
            class: record.terms.class,
            tasks: record.terms.tasks.clone(),
            state: record.terms.state.clone(),
            tasks_per_verifier: record.policy.tasks_per_verifier,
            expected_verifiers: record.policy.expected_verifiers,
            primary: announcing.parties.primary.partner,
            commitment: announcing.parties.commitment,
            beacon,
            class_bond: announcing.class_bond,
            page,
        })
    }

    /// What a partner's VRF is run over.
    // Rule C35.
    #[must_use]
    pub fn input(&self, partner: &Address) -> Hash32 {
        Hash32::of(
            Domain::SORTITION,
            &SortitionInput {
                chain: self.chain,
                job: self.job,
                attempt: self.attempt,
                partner: *partner,
                commitment: self.commitment,
                beacon: self.beacon,
            },
        )
    }

    /// The tasks that a partner runs, if its proof shows that it is drawn. Ascending, not empty where the job has tasks
    /// and the policy draws at least one.
    // Rule C35.
    pub fn check(
        &self,
        partner: &Address,
        proof: &VrfProof,
    ) -> Result<Vec<TaskIndex>, SortitionError> {
        let entry = self.entry(partner)?;
        let key = &entry.profile.vrf_key;
        let output = key
            .verify(&self.input(partner), proof)
            .map_err(|_| SortitionError::BadProof)?;
        if !is_drawn(
            &output,
            self.expected_verifiers,
            entry.bond,
            self.class_bond,
        ) {
            return Err(SortitionError::NotDrawn);
        }
        let seed = drawn_tasks_seed(&output);
        let tasks = (&self.tasks, &self.state);
        Ok(drawn_tasks(&seed, tasks, self.tasks_per_verifier))
    }

    /// A partner's own look at it: the proof with which it announces itself, if it is drawn.
    pub fn prove(&self, partner: &Address, key: &VrfSecretKey) -> Result<VrfProof, SortitionError> {
        if self.entry(partner)?.profile.vrf_key != key.public() {
            return Err(SortitionError::BadProof);
        }
        let proof = key.prove(&self.input(partner));
        self.check(partner, &proof).map(|_| proof)
    }

    fn entry(&self, partner: &Address) -> Result<&'a EpochPartner, SortitionError> {
        if *partner == self.primary {
            return Err(SortitionError::OwnWork);
        }
        self.page
            .partner(partner)
            .filter(|entry| entry.runs(self.class))
            .ok_or(SortitionError::NotInSnapshot)
    }
}

/// True if a sortition output draws a partner that holds `bond` of the `class_bond` taking part:
/// output / 2^64 < mu x bond / class bond, with mu = `expected_verifiers`; rounded down.
// Rule C35.
fn is_drawn(
    output: &VrfOutput,
    expected_verifiers: Fixed64,
    bond: Amount,
    class_bond: Amount,
) -> bool {
    if class_bond == Amount::ZERO {
        return false;
    }
    // Both sides in units of 2^-64; the product of two 128-bit numbers fits 256 bits.
    let threshold =
        U256::from(expected_verifiers.0) * U256::from(bond.0) / U256::from(class_bond.0);
    U256::from(output.hash(Domain::SORTITION).low_u64()) < threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_bond_is_the_chance_of_being_drawn() {
        let outputs: Vec<_> = (0u8..=255)
            .flat_map(|a| (0u8..8).map(move |b| [a, b]))
            .map(|seed| {
                let mut bytes = [0; 64];
                bytes[..2].copy_from_slice(&seed);
                VrfOutput(bytes)
            })
            .collect();
        let drawn = |mu: u128, bond: u128, class: u128| {
            outputs
                .iter()
                .filter(|output| is_drawn(output, Fixed64(mu), Amount(bond), Amount(class)))
                .count()
        };
        assert_eq!(
            drawn(1 << 64, 1, 1),
            outputs.len(),
            "mu = 1 and all of the bond"
        );
        assert_eq!(
            drawn(3 << 64, u128::MAX / 2, u128::MAX),
            outputs.len(),
            "no overflow"
        );
        assert_eq!(drawn(1 << 64, 0, 5), 0);
        assert_eq!(drawn(1 << 64, 1, 0), 0);
        let quarter = drawn(1 << 63, 1, 2);
        assert!(
            (outputs.len() / 5..outputs.len() * 3 / 10).contains(&quarter),
            "{quarter} of {}",
            outputs.len()
        );
    }
}
