//! Reading the state for those outside execution: an API's back end, and validators that want to know what they owe.

use state::{StateRead, read_as};
use types::hash::{Address, JobId};
use types::job::{JobReceipt, JobRecord, Revocation, Stage};
use types::number::{ChainTime, Epoch};
use types::snapshot::page_of;
use types::state_key::StateKey;
use types::stored::{Holding, StoredSubject};

use crate::compute::live::of_customer;
pub use crate::compute::live::{job, live_jobs, spec};
pub use crate::partner::snapshot;
use crate::{
    Abort, Account, Beacon, BeaconDuty, Corruption, EpochPartner, Partner, PartnerPage, Rules,
    partner,
};

/// An account; one that nobody ever paid is empty.
pub fn account(view: &dyn StateRead, address: &Address) -> Result<Account, Abort> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}

/// The registration of a partner; none if the account has none.
pub fn partner(view: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Abort> {
    partner::read(view, address)
}

/// True if an account is an active partner or the customer of a live job: two reads, however many there are.
pub fn is_party(rules: &Rules, view: &dyn StateRead, address: &Address) -> Result<bool, Abort> {
    let is_bonded = |partner: Partner| partner.bond >= rules.params.compute.min_bond;
    let is_partner = partner::read(view, address)?.is_some_and(is_bonded);
    Ok(is_partner || of_customer(view, address)? > 0)
}

/// All active partners: those whose bond reaches the minimum and that have a place. It reads every record: [`partners_after`] is
/// for those who need not know all at once.
pub fn partners(view: &dyn StateRead) -> Result<Vec<(Address, Partner)>, Abort> {
    partners_after(view, None, usize::MAX)
}

/// The first `most` active partners above an address, ascending.
pub fn partners_after(
    view: &dyn StateRead,
    after: Option<&Address>,
    most: usize,
) -> Result<Vec<(Address, Partner)>, Abort> {
    let (index, mut all) = (partner::index(view)?, Vec::new());
    let first = after.map_or(0, page_of);
    for (number, version) in index.pages().filter(|(number, _)| *number >= first) {
        let page = partner::page_in(view, number, version)?;
        for entry in page.0.iter().filter(|entry| Some(&entry.address) > after) {
            if all.len() >= most {
                return Ok(all);
            }
            let found = partner::read(view, &entry.address)?;
            let found = found.ok_or(Corruption::IndexWithoutPartner(entry.address))?;
            all.push((entry.address, found));
        }
    }
    Ok(all)
}

/// What pages say of all active partners, ascending by address: bonds and profiles, without what is locked.
pub fn active_partners(view: &dyn StateRead) -> Result<Vec<EpochPartner>, Abort> {
    let mut all = Vec::new();
    for (number, version) in partner::index(view)?.pages() {
        all.extend(partner::page_in(view, number, version)?.0.into_inner());
    }
    Ok(all)
}

/// The page of an address as an epoch sees it, while that is kept.
pub fn page(
    view: &dyn StateRead,
    epoch: Epoch,
    address: &Address,
) -> Result<Option<PartnerPage>, Abort> {
    let (index, number) = (partner::index_of(view, epoch)?, page_of(address));
    let version = index.as_ref().and_then(|index| index.version(number));
    version
        .map(|version| partner::page_in(view, number, version))
        .transpose()
}

/// The receipt of a settled job.
pub fn receipt(view: &dyn StateRead, id: &JobId) -> Result<Option<JobReceipt>, Abort> {
    Ok(read_as(view, &StateKey::Receipt(*id))?)
}

/// Why the receipt of a settled job does not stand; none while it does.
pub fn revocation(view: &dyn StateRead, id: &JobId) -> Result<Option<Revocation>, Abort> {
    Ok(read_as(view, &StateKey::Revocation(*id))?)
}

/// The output that the beacon waits for. The contributor publishes its output once the block that this state is after is final.
pub fn beacon_duty(rules: &Rules, view: &dyn StateRead) -> Result<BeaconDuty, Abort> {
    Ok(Beacon::read(view)?.duty(rules))
}

/// Whether a job waits for a stored statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A quorum's statements would move the job on.
    Yes {
        /// Chain time at which the job stops waiting for them.
        due: ChainTime,
    },
    /// Not any more.
    No,
    /// Not now, but it may: the job, its attempt or its stage is still to come.
    NotYet,
}

/// Whether the state waits for validators' statements on a subject.
pub fn wants_stored(view: &dyn StateRead, subject: &StoredSubject) -> Result<Wanted, Abort> {
    let Some(record) = job(view, &subject.job)? else {
        return Ok(Wanted::NotYet);
    };
    let Some(awaited) = record.awaited_data() else {
        let may_come = !record.stage.is_final() && is_to_come(&record, subject);
        return Ok(if may_come { Wanted::NotYet } else { Wanted::No });
    };
    if awaited == *subject {
        // A stage that awaits data has a deadline.
        let due = record.deadline.unwrap_or_default();
        return Ok(Wanted::Yes { due });
    }
    let later = is_to_come(&record, subject);
    Ok(if later { Wanted::NotYet } else { Wanted::No })
}

/// True if a job that does not await a subject's data now may do so later.
fn is_to_come(record: &JobRecord, subject: &StoredSubject) -> bool {
    match subject.holding {
        Holding::Inputs => false,
        // They are handed on by a primary that has not committed.
        Holding::States if subject.attempt == record.attempt => {
            let is_early = matches!(record.stage, Stage::Pending(_) | Stage::Assigned(_));
            is_early && record.states.is_none()
        }
        Holding::States => subject.attempt > record.attempt,
        Holding::Results => subject.attempt >= record.attempt,
    }
}

/// What live jobs wait for validators to hold: each makes its statement once it does.
pub fn stored_duty(view: &dyn StateRead) -> Result<Vec<StoredSubject>, Abort> {
    let mut all = Vec::new();
    for id in live_jobs(view)? {
        let record = job(view, &id)?.ok_or(Corruption::LiveJobWithoutRecord(id))?;
        all.extend(record.awaited_data());
    }
    Ok(all)
}
