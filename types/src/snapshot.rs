//! The active partners, in pages by address, and what an epoch sees of them.
//!
//! A page is written anew under the next epoch when a partner of it changes, so that an epoch keeps the pages that it began
//! with. An index names the version of each page: one that moves with every change, and one for each epoch that stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::Address;
use crate::limits::{MAX_PAGE_PARTNERS, PARTNER_PAGES};
use crate::number::{Amount, EngineClass, Epoch};
use crate::spec::PartnerProfile;

/// Active partners of a page, ascending by address, under `StateKey::PartnerPage`; absent if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct PartnerPage(pub Bounded<EpochPartner, MAX_PAGE_PARTNERS>);

/// A partner as a page has it: draws, prices and sortition of an epoch see this and nothing later.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EpochPartner {
    /// Address of the partner's account, which names it on the chain.
    pub address: Address,
    /// Its bond in base units, locked parts included.
    pub bond: Amount,
    /// Its profile: keys, ask, places and attributes.
    pub profile: PartnerProfile,
}

/// A version of each page, under `StateKey::PartnerIndex` the newest, under `StateKey::PartnerSnapshot` those that an epoch sees.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PartnerIndex(pub [PageVersion; PARTNER_PAGES]);

/// A version of a page, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PageVersion {
    /// The first epoch that sees this version.
    pub since: Epoch,
    /// Number of partners in it, those that have paused included.
    pub partners: u16,
    /// The bonds of those that count, by class, in base units.
    pub bonds: BTreeMap<EngineClass, Amount>,
}

/// All partners that an epoch sees.
#[derive(Debug, Clone, Default)]
pub struct PartnerSnapshot(Vec<Arc<PartnerPage>>);

/// The page of an address: its first six bits, so that pages in their order hold addresses in theirs.
#[must_use]
pub fn page_of(address: &Address) -> u8 {
    let [first, ..] = address.0;
    first / 4
}

impl EpochPartner {
    /// True if an epoch that sees it counts it: it has not paused.
    // Rule C30.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.profile.is_paused()
    }

    /// True if it counts and runs a class.
    #[must_use]
    pub fn runs(&self, class: EngineClass) -> bool {
        self.counts() && self.profile.classes.contains(&class)
    }
}

impl PartnerPage {
    /// The partner with an address, also one that has paused.
    #[must_use]
    pub fn partner(&self, address: &Address) -> Option<&EpochPartner> {
        self.position(address).ok().and_then(|at| self.0.get(at))
    }

    /// Where a partner with an address is, or would be.
    pub fn position(&self, address: &Address) -> Result<usize, usize> {
        self.0
            .binary_search_by(|partner| partner.address.cmp(address))
    }
}

impl PageVersion {
    /// A page as epochs from `since` on see it.
    #[must_use]
    pub fn new(since: Epoch, page: &PartnerPage) -> Self {
        let mut bonds = BTreeMap::<EngineClass, Amount>::new();
        for partner in page.0.iter().filter(|partner| partner.counts()) {
            for class in &partner.profile.classes {
                let sum = bonds.entry(*class).or_default();
                *sum = Amount(sum.0.saturating_add(partner.bond.0));
            }
        }
        Self {
            since,
            partners: u16::try_from(page.0.len()).unwrap_or(u16::MAX),
            bonds,
        }
    }

    /// The bonds of a class in this page, in base units.
    #[must_use]
    pub fn bond(&self, class: EngineClass) -> Amount {
        self.bonds.get(&class).copied().unwrap_or_default()
    }
}

impl PartnerIndex {
    /// The version of a page; none beyond the last one.
    #[must_use]
    pub fn version(&self, page: u8) -> Option<&PageVersion> {
        self.0.get(usize::from(page))
    }

    /// All pages with their numbers, ascending.
    pub fn pages(&self) -> impl Iterator<Item = (u8, &PageVersion)> {
        (0u8..).zip(&self.0)
    }

    /// The bonds of a class together, in base units.
    #[must_use]
    pub fn class_bond(&self, class: EngineClass) -> Amount {
        let bonds = self.0.iter().map(|version| version.bond(class).0);
        Amount(bonds.fold(0, u128::saturating_add))
    }
}

impl Default for PartnerIndex {
    fn default() -> Self {
        Self(std::array::from_fn(|_| {
            PageVersion::new(Epoch::FIRST, &PartnerPage::default())
        }))
    }
}

impl PartnerSnapshot {
    /// The partners of all pages, in the order of the pages.
    #[must_use]
    pub fn new(pages: Vec<Arc<PartnerPage>>) -> Self {
        Self(pages)
    }

    /// The partners that count, ascending by address.
    pub fn iter(&self) -> impl Iterator<Item = &EpochPartner> {
        let all = self.0.iter().flat_map(|page| page.0.iter());
        all.filter(|partner| partner.counts())
    }

    /// The partner with an address, if it counts.
    #[must_use]
    pub fn partner(&self, address: &Address) -> Option<&EpochPartner> {
        self.iter().find(|partner| partner.address == *address)
    }
}
