//! Registration, bonds, unbonding, and what counts of them when.

use types::account::{BondLock, LockReason};
use types::codec::{Text, encode};
use types::hash::{Hash32, JobId};
use types::limits::{MAX_ATTRIBUTES, MAX_PAST_SNAPSHOTS, MAX_PROFILE_BYTES, MAX_UNBONDINGS};
use types::number::{Amount, EngineClass, Epoch};
use types::snapshot::PartnerSnapshot;
use types::state_key::StateKey;
use types::transaction::Action;
use vm::Partner;
use vm::query;

use crate::audit::assert_conserved;
use crate::fixture::{Chain, address, profile, square, transfer};

fn register(n: u8) -> Action {
    Action::RegisterPartner {
        profile: profile(n),
    }
}

fn bond(amount: Amount) -> Action {
    Action::Bond { amount }
}

fn unbond(amount: Amount) -> Action {
    Action::Unbond { amount }
}

fn partner(chain: &Chain, n: u8) -> Partner {
    query::partner(&chain.state, &address(n)).unwrap().unwrap()
}

fn snapshot(chain: &Chain) -> PartnerSnapshot {
    let epoch = chain.rules.epoch(chain.tip.height.next());
    query::snapshot(&chain.state, epoch).unwrap().unwrap()
}

/// The outcome of an action that broke the rule of this code.
macro_rules! failed {
    ($code:literal) => {
        Some(String::from($code))
    };
}

#[test]
fn the_partners_of_genesis_count_at_once() {
    let chain = Chain::new();
    let snapshot = snapshot(&chain);
    assert_eq!(snapshot.iter().count(), 2);
    assert_eq!(snapshot.partner(&address(1)).unwrap().bond, square(500));
}

#[test]
fn a_registration_and_its_bond_count_from_the_next_epoch_on() {
    let mut chain = Chain::with(|params| params.epoch_length = 6);
    assert_eq!(chain.act(3, bond(square(100))), failed!("not_registered"));
    assert_eq!(chain.act(3, register(3)), None);
    assert_eq!(chain.act(3, bond(square(99))), None);
    assert_eq!(
        query::partners(&chain.state).unwrap().len(),
        2,
        "not active below the least bond"
    );
    assert_eq!(chain.act(3, bond(square(1))), None);
    assert_eq!(query::partners(&chain.state).unwrap().len(), 3);
    assert!(snapshot(&chain).partner(&address(3)).is_none());
    chain.run_to(5);
    assert!(snapshot(&chain).partner(&address(3)).is_none());
    chain.run_to(6);
    assert_eq!(
        snapshot(&chain).partner(&address(3)).unwrap().bond,
        square(100)
    );
    let mut changed = profile(3);
    changed.ask = Amount(5);
    chain.act(
        3,
        Action::RegisterPartner {
            profile: changed.clone(),
        },
    );
    assert_eq!(partner(&chain, 3).profile, changed);
    assert_eq!(
        partner(&chain, 3).bond,
        square(100),
        "a new profile leaves the bond"
    );
    assert_eq!(
        snapshot(&chain).partner(&address(3)).unwrap().profile,
        profile(3)
    );
    chain.run_to(12);
    assert_eq!(
        snapshot(&chain).partner(&address(3)).unwrap().profile,
        changed
    );
    assert_conserved(&chain.state, chain.rules.supply);
}

#[test]
fn bad_profiles_are_refused_each_by_its_rule() {
    let mut chain = Chain::new();
    let mut with = |change: &dyn Fn(&mut types::job::PartnerProfile)| {
        let mut profile = profile(3);
        change(&mut profile);
        chain.act(3, Action::RegisterPartner { profile })
    };
    let name = |i: usize| Text::new(format!("{i:02}")).unwrap();
    assert_eq!(
        with(&|p| p.classes = [EngineClass(9)].into()),
        failed!("unknown_class")
    );
    assert_eq!(with(&|p| p.vrf_key.0 = [0xff; 32]), failed!("bad_vrf_key"));
    assert_eq!(
        with(&|p| p.attributes = (0..=MAX_ATTRIBUTES).map(|i| (name(i), name(i))).collect()),
        failed!("too_many_attributes")
    );
    let long = |i: usize| Text::new(format!("{i:064}")).unwrap();
    assert_eq!(
        with(&|p| p.attributes = (0..4).map(|i| (long(i), long(i))).collect()),
        failed!("profile_too_long")
    );
    assert_eq!(
        with(&|p| p.attributes = (0..2).map(|i| (long(i), long(i))).collect()),
        None
    );
    assert!(encode(&partner(&chain, 3).profile).len() <= MAX_PROFILE_BYTES);
}

#[test]
fn nobody_keeps_a_vrf_key_from_its_owner() {
    let mut chain = Chain::with(|params| params.epoch_length = 6);
    assert_eq!(
        chain.act(
            3,
            Action::RegisterPartner {
                profile: profile(4)
            }
        ),
        None
    );
    assert_eq!(chain.act(3, bond(square(100))), None);
    assert_eq!(chain.act(4, register(4)), None);
    assert_eq!(
        chain.act(4, bond(square(100))),
        None,
        "somebody was there first with its key"
    );
    chain.run_to(6);
    assert!(snapshot(&chain).partner(&address(4)).is_some());
}

