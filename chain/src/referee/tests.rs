//! What a referee runs, when, and that it can open its vote after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::attestation::MerkleLeaves;
use types::hash::BlobId;
use types::job::{Disputed, PrimaryOpening};
use types::number::{ChainTime, Epoch};
use types::testing::no_parties;
use types::testing::numbered::{genesis, key, vrf_key};
use vm::Rules;

use super::*;
use crate::blob_book::Retention;

const JOB: JobId = JobId(Hash32([1; 32]));
const FOUND: RefereeFinding = RefereeFinding {
    leaf: Hash32([5; 32]),
    witness: Hash32([6; 32]),
};
const DRAW: Hash32 = Hash32([7; 32]);

/// The first of four validators.
fn setup() -> Setup {
    let genesis = genesis(4);
    Setup {
        rules: Arc::new(Rules::new(&genesis).unwrap()),
        own: Some(OwnValidator {
            id: key(1).public().validator_id(),
            signer: key(1).into(),
            vrf_key: vrf_key(1),
        }),
        retention: Retention::default(),
        mempool: vm::MempoolLimits::default(),
        quarantined: BTreeSet::new(),
    }
}

fn workload() -> Workload {
    types::testing::workload(b"module", 3)
}

/// A job in dispute over task 2.
fn record(phase: BallotPhase) -> JobRecord {
    let stage = Stage::Disputed(Disputed {
        parties: no_parties(),
        opening: PrimaryOpening {
            root: Hash32::ZERO,
            salt: Hash32::ZERO,
            leaves: MerkleLeaves::default(),
            outcomes: BlobId::of(b""),
        },
        unverified: false,
        openings_until: ChainTime(0),
        ballot: Ballot {
            number: 0,
            task: TaskIndex(2),
            committee: Epoch::FIRST,
            is_second: false,
            witness_draw: DRAW,
            phase,
        },
    });
    types::testing::job_record(JOB, &types::testing::job_spec(workload()), stage)
}

fn voting() -> BallotPhase {
    BallotPhase::Voting {
        committed: BTreeMap::new(),
    }
}

/// Books of a validator that holds the module, or does not.
fn books(holds: bool, phase: BallotPhase) -> (RefereeBook, BlobBook) {
    let (setup, record) = (setup(), record(phase));
    let held = workload().blobs().into_iter().filter(|_| holds).collect();
    let mut blobs = BlobBook::new(None, Retention::default(), held, 0);
    let known = || Ok::<_, std::convert::Infallible>(workload());
    blobs.job_changed(&record, known, 0).unwrap();
    let mut referee = RefereeBook::default();
    referee.job_changed(&setup, &record);
    (referee, blobs)
}

#[test]
fn the_task_in_dispute_is_run_once_and_only_with_its_blobs() {
    let (mut referee, blobs) = books(false, voting());
    assert_eq!(referee.tasks(&setup(), &blobs), []);
    let (mut referee, blobs) = books(true, voting());
    let asked = referee.tasks(&setup(), &blobs);
    let seen = |task: &RefereeTask| (task.job, task.task, task.witness_draw);
    let asked: Vec<_> = asked.iter().map(seen).collect();
    assert_eq!(asked, [(JOB, TaskIndex(2), DRAW)]);
    assert_eq!(referee.tasks(&setup(), &blobs), []);
    // A second ballot on the same task draws another witness.
    referee.ran(JOB, DRAW, Some(FOUND));
    assert_eq!(referee.tasks(&setup(), &blobs), []);
    let (mut again, next) = (record(voting()), Hash32([8; 32]));
    if let Stage::Disputed(disputed) = &mut again.stage {
        (disputed.ballot.number, disputed.ballot.is_second) = (1, true);
        disputed.ballot.witness_draw = next;
    }
    referee.job_changed(&setup(), &again);
    let asked = referee.tasks(&setup(), &blobs);
    let asked: Vec<_> = asked.iter().map(seen).collect();
    assert_eq!(asked, [(JOB, TaskIndex(2), next)]);
}

#[test]
fn who_is_no_member_or_has_nothing_to_say_runs_nothing() {
    let (mut referee, blobs) = books(true, voting());
    let mut stranger = setup();
    if let Some(own) = &mut stranger.own {
        own.id = key(9).public().validator_id();
    }
    assert_eq!(referee.tasks(&stranger, &blobs), []);
    stranger.own = None;
    assert_eq!(referee.tasks(&stranger, &blobs), []);
    for phase in [
        BallotPhase::Queued,
        BallotPhase::Opening {
            committed: BTreeMap::new(),
            opened: BTreeMap::new(),
        },
    ] {
        let (mut referee, blobs) = books(true, phase);
        assert_eq!(referee.tasks(&setup(), &blobs), []);
    }
}

#[test]
fn a_vote_can_be_opened_after_a_restart() {
    let setup = setup();
    let own = setup.own.as_ref().unwrap();
    // The new run knows nothing but what is on chain: its own commitment.
    let committed = BTreeMap::from([(own.id, FOUND.leaf)]);
    let opened = BTreeMap::new();
    let (mut referee, blobs) = books(true, BallotPhase::Opening { committed, opened });
    assert_eq!(
        referee.tasks(&setup, &blobs).len(),
        1,
        "it runs the task again"
    );
    let context = VoteContext {
        chain: setup.rules.chain_id,
        job: JOB,
        attempt: Attempt(0),
        ballot: 0,
        referee: own.id,
    };
    let before = step(own, &context, AwaitedVote::Commitment, &FOUND);
    let after = step(own, &context, AwaitedVote::Opening, &FOUND);
    let (Some(JobStep::Vote { commitment, .. }), Some(JobStep::OpenVote { found, salt, .. })) =
        (before, after)
    else {
        panic!("other steps");
    };
    assert_eq!(commitment, vote_commitment(&context, &found, &salt));
    // Another ballot has another salt.
    let other = VoteContext {
        ballot: 1,
        ..context
    };
    let Some(JobStep::OpenVote { salt: next, .. }) =
        step(own, &other, AwaitedVote::Opening, &FOUND)
    else {
        panic!("another step");
    };
    assert_ne!(salt, next);
}
