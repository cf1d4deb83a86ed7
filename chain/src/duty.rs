//! What a validator owes the chain: the beacon's output when it is its turn, and its word on what it holds.

use state::DecidedState;
use types::signer::SigningRequest;
use types::stored::SignedStatement;
use types::time::Now;
use types::transaction::SystemMessage;
use vm::Abort;

use crate::blob_book::BlobBook;
use crate::pools::Pools;
use crate::setup::Setup;

/// Puts what is due and not on its way yet among what validators are told. The step before a beacon output must be final, so the
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
    let is_member = rules
        .in_force(state)?
        .committee
        .validator(&own.id)
        .is_some();
    for statement in book.statements() {
        if is_member && !pools.has_own(statement) {
            let chain = rules.chain_id;
            let statement = *statement;
            let request = SigningRequest::Stored { chain, statement };
            let Some(signature) = own.signer.sign(request) else {
                // What is not among the own messages then is tried again at the next step.
                break;
            };
            let signed = SignedStatement {
                statement,
                validator: own.id,
                signature,
            };
            pools.add_own(rules, state, now_ms, SystemMessage::Stored(signed))?;
        }
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
    let output = SystemMessage::Beacon {
        step: duty.step,
        proof: own.vrf_key.prove(&duty.input),
    };
    pools.add_own(rules, state, now_ms, output)
}
