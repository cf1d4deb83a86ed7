//! What a loss is put down to, and which money is a share of a verdict, by the states before and after.

use std::collections::BTreeMap;

use types::attestation::MerkleLeaves;
use types::hash::BlobId;
use types::job::{
    Ballot, BallotPhase, Challenged, Disputed, Parties, Pending, PrimaryOpening, Revealing,
    Settlement, UnrunnableReport, Verifier, VerifierOpening, Verifying,
};
use types::number::TaskIndex;

use super::*;
use crate::core::tests::chain::{JOB, address, assigned, primary, proven, record};

/// The partner whose books these are.
const OWN: u8 = 1;
/// Height of the look before; heights are seconds.
const BEFORE: u64 = 10;
/// When what the job awaits is over.
const DEADLINE: ChainTime = ChainTime(15_000);

fn verifier(n: u8, committed: bool, opened: bool) -> Verifier {
    Verifier {
        partner: address(n),
        appointed: false,
        tasks: vec![TaskIndex(0)],
        bond: Amount(50),
        commitment: committed.then_some(Hash32([1; 32])),
        opening: opened.then_some(VerifierOpening::Agreed { salt: Hash32::ZERO }),
    }
}

fn parties(of_primary: u8, verifiers: &[Verifier]) -> Parties {
    Parties {
        primary: primary(of_primary),
        commitment: Hash32([1; 32]),
        verifiers: verifiers.to_vec(),
        no_results: Vec::new(),
    }
}

fn opening() -> PrimaryOpening {
    PrimaryOpening {
        root: Hash32([3; 32]),
        salt: Hash32([4; 32]),
        leaves: MerkleLeaves::default(),
        outcomes: BlobId::of(b"outcomes"),
    }
}

fn verifying(parties: Parties) -> Stage {
    Stage::Verifying(Verifying {
        parties,
        needed: 1,
        round: 0,
        duties: types::job::Duties::default(),
    })
}

fn revealing(parties: Parties, opening: Option<PrimaryOpening>) -> Stage {
    Stage::Revealing(Revealing {
        parties,
        opening,
        unverified: false,
        spot: None,
        tried: false,
    })
}

fn disputed(parties: Parties) -> Stage {
    Stage::Disputed(Disputed {
        parties,
        opening: opening(),
        unverified: false,
        openings_until: DEADLINE,
        ballot: Ballot {
            number: 0,
            task: TaskIndex(0),
            committee: Epoch(1),
            is_second: false,
            witness_draw: Hash32([7; 32]),
            phase: BallotPhase::Voting {
                committed: BTreeMap::new(),
            },
        },
    })
}

/// The job in a stage before anything is lost.
fn job(stage: Stage) -> JobRecord {
    JobRecord {
        deadline: Some(DEADLINE),
        ..record(stage)
    }
}

/// The job once another attempt has begun.
fn next_attempt() -> JobRecord {
    JobRecord {
        attempt: Attempt(1),
        ..job(Stage::Pending(Pending::default()))
    }
}

fn decided(job: JobRecord) -> JobRecord {
    JobRecord { verdicts: 1, ..job }
}

/// What the partner sees, in books of its own.
struct Looks {
    dir: tempfile::TempDir,
    ledger: Ledger,
}

impl Looks {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), address(OWN));
        Self { dir, ledger }
    }

    /// Looks at a height, at which the job is this if it is live, and bond and balance are so.
    fn look(&mut self, height: u64, job: Option<&JobRecord>, bond: u128, balance: u128) {
        let mut state = proven(OWN, 3, height, job.cloned().unwrap_or_else(next_attempt));
        if job.is_none() {
            state.jobs.clear();
        }
        state.account.balance = Amount(balance);
        if let Some(partner) = &mut state.partner {
            partner.bond = Amount(bond);
        }
        self.ledger.take(&state);
    }

    fn entries(&self) -> Vec<LedgerEntry> {
        LedgerBook::entries(self.dir.path())
    }
}

/// What the ledger says of a loss between two looks, the second at a height.
fn loss(
    before: &JobRecord,
    at: u64,
    after: Option<&JobRecord>,
) -> (Option<JobId>, Option<LossCause>) {
    let mut looks = Looks::new();
    looks.look(BEFORE, Some(before), 1_000, 100);
    looks.look(at, after, 960, 100);
    let all = looks.entries();
    let [only] = &all[..] else {
        panic!("one entry: {all:?}");
    };
    assert_eq!(only.lost, Amount(40));
    let words = only.cause.map_or("", LossCause::words);
    assert!(only.words().ends_with(words), "{}", only.words());
    (only.job, only.cause)
}

/// Asserts that a loss of the job is put down to this.
fn costs(before: Stage, at: u64, after: Option<&JobRecord>, cause: LossCause) {
    assert_eq!(loss(&job(before), at, after), (Some(JOB), Some(cause)));
}

#[test]
fn what_a_primary_loses_has_the_cause_that_its_stage_and_what_follows_say() {
    let (soon, late) = (BEFORE + 1, 16);
    let moved_on = next_attempt();
    let next = || Some(&moved_on);
    costs(assigned(OWN, false), soon, next(), LossCause::Declined);
    costs(assigned(OWN, false), late, next(), LossCause::Ignored);
    costs(assigned(OWN, true), late, next(), LossCause::Uncommitted);
    let mut reported = next_attempt();
    reported.unrunnable_reports.push(UnrunnableReport {
        partner: address(OWN),
        cost: Amount(40),
    });
    costs(
        assigned(OWN, true),
        soon,
        Some(&reported),
        LossCause::Unrunnable,
    );
    let own = || parties(OWN, &[verifier(2, true, false)]);
    let hidden = || revealing(own(), None);
    costs(hidden(), late, next(), LossCause::PrimaryUnopened);
    let refuted = decided(next_attempt());
    costs(hidden(), soon, Some(&refuted), LossCause::PrimaryWrong);
    costs(
        disputed(own()),
        soon,
        Some(&refuted),
        LossCause::PrimaryWrong,
    );
    costs(disputed(own()), soon, None, LossCause::PrimaryWrong);
}

