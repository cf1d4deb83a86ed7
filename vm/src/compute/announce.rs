//! A partner that sortition drew binds itself to verify. What counts of it, and of the others, is what counted in the
//! epoch of the block that holds the seal, so every key that counts was registered before the seal, and the beacon that
//! the sortition runs over came after it: nobody can look for a key, or a salt, that is drawn or spares somebody.

use types::account::is_drawn;
use types::attestation::{drawn_tasks, drawn_tasks_seed, sortition_input};
use types::hash::Address;
use types::job::{JobRecord, Stage, Verifier};
use types::key::VrfProof;

use super::JobError;
use super::job::{save, wrong_stage};
use super::price::seats;
use crate::{ActionError, Context};

pub(super) fn announce(
    context: &mut Context<'_>,
    sender: &Address,
    mut record: JobRecord,
    proof: &VrfProof,
) -> Result<(), ActionError> {
    let Stage::Announcing {
        primary,
        committed,
        verifiers,
        ..
    } = &record.stage
    else {
        return Err(wrong_stage(&record));
    };
    let Some(beacon) = committed.beacon else {
        return Err(JobError::SortitionNotOpen {
            draw: committed.draw,
            step: context.beacon.step,
        }
        .into());
    };
    if primary.partner == *sender {
        return Err(JobError::OwnWork.into());
    }
    if verifiers.iter().any(|verifier| verifier.partner == *sender) {
        return Err(JobError::AlreadyVerifier.into());
    }
    let seats = seats(&record.policy);
    if verifiers.len() >= seats {
        return Err(JobError::NoSeat(seats).into());
    }
    let (class, policy) = (record.spec.workload.class, record.policy);
    let snapshot = context
        .snapshot(context.rules.epoch(committed.height))?
        .ok_or(JobError::NotInSnapshot)?;
    let counted = snapshot
        .partner(sender)
        .filter(|counted| counted.profile.class == class);
    let counted = counted.ok_or(JobError::NotInSnapshot)?;
    let (id, seal) = (record.id, &committed.commitment);
    let input = sortition_input(
        context.rules.chain_id,
        id,
        record.attempt,
        sender,
        seal,
        &beacon,
    );
    let output = counted
        .profile
        .vrf_key
        .verify(&input, proof)
        .map_err(|_| JobError::BadProof)?;
    let class_bond = snapshot.class_bond(class, &primary.partner);
    if !is_drawn(&output, policy.expected_verifiers, counted.bond, class_bond) {
        return Err(JobError::NotDrawn.into());
    }
    context.lock_bond(sender, record.id, policy.verifier_bond)?;
    let tasks = drawn_tasks(
        &drawn_tasks_seed(&output),
        record.spec.workload.tasks,
        policy.tasks_per_verifier,
    );
    let verifier = Verifier {
        partner: *sender,
        appointed: false,
        tasks,
        bond: policy.verifier_bond,
        commitment: None,
        opened: None,
    };
    if let Stage::Announcing { verifiers, .. } = &mut record.stage {
        verifiers.push(verifier);
    }
    save(context, &record);
    Ok(())
}
