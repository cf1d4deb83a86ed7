//! The pages of active partners: who is active stands there and nowhere else, with its bond and profile.
//!
//! What changes a page writes its version for the next epoch, so that the end of an epoch copies an index and no page.

use std::sync::Arc;

use state::{StateRead, read_as};
use types::account::Partner;
use types::hash::Address;
use types::limits::{MAX_PAGE_PARTNERS, MAX_PAST_SNAPSHOTS};
use types::number::{Amount, Epoch};
use types::snapshot::{
    EpochPartner, PageVersion, PartnerIndex, PartnerPage, PartnerSnapshot, page_of,
};
use types::state_key::StateKey;

use crate::{Abort, ActionError, Context, Corruption};

/// The newest version of each page, in any state.
pub fn index(state: &dyn StateRead) -> Result<PartnerIndex, Abort> {
    Ok(read_as(state, &StateKey::PartnerIndex)?.unwrap_or_default())
}

/// The versions of pages that an epoch sees, in any state; none if they are not kept any more.
pub fn index_of(state: &dyn StateRead, epoch: Epoch) -> Result<Option<PartnerIndex>, Abort> {
    Ok(read_as(state, &StateKey::PartnerSnapshot(epoch))?)
}

/// A page in a version, in any state.
pub fn page(state: &dyn StateRead, number: u8, since: Epoch) -> Result<PartnerPage, Abort> {
    Ok(read_as(state, &StateKey::PartnerPage(number, since))?.unwrap_or_default())
}

/// The same by what an index says of it.
pub fn page_in(
    state: &dyn StateRead,
    number: u8,
    version: &PageVersion,
) -> Result<PartnerPage, Abort> {
    if version.partners == 0 {
        return Ok(PartnerPage::default());
    }
    page(state, number, version.since)
}

/// All partners that an epoch sees, in any state; none if that is not kept any more.
pub fn snapshot(state: &dyn StateRead, epoch: Epoch) -> Result<Option<PartnerSnapshot>, Abort> {
    let Some(index) = index_of(state, epoch)? else {
        return Ok(None);
    };
    let pages = index.pages();
    let pages = pages.map(|(number, version)| page_in(state, number, version).map(Arc::new));
    Ok(Some(PartnerSnapshot::new(pages.collect::<Result<_, _>>()?)))
}

/// The newest version of the page of an address, in any state.
pub fn newest_page(state: &dyn StateRead, address: &Address) -> Result<PartnerPage, Abort> {
    let number = page_of(address);
    let index = index(state)?;
    match index.version(number) {
        Some(version) => page_in(state, number, version),
        None => Ok(PartnerPage::default()),
    }
}