#[test]
fn what_a_verifier_loses_has_the_cause_that_its_stage_and_what_follows_say() {
    let (soon, late) = (BEFORE + 1, 16);
    let bound = || verifying(parties(2, &[verifier(OWN, false, false)]));
    let without = || parties(2, &[verifier(3, true, false)]);
    let others = job(verifying(without()));
    costs(bound(), late, Some(&others), LossCause::VerifierSilent);
    let mut parties_now = without();
    parties_now.no_results.push(UnrunnableReport {
        partner: address(OWN),
        cost: Amount(40),
    });
    let others = job(verifying(parties_now));
    costs(bound(), soon, Some(&others), LossCause::NoResult);
    let shut = revealing(parties(2, &[verifier(OWN, true, false)]), Some(opening()));
    costs(shut.clone(), late, None, LossCause::VerifierUnopened);
    let refuted = decided(next_attempt());
    costs(shut, soon, Some(&refuted), LossCause::VerifierWrong);
    let opened = disputed(parties(2, &[verifier(OWN, true, true)]));
    costs(opened, soon, Some(&refuted), LossCause::VerifierWrong);
}

#[test]
fn what_a_challenge_costs_has_its_job_and_its_cause_and_is_no_duty() {
    let challenged = |stage| JobRecord {
        settlement: Some(Settlement {
            until: DEADLINE,
            challenges: 1,
        }),
        ..job(stage)
    };
    let by_own = || parties(2, &[verifier(OWN, true, false)]);
    let shown = challenged(Stage::Challenged(Challenged { parties: by_own() }));
    let found = loss(&shown, 16, None);
    assert_eq!(found, (Some(JOB), Some(LossCause::ChallengeUnopened)));
    let tried = challenged(disputed(parties(2, &[verifier(OWN, true, true)])));
    let found = loss(&tried, BEFORE + 1, None);
    assert_eq!(found, (Some(JOB), Some(LossCause::VerifierWrong)));
    let of_own = challenged(disputed(parties(OWN, &[verifier(2, true, true)])));
    let found = loss(&of_own, BEFORE + 1, None);
    assert_eq!(found, (Some(JOB), Some(LossCause::PrimaryWrong)));
    // One that costs nothing is not in the books.
    let mut looks = Looks::new();
    looks.look(BEFORE, Some(&shown), 1_000, 100);
    looks.look(16, None, 1_000, 100);
    assert_eq!(looks.entries(), []);
    assert_eq!(looks.ledger.totals().unpaid, 0);
}

#[test]
fn money_that_comes_when_a_verdict_is_paid_out_is_a_share_of_it() {
    let window = crate::core::tests::chain::params().compute.appeal_window_ms / 1_000;
    let mut looks = Looks::new();
    let honest = disputed(parties(2, &[verifier(OWN, true, true)]));
    looks.look(BEFORE, Some(&job(honest)), 1_000, 100);
    let next = decided(next_attempt());
    looks.look(BEFORE + 1, Some(&next), 1_000, 100);
    looks.look(BEFORE + 3, Some(&next), 1_000, 103);
    looks.look(BEFORE + 1 + window, Some(&next), 1_000, 110);
    looks.look(BEFORE + 20 + window, Some(&next), 1_000, 111);
    let received: Vec<_> = looks
        .entries()
        .into_iter()
        .filter(|entry| entry.received != Amount::ZERO)
        .map(|entry| (entry.received.0, entry.share_of_verdict, entry.job))
        .collect();
    let expected = [(3, false, None), (7, true, Some(JOB)), (1, false, None)];
    assert_eq!(received, expected);
    let all = looks.entries();
    let share = all.iter().find(|entry| entry.share_of_verdict).unwrap();
    let words = share.words();
    assert!(
        words.contains("received as a share of a verdict") && words.contains(&JOB.to_string()),
        "{words}"
    );
}

/// Chain time is reckoned from a block of some time ago: where it had stood still it turns out to be less.
#[test]
fn two_verdicts_on_a_job_have_a_share_each_whatever_becomes_of_chain_time() {
    let window = crate::core::tests::chain::params().compute.appeal_window_ms / 1_000;
    let mut looks = Looks::new();
    let honest = || job(disputed(parties(2, &[verifier(OWN, true, true)])));
    let decided_again = JobRecord {
        verdicts: 2,
        ..honest()
    };
    looks.look(BEFORE, Some(&honest()), 1_000, 100);
    looks.look(BEFORE + 1, Some(&decided(honest())), 1_000, 100);
    looks.look(BEFORE + 2, Some(&decided_again), 1_000, 100);
    for (at, balance) in [(1, 107), (2, 112)] {
        let mut state = proven(OWN, 3, BEFORE + at + window, decided_again.clone());
        state.account.balance = Amount(balance);
        state.clock.0 = ChainTime(state.clock.0.0 - 4_000);
        looks.ledger.take(&state);
    }
    let shares: Vec<_> = looks
        .entries()
        .into_iter()
        .map(|entry| (entry.received.0, entry.share_of_verdict, entry.job))
        .collect();
    assert_eq!(shares, [(7, true, Some(JOB)), (5, true, Some(JOB))]);
}
