//! The heights of a class: when its jobs are taken, and that one which was taken goes on as if there were no end.

use types::job::Stage;
use types::number::{Amount, EngineClass, Height};
use types::transaction::Action;
use vm::compute::JobError;

use super::estimated;
use crate::job::world::{CUSTOMER, World, spec};

/// A class that every partner runs beside the first, taken from height 3 to 5.
const SECOND: EngineClass = EngineClass(3);
const FROM: Height = Height(3);
const UNTIL: Height = Height(6);

fn world() -> World {
    let mut world = World::with_partners(
        |params| {
            let mut second = params.compute.classes[0].clone();
            second.class = SECOND;
            (second.from_height, second.until_height) = (FROM, Some(UNTIL));
            params.compute.classes.push(second);
        },
        |profile| {
            profile.classes.insert(SECOND);
        },
    );
    world.check();
    assert_eq!(world.chain.tip.height, Height::ZERO);
    world.chain.run_to(1);
    world
}

#[test]
fn a_class_takes_jobs_from_its_first_height_to_the_one_before_its_end() {
    let mut second = spec();
    second.workload.class = SECOND;
    let mut world = world();
    for number in 2..8 {
        let height = Height(number);
        let class = SECOND;
        let expected = if height < FROM {
            Some(JobError::ClassNotYetOpen {
                class,
                height,
                from: FROM,
            })
        } else if height >= UNTIL {
            Some(JobError::ClassClosed {
                class,
                height,
                until: UNTIL,
            })
        } else {
            None
        };
        let foreseen = estimated(&world.chain, &second).refusal;
        assert_eq!(foreseen, expected, "height {number}");
        let before = world.chain.account(CUSTOMER).balance;
        let charged = world.chain.charged(CUSTOMER);
        let submitted = world.try_submit(&second).map(|_| ());
        assert_eq!(world.chain.tip.height, height);
        let code = expected.map(|refusal| refusal.code().to_owned());
        assert_eq!(submitted.err(), code, "height {number}");
        if code.is_some() {
            let fee = Amount(world.chain.charged(CUSTOMER).0 - charged.0);
            let left = before.checked_sub(fee).unwrap();
            assert_eq!(world.chain.account(CUSTOMER).balance, left);
        }
    }
    world.check();
    // The class without an end is not touched by the other's.
    world.submit(&spec());
}

#[test]
fn a_job_keeps_its_class_to_its_end() {
    let mut second = spec();
    second.workload.class = SECOND;
    let mut world = world();
    world.chain.run_to(UNTIL.0 - 2);
    let job = world.submit(&second);
    assert_eq!(world.chain.tip.height.next(), UNTIL);
    let record = world.run(&job);
    assert!(matches!(record.stage, Stage::Settled), "{:?}", record.stage);
    assert_eq!(record.terms.class, SECOND);
    assert!(world.chain.tip.height > UNTIL);
}

#[test]
fn a_partner_runs_only_the_classes_that_it_names() {
    let mut later = World::with_partners(
        |params| {
            let mut second = params.compute.classes[0].clone();
            (second.class, second.from_height) = (SECOND, FROM);
            params.compute.classes.push(second);
        },
        |_| {},
    );
    later.chain.run_to(FROM.0);
    let mut second = spec();
    second.workload.class = SECOND;
    assert_eq!(later.try_submit(&second), Err("no_partner_of_class".into()));
    later.submit(&spec());
    // Nobody may run no class, or one that the network does not have.
    for (classes, code) in [
        ([].into(), "no_class"),
        ([SECOND, EngineClass(9)].into(), "unknown_class"),
    ] {
        let mut profile = later.partner(0).profile;
        profile.classes = classes;
        let refused = later.act(0, Action::RegisterPartner { profile });
        assert_eq!(refused.as_deref(), Some(code));
    }
}
