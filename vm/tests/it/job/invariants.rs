//! Invariants of jobs, asserted after every block.

use std::collections::{BTreeMap, BTreeSet};

use state::Writes;
use types::account::{BondLock, LockId, LockReason, Partner};
use types::codec::decode;
use types::hash::Address;
use types::job::{JobRecord, Stage};
use types::number::Amount;
use types::state_key::StateKey;
use vm::deadlines::job_deadlines;
use vm::query;

use crate::audit::assert_conserved;

/// Asserts that money is conserved, that every lock belongs to a party of a live job and every party's lock is there,
/// and that every live job has an entry among the deadlines and no other has.
pub fn check(state: &Writes, supply: Amount) {
    assert_conserved(state, supply);
    let mut locks = Locks::new();
    let mut live = Vec::new();
    for (key, value) in state {
        let (StateKey::Job(id), Some(bytes)) = (key, value) else {
            continue;
        };
        let record: JobRecord = decode(bytes, 1 << 20).unwrap();
        assert_eq!(record.id, *id);
        if record.stage.is_final() {
            assert_eq!(
                record.escrow,
                types::job::Escrow::default(),
                "a job that is over holds money"
            );
            let receipt = query::receipt(state, id).unwrap();
            assert_eq!(receipt.is_some(), record.stage == Stage::Settled);
        } else {
            live.push(*id);
        }
        bonds(&record, &mut locks);
    }
    assert_eq!(query::live_jobs(state).unwrap(), live);
    let deadlines = job_deadlines(state).unwrap();
    assert_eq!(deadlines.keys().copied().collect::<Vec<_>>(), live);
    for (key, value) in state {
        let (StateKey::Partner(address), Some(bytes)) = (key, value) else {
            continue;
        };
        let partner: Partner = decode(bytes, 1 << 20).unwrap();
        assert_eq!(
            partner.locks,
            locks.remove(address).unwrap_or_default(),
            "locks of {address}"
        );
    }
    assert!(locks.is_empty());
}

type Locks = BTreeMap<Address, BTreeMap<LockId, BondLock>>;

fn bonds(record: &JobRecord, locks: &mut Locks) {
    let lock = |partner: Address, reason: LockReason, amount: Amount| {
        let lock = BondLock {
            amount,
            reason,
            until: None,
        };
        (partner, lock)
    };
    let primary = record.stage.primary().into_iter();
    let primary = primary.map(|p| lock(p.partner, LockReason::Primary(record.id), p.bond));
    let verifiers = record.stage.verifiers().iter();
    let verifiers = verifiers.map(|v| lock(v.partner, LockReason::Verifier(record.id), v.bond));
    let mut parties = BTreeSet::new();
    for (partner, lock) in primary.chain(verifiers) {
        assert!(
            parties.insert(partner),
            "a partner is a party twice in one job"
        );
        let own = locks.entry(partner).or_default();
        assert_eq!(own.insert(lock.reason.id(), lock), None);
    }
}
