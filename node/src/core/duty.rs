//! What a validator owes the chain: the beacon's output when it is its turn, and its word on what it holds.

use state::DecidedState;
use types::time::Now;
use types::transaction::SystemTransaction;
use vm::Fault;

use super::Node;

impl Node {
    /// Puts what is due and not on its way yet into the system pool. The step before a beacon output must be final, so
    /// the decided state says what is due.
    pub(super) fn do_duties(&mut self, now: Now, state: &dyn DecidedState) -> Result<(), Fault> {
        let now_ms = now.monotonic.0;
        for statement in self.book.statements().to_vec() {
            if !self.pools.has_own(&statement) {
                let signature = self
                    .setup
                    .validator_key
                    .sign(&statement.signing_hash(self.setup.rules.chain_id));
                let stored = SystemTransaction::Stored {
                    statement,
                    validator: self.own,
                    signature,
                };
                self.pools
                    .add_own(&self.setup.rules, state, now_ms, stored)?;
            }
        }
        let tip = Some(state.tip().height);
        if self.pools.beacon_looked_at == tip {
            return Ok(());
        }
        self.pools.beacon_looked_at = tip;
        let duty = vm::query::beacon_duty(&self.setup.rules, state)?;
        if duty.contributor != self.own || self.pools.has_own_output(duty.step) {
            return Ok(());
        }
        let proof = self.setup.vrf_key.prove(&duty.input);
        let output = SystemTransaction::Beacon {
            step: duty.step,
            proof,
        };
        self.pools.add_own(&self.setup.rules, state, now_ms, output)
    }
}
