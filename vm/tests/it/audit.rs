//! Counts all money in a state, wherever it is.

use state::Writes;
use types::codec::decode;
use types::job::{JobRecord, JobVerdict};
use types::number::Amount;
use types::state_key::StateKey;
use vm::{Account, Partner};

/// All money in accounts, bonds, unbondings and escrows.
pub fn all_money(state: &Writes) -> Amount {
    Amount::sum([held_by_accounts(state), held_elsewhere(state)]).unwrap()
}

/// All money in accounts.
fn held_by_accounts(state: &Writes) -> Amount {
    let accounts = state
        .iter()
        .filter(|(key, _)| matches!(key, StateKey::Account(_)));
    Amount::sum(
        accounts
            .flat_map(|(_, value)| value)
            .map(|bytes| decode::<Account>(bytes, 64).unwrap().balance),
    )
    .unwrap()
}

/// All money in bonds, unbondings and escrows.
fn held_elsewhere(state: &Writes) -> Amount {
    let mut all = Vec::new();
    for (key, value) in state {
        let Some(bytes) = value else { continue };
        match key {
            StateKey::Partner(_) => {
                let partner = decode::<Partner>(bytes, 1 << 20).unwrap();
                assert!(partner.locked() <= partner.bond, "more locked than bonded");
                all.push(partner.bond);
                all.extend(partner.unbonding.iter().map(|unbonding| unbonding.amount));
            }
            StateKey::Job(_) => {
                let escrow = decode::<JobRecord>(bytes, 1 << 20).unwrap().escrow;
                all.extend([
                    escrow.execution,
                    escrow.verification,
                    escrow.storage,
                    escrow.fees,
                    escrow.rent,
                    escrow.referees,
                ]);
            }
            StateKey::Verdict(..) => {
                let verdict = decode::<JobVerdict>(bytes, 1 << 20).unwrap();
                let shares = verdict.shares.iter().map(|share| share.amount);
                let held = Amount::sum(shares.chain([verdict.burned])).unwrap();
                let forfeits = verdict.forfeits.iter().map(|share| share.amount);
                assert_eq!(Amount::sum(forfeits), Some(held));
                all.extend((!verdict.paid).then_some(held));
            }
            _ => {}
        }
    }
    Amount::sum(all).unwrap()
}

/// Asserts that the supply is genesis less what was burned, and all of it somewhere.
pub fn assert_conserved(state: &Writes, genesis: Amount) {
    let chain = vm::chain_record(state).unwrap();
    assert_eq!(chain.supply.checked_add(chain.burned), Some(genesis));
    assert_eq!(held_by_accounts(state), chain.liquid);
    assert_eq!(all_money(state), chain.supply);
}
