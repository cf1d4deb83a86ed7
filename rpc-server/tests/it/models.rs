//! Models: what is derived, and that JSON gives back what it was made of.

use std::collections::BTreeMap;

use rpc::model::{JobFailure, JobSpecView, JobSummary, JobView};
use types::hash::{Hash32, ValidatorId};
use types::job::{
    Announcing, Appointing, Assigned, Ballot, BallotPhase, Disputed, Duties, Failed, FailureReason,
    Parties, Primary, PrimaryOpening, Revealing, SortitionBeacon, Stage, Storing, Verifier,
    Verifying,
};
use types::number::{Amount, BeaconStep, ChainTime, Epoch, Fixed64, Height, TaskIndex};

use crate::samples;

pub fn stages() -> Vec<Stage> {
    let primary = Primary {
        partner: samples::BOB,
        price: Amount(7),
        bond: Amount(8),
    };
    let opening = PrimaryOpening {
        root: Hash32([3; 32]),
        salt: Hash32([4; 32]),
        leaves: types::attestation::MerkleLeaves::default(),
        outcomes: types::hash::BlobId::of(b"outcomes"),
    };
    let parties = Parties {
        primary,
        commitment: Hash32([1; 32]),
        verifiers: vec![Verifier {
            partner: samples::ALICE,
            appointed: false,
            tasks: vec![TaskIndex(0), TaskIndex(2)],
            bond: Amount(1),
            commitment: Some(Hash32([5; 32])),
            opening: None,
        }],
        no_results: Vec::new(),
    };
    let duties = Duties {
        until: ChainTime(60_000),
        renewals: std::collections::BTreeMap::new(),
    };
    vec![
        samples::pending(),
        Stage::Assigned(Assigned {
            primary,
            duties: Some(duties.clone()),
        }),
        Stage::Announcing(Announcing {
            parties: parties.clone(),
            epoch: Epoch(1),
            class_bond: Amount(1_000),
            beacon: SortitionBeacon::Known {
                value: Hash32([2; 32]),
            },
        }),
        Stage::Appointing(Appointing {
            parties: parties.clone(),
            missing: 1,
            needed: 2,
            draw: BeaconStep(4),
            round: 0,
        }),
        Stage::Verifying(Verifying {
            parties: parties.clone(),
            needed: 2,
            round: 1,
            duties,
        }),
        Stage::Revealing(Revealing {
            parties: parties.clone(),
            opening: Some(opening.clone()),
            unverified: false,
            spot: None,
            tried: false,
        }),
        disputed(parties.clone(), opening.clone()),
        Stage::Storing(Storing { parties, opening }),
        Stage::Settled,
        Stage::Failed(Failed {
            reason: FailureReason::NoPartner,
        }),
    ]
}

fn disputed(parties: Parties, opening: PrimaryOpening) -> Stage {
    Stage::Disputed(Disputed {
        parties,
        opening,
        unverified: false,
        openings_until: ChainTime(60_000),
        ballot: Ballot {
            number: 1,
            task: TaskIndex(2),
            committee: Epoch(1),
            is_second: true,
            witness_draw: Hash32([7; 32]),
            phase: BallotPhase::Voting {
                committed: BTreeMap::from([(ValidatorId(samples::BOB), Hash32([6; 32]))]),
            },
        },
    })
}

#[test]
fn a_job_view_derives_stage_parties_and_deadline() {
    for stage in stages() {
        let name = stage.name();
        let receipt = (name == "settled").then(samples::job_receipt);
        let view = JobView::new(
            &samples::record(stage),
            &samples::spec(),
            receipt.as_ref(),
            ChainTime(59_000),
            Height(9),
        );
        assert_eq!(view.stage, name);
        let ended = matches!(name, "settled" | "failed");
        assert_eq!(view.live, !ended);
        let dispute = view
            .dispute
            .map(|dispute| (dispute.task, dispute.committed.len()));
        assert_eq!(dispute, (name == "disputed").then_some((TaskIndex(2), 1)));
        assert_eq!(view.deadline_in_ms, Some(1_000), "{name}");
        assert_eq!(
            view.primary,
            (!matches!(name, "pending" | "failed")).then_some(samples::BOB),
            "{name}"
        );
        let checked = !matches!(name, "pending" | "assigned" | "failed");
        assert_eq!(view.verifiers.len(), usize::from(checked), "{name}");
        assert_eq!(
            view.failure,
            (name == "failed").then_some(JobFailure::NoPartner)
        );
        if let Some(verifier) = view.verifiers.first() {
            let expected = if name == "settled" {
                (3, true, true)
            } else {
                (2, true, false)
            };
            assert_eq!(
                (verifier.tasks, verifier.committed, verifier.revealed),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn a_deadline_that_passed_has_no_time_left() {
    let view = JobView::new(
        &samples::record(samples::pending()),
        &samples::spec(),
        None,
        ChainTime(70_000),
        Height(9),
    );
    assert_eq!(view.deadline_in_ms, Some(0));
}

#[test]
fn jobs_of_every_stage_survive_json() {
    for stage in stages() {
        let record = samples::record(stage);
        let view = JobView::new(
            &record,
            &samples::spec(),
            Some(&samples::job_receipt()),
            ChainTime(1),
            Height(9),
        );
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(
            serde_json::from_str::<JobView>(&text).unwrap(),
            view,
            "{text}"
        );
        let summary = JobSummary::of(&record);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(
            serde_json::from_str::<JobSummary>(&text).unwrap(),
            summary,
            "{text}"
        );
    }
}

#[test]
fn readers_ignore_fields_that_they_do_not_know() {
    let view = JobView::new(
        &samples::record(samples::pending()),
        &samples::spec(),
        None,
        ChainTime(1),
        Height(9),
    );
    let text = serde_json::to_string(&view)
        .unwrap()
        .replacen('{', "{\"news\":true,", 1);
    assert_eq!(serde_json::from_str::<JobView>(&text).unwrap(), view);
}

#[test]
fn a_fraction_survives_json_to_its_last_bit() {
    for value in [0, 1, u128::from(u64::MAX) + 2, u128::MAX] {
        let text = serde_json::to_string(&Fixed64(value)).unwrap();
        assert_eq!(text, format!("\"{value}\""));
        assert_eq!(
            serde_json::from_str::<Fixed64>(&text).unwrap(),
            Fixed64(value)
        );
    }
    for text in [
        "1",
        "\"\"",
        "\"-1\"",
        "\"0.5\"",
        "\"340282366920938463463374607431768211456\"",
    ] {
        assert!(serde_json::from_str::<Fixed64>(text).is_err(), "{text}");
    }
}

#[test]
fn a_spec_survives_its_shape() {
    let spec = samples::spec();
    let text = serde_json::to_string(&JobSpecView::from(&spec)).unwrap();
    let read: JobSpecView = serde_json::from_str(&text).unwrap();
    assert_eq!(types::job::JobSpec::try_from(read), Ok(spec));
}

#[test]
fn a_list_that_is_too_long_makes_no_spec() {
    let mut view = JobSpecView::from(&samples::spec());
    let one = view.workload.arguments[0].clone();
    view.workload.arguments = vec![one; types::limits::MAX_ARGUMENTS + 1];
    assert!(types::job::JobSpec::try_from(view).is_err());
}