impl Context<'_> {
    /// Lets a page say what a partner's record says now: an active partner whose bond is below the minimum loses its place.
    pub(super) fn renew_place(
        &mut self,
        address: &Address,
        partner: &Partner,
    ) -> Result<(), Abort> {
        let page = newest_page(&self.overlay, address)?;
        let Ok(at) = page.position(address) else {
            return Ok(());
        };
        let mut all = page.0.into_inner();
        if partner.bond < self.rules.params.compute.min_bond {
            all.remove(at);
        } else if let Some(entry) = all.get_mut(at) {
            (entry.bond, entry.profile) = (partner.bond, partner.profile.clone());
        }
        self.put_page(page_of(address), all)
    }

    /// Gives a partner that has none a place, where all are taken that of the partner of its page with the smallest bond, if that
    /// is smaller.
    // Rule C77.
    pub(super) fn take_place(
        &mut self,
        address: &Address,
        partner: &Partner,
    ) -> Result<(), ActionError> {
        let mut all = newest_page(&self.overlay, address)?.0.into_inner();
        let smallest = all.iter().map(|entry| (entry.bond, entry.address)).min();
        let displaced = match smallest.filter(|_| all.len() >= MAX_PAGE_PARTNERS) {
            Some((smallest, _)) if smallest >= partner.bond => {
                return Err(ActionError::TooManyPartners {
                    limit: MAX_PAGE_PARTNERS,
                    smallest,
                });
            }
            Some((_, address)) => Some(address),
            None => None,
        };
        all.retain(|entry| Some(entry.address) != displaced);
        let own = EpochPartner {
            address: *address,
            bond: partner.bond,
            profile: partner.profile.clone(),
        };
        let at = all.partition_point(|entry| entry.address < *address);
        all.insert(at, own);
        self.put_page(page_of(address), all)?;
        match displaced {
            Some(displaced) => self.unbond_free(&displaced),
            None => Ok(()),
        }
    }

    /// Who lost its place: what is free of its bond begins to unbond.
    // Rule C77.
    fn unbond_free(&mut self, address: &Address) -> Result<(), ActionError> {
        let free = self.partner(address)?.filter(Partner::may_unbond);
        match free.map(|partner| partner.free()) {
            Some(free) if free > Amount::ZERO => self.unbond(address, free),
            _ => Ok(()),
        }
    }

    /// Writes the newest version of a page, which the next epoch is the first to see.
    fn put_page(&mut self, number: u8, all: Vec<EpochPartner>) -> Result<(), Abort> {
        let found = all.len();
        let all =
            types::codec::Bounded::new(all).map_err(|_| Corruption::TooManyPartners(found))?;
        let (page, since) = (PartnerPage(all), self.epoch.next());
        let mut index = index(&self.overlay)?;
        let Some(version) = index.0.get_mut(usize::from(number)) else {
            return Err(Corruption::TooManyPartners(found).into());
        };
        let key = StateKey::PartnerPage(number, since);
        if !page.0.is_empty() {
            self.overlay.put(key, &page);
        } else if version.since == since && version.partners > 0 {
            self.overlay.delete(key);
        }
        *version = PageVersion::new(since, &page);
        self.overlay.put(StateKey::PartnerIndex, &index);
        Ok(())
    }

    /// End hook of an epoch's last block: fixes what the next epoch sees, and forgets what no announcement needs any more.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), Abort> {
        let newest = index(&self.overlay)?;
        let key = StateKey::PartnerSnapshot(self.epoch.next());
        self.overlay.put(key, &newest);
        // Twice as long as announcements may take, since no window closes before enough leaders have proposed in it; a
        // genesis whose epochs are too short for once is refused.
        let window = self.rules.params.announcements_last_ms().saturating_mul(2);
        let mut past = std::mem::take(&mut self.chain.past_snapshots);
        past.push((self.epoch, self.chain_time));
        let excess = past.len().saturating_sub(MAX_PAST_SNAPSHOTS);
        let (now, mut position) = (self.chain_time, 0);
        let mut gone: Vec<Epoch> = Vec::new();
        past.retain(|(epoch, ended)| {
            position += 1;
            let keep = position > excess && ended.saturating_add(window) >= now;
            if !keep {
                gone.push(*epoch);
            }
            keep
        });
        self.chain.past_snapshots = past;
        // They go oldest first, so that the next one is there.
        for epoch in gone {
            self.forget_snapshot(epoch)?;
        }
        Ok(())
    }

    /// Deletes what an epoch sees, but for the pages that the next one sees too.
    fn forget_snapshot(&mut self, epoch: Epoch) -> Result<(), Abort> {
        let gone = index_of(&self.overlay, epoch)?.unwrap_or_default();
        let next = index_of(&self.overlay, epoch.next())?.unwrap_or_default();
        for ((number, version), (_, next)) in gone.pages().zip(next.pages()) {
            if version.since != next.since && version.partners > 0 {
                let key = StateKey::PartnerPage(number, version.since);
                self.overlay.delete(key);
            }
        }
        self.overlay.delete(StateKey::PartnerSnapshot(epoch));
        Ok(())
    }
}
