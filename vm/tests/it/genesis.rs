//! The state of genesis.

use types::number::Amount;
use vm::{GenesisStateError, genesis_writes};

use crate::audit::assert_conserved;
use crate::fixture::{Chain, genesis, profile, square};

#[test]
fn all_money_of_genesis_is_in_its_state() {
    let chain = Chain::new();
    assert_eq!(chain.rules.supply, square(8 * 10_000 + 4 + 2 * 500));
    assert_conserved(&chain.state, chain.rules.supply);
}

#[test]
fn a_genesis_that_cannot_run_is_refused() {
    let mut light = genesis(|params| params.block_gas_limit = vm::gas::min_block_gas_limit().0 - 1);
    assert!(matches!(
        genesis_writes(&light),
        Err(GenesisStateError::BlockGasLimit { .. })
    ));
    light.params.block_gas_limit += 1;
    assert!(genesis_writes(&light).is_ok());
    let unending = genesis(|params| params.compute.reveal_window_ms = 0);
    assert!(matches!(
        genesis_writes(&unending),
        Err(GenesisStateError::Genesis(_))
    ));
    let forgetful = genesis(|params| params.compute.announce_window_ms = 86_400_000);
    assert!(matches!(
        genesis_writes(&forgetful),
        Err(GenesisStateError::Genesis(_))
    ));
    let mut class = genesis(|_| {});
    class.partners[0].profile.classes = [types::number::EngineClass(9)].into();
    assert!(matches!(
        genesis_writes(&class),
        Err(GenesisStateError::Partner(..))
    ));
    let mut unsorted = genesis(|_| {});
    unsorted.accounts.swap(0, 1);
    assert!(matches!(
        genesis_writes(&unsorted),
        Err(GenesisStateError::Genesis(_))
    ));
}

#[test]
fn a_partner_of_genesis_below_the_least_bond_does_not_count() {
    let mut poor = genesis(|_| {});
    poor.partners[0].bond = Amount(square(100).0 - 1);
    let writes = genesis_writes(&poor).unwrap();
    assert_eq!(vm::query::partners(&writes).unwrap().len(), 1);
    assert_eq!(
        vm::query::snapshot(&writes, types::number::Epoch::FIRST)
            .unwrap()
            .unwrap()
            .iter()
            .count(),
        1
    );
    assert!(
        vm::query::partner(&writes, &poor.partners[0].address)
            .unwrap()
            .is_some()
    );
    assert_eq!(profile(0).places, 2);
}
