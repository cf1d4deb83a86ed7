//! How many of the selected verifiers announce themselves is measured, and where fewer do the bond rule counts on fewer.

use types::hash::JobId;
use types::job::JobSpec;
use types::number::{Amount, Fuel};
use types::transaction::Action;

use crate::fixture::square;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, certain, spec};

/// Jobs for which at least 64 announcements are expected together: five each, one of every partner but the primary.
const MEASURED: usize = 13;

/// Bonds that need no probation: nobody is appointed.
fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

fn depart(world: &mut World, partners: impl IntoIterator<Item = u8>, conduct: Conduct) {
    for n in partners {
        world.depart(n, conduct);
    }
}

/// Runs a job until its announce window has closed, beside others that go on, and cancels it.
fn announce(world: &mut World, spec: &JobSpec, others: &[JobId]) -> Result<(), String> {
    let job = world.try_submit(spec)?;
    let mut all = others.to_vec();
    all.push(job);
    for _ in 0..400 {
        let stage = world.record(&job).stage;
        if !matches!(stage.name(), "pending" | "assigned" | "announcing") {
            assert_eq!(world.act(CUSTOMER, Action::CancelJob { job }), None);
            return Ok(());
        }
        world.step(&all, 500);
    }
    panic!("{:?}", world.record(&job).stage)
}

/// The expected checks of a small job that is submitted now.
fn checks(world: &World) -> u128 {
    let mut world = world.clone();
    let job = world.submit(&spec());
    world.record(&job).policy.expected_checks.0
}

#[test]
fn where_all_announce_themselves_nothing_changes() {
    let mut world = proven();
    let before = checks(&world);
    for _ in 0..MEASURED {
        announce(&mut world, &certain(), &[]).unwrap();
    }
    let record = vm::chain_record(&world.chain.state).unwrap();
    let turnout = record.turnouts.values().next().unwrap();
    assert_eq!(turnout.expected.0 >> 64, u128::from(turnout.announced));
    assert_eq!(checks(&world), before);
}

#[test]
fn where_fewer_announce_themselves_more_is_checked() {
    let mut world = proven();
    depart(&mut world, 0..3, Conduct::NeverAnnounces);
    let before = checks(&world);
    for _ in 1..MEASURED {
        announce(&mut world, &certain(), &[]).unwrap();
    }
    assert_eq!(checks(&world), before, "60 are too few to tell");
    announce(&mut world, &certain(), &[]).unwrap();
    let record = vm::chain_record(&world.chain.state).unwrap();
    assert!(checks(&world) > before, "{:?}", record.turnouts);
}

#[test]
fn where_nobody_announces_itself_jobs_are_refused_until_an_epoch_was_quiet() {
    let mut world = proven();
    depart(&mut world, 0..PARTNERS, Conduct::NeverAnnounces);
    for _ in 0..MEASURED {
        announce(&mut world, &certain(), &[]).unwrap();
    }
    let refused = announce(&mut world, &spec(), &[]);
    assert_eq!(refused, Err("too_few_can_verify".to_owned()));
    let epoch = |world: &World| world.chain.rules.epoch(world.chain.tip.height.next()).0;
    // What is left of this epoch, and a whole one in which nothing is measured.
    let quiet = epoch(&world) + 2;
    while epoch(&world) < quiet {
        assert!(announce(&mut world.clone(), &spec(), &[]).is_err());
        world.step(&[], 500);
    }
    assert_eq!(announce(&mut world, &spec(), &[]), Ok(()));
}

/// Five jobs that run for long hold the two places for checks of every partner. What others submit meanwhile is checked by
/// nobody, and the chain takes note of it.
#[test]
fn five_heavy_jobs_that_hold_all_places_for_checks_do_not_stay_unseen() {
    let mut world = proven();
    depart(&mut world, 0..PARTNERS, Conduct::NeverChecks);
    depart(&mut world, 0..PARTNERS, Conduct::HasPlaces(2));
    let mut heavy = certain();
    heavy.workload.limits.fuel = Fuel(2_000_000_000);
    heavy.price_cap = square(20);
    heavy.verification.value_at_risk = square(30);
    heavy.verification.task_value_at_risk = square(30);
    heavy.verification.confidence_ppm = 990_000;
    let attack: Vec<_> = (0..5).map(|_| world.submit(&heavy)).collect();
    for _ in 0..40 {
        world.step(&attack, 500);
    }
    let verified = |world: &World| -> usize {
        (0..PARTNERS)
            .map(|n| world.partner(n).verifications())
            .sum()
    };
    assert_eq!(verified(&world), 2 * usize::from(PARTNERS));
    let mut victim = certain();
    victim.verification.value_at_risk = Amount(square(1).0);
    victim.verification.task_value_at_risk = victim.verification.value_at_risk;
    victim.verification.confidence_ppm = 990_000;
    let mut ended = Ok(());
    for _ in 0..2 * MEASURED {
        ended = announce(&mut world, &victim, &attack);
        if ended.is_err() {
            break;
        }
    }
    let code = ended.unwrap_err();
    assert!(
        matches!(code.as_str(), "too_few_can_verify" | "confidence_too_high"),
        "{code}"
    );
}
