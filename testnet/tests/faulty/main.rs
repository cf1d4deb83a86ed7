//! Partners that misbehave, in networks of real processes. None gets a wrong result settled or is paid for a result that
//! it did not show; who is wrong, silent or withholds an opening loses bond.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking and show what the processes said"
)]

extern crate gridproof_testnet as testnet;

mod network;

use rpc::model::JobFailure;
use rustix::process::Signal;

use network::{FaultyNetwork, TestJob};

/// Sites of partners in a devnet: number 0 is in Sion, 1 in Basel, 2 in Nanterre, 3 in Sion, and so on.
const SION: &str = "sion";
const NANTERRE: &str = "nanterre";

#[test]
fn a_result_with_a_flipped_byte_never_settles() {
    // Of three partners number 0 alone is in Sion, so it is the primary.
    let net = FaultyNetwork::with_fault(3, "flip-byte");
    let job = net.submit(&TestJob {
        location: SION,
        min_verifiers: 2,
        confidence_ppm: 0,
    });
    let ended = net.wait_for_end(job);
    // Validators run the task again: the primary loses its bond, and nobody else is in Sion.
    assert_eq!(ended.failure, Some(JobFailure::NoPartner));
    assert_eq!((ended.verdicts, net.who_was_punished()), (1, vec![0]));
    assert!(
        ended.receipt.is_none(),
        "there is no receipt of a wrong result"
    );
}

#[test]
fn a_primary_that_withholds_its_opening_is_not_paid_and_loses_bond() {
    let net = FaultyNetwork::with_fault(3, "withhold-opening");
    let job = net.submit(&TestJob {
        location: SION,
        min_verifiers: 2,
        confidence_ppm: 0,
    });
    let ended = net.wait_for_end(job);
    // Another attempt follows, and nobody else is in Sion.
    assert_eq!(ended.failure, Some(JobFailure::NoPartner));
    assert!(ended.receipt.is_none(), "nobody is paid for a result");
    assert_eq!(net.who_was_punished(), [0]);
}

#[test]
fn a_silent_verifier_is_replaced_and_loses_bond() {
    // Of five partners number 2 alone is in Nanterre, so it is the primary. With that confidence each of the others is
    // drawn as verifier for certain; 3 and 4 stand still, so that 0, which is silent, and 1 are bound.
    let net = FaultyNetwork::with_fault(5, "silent-verifier");
    let late = ["partner-3", "partner-4"];
    for name in late {
        net.signal(name, Signal::STOP);
    }
    let job = net.submit(&TestJob {
        location: NANTERRE,
        min_verifiers: 2,
        confidence_ppm: 950_000,
    });
    net.wait_for_stage(job, "verifying");
    for name in late {
        net.signal(name, Signal::CONT);
    }
    let ended = net.wait_for_end(job);
    assert_eq!(
        ended.stage, "settled",
        "it settles without the silent verifier"
    );
    let verifiers: Vec<_> = ended
        .verifiers
        .iter()
        .map(|verifier| verifier.partner)
        .collect();
    assert!(!verifiers.contains(&net.address_of(0)), "{verifiers:?}");
    assert!(verifiers.len() >= 2, "{verifiers:?}");
    assert_eq!(net.who_was_punished(), [0]);
}
