//! Models: what is derived, and that JSON gives back what it was made of.

use std::collections::BTreeMap;

use rpc::model::{JobFailure, JobSpecView, JobSummary, JobView};
use types::hash::{Hash32, ValidatorId};
use types::job::{
    Announcing, Appointing, Assigned, Ballot, BallotPhase, Challenged, Disputed, Duties, Failed,
    FailureReason, HandedOn, JobRecord, Parties, Pending, Primary, PrimaryOpening, Revealing,
    SortitionBeacon, Stage, Storing, Verifier, Verifying,
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
        assert_eq!(view.awaits.is_some(), view.live, "{name}");
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

/// What the view of a record awaits, as its JSON says.
fn awaits(record: &JobRecord) -> serde_json::Value {
    let view = JobView::new(record, &samples::spec(), None, ChainTime(59_000), Height(9));
    serde_json::to_value(view).unwrap()["awaits"].clone()
}

#[test]
fn a_live_job_says_what_it_awaits_one_step_finer_than_its_stage() {
    let all: Vec<_> = stages()
        .into_iter()
        .map(|stage| (stage.name(), awaits(&samples::record(stage))))
        .map(|(name, awaits)| (name, awaits.as_str().unwrap_or_default().to_owned()))
        .collect();
    let all: Vec<_> = all.iter().map(|(name, of)| (*name, of.as_str())).collect();
    let expected = [
        ("pending", "inputs"),
        ("assigned", "commitment"),
        ("announcing", "announcements"),
        ("appointing", "appointment"),
        ("verifying", "verifier_commitments"),
        ("revealing", "verifier_openings"),
        ("disputed", "votes"),
        ("storing", "results"),
        ("settled", ""),
        ("failed", ""),
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_job_that_waits_for_a_draw_is_told_from_one_that_is_queued_or_lacks_inputs() {
    let draw = Some(BeaconStep(4));
    let mut record = samples::record(Stage::Pending(Pending { draw }));
    assert_eq!(awaits(&record), "draw");
    (record.stage, record.queued) = (Stage::Pending(Pending { draw: None }), Some(ChainTime(1)));
    assert_eq!(awaits(&record), "place");
}

#[test]
fn a_primary_that_was_only_drawn_is_told_from_one_that_works_or_has_handed_on() {
    let Some(Stage::Assigned(mut assigned)) = stages().into_iter().nth(1) else {
        panic!("assigned");
    };
    let mut record = samples::record(Stage::Assigned(assigned.clone()));
    record.states = Some(HandedOn {
        list: types::hash::BlobId::of(b"list"),
        held: false,
    });
    assert_eq!(awaits(&record), "states");
    record.states = record.states.map(|states| HandedOn {
        held: true,
        ..states
    });
    assert_eq!(awaits(&record), "commitment");
    assigned.duties = None;
    assert_eq!(
        awaits(&samples::record(Stage::Assigned(assigned))),
        "acknowledgement"
    );
}

#[test]
fn each_step_before_openings_has_a_name() {
    for stage in stages() {
        let step = match stage {
            Stage::Announcing(announcing) => {
                let step = BeaconStep(4);
                let beacon = SortitionBeacon::Awaited { step };
                let stage = Stage::Announcing(Announcing {
                    beacon,
                    ..announcing
                });
                (stage, "sortition")
            }
            Stage::Revealing(revealing) => {
                let opening = None;
                let stage = Stage::Revealing(Revealing {
                    opening,
                    ..revealing
                });
                (stage, "opening")
            }
            Stage::Disputed(mut disputed) => {
                disputed.ballot.phase = BallotPhase::Queued;
                (Stage::Disputed(disputed), "referees")
            }
            Stage::Storing(Storing { parties, .. }) => {
                (Stage::Challenged(Challenged { parties }), "contradiction")
            }
            _ => continue,
        };
        assert_eq!(awaits(&samples::record(step.0)), step.1);
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
