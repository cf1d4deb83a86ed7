//! The places of active partners: where all are taken, one goes to whoever bonds more than the smallest partner has.
//!
//! Who is smallest is written down at the end of an epoch in which places are about to run out, so that nobody looks through all
//! partners for it.

use types::account::Unbonding;
use types::codec::Bounded;
use types::hash::Address;
use types::limits::{MAX_DISPLACED_PER_EPOCH, MAX_PARTNERS, MAX_UNBONDINGS};
use types::number::Amount;
use types::state_key::StateKey;

use super::index;
use crate::{Abort, ActionError, Context, Corruption};

/// How many partners of the list are looked at for one that has less than who wants its place.
const LOOKED_AT: usize = 8;

/// Active partners, the smallest bonds first.
type SmallestPartners = Vec<(Amount, Address)>;

impl Context<'_> {
    /// Where all places are taken, takes one from a partner whose bond is below `bond`.
    // Rule C77.
    pub(super) fn make_place(&mut self, bond: Amount) -> Result<(), ActionError> {
        let active = index(&self.overlay)?;
        if active.len() < MAX_PARTNERS {
            return Ok(());
        }
        let listed: Option<SmallestPartners> = self.overlay.get(&StateKey::SmallestPartners)?;
        let mut listed = listed.unwrap_or_default();
        listed.retain(|(_, address)| active.binary_search(address).is_ok());
        let mut smallest = None::<Amount>;
        for at in 0..listed.len().min(LOOKED_AT) {
            let Some((_, address)) = listed.get(at).copied() else {
                break;
            };
            let partner = self
                .partner(&address)?
                .ok_or(Corruption::IndexWithoutPartner(address))?;
            if partner.bond < bond {
                listed.remove(at);
                self.overlay.put(StateKey::SmallestPartners, &listed);
                return self.displace(&address);
            }
            smallest = Some(smallest.map_or(partner.bond, |known| known.min(partner.bond)));
        }
        Err(ActionError::TooManyPartners {
            limit: MAX_PARTNERS,
            smallest: smallest.unwrap_or_default(),
        })
    }

    /// Takes a partner's place; what is free of its bond begins to unbond.
    // Rule C77.
    fn displace(&mut self, address: &Address) -> Result<(), ActionError> {
        self.leave_index(address)?;
        let Some(partner) = self.partner(address)? else {
            return Ok(());
        };
        let unbondings: &Bounded<Unbonding, MAX_UNBONDINGS> = &partner.unbonding;
        let (free, has_room) = (partner.free(), unbondings.len() < MAX_UNBONDINGS);
        if free > Amount::ZERO && has_room {
            self.unbond(address, free)?;
        }
        Ok(())
    }

    /// Writes the partners with the smallest bonds down, where places are about to run out.
    // Rule C77.
    pub(super) fn write_smallest(&mut self, mut active: SmallestPartners) -> Result<(), Abort> {
        if active.len() + MAX_DISPLACED_PER_EPOCH <= MAX_PARTNERS {
            let listed: Option<SmallestPartners> = self.overlay.get(&StateKey::SmallestPartners)?;
            if listed.is_some() {
                self.overlay.delete(StateKey::SmallestPartners);
            }
            return Ok(());
        }
        active.sort_unstable();
        active.truncate(MAX_DISPLACED_PER_EPOCH);
        self.overlay.put(StateKey::SmallestPartners, &active);
        Ok(())
    }
}
