//! Reading the state for those outside execution: servers of an API, and validators that want to know what is due of
//! them.

use state::{StateRead, read_as};
use types::hash::{Address, JobId, ValidatorId};
use types::job::{JobReceipt, JobRecord, Stage};
use types::number::{Attempt, Epoch};
use types::state_key::StateKey;
use types::transaction::{Holding, StoredStatement};

pub use crate::compute::live::{job, live_jobs};
use crate::{Account, Beacon, BeaconDuty, Fault, Partner, PartnerSnapshot, Rules, partner};

/// An account; one that nobody ever paid is empty.
pub fn account(view: &dyn StateRead, address: &Address) -> Result<Account, Fault> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}

/// A registered partner.
pub fn partner(view: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Fault> {
    partner::read(view, address)
}

/// All active partners: those whose bond reaches the minimum.
pub fn partners(view: &dyn StateRead) -> Result<Vec<(Address, Partner)>, Fault> {
    let mut all = Vec::new();
    for address in partner::index(view)? {
        let found =
            partner::read(view, &address)?.ok_or(Fault::Broken("the index lists nobody"))?;
        all.push((address, found));
    }
    Ok(all)
}

/// What counts of partners in an epoch, while it is kept.
pub fn snapshot(view: &dyn StateRead, epoch: Epoch) -> Result<Option<PartnerSnapshot>, Fault> {
    Ok(read_as(view, &StateKey::PartnerSnapshot(epoch))?)
}

/// The receipt of a settled job.
pub fn receipt(view: &dyn StateRead, id: &JobId) -> Result<Option<JobReceipt>, Fault> {
    Ok(read_as(view, &StateKey::Receipt(*id))?)
}

/// What the beacon waits for. The contributor publishes its output once the block that this state is after is final.
pub fn beacon_duty(rules: &Rules, view: &dyn StateRead) -> Result<BeaconDuty, Fault> {
    Ok(Beacon::read(view)?.duty(rules))
}

/// Whether a job waits for a stored statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It does.
    Yes,
    /// Not any more, or not from this validator.
    No,
    /// Not now, but it may: the job, its attempt or its stage is still to come.
    NotYet,
}

/// Whether the state waits for a validator's statement.
pub fn wants_stored(
    view: &dyn StateRead,
    statement: &StoredStatement,
    validator: ValidatorId,
) -> Result<Wanted, Fault> {
    let Some(record) = job(view, &statement.job)? else {
        return Ok(Wanted::NotYet);
    };
    let Some((due, stored)) = due(&record) else {
        let over = record.stage.is_final()
            || statement.holding == Holding::Inputs
            || statement.attempt < record.attempt;
        return Ok(if over { Wanted::No } else { Wanted::NotYet });
    };
    if due == *statement {
        return Ok(if stored.contains(&validator) {
            Wanted::No
        } else {
            Wanted::Yes
        });
    }
    let later = statement.holding == Holding::Results && statement.attempt >= record.attempt;
    Ok(if later { Wanted::NotYet } else { Wanted::No })
}

/// The statement that a job waits for now, and who made it already.
fn due(record: &JobRecord) -> Option<(StoredStatement, &std::collections::BTreeSet<ValidatorId>)> {
    match &record.stage {
        Stage::Pending {
            stored, draw: None, ..
        } => Some((
            StoredStatement {
                job: record.id,
                attempt: Attempt::ZERO,
                holding: Holding::Inputs,
            },
            stored,
        )),
        Stage::Storing { stored, .. } => Some((
            StoredStatement {
                job: record.id,
                attempt: record.attempt,
                holding: Holding::Results,
            },
            stored,
        )),
        _ => None,
    }
}

/// The statements that live jobs wait for from a validator: it makes each once it holds what the statement names.
pub fn stored_duty(
    view: &dyn StateRead,
    validator: ValidatorId,
) -> Result<Vec<StoredStatement>, Fault> {
    let mut all = Vec::new();
    for id in live_jobs(view)? {
        let record = job(view, &id)?.ok_or(Fault::Broken("a live job without its record"))?;
        if let Some((statement, stored)) = due(&record)
            && !stored.contains(&validator)
        {
            all.push(statement);
        }
    }
    Ok(all)
}
