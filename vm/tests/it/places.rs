//! Pages of active partners: their places, what each epoch sees of them, and what is left of old versions.

use std::collections::BTreeSet;

use types::account::{BondLock, LockReason};
use types::codec::encode;
use types::hash::{Address, Hash32, JobId};
use types::limits::{MAX_PAGE_PARTNERS, PARTNER_PAGES};
use types::number::{Amount, Epoch};
use types::snapshot::{EpochPartner, PageVersion, PartnerIndex, page_of};
use types::state_key::StateKey;
use types::testing::Random;
use types::transaction::Action;
use vm::{Partner, query};

use crate::audit::assert_conserved;
use crate::fixture::{Chain, FUNDED, address, address_in, profile, put_pages, square, transfer};

fn register(n: u8) -> Action {
    Action::RegisterPartner {
        profile: profile(n),
    }
}

fn partner(chain: &Chain, n: u8) -> Partner {
    query::partner(&chain.state, &address(n)).unwrap().unwrap()
}

fn active(chain: &Chain) -> Vec<Address> {
    let all = query::partners(&chain.state).unwrap();
    all.into_iter().map(|(address, _)| address).collect()
}

/// Two accounts of one page, neither of them a partner; the second one without money.
fn neighbours() -> (u8, u8) {
    let (rich, poor) = (2..FUNDED, FUNDED..100);
    let mut pairs = rich.flat_map(|rich| poor.clone().map(move |poor| (rich, poor)));
    let near = |(a, b): &(u8, u8)| page_of(&address(*a)) == page_of(&address(*b));
    pairs.find(near).unwrap()
}

/// A chain in which a page has so many partners with a bond of 600 beside those of genesis.
fn crowded(page: u8, count: usize) -> Chain {
    let mut chain = Chain::new();
    let mut other = partner(&chain, 0);
    (other.bond, other.profile.vrf_key) = (square(600), profile(7).vrf_key);
    let mut entries = query::active_partners(&chain.state).unwrap();
    for n in 0..u16::try_from(count).unwrap() {
        let address = address_in(page, n);
        let key = StateKey::Partner(address);
        chain.mint(other.bond);
        chain.state.insert(key, Some(encode(&other)));
        entries.push(EpochPartner {
            address,
            bond: other.bond,
            profile: other.profile.clone(),
        });
    }
    put_pages(&mut chain.state, entries);
    chain
}

fn bond(amount: Amount) -> Action {
    Action::Bond { amount }
}

fn too_many() -> String {
    "too_many_partners".to_owned()
}

#[test]
fn a_page_has_so_many_places_and_no_more() {
    let (newcomer, poor) = neighbours();
    let page = page_of(&address(newcomer));
    let in_page = |chain: &Chain| {
        let all = active(chain);
        all.iter().filter(|one| page_of(one) == page).count()
    };
    let elsewhere = (2..FUNDED).find(|n| page_of(&address(*n)) != page).unwrap();
    let mut chain = crowded(page, MAX_PAGE_PARTNERS - 1);
    let before = in_page(&chain);
    chain.act(elsewhere, transfer(poor, square(2_000)));
    chain.act(newcomer, register(newcomer));
    chain.act(poor, register(poor));
    assert_eq!(before, MAX_PAGE_PARTNERS - 1, "genesis has none there");
    assert_eq!(
        chain.act(newcomer, bond(square(100))),
        None,
        "the last place"
    );
    assert_eq!(in_page(&chain), MAX_PAGE_PARTNERS);
    assert_eq!(
        chain.act(poor, bond(square(100))),
        Some(too_many()),
        "not more than the smallest"
    );
    chain.act(elsewhere, register(elsewhere));
    assert_eq!(
        chain.act(elsewhere, bond(square(100))),
        None,
        "another page"
    );
    // The largest page must be readable again, by blocks and by epochs.
    chain.run_to(41);
    let epoch = chain.rules.epoch(chain.tip.height.next());
    let seen = query::page(&chain.state, epoch, &address(newcomer));
    assert_eq!(seen.unwrap().unwrap().0.len(), MAX_PAGE_PARTNERS);
    // A place that comes free is for whoever comes.
    assert_eq!(
        chain.act(newcomer, Action::Unbond { amount: square(1) }),
        None
    );
    assert_eq!(chain.act(poor, bond(square(100))), None);
    assert_eq!(in_page(&chain), MAX_PAGE_PARTNERS);
}

