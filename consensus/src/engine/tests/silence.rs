//! A leader that said nothing for long, while a quorum spoke, is given up as its view begins (rule 10).

use super::*;

/// A leader that was heard longer ago is silent: three times the first estimate of a delay.
const LONG_MS: u64 = 1_500;
/// The view of the tests; all before it are nullified.
const VIEW: u64 = 9;

/// How the leader of a view was last heard before the view begins.
struct Silence {
    /// The view that begins.
    view: u64,
    /// So many views before.
    views: u64,
    ms: u64,
    /// The others but us that spoke since.
    speaking: usize,
}

impl Silence {
    const LONG: Self = Self {
        view: VIEW,
        views: 3,
        ms: LONG_MS + 1,
        speaking: 2,
    };

    /// True if a validator that does not lead the view gives it up as it begins.
    fn is_given_up(&self) -> bool {
        let leads =
            |me: &usize| usize::from(World::new(*me).engine.leader(View(self.view)).0) == *me;
        let me = (0..4).find(|me| !leads(me)).expect("one leads, not all");
        self.is_given_up_by(me)
    }

    fn is_given_up_by(&self, me: usize) -> bool {
        let mut world = World::new(me);
        let leader = world.engine.leader(View(self.view));
        for before in 1..self.view - self.views {
            world.certify(world.nullification(before));
        }
        assert_eq!(world.engine.view(), View(self.view - self.views));
        world.engine.note_heard(world.now(), leader);
        world.time += self.ms;
        let mine = world.config.me;
        let others = (0..4).map(ValidatorIndex);
        for other in others
            .filter(|at| *at != leader && *at != mine)
            .take(self.speaking)
        {
            world.engine.note_heard(world.now(), other);
        }
        for before in self.view - self.views..self.view {
            world.certify(world.nullification(before));
        }
        world.step(Event::Timer);
        assert_eq!(world.engine.view(), View(self.view));
        sent(&world.take()).contains(&nullify(self.view))
    }
}

#[test]
fn a_leader_unheard_for_long_is_not_waited_for() {
    assert!(Silence::LONG.is_given_up());
}

#[test]
fn a_leader_heard_not_so_long_ago_is_waited_for() {
    let ms = LONG_MS;
    assert!(
        !Silence {
            ms,
            ..Silence::LONG
        }
        .is_given_up()
    );
    let views = 2;
    assert!(
        !Silence {
            views,
            ..Silence::LONG
        }
        .is_given_up()
    );
}

#[test]
fn silence_counts_only_while_a_quorum_speaks() {
    let speaking = 1;
    assert!(
        !Silence {
            speaking,
            ..Silence::LONG
        }
        .is_given_up()
    );
}

#[test]
fn after_many_views_without_finality_silent_leaders_are_waited_for() {
    assert!(
        Silence {
            view: 16,
            ..Silence::LONG
        }
        .is_given_up()
    );
    assert!(
        !Silence {
            view: 17,
            ..Silence::LONG
        }
        .is_given_up()
    );
}

#[test]
fn we_do_not_give_up_our_own_view_since_we_hear_nothing_from_ourselves() {
    let me = usize::from(World::new(0).engine.leader(View(VIEW)).0);
    assert!(!Silence::LONG.is_given_up_by(me));
}
