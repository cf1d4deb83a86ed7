//! A validator whose log lost whole records, which no checksum can show, is told so by its peers.

use consensus::Message;

use crate::sim::{Options, Sim, Violation};

/// Node 2 loses its log and store back to their first state and hears nothing but vote recovery answers for a while, then
/// everything.
pub fn lose_the_log(sim: &mut Sim) -> Result<(), Violation> {
    let first = sim.nodes[2].disk.clone();
    sim.run_until(5_000)?;
    sim.crash(2, 1_000_000);
    sim.nodes[2].disk = first;
    sim.nodes[2].store.forget();
    sim.filter = Box::new(|now, _, to, message| {
        to != 2 || now > 20_000 || matches!(message, Message::VoteRecovery { .. })
    });
    sim.start(2);
    sim.run_until(20_000)?;
    sim.run_until(40_000)
}

#[test]
fn a_lost_log_never_makes_a_validator_sign_twice() {
    let mut sim = Sim::new(Options::new(8, &[4, 3, 3, 3]));
    lose_the_log(&mut sim).unwrap();
    sim.require_height(40).unwrap();
    assert!(
        sim.nodes[2].replica.as_ref().unwrap().is_ready(),
        "and it takes part again"
    );
}
