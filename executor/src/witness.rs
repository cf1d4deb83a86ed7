//! The witness of a run: what the program held at a fuel point that was drawn later.
//!
//! The leaf of a task is public once a party has claimed it, so who repeats it has shown nothing. The witness can only be had
//! by running the task: it is a digest of the program's memory and counters at the moment at which it has used a drawn amount of
//! fuel. It is found by a second run, whose fuel limit is that amount.

use types::hash::{Domain, Hash32};
use types::job::Workload;
use types::number::{Fuel, TaskIndex};

use crate::counters::ProgramMark;
use crate::engine::{Program, ProgramBody};
use crate::inputs::Inputs;
use crate::no_result::NoResult;
use crate::task::{execute, on_class_stack};
use crate::wasi::TaskHost;

/// The witness of a task that used `used` fuel, at the point that `draw` gives: a point of the program's own part, which
/// begins when the module is loaded. One that has no such part, since the module was refused or its charge passed the limit, has a
/// witness that anybody can tell.
// Rule C64.
pub fn run_witness(
    program: &Program,
    workload: &Workload,
    index: TaskIndex,
    inputs: &Inputs,
    (used, draw): (Fuel, &Hash32),
) -> Result<Hash32, NoResult> {
    let upfront = inputs.upfront(workload);
    let ready = match &program.body {
        ProgramBody::Ready {
            instance,
            complexity_fuel,
        } => Some((instance, upfront.saturating_add(*complexity_fuel))),
        ProgramBody::Refused { .. } | ProgramBody::Unaffordable { .. } => None,
    };
    let Some((instance, begins)) = ready.filter(|(_, begins)| *begins < used.0) else {
        return Ok(Hash32::of(Domain::WITNESS, &(draw, None::<ProgramMark>)));
    };
    let at = point(draw, begins, used.0);
    let mut cut = workload.clone();
    // The clock shows the fuel that was used, so it shows the same as in the whole run.
    cut.limits.fuel = Fuel(at);
    let host = TaskHost::new(&cut, index, inputs).map_err(NoResult::Workload)?;
    let left = at - begins;
    let run = || execute(&program.engine, instance, host, left, true);
    let ended = on_class_stack(run)??;
    Ok(Hash32::of(Domain::WITNESS, &(draw, ended.mark)))
}

/// A number from `begins` up to `used`, without `used`.
fn point(draw: &Hash32, begins: u64, used: u64) -> u64 {
    let span = used.saturating_sub(begins).max(1);
    begins.saturating_add(draw.low_u64() % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_lies_in_the_programs_own_part() {
        for byte in 0..=255 {
            let draw = Hash32([byte; 32]);
            assert!((10..30).contains(&point(&draw, 10, 30)), "{byte}");
            assert_eq!(point(&draw, 10, 11), 10);
        }
        let points: std::collections::BTreeSet<_> = (0..=255)
            .map(|byte| point(&Hash32([byte; 32]), 0, 256))
            .collect();
        assert!(points.len() > 128, "{}", points.len());
    }
}
