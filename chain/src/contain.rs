//! Work on a thread whose panics harm nobody else.
//!
//! A validator votes for a block before it executes it, so a block on which execution panics sits in the logs of a
//! quorum and comes back after every restart: a panic must not end the process. In execution it is a verdict, the
//! block is invalid here. In building it costs the transaction that it happens on, and the block is empty. In a commit
//! it is the end, since nobody knows what is on disk. What this leaves out: aborts, such as of a full stack.

use state::{ChainStore, DecidedState};
use vm::{Abort, Rules, Verified};

use crate::block::{Building, BuildingFault, Built, Done, Outrun, Work};
use crate::caught::caught;
use crate::error::{Fatal, Invalid};
use crate::event::Event;

/// Does a piece of work and gives the event that answers it, whatever happens.
pub fn perform(work: Work, rules: &Rules, store: &impl ChainStore) -> Event {
    let kind = work.kind();
    let answered = match work {
        Work::Build(building) => return build(building, rules, store),
        Work::Execute(execution) => {
            let block = execution.block.id();
            match caught(|| Work::Execute(execution).perform(rules, store)) {
                Ok(answered) => answered,
                Err(message) => Ok(Done::Executed {
                    block,
                    result: Err(Invalid::Panicked { block, message }),
                }),
            }
        }
        other => caught(|| other.perform(rules, store)).unwrap_or_else(|message| {
            let work = kind;
            Err(Fatal::Panicked { work, message })
        }),
    };
    answered.map_or_else(Event::Failed, Event::Done)
}

/// Builds a block; if that panics, one without transactions.
fn build(building: Building, rules: &Rules, store: &impl ChainStore) -> Event {
    let decided = match store.snapshot() {
        Ok(decided) => decided,
        Err(error) => return Event::Failed(error.into()),
    };
    let decided = decided.as_ref();
    if building.branch.base_height() < decided.oldest() {
        return Event::Done(Done::Outrun(Outrun::Building(building.request)));
    }
    let built = match attempt(&building, rules, decided) {
        Ok(built) => built.map(|built| Done::Built(Box::new(built))),
        Err(message) => Ok(build_empty(building, message, rules, decided)),
    };
    built.map_or_else(Event::Failed, Event::Done)
}

/// Builds a block, or tells the fault. A state that contradicts itself counts as one: a candidate may bring it about.
fn attempt(
    building: &Building,
    rules: &Rules,
    decided: &dyn DecidedState,
) -> Result<Result<Built, Fatal>, String> {
    match caught(|| building.run(rules, decided))? {
        Err(Fatal::State(Abort::Corrupt(corruption))) => Err(corruption.to_string()),
        built => Ok(built),
    }
}

fn build_empty(
    mut building: Building,
    message: String,
    rules: &Rules,
    decided: &dyn DecidedState,
) -> Done {
    let candidates = std::mem::take(&mut building.candidates);
    let panics = |building: &Building| attempt(building, rules, decided).is_err();
    let mut system = Vec::new();
    let mut dropped = Vec::new();
    if panics(&building) {
        system.append(&mut building.system);
    } else {
        let guilty = guilty(&candidates, |first| {
            building.candidates = first.to_vec();
            panics(&building)
        });
        dropped.extend(guilty.map(Verified::id));
    }
    (building.candidates, building.system) = (Vec::new(), Vec::new());
    // Without an empty block either the leader says nothing, and its view ends by its timer.
    let empty = attempt(&building, rules, decided).ok();
    let built = empty.and_then(Result::ok).map(Box::new);
    Done::BuildingPanicked {
        built,
        fault: Box::new(BuildingFault {
            parent: building.parent.id,
            message,
            dropped,
            system,
        }),
    }
}

/// The last candidate of the shortest list of first candidates that panics; building is deterministic, so it is the
/// one that the panic happens on.
fn guilty(
    candidates: &[Verified],
    mut panics: impl FnMut(&[Verified]) -> bool,
) -> Option<&Verified> {
    let (mut good, mut bad) = (0, candidates.len());
    while bad > good + 1 {
        let middle = good + (bad - good) / 2;
        if panics(&candidates[..middle]) {
            bad = middle;
        } else {
            good = middle;
        }
    }
    candidates.get(good)
}
