//! What must hold of jobs after every block, whatever happened.

use std::collections::BTreeMap;

use state::Writes;
use types::account::Partner;
use types::codec::decode;
use types::hash::{Address, JobId};
use types::job::{JobRecord, Stage, Verifier};
use types::number::Amount;
use types::state_key::StateKey;
use vm::compute::JobsDue;
use vm::query;

use crate::audit::assert_conserved;

/// Asserts that money is conserved, that every lock belongs to a party of a live job and every party's lock is there,
/// that places in use are counted, and that every live job is due at some time and no other is.
pub fn check(state: &Writes, supply: Amount) {
    assert_conserved(state, supply);
    let (mut locks, mut running) = (BTreeMap::new(), BTreeMap::new());
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
        bonds(&record, &mut locks, &mut running);
    }
    assert_eq!(query::live_jobs(state).unwrap(), live);
    let due: JobsDue = match state.get(&StateKey::JobsDue) {
        Some(Some(bytes)) => decode(bytes, 1 << 20).unwrap(),
        _ => JobsDue::new(),
    };
    assert_eq!(due.keys().copied().collect::<Vec<_>>(), live);
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
        assert_eq!(
            partner.running,
            running.remove(address).unwrap_or_default(),
            "places of {address}"
        );
    }
    assert!(locks.is_empty() && running.is_empty());
}

type Locks = BTreeMap<Address, BTreeMap<JobId, Amount>>;

fn bonds(record: &JobRecord, locks: &mut Locks, running: &mut BTreeMap<Address, u16>) {
    let none: &[Verifier] = &[];
    let (primary, verifiers) = match &record.stage {
        Stage::Pending { .. } | Stage::Settled | Stage::Failed { .. } => return,
        Stage::Assigned { primary, .. } => (primary, none),
        Stage::Announcing {
            primary, verifiers, ..
        }
        | Stage::Appointing {
            primary, verifiers, ..
        }
        | Stage::Verifying {
            primary, verifiers, ..
        }
        | Stage::Revealing {
            primary, verifiers, ..
        }
        | Stage::Storing {
            primary, verifiers, ..
        } => (primary, verifiers.as_slice()),
    };
    *running.entry(primary.partner).or_default() += 1;
    let all = verifiers
        .iter()
        .map(|v| (v.partner, v.bond))
        .chain([(primary.partner, primary.bond)]);
    for (partner, bond) in all {
        let before = locks.entry(partner).or_default().insert(record.id, bond);
        assert_eq!(before, None, "a partner has two parts in one job");
    }
}
