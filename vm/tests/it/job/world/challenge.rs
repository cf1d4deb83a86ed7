//! What a partner sends that challenges a settled job, and how it contradicts the result.

use types::attestation::Contradiction;
use types::hash::JobId;
use types::job::{Challenged, JobRecord};
use types::number::TaskIndex;
use types::transaction::{Action, JobStep};
use vm::query;

use crate::fixture::address;
use crate::job::world::{World, all_tasks, number};

impl World {
    /// The first task at which partner `n` finds something else than a primary did; the first of all if there is none.
    fn contested_task(&self, n: u8, primary: u8, record: &JobRecord) -> TaskIndex {
        let all = all_tasks(record);
        let (own, theirs) = (
            self.leaves(n, record, &all),
            self.leaves(primary, record, &all),
        );
        let differs = own.iter().zip(&theirs).find(|(own, theirs)| own != theirs);
        differs.map_or(TaskIndex(0), |((task, _), _)| *task)
    }

    /// The challenge of a settled job by partner `n`.
    pub fn challenge(&self, n: u8, job: &JobId) -> Action {
        let record = self.record(job);
        let receipt = query::receipt(&self.chain.state, job).unwrap().unwrap();
        let task = self.contested_task(n, number(&receipt.primary), &record);
        let commitment = self.commitment(n, &record, &[task]);
        let job = *job;
        Action::ChallengeJob { job, commitment }
    }

    /// What partner `n` shows that challenges a job, if it has something to show.
    pub fn contradiction(
        &self,
        n: u8,
        record: &JobRecord,
        challenged: &Challenged,
    ) -> Option<Action> {
        let mut challengers = challenged.parties.verifiers.iter();
        challengers.find(|challenger| challenger.partner == address(n))?;
        let primary = number(&challenged.parties.primary.partner);
        let task = self.contested_task(n, primary, record);
        let shown = self.contradict_at(n, primary, record, task);
        (shown.divergence.leaf != shown.leaf).then(|| {
            let contradiction = Box::new(shown);
            JobStep::Contradict { contradiction }.of(record.id, record.attempt)
        })
    }

    /// What partner `n` and a primary found at a task.
    pub fn contradict_at(
        &self,
        n: u8,
        primary: u8,
        record: &JobRecord,
        task: TaskIndex,
    ) -> Contradiction {
        let found = self.leaves(n, record, &[task])[0];
        let settled = self.leaves(primary, record, &all_tasks(record));
        let salt = Self::salt(primary, record);
        Contradiction::new(Self::salt(n, record), found, &salt, &settled).unwrap()
    }
}
