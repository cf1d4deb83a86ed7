//! Draws among partners in many pages: each has its share, wherever it lies, and who alone fits is found.

use std::collections::BTreeMap;

use types::codec::{Text, encode};
use types::hash::{Address, JobId};
use types::job::{JobSpec, Stage};
use types::limits::{MAX_PAGE_PARTNERS, MAX_PARTNERS, PARTNER_PAGES};
use types::number::Amount;
use types::snapshot::EpochPartner;
use types::state_key::StateKey;
use types::transaction::Action;

use crate::fixture::{FUNDED, address_in, put_pages, square};
use crate::job::world::{World, spec};

/// A partner by page, number in it, bond in SQUARE, and how many times the usual it asks.
type Offer = (u8, u16, u128, u128);

/// Makes these the partners that count, each able to run all jobs of the test.
fn put(world: &mut World, offers: &[Offer], change: impl Fn(&mut EpochPartner)) {
    let template = world.partner(0);
    let entries = offers.iter().map(|(page, n, bond, asks)| {
        let mut profile = template.profile.clone();
        profile.places = 1_000;
        profile.ask = Amount(profile.ask.0 * asks);
        let mut entry = EpochPartner {
            address: address_in(*page, *n),
            bond: square(bond * 1_000_000),
            profile,
        };
        change(&mut entry);
        let mut partner = template.clone();
        (partner.bond, partner.profile) = (entry.bond, entry.profile.clone());
        world.chain.mint(entry.bond);
        let key = StateKey::Partner(entry.address);
        world.chain.state.insert(key, Some(encode(&partner)));
        entry
    });
    let entries: Vec<_> = entries.collect();
    put_pages(&mut world.chain.state, entries);
}

/// Submits jobs until there are as many, and lets the beacon draw their primaries.
fn primaries(world: &mut World, spec: &JobSpec, count: u64) -> Vec<Option<Address>> {
    let each = count.div_ceil(u64::from(FUNDED));
    let mut jobs = Vec::<JobId>::new();
    for later in 0..each {
        let action = || Action::SubmitJob {
            spec: Box::new(spec.clone()),
        };
        let signed: Vec<_> = (0..FUNDED).map(|n| world.chain.sign(n, action())).collect();
        jobs.extend(signed.iter().map(|one| one.transaction().job_id()));
        let executed = world.chain.next(signed);
        let failed = executed.receipts.iter().find(|one| one.failure.is_some());
        assert_eq!(failed, None, "job {later}");
    }
    let primary = |world: &World, job: &JobId| {
        let stage = world.record(job).stage;
        stage.primary().map(|primary| primary.partner)
    };
    for _ in 0..40 {
        if jobs.iter().all(|job| primary(world, job).is_some()) {
            break;
        }
        let waiting = jobs
            .iter()
            .filter(|job| matches!(world.record(job).stage, Stage::Pending(_)));
        let waiting: Vec<_> = waiting.copied().collect();
        world.step(&waiting, 50);
    }
    jobs.iter().map(|job| primary(world, job)).collect()
}

fn world() -> World {
    World::with(|params| {
        params.block_gas_limit = 1 << 40;
        params.compute.probation_multiple = 0;
        params.compute.live_jobs_per_customer = 1_000;
        params.compute.acknowledge_window_ms = 3_600_000;
        params.compute.open_window_ms = 3_600_000;
    })
}

#[test]
fn each_is_drawn_by_its_share_whatever_page_it_lies_in() {
    let mut world = world();
    let full = u16::try_from(MAX_PAGE_PARTNERS).unwrap();
    // A full page of small bonds, one large bond alone, one as large that asks twice as much, and one on the last page.
    let mut offers: Vec<Offer> = (0..full).map(|n| (0, n, 1, 1)).collect();
    offers.extend([(1, 0, 192, 1), (40, 7, 192, 2), (63, 9, 96, 1)]);
    put(&mut world, &offers, |_| {});
    let mut spec = spec();
    // Twice the price of whoever asks least: the dear one has half the draw weight for its bond.
    spec.price_cap = Amount(spec.price_cap.0 * 4);
    let drawn = primaries(&mut world, &spec, 800);
    let mut found = BTreeMap::<u8, u32>::new();
    for primary in drawn {
        let page = types::snapshot::page_of(&primary.expect("everybody can run it"));
        *found.entry(page).or_default() += 1;
    }
    println!("{found:?}");
    let weights = weights(&world, &spec, &offers);
    let (all, count) = (weights.values().sum::<u128>(), 800u128);
    let mut chi_square = 0.0;
    for (page, weight) in &weights {
        let expected = f64::from(u32::try_from(count * weight * 1_000 / all).unwrap()) / 1_000.0;
        let off = f64::from(found.get(page).copied().unwrap_or_default()) - expected;
        chi_square += off * off / expected;
    }
    // Three degrees of freedom: one in 10,000 exceeds 21.
    assert!(chi_square < 21.0, "{found:?} by {weights:?}");
    assert!(found.values().sum::<u32>() == 800);
}

/// Draw weights by page, as the rule says: bond x min(2 x price, cap) / price.
fn weights(world: &World, spec: &JobSpec, offers: &[Offer]) -> BTreeMap<u8, u128> {
    let terms = types::job::JobTerms::of(spec);
    let ask = world.partner(0).profile.ask;
    let mut all = BTreeMap::new();
    for (page, _, bond, asks) in offers {
        let price = vm::compute::price::price(Amount(ask.0 * asks), &terms).0;
        let weight = bond * 1_000 * (2 * price).min(spec.price_cap.0) / price;
        *all.entry(*page).or_default() += weight;
    }
    all
}

#[test]
fn who_alone_fits_among_all_is_found() {
    let mut world = world();
    let offers: Vec<Offer> = (0..MAX_PARTNERS)
        .map(|n| {
            let page = u8::try_from(n % PARTNER_PAGES).unwrap();
            (page, u16::try_from(n).unwrap(), 1, 1)
        })
        .collect();
    let (kind, alone) = (
        (Text::new("kind").unwrap(), Text::new("rare").unwrap()),
        address_in(63, 12_287),
    );
    put(&mut world, &offers, |entry| {
        if entry.address == alone {
            entry
                .profile
                .attributes
                .insert(kind.0.clone(), kind.1.clone());
        }
    });
    let mut spec = spec();
    spec.constraints
        .attributes
        .insert(kind.0.clone(), kind.1.clone());
    let drawn = primaries(&mut world, &spec, 8);
    assert_eq!(drawn, [Some(alone); 8]);
}