/// So many times the least bond would keep everybody else out of a page for ever.
#[test]
fn a_place_goes_to_the_larger_bond_and_the_other_one_unbonds() {
    let (first, second) = neighbours();
    let page = page_of(&address(first));
    let mut chain = crowded(page, MAX_PAGE_PARTNERS - 1);
    chain.act(0, transfer(second, square(5_000)));
    chain.act(first, register(first));
    chain.act(second, register(second));
    assert_eq!(chain.act(first, bond(square(500))), None);
    let mut record = partner(&chain, first);
    let reason = LockReason::Verifier(JobId(Hash32([1; 32])));
    let amount = square(400);
    record
        .locks
        .insert(reason.id(), BondLock { amount, reason });
    let key = StateKey::Partner(address(first));
    chain.state.insert(key, Some(encode(&record)));
    assert_eq!(
        chain.act(second, bond(square(500))),
        Some(too_many()),
        "as much is not more"
    );
    assert!(active(&chain).contains(&address(first)));
    assert_eq!(chain.act(second, bond(square(501))), None);
    let now = active(&chain);
    assert!(now.contains(&address(second)) && !now.contains(&address(first)));
    let left = partner(&chain, first);
    assert_eq!((left.bond, left.free()), (square(400), Amount::ZERO));
    assert_eq!(left.unbonding[0].amount, square(100));
    // All others have 600: who comes back needs more than the smallest has, which is the one that took the place.
    assert_eq!(chain.act(first, bond(square(101))), Some(too_many()));
    assert_eq!(chain.act(first, bond(square(102))), None);
    assert!(active(&chain).contains(&address(first)));
    let before = chain.account(first).balance;
    let deadline = left.unbonding[0].deadline;
    while vm::chain_record(&chain.state).unwrap().chain_time < deadline {
        chain.push(&chain.block_with(1_000, vec![chain.output()], Vec::new()));
    }
    assert_eq!(chain.account(first).balance.0 - before.0, square(100).0);
    assert_conserved(&chain.state, chain.rules.supply);
}

/// What a state says of pages, against what records say: indexes name what is there, and nothing else is there.
fn check(chain: &Chain) {
    let state = &chain.state;
    let newest: PartnerIndex = state::read_as(state, &StateKey::PartnerIndex)
        .unwrap()
        .unwrap();
    let mut named = BTreeSet::new();
    for key in state.keys() {
        let (StateKey::PartnerIndex | StateKey::PartnerSnapshot(_)) = key else {
            continue;
        };
        let index: PartnerIndex = state::read_as(state, key).unwrap().unwrap();
        for (number, version) in index.pages() {
            let key = StateKey::PartnerPage(number, version.since);
            let page = state::read_as(state, &key).unwrap().unwrap_or_default();
            assert_eq!(*version, PageVersion::new(version.since, &page), "{key}");
            named.extend((version.partners > 0).then_some(key));
        }
    }
    let there = state
        .keys()
        .filter(|key| matches!(key, StateKey::PartnerPage(..)));
    assert_eq!(there.copied().collect::<BTreeSet<_>>(), named);
    let min = chain.rules.params.compute.min_bond;
    let records = (0..FUNDED).filter_map(|n| {
        let found = query::partner(state, &address(n)).unwrap()?;
        Some((address(n), found)).filter(|(_, found)| found.bond >= min)
    });
    let mut records: Vec<_> = records.collect();
    records.sort_by_key(|(address, _)| *address);
    let active = query::active_partners(state).unwrap();
    let shown = |entry: &EpochPartner| (entry.address, entry.bond, entry.profile.clone());
    let told =
        |(address, found): &(Address, Partner)| (*address, found.bond, found.profile.clone());
    assert_eq!(
        active.iter().map(shown).collect::<Vec<_>>(),
        records.iter().map(told).collect::<Vec<_>>()
    );
    assert_eq!(newest.pages().count(), PARTNER_PAGES);
    for (at, (address, _)) in records.iter().enumerate() {
        let after = query::partners_after(state, Some(address), 3).unwrap();
        let next: Vec<_> = records.iter().skip(at + 1).take(3).cloned().collect();
        assert_eq!(after, next);
    }
}

#[test]
fn pages_say_what_records_say_whatever_happens_and_epochs_see_the_end_of_the_one_before() {
    let seed = 0x9a6e5;
    println!("seed {seed:#x}");
    let mut random = Random::new(seed);
    let mut chain = Chain::with(|params| {
        (params.epoch_length, params.compute.announce_window_ms) = (4, 450);
        (params.idle_target_ms, params.pace_ms, params.beacon_lag) = (50, 50, 1);
        (params.beacon_skip_blocks, params.beacon_skip_ms) = (1, 0);
    });
    let mut ended = Vec::new();
    for _ in 0..160 {
        let n = u8::try_from(random.below(u64::from(FUNDED))).unwrap();
        let amount = square(u128::from(random.below(300)));
        let mut profile = profile(n);
        profile.places = u16::try_from(random.below(3)).unwrap();
        let action = match random.below(4) {
            0 => Action::RegisterPartner { profile },
            1 | 2 => Action::Bond { amount },
            _ => Action::Unbond { amount },
        };
        chain.act(n, action);
        check(&chain);
        if chain.rules.params.is_boundary(chain.tip.height) {
            ended.push(query::active_partners(&chain.state).unwrap());
        }
        let epoch = chain.rules.epoch(chain.tip.height);
        if let Some(before) = usize::try_from(epoch.0).unwrap().checked_sub(2) {
            let snapshot = query::snapshot(&chain.state, epoch).unwrap().unwrap();
            let counted = ended[before].iter().filter(|entry| entry.counts());
            assert!(snapshot.iter().eq(counted), "epoch {epoch}");
        }
    }
    assert!(ended.len() >= 40);
    assert!(
        query::snapshot(&chain.state, Epoch::FIRST)
            .unwrap()
            .is_none()
    );
}
