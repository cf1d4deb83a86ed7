//! Renewals of duties: while it works on tasks it says so twice in every interval of the network, which takes it once.
//!
//! The chain counts the interval in chain time, which never runs ahead of the blocks' timestamps: those are what is looked at
//! here. After a restart it is not known since when a duty stands as it does, so it is renewed at once.

use types::job::{JobRecord, Stage};
use types::number::Timestamp;
use types::transaction::JobStep;

use super::super::{Core, ProvenState, SeenRenewal};
use super::{PartnerPlan, own_assignment};
use crate::assignment::{Assignment, AssignmentRole};

impl Core {
    /// Renews the own duty in a job, if it is time.
    // Rule C70.
    pub(super) fn renew(
        &mut self,
        proven: &ProvenState,
        record: &JobRecord,
        plan: &mut PartnerPlan,
    ) {
        let Some(assignment) = self.working_as(record) else {
            return;
        };
        let now = proven.time;
        let own = self.identity.address();
        let duties = record.stage.duties();
        let Some(renewals) = duties.and_then(|duties| duties.renewals.get(&own)) else {
            // It has not begun: once it does, that was just now.
            let (number, since) = (0, now);
            self.renewals
                .insert(assignment, SeenRenewal { number, since });
            return;
        };
        let number = renewals.number;
        let unknown = SeenRenewal {
            number,
            since: Timestamp::ZERO,
        };
        let seen = self.renewals.entry(assignment).or_insert(unknown);
        if seen.number != number {
            *seen = SeenRenewal { number, since: now };
        }
        let interval_ms = proven.params.compute.renewal_interval_ms;
        let is_due = now.0.saturating_sub(seen.since.0) >= interval_ms.div_ceil(2);
        let works =
            plan.executions.contains_key(&assignment) || self.commitments.contains_key(&assignment);
        if works && is_due {
            plan.take(assignment, JobStep::Renew { number });
        }
    }

    /// The assignment under which this partner works on a job, or will in this attempt.
    fn working_as(&self, record: &JobRecord) -> Option<Assignment> {
        let own = self.identity.address();
        let role = match &record.stage {
            Stage::Assigned(assigned) if assigned.primary.partner == own => AssignmentRole::Primary,
            Stage::Announcing(_) | Stage::Appointing(_) | Stage::Verifying(_) => {
                record.stage.verifier(&own)?;
                AssignmentRole::Verifier
            }
            _ => return None,
        };
        Some(own_assignment(record, role))
    }
}
