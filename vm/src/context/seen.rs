//! What epochs see of partners, as far as a block has read it. None of it changes in the block: pages that do are the next epoch's.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::read_as;
use types::number::Epoch;
use types::snapshot::{PartnerIndex, PartnerPage, PartnerSnapshot};
use types::state_key::StateKey;

use super::Context;
use crate::Abort;

/// Indexes and pages of partners that a block has read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenPartners {
    indexes: BTreeMap<Epoch, Arc<PartnerIndex>>,
    /// By number and version.
    pages: BTreeMap<(u8, Epoch), Arc<PartnerPage>>,
    all: BTreeMap<Epoch, Arc<PartnerSnapshot>>,
}

impl Context<'_> {
    /// The index of an epoch up to the block's own; one without partners if it is not kept any more.
    // Rules C28, C36.
    pub(crate) fn index_of(&mut self, epoch: Epoch) -> Result<Arc<PartnerIndex>, Abort> {
        if let Some(index) = self.seen.indexes.get(&epoch) {
            return Ok(Arc::clone(index));
        }
        let index = read_as(&self.overlay, &StateKey::PartnerSnapshot(epoch))?;
        let index = Arc::<PartnerIndex>::new(index.unwrap_or_default());
        self.seen.indexes.insert(epoch, Arc::clone(&index));
        Ok(index)
    }

    /// A page in a version that an epoch up to the block's own sees.
    pub(crate) fn seen_page(
        &mut self,
        number: u8,
        since: Epoch,
    ) -> Result<Arc<PartnerPage>, Abort> {
        if let Some(page) = self.seen.pages.get(&(number, since)) {
            return Ok(Arc::clone(page));
        }
        let page = read_as(&self.overlay, &StateKey::PartnerPage(number, since))?;
        let page = Arc::<PartnerPage>::new(page.unwrap_or_default());
        self.seen.pages.insert((number, since), Arc::clone(&page));
        Ok(page)
    }

    /// All partners that an epoch up to the block's own sees; none if they are not kept any more.
    // Rule C28.
    pub(crate) fn partners_of(&mut self, epoch: Epoch) -> Result<Arc<PartnerSnapshot>, Abort> {
        if let Some(all) = self.seen.all.get(&epoch) {
            return Ok(Arc::clone(all));
        }
        let index = self.index_of(epoch)?;
        let mut pages = Vec::new();
        for (number, version) in index.pages().filter(|(_, version)| version.partners > 0) {
            pages.push(self.seen_page(number, version.since)?);
        }
        let all = Arc::new(PartnerSnapshot::new(pages));
        self.seen.all.insert(epoch, Arc::clone(&all));
        Ok(all)
    }
}
