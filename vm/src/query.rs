//! Reading the state for those outside execution: an API's back end, and validators that want to know what they owe.

use state::{StateRead, read_as};
use types::hash::{Address, JobId, ValidatorId};
use types::job::JobReceipt;
use types::number::Epoch;
use types::state_key::StateKey;
use types::transaction::{Holding, StoredStatement};

pub use crate::compute::live::{job, live_jobs, spec};
use crate::{
    Abort, Account, Beacon, BeaconDuty, Corruption, Partner, PartnerSnapshot, Rules, partner,
};

/// An account; one that nobody ever paid is empty.
pub fn account(view: &dyn StateRead, address: &Address) -> Result<Account, Abort> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}

/// The registration of a partner; none if the account has none.
pub fn partner(view: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Abort> {
    partner::read(view, address)
}

/// All active partners: those whose bond reaches the minimum.
pub fn partners(view: &dyn StateRead) -> Result<Vec<(Address, Partner)>, Abort> {
    let mut all = Vec::new();
    for address in partner::index(view)? {
        let found =
            partner::read(view, &address)?.ok_or(Corruption::IndexWithoutPartner(address))?;
        all.push((address, found));
    }
    Ok(all)
}

/// The snapshot of partners of an epoch, while it is kept.
pub fn snapshot(view: &dyn StateRead, epoch: Epoch) -> Result<Option<PartnerSnapshot>, Abort> {
    Ok(read_as(view, &StateKey::PartnerSnapshot(epoch))?)
}

/// The receipt of a settled job.
pub fn receipt(view: &dyn StateRead, id: &JobId) -> Result<Option<JobReceipt>, Abort> {
    Ok(read_as(view, &StateKey::Receipt(*id))?)
}

/// The output that the beacon waits for. The contributor publishes its output once the block that this state is after is final.
pub fn beacon_duty(rules: &Rules, view: &dyn StateRead) -> Result<BeaconDuty, Abort> {
    Ok(Beacon::read(view)?.duty(rules))
}

/// Whether a job waits for a stored statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The statement would change the job.
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
) -> Result<Wanted, Abort> {
    let Some(record) = job(view, &statement.job)? else {
        return Ok(Wanted::NotYet);
    };
    let Some((awaited, stored)) = record.awaited_statement() else {
        let over = record.stage.is_final()
            || statement.holding == Holding::Inputs
            || statement.attempt < record.attempt;
        return Ok(if over { Wanted::No } else { Wanted::NotYet });
    };
    if awaited == *statement {
        return Ok(if stored.contains(&validator) {
            Wanted::No
        } else {
            Wanted::Yes
        });
    }
    let later = statement.holding == Holding::Results && statement.attempt >= record.attempt;
    Ok(if later { Wanted::NotYet } else { Wanted::No })
}

/// The statements that live jobs wait for from a validator: it makes each once it holds what the statement names.
pub fn stored_duty(
    view: &dyn StateRead,
    validator: ValidatorId,
) -> Result<Vec<StoredStatement>, Abort> {
    let mut all = Vec::new();
    for id in live_jobs(view)? {
        let record = job(view, &id)?.ok_or(Corruption::LiveJobWithoutRecord(id))?;
        if let Some((statement, stored)) = record.awaited_statement()
            && !stored.contains(&validator)
        {
            all.push(statement);
        }
    }
    Ok(all)
}