#[test]
fn an_unbonding_is_paid_after_its_period_without_a_transaction() {
    let mut chain = Chain::with(|params| params.compute.unbonding_ms = 1_000);
    assert_eq!(chain.act(0, unbond(Amount::ZERO)), failed!("zero_amount"));
    assert_eq!(chain.act(0, bond(Amount::ZERO)), failed!("zero_amount"));
    assert_eq!(chain.act(0, unbond(square(501))), failed!("bond_locked"));
    assert_eq!(chain.act(0, unbond(square(450))), None);
    let due = vm::chain_record(&chain.state).unwrap().chain_time.0 + 1_000;
    let balance = chain.account(0).balance;
    assert_eq!(partner(&chain, 0).bond, square(50));
    assert!(
        query::partners(&chain.state)
            .unwrap()
            .iter()
            .all(|(other, _)| *other != address(0))
    );
    loop {
        let executed = chain.next(Vec::new());
        assert_conserved(&chain.state, chain.rules.supply);
        if vm::chain_record(&chain.state).unwrap().chain_time.0 >= due {
            assert!(executed.urgent, "a hook paid an account");
            break;
        }
        assert_eq!(chain.account(0).balance, balance);
    }
    assert_eq!(chain.account(0).balance.0, balance.0 + square(450).0);
    assert!(partner(&chain, 0).unbonding.is_empty());
    assert!(
        !chain
            .state
            .keys()
            .any(|key| matches!(key, StateKey::Unbondings(_))),
        "the queue is empty"
    );
    assert_eq!(vm::chain_record(&chain.state).unwrap().unbondings, None);
}

#[test]
fn unbondings_of_many_are_paid_in_order_and_none_is_lost() {
    let mut chain = Chain::with(|params| params.compute.unbonding_ms = 700);
    for round in 0..12u64 {
        let all = (0..2u8).map(|n| chain.sign(n, unbond(square(3)))).collect();
        let block = chain.block_with(
            if round % 3 == 0 { 1 } else { 350 },
            vec![chain.output()],
            all,
        );
        chain.push(&block);
        assert_conserved(&chain.state, chain.rules.supply);
    }
    let full = chain.account(0).balance;
    chain.push(&chain.block_with(1_000, Vec::new(), Vec::new()));
    assert!(chain.account(0).balance > full);
    assert!(partner(&chain, 0).unbonding.is_empty() && partner(&chain, 1).unbonding.is_empty());
    assert_eq!(partner(&chain, 0).bond, square(500 - 36));
}

#[test]
fn too_many_unbondings_at_once_are_refused() {
    let mut chain = Chain::new();
    for _ in 0..MAX_UNBONDINGS {
        assert_eq!(chain.act(0, unbond(Amount(1))), None);
    }
    assert_eq!(
        chain.act(0, unbond(Amount(1))),
        failed!("too_many_unbondings")
    );
}

#[test]
fn what_a_job_locks_cannot_be_unbonded() {
    let mut chain = Chain::new();
    let mut record = partner(&chain, 0);
    let reason = LockReason::Verifier(JobId(Hash32([1; 32])));
    let lock = BondLock {
        amount: square(400),
        reason,
    };
    record.locks.insert(reason.id(), lock);
    chain
        .state
        .insert(StateKey::Partner(address(0)), Some(encode(&record)));
    assert_eq!(chain.act(0, unbond(square(101))), failed!("bond_locked"));
    assert_eq!(chain.act(0, unbond(square(100))), None);
    assert_eq!(chain.act(0, unbond(Amount(1))), failed!("bond_locked"));
}

#[test]
fn snapshots_of_past_epochs_stay_for_as_long_as_somebody_may_announce() {
    let mut chain = Chain::with(|params| {
        (params.epoch_length, params.idle_target_ms, params.pace_ms) = (2, 50, 50);
        (
            params.beacon_lag,
            params.beacon_skip_blocks,
            params.beacon_skip_ms,
        ) = (1, 1, 0);
        params.compute.announce_window_ms = 450;
    });
    let kept = |chain: &Chain| -> Vec<u64> {
        let epoch = |key: &StateKey| {
            if let StateKey::PartnerSnapshot(e) = key {
                Some(e.0)
            } else {
                None
            }
        };
        chain.state.keys().filter_map(epoch).collect()
    };
    // Two steps of the beacon take at most 600 ms; with the window 1,050 ms, and as much again.
    assert_eq!(chain.genesis.params.announcements_last_ms(), 1_050);
    chain.run_to(40);
    // Blocks of 100 ms: epoch 10 ended at 2,000 ms, which was 2,000 ms ago; epoch 9 at 1,800 ms.
    assert_eq!(kept(&chain), (10..=21).collect::<Vec<_>>());
    assert!(query::snapshot(&chain.state, Epoch(9)).unwrap().is_none());
}

#[test]
fn no_more_snapshots_are_kept_than_there_may_be() {
    let mut chain = Chain::with(|params| params.epoch_length = 1);
    chain.run_to(u64::try_from(MAX_PAST_SNAPSHOTS).unwrap() + 5);
    let kept = chain
        .state
        .keys()
        .filter(|key| matches!(key, StateKey::PartnerSnapshot(_)))
        .count();
    assert_eq!(
        kept,
        MAX_PAST_SNAPSHOTS + 1,
        "those of past epochs and the next one's"
    );
}

#[test]
fn bonding_moves_money_out_of_reach_of_transfers() {
    let mut chain = Chain::new();
    chain.act(3, register(3));
    assert_eq!(
        chain.act(3, bond(square(10_000))),
        failed!("insufficient_balance")
    );
    assert_eq!(chain.act(3, bond(square(9_999))), None);
    assert_eq!(
        chain.act(3, transfer(4, square(1))),
        failed!("insufficient_balance")
    );
    assert_conserved(&chain.state, chain.rules.supply);
}
