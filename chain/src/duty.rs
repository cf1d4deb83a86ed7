//! What a validator owes the chain: the beacon's output when it is its turn, and its word on what it holds.

use state::DecidedState;
use types::time::Now;
use types::transaction::SystemTransaction;
use vm::Abort;

use crate::blob_book::BlobBook;
use crate::pools::Pools;
use crate::setup::Setup;

/// Puts what is due and not on its way yet into the system pool. The step before a beacon output must be final, so the
/// decided state says what is due.
pub(crate) fn perform(
    setup: &Setup,
    book: &BlobBook,
    pools: &mut Pools,
    now: Now,
    state: &dyn DecidedState,
) -> Result<(), Abort> {
    let Some(own) = &setup.own else {
        return Ok(());
    };
    let (rules, now_ms) = (&setup.rules, now.monotonic.0);
    for statement in book.statements() {
        if pools.has_own(statement) {
            continue;
        }
        let stored = SystemTransaction::Stored {
            statement: *statement,
            validator: own.id,
            signature: own.key.sign(&statement.signing_hash(rules.chain_id)),
        };
        pools.add_own(rules, state, now_ms, stored)?;
    }
    let tip = Some(state.tip().height);
    if pools.beacon_looked_at == tip {
        return Ok(());
    }
    pools.beacon_looked_at = tip;
    let duty = vm::query::beacon_duty(rules, state)?;
    if duty.contributor != own.id || pools.has_own_output(duty.step) {
        return Ok(());
    }
    let output = SystemTransaction::Beacon {
        step: duty.step,
        proof: own.vrf_key.prove(&duty.input),
    };
    pools.add_own(rules, state, now_ms, output)
}
