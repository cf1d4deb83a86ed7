//! Renewals of duties: when a partner says that it still works.

use types::job::{Assigned, Duties, Renewals, Stage};
use types::number::{ChainTime, Height, Timestamp};
use types::snapshot::PartnerPage;
use types::transaction::JobStep;

use super::super::super::{Core, Effect};
use super::super::chain::{address, assigned, primary, proven, record};
use super::{core, see, steps};

const NONE: [u32; 0] = [];

/// A job of partner 1, which renewed its duty so often.
fn working(number: u32) -> Stage {
    let renewals = Renewals {
        number,
        at: ChainTime(77),
        height: Height(7),
    };
    Stage::Assigned(Assigned {
        primary: primary(1),
        duties: Some(Duties {
            until: ChainTime(90_000),
            renewals: [(address(1), renewals)].into(),
        }),
    })
}

/// The numbers of the renewals that it sends at a height and a time, in seconds.
fn renewed(core: &mut Core, height: u64, seconds: u64, stage: Stage) -> Vec<u32> {
    let mut seen = proven(1, 3, height, record(stage));
    seen.time = Timestamp(seconds * 1_000);
    seen.pages
        .values_mut()
        .for_each(|page| *page = PartnerPage::default());
    let effects: Vec<Effect> = see(core, seen);
    let number = |step: &&JobStep| match step {
        JobStep::Renew { number } => Some(*number),
        _ => None,
    };
    steps(&effects).iter().filter_map(number).collect()
}

#[test]
fn it_renews_half_an_interval_after_it_saw_the_last_one() {
    // The network's interval is 5 s.
    let mut core = core(1);
    assert_eq!(renewed(&mut core, 5, 100, assigned(1, false)), NONE);
    assert_eq!(
        renewed(&mut core, 6, 102, working(0)),
        NONE,
        "it began at 100 s or later"
    );
    assert_eq!(renewed(&mut core, 7, 103, working(0)), [0]);
    assert_eq!(
        renewed(&mut core, 8, 104, working(0)),
        NONE,
        "it is on its way"
    );
    assert_eq!(renewed(&mut core, 11, 105, working(0)), [0], "again");
    assert_eq!(renewed(&mut core, 12, 106, working(1)), NONE);
    assert_eq!(renewed(&mut core, 13, 109, working(1)), [1]);
}

#[test]
fn after_a_restart_it_renews_at_once() {
    let mut core = core(1);
    assert_eq!(renewed(&mut core, 9, 200, working(4)), [4]);
    assert_eq!(renewed(&mut core, 10, 201, working(5)), NONE);
}
