//! The snapshot of all active partners at the end of each epoch, which the next one sees.

use types::codec::Bounded;
use types::limits::MAX_PAST_SNAPSHOTS;
use types::number::Epoch;
use types::state_key::StateKey;

use super::index;
use crate::compute;
use crate::{Abort, Context, Corruption, EpochPartner, PartnerSnapshot};

impl Context<'_> {
    /// End hook of an epoch's last block: writes the snapshot for the next epoch and deletes old ones. Who has paused is not
    /// in it.
    // Rule C30.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), Abort> {
        compute::turnout::fade(self);
        let (mut partners, mut active) = (Vec::new(), Vec::new());
        for address in index(&self.overlay)? {
            let partner = self
                .partner(&address)?
                .ok_or(Corruption::IndexWithoutPartner(address))?;
            active.push((partner.bond, address));
            if partner.profile.is_paused() {
                continue;
            }
            partners.push(EpochPartner {
                address,
                bond: partner.bond,
                profile: partner.profile,
            });
        }
        self.write_smallest(active)?;
        let listed = partners.len();
        let partners = Bounded::new(partners).map_err(|_| Corruption::TooManyPartners(listed))?;
        let snapshot = PartnerSnapshot(partners);
        self.overlay
            .put(StateKey::PartnerSnapshot(self.epoch.next()), &snapshot);
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
        for epoch in gone {
            self.overlay.delete(StateKey::PartnerSnapshot(epoch));
        }
        self.chain.past_snapshots = past;
        Ok(())
    }
}
