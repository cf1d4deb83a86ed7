//! What happens while many blocks are not in the store yet: because the store is slow, or because nothing became final
//! for long and then much at once.

use types::limits::{KEPT_HEIGHTS, MAX_BUILD_DEPTH};

use super::*;

impl Host {
    fn perform_one(&mut self, work: Work) -> Event {
        work.perform(self.node.rules().clone().as_ref(), &self.store).unwrap()
    }

    /// Lets time pass and performs everything but commits, until so many wait and the next piece of work is one that
    /// is looked for. It is given, with all commits still to be done before it.
    fn run_ahead(&mut self, commits: usize, is_it: impl Fn(&Work) -> bool) -> (Vec<Work>, Work) {
        let mut waiting = Vec::new();
        loop {
            match self.work.pop_front() {
                Some(work @ Work::Commit { .. }) => waiting.push(work),
                Some(work) if waiting.len() >= commits && is_it(&work) => return (waiting, work),
                Some(work) => {
                    let event = self.perform_one(work);
                    self.step(event);
                }
                None => {
                    self.now_ms = self.now_ms.max(self.timer.take().expect("a timer").0);
                    self.step(Event::Timer);
                }
            }
        }
    }
}

fn transactions_of(work: &Work) -> usize {
    let Work::Commit { decision, .. } = work else { panic!("{work:?}") };
    decision.block.body.transactions.len() + decision.block.body.system.len()
}

#[test]
fn work_whose_state_is_no_longer_kept_is_done_again_on_the_state_there_is() {
    let kept = usize::try_from(KEPT_HEIGHTS).unwrap();
    for is_it in [|work: &Work| matches!(work, Work::Execute(_)), |work: &Work| matches!(work, Work::Build(_))] {
        let mut host = Host::of(1);
        let (commits, late) = host.run_ahead(kept + 1, is_it);
        let ahead = u64::try_from(commits.len()).unwrap();
        // As the worker does it: all commits, then what was asked for after them, which begins below what is kept.
        let events: Vec<_> = commits.into_iter().map(|commit| host.perform_one(commit)).collect();
        let outrun = host.perform_one(late);
        assert!(matches!(outrun, Event::Outrun(_)), "{outrun:?}");
        events.into_iter().chain([outrun]).for_each(|event| host.step(event));
        assert_eq!((host.height(), host.stops()), (ahead, vec![]));
        host.pass(3_000);
        assert!(host.height() > ahead + 2, "it goes on");
        assert_eq!(host.stops(), [""; 0]);
    }
}

#[test]
fn blocks_that_are_built_deep_are_empty_and_blocks_go_on() {
    let depth = usize::try_from(MAX_BUILD_DEPTH).unwrap();
    let mut host = Host::of(1);
    let build = |work: &Work| matches!(work, Work::Build(_));
    let (mut commits, late) = host.run_ahead(depth + 4, build);
    assert!(commits[..depth].iter().any(|commit| transactions_of(commit) > 0), "beacon outputs");
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.work.push_front(late);
    let (more, late) = host.run_ahead(depth, build);
    commits.extend(more);
    // Two more: what is built on the block of the greatest depth that is filled is in the works at the border.
    assert!(commits[depth + 2..].iter().all(|commit| transactions_of(commit) == 0));
    host.work.extend(commits);
    host.work.push_back(late);
    host.pass(3_000);
    assert!(host.store.transaction(&id).unwrap().is_some(), "once the store has caught up");
    assert_eq!(host.stops(), [""; 0]);
}
