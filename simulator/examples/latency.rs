//! How fast committees around the world are final, in virtual time: `scripts/bench simulated`. One JSON object a line:
//! the committee, the costs, and from a proposal's leaving to its finalization at each validator the p50 and p99.

use gridproof_simulator::latency::{Costs, LatencyReport, LatencyRun, run};

#[expect(clippy::print_stdout, reason = "a program's output")]
fn say(line: &str) {
    println!("{line}");
}

fn main() {
    let small = Costs::typical();
    // A body of 1 MiB holds some 5,000 transfers; building and executing it takes 10 us each.
    let full = Costs {
        build_us: 50_000,
        execute_us: 50_000,
        ..small
    };
    for (validators, block_bytes, costs, blocks) in [
        (10, 0, small, 40),
        (50, 0, small, 40),
        (100, 0, small, 15),
        (100, 1 << 20, full, 15),
    ] {
        let plan = LatencyRun {
            seed: 1,
            validators,
            block_bytes,
            costs,
            blocks,
        };
        say(&line(&plan, &run(plan)));
    }
}

fn line(plan: &LatencyRun, report: &LatencyReport) -> String {
    let Costs {
        frame_us,
        sign_us,
        verify_us,
        verify_batched_us,
        sync_us,
        build_us,
        execute_us,
        byte_ns,
    } = plan.costs;
    let seconds = report.virtual_us.div_ceil(1_000_000).max(1);
    format!(
        "{{\"validators\": {}, \"regions\": 10, \"block_bytes\": {}, \"p50_ms\": {}, \"p99_ms\": {}, \"height\": {}, \
         \"view\": {}, \"virtual_s\": {seconds}, \"costs\": {{\"frame_us\": {frame_us}, \"sign_us\": {sign_us}, \
         \"verify_us\": {verify_us}, \"verify_batched_us\": {verify_batched_us}, \"sync_us\": {sync_us}, \
         \"build_us\": {build_us}, \"execute_us\": {execute_us}, \"byte_ns\": {byte_ns}}}}}",
        plan.validators,
        plan.block_bytes,
        report.quantile_ms(50),
        report.quantile_ms(99),
        report.height,
        report.view,
    )
}
