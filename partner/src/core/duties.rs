//! What the partner owes the chain now: what an operator must know before it stops the daemon.

use std::fmt;

use types::job::{Awaited, JobRecord};
use types::number::ChainTime;

use super::{Core, ProvenState};
use crate::assignment::{Assignment, AssignmentRole};

/// A live job that the partner is a party to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDuty {
    /// The partner's part in the job.
    pub assignment: Assignment,
    /// Name of the job's stage.
    pub stage: &'static str,
    /// What the job awaits of the partner now, and how long it waits for it at least, in milliseconds; `None` where it is
    /// another one's turn.
    pub awaited: Option<(Awaited, u64)>,
}

impl fmt::Display for OpenDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: ", self.assignment, self.stage)?;
        let Some((awaited, left_ms)) = self.awaited else {
            return f.write_str("others have their turn, and its own comes again");
        };
        let what = match awaited {
            Awaited::Acknowledgement => "its acknowledgement",
            Awaited::PrimaryCommitment | Awaited::VerifierCommitment => {
                "its commitment, and a renewal,"
            }
            Awaited::PrimaryOpening | Awaited::VerifierOpening => "its opening",
        };
        let (seconds, tenths) = (left_ms / 1_000, left_ms % 1_000 / 100);
        write!(f, "{what} is awaited for {seconds}.{tenths} s more")
    }
}

impl Core {
    /// The duties that are open in the last state that was proven.
    #[must_use]
    pub fn open_duties(&self) -> Vec<OpenDuty> {
        let Some(proven) = &self.proven else {
            return Vec::new();
        };
        let duty = |record| self.open_duty(proven, record);
        let earlier = |record| self.earlier_duty(proven, record);
        let records = proven.jobs.values();
        let duties = records.flat_map(|record| duty(record).into_iter().chain(earlier(record)));
        duties.collect()
    }

    /// The duty of an attempt before, whose primary did not reveal.
    fn earlier_duty(&self, proven: &ProvenState, record: &JobRecord) -> Option<OpenDuty> {
        let own = self.identity.address();
        record.earlier.unopened(&own)?;
        let awaited = record.awaits_earlier(&own).map(|awaited| {
            let until = record.deadline;
            (awaited, until.map_or(0, |until| left_ms(proven, until)))
        });
        Some(OpenDuty {
            assignment: Assignment::of_earlier(record),
            stage: record.stage.name(),
            awaited,
        })
    }

    fn open_duty(&self, proven: &ProvenState, record: &JobRecord) -> Option<OpenDuty> {
        let own = self.identity.address();
        let stage = &record.stage;
        let is_primary = stage
            .primary()
            .is_some_and(|primary| primary.partner == own);
        let role = if is_primary {
            AssignmentRole::Primary
        } else {
            stage.verifier(&own)?;
            AssignmentRole::Verifier
        };
        let awaited = stage.awaits(&own).map(|awaited| {
            let interval_ms = proven.params.compute.renewal_interval_ms;
            let renewals = stage.duties().and_then(|duties| duties.renewals.get(&own));
            // Who did not renew for two intervals has left its duty.
            let renewal =
                renewals.map(|seen| seen.at.saturating_add(interval_ms.saturating_mul(2)));
            let until = record.deadline.into_iter().chain(renewal).min();
            (awaited, until.map_or(0, |until| left_ms(proven, until)))
        });
        Some(OpenDuty {
            assignment: Assignment {
                job: record.id,
                attempt: record.attempt,
                role,
            },
            stage: stage.name(),
            awaited,
        })
    }
}

/// Milliseconds until a chain time at least, which never runs ahead of the blocks' timestamps.
pub(super) fn left_ms(proven: &ProvenState, until: ChainTime) -> u64 {
    let (chain_time, at) = proven.clock;
    let reached = at.0.saturating_add(until.0.saturating_sub(chain_time.0));
    reached.saturating_sub(proven.time.0)
}
