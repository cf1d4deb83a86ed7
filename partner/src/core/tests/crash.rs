//! Three partners and one job; one of them is killed before every single effect that it performs, in turn, and
//! starts again from what was on its disk. The job settles each time, nobody commits twice, every opening fits.

use std::collections::BTreeMap;

use types::attestation::{Exit, Outcome};
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::number::{Fuel, Height};
use types::transaction::{Action, JobStep, SignedTransaction};

use super::super::outbox::TransactionOutbox;
use super::super::{Core, Effect, Event, ExecutionResult, Note, RanTask, TaskExecution};
use super::chain::{FakeChain, identity, settings};
use crate::assignment::{Assignment, AssignmentRole, OwnCommitment};

/// A partner's process and its disk.
struct Daemon {
    n: u8,
    core: Core,
    disk: BTreeMap<Assignment, OwnCommitment>,
    outbox: TransactionOutbox,
    executions: Vec<(Height, TaskExecution)>,
    delay: u64,
    uploads: Vec<Assignment>,
    sent: Vec<SignedTransaction>,
    performed: usize,
    crash_before: Option<usize>,
    salts: u8,
}

impl Daemon {
    fn new(n: u8, delay: u64, crash_before: Option<usize>) -> Self {
        Self {
            n,
            core: Core::new(
                identity(n),
                settings(n),
                Vec::new(),
                TransactionOutbox::default(),
            ),
            disk: BTreeMap::new(),
            outbox: TransactionOutbox::default(),
            executions: Vec::new(),
            delay,
            uploads: Vec::new(),
            sent: Vec::new(),
            performed: 0,
            crash_before,
            salts: 0,
        }
    }

    fn step(&mut self, event: Event, chain: &mut FakeChain) {
        let effects = self.core.step(event);
        for effect in effects {
            if self.crash_before == Some(self.performed) {
                return self.restart();
            }
            self.performed += 1;
            match effect {
                Effect::Keep(own) => {
                    self.disk.insert(own.assignment, *own);
                }
                Effect::KeepOutbox(outbox) => self.outbox = *outbox,
                Effect::Forget(assignment) => {
                    self.disk.remove(&assignment);
                }
                Effect::Send(transaction) => {
                    self.sent.push((*transaction).clone());
                    chain.submit(*transaction);
                }
                Effect::Execute(execution) => {
                    self.executions
                        .push((chain.height.saturating_add(self.delay), *execution));
                }
                Effect::Cancel(assignment) => self
                    .executions
                    .retain(|(_, execution)| execution.assignment != assignment),
                Effect::Upload { assignment, .. } => self.uploads.push(assignment),
                Effect::Note(Note::Over(_)) => {}
                Effect::Note(note) => panic!("partner {}: {note}", self.n),
            }
        }
    }

    /// The process dies; what it computed but did not keep is gone.
    fn restart(&mut self) {
        self.crash_before = None;
        self.executions.clear();
        self.uploads.clear();
        let own = self.disk.values().cloned().collect();
        self.core = Core::new(identity(self.n), settings(self.n), own, self.outbox.clone());
    }

    fn work(&mut self, chain: &mut FakeChain) {
        for assignment in std::mem::take(&mut self.uploads) {
            chain.uploaded = true;
            self.step(
                Event::Uploaded {
                    assignment,
                    complete: true,
                },
                chain,
            );
        }
        let (done, rest): (Vec<_>, _) = std::mem::take(&mut self.executions)
            .into_iter()
            .partition(|(at, _)| *at <= chain.height);
        self.executions = rest;
        for (_, execution) in done {
            // A salt of its own each time: a second commitment of the same result would be another commitment.
            self.salts += 1;
            let outcome = |_| Outcome {
                exit: Exit::Code { code: 0 },
                fuel: Fuel(1),
                stdout: BlobId::of(b""),
                stderr: BlobId::of(b""),
                outputs: Bounded::default(),
            };
            let executed = ExecutionResult {
                assignment: execution.assignment,
                workload: execution.workload.clone(),
                salt: Hash32([self.salts; 32]),
                outcomes: RanTask::linked(
                    &execution.workload,
                    execution
                        .tasks
                        .iter()
                        .map(|task| (*task, outcome(task)))
                        .collect(),
                ),
                list: (execution.assignment.role == AssignmentRole::Primary)
                    .then(|| BlobId::of(b"list")),
                states: Vec::new(),
            };
            self.step(Event::Executed(Box::new(executed)), chain);
        }
    }
}

/// Runs the job with executions that take `delay` blocks; gives how many effects the victim performed.
fn run(victim: u8, delay: u64, crash_before: Option<usize>) -> usize {
    let mut chain = FakeChain::new(3);
    let mut daemons: Vec<_> = (1..=3)
        .map(|n| Daemon::new(n, delay, crash_before.filter(|_| n == victim)))
        .collect();
    for _ in 0..120 {
        for daemon in &mut daemons {
            daemon.step(Event::Proven(Box::new(chain.proven(daemon.n))), &mut chain);
            daemon.work(&mut chain);
        }
        chain.block();
        if chain.settled && daemons.iter().all(|daemon| daemon.disk.is_empty()) {
            break;
        }
    }
    assert!(
        chain.settled,
        "victim {victim}, delay {delay}, crash before effect {crash_before:?}: {:?}",
        chain.record.stage
    );
    for daemon in &daemons {
        assert!(
            daemon.disk.is_empty(),
            "partner {} keeps what is over",
            daemon.n
        );
        let mut commitments = Vec::new();
        for signed in &daemon.sent {
            if let Action::Job(action) = &signed.transaction().action
                && let JobStep::Commit { commitment } = &action.step
            {
                commitments.push(*commitment);
            }
        }
        commitments.dedup();
        assert_eq!(
            commitments.len(),
            1,
            "partner {} committed its assignment once (crash before {crash_before:?})",
            daemon.n
        );
    }
    daemons[usize::from(victim) - 1].performed
}

#[test]
fn a_partner_killed_before_any_effect_goes_on_where_it_was() {
    // With a delay the chain waits for the commitment already, which then leaves in the same step in which it is kept.
    for (victim, delay) in [(1, 0), (1, 15), (2, 0), (2, 15)] {
        let effects = run(victim, delay, None);
        assert!(effects >= 7, "the run has effects to crash at: {effects}");
        for crash_before in 0..effects {
            run(victim, delay, Some(crash_before));
        }
    }
}
