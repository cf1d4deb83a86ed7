//! Several workers for one job: its tasks are dealt out to them, and what they give is taken by one thread.
//!
//! A worker that has to compile the module first runs alone until that is done, so that the others find its code.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use executor::{NoResult, TaskRun};
use types::number::TaskIndex;

/// Takes the result of one task; an error ends the execution.
pub type TakeRun<'a> = &'a mut dyn FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>;

/// What a worker's thread tells.
pub(super) enum WorkerNews {
    /// The module's code is kept: others find it.
    CodeKept,
    /// A task has ended.
    Ran(TaskIndex, Box<TaskRun>),
    /// The worker has ended, with all of its tasks or with none of the rest.
    Ended(Result<(), NoResult>),
}

/// Tells the thread that takes results. What it says after that thread has gone is lost.
#[derive(Clone)]
pub(super) struct NewsSender(SyncSender<WorkerNews>);

impl NewsSender {
    /// True if somebody still listens.
    pub(super) fn tell(&self, news: WorkerNews) -> bool {
        self.0.send(news).is_ok()
    }
}

/// Deals the tasks out to so many workers, one after the other.
pub(super) fn dealt(tasks: &[TaskIndex], workers: usize) -> Vec<Vec<TaskIndex>> {
    let mut parts = vec![Vec::new(); workers.clamp(1, tasks.len().max(1))];
    let count = parts.len();
    for (position, task) in tasks.iter().enumerate() {
        if let Some(part) = parts.get_mut(position % count) {
            part.push(*task);
        }
    }
    parts
}

/// Runs every part in a thread of its own, the others once the first says that they may begin, and hands over each result as it
/// comes. The first failure ends all: `stop` is then called.
pub(super) fn run_all(
    parts: Vec<Vec<TaskIndex>>,
    wait_for_code: bool,
    run: impl Fn(Vec<TaskIndex>, &NewsSender) -> Result<(), NoResult> + Sync,
    stop: impl Fn(),
    take: TakeRun<'_>,
) -> Result<(), NoResult> {
    let (sender, news) = sync_channel(parts.len());
    let sender = NewsSender(sender);
    let run = &run;
    std::thread::scope(|scope| {
        let begin = |part: Vec<TaskIndex>| {
            let sender = sender.clone();
            scope.spawn(move || {
                let ended = run(part, &sender);
                sender.tell(WorkerNews::Ended(ended));
            });
        };
        let mut waiting = parts.into_iter();
        let mut at_work = 0usize;
        for part in waiting
            .by_ref()
            .take(if wait_for_code { 1 } else { usize::MAX })
        {
            begin(part);
            at_work += 1;
        }
        let ended = listen(&news, take, |is_over| {
            if is_over {
                at_work -= 1;
            }
            for part in waiting.by_ref() {
                begin(part);
                at_work += 1;
            }
            at_work
        });
        if ended.is_err() {
            stop();
        }
        // Whoever still wants to tell something must not wait for ever.
        drop(news);
        ended
    })
}

/// Takes what the workers tell until the last has ended. Each message lets the others begin; `next` gives how many are at work.
fn listen(
    news: &Receiver<WorkerNews>,
    take: TakeRun<'_>,
    mut next: impl FnMut(bool) -> usize,
) -> Result<(), NoResult> {
    loop {
        let Ok(told) = news.recv() else {
            return Ok(());
        };
        match told {
            WorkerNews::CodeKept => {
                next(false);
            }
            WorkerNews::Ran(task, run) => {
                next(false);
                take(task, *run)?;
            }
            WorkerNews::Ended(ended) => {
                ended?;
                if next(true) == 0 {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::runner::tests::ran;

    fn indices(count: u32) -> Vec<TaskIndex> {
        (0..count).map(TaskIndex).collect()
    }

    #[test]
    fn every_task_is_dealt_out_once() {
        for (tasks, workers) in [(1, 1), (5, 2), (5, 9), (0, 3), (1_024, 7)] {
            let all = indices(tasks);
            let parts = dealt(&all, workers);
            assert!(parts.len() <= workers);
            assert!(parts.iter().all(|part| part.is_sorted()));
            let mut dealt: Vec<_> = parts.concat();
            dealt.sort_unstable();
            assert_eq!(dealt, all);
        }
    }

    #[test]
    fn all_results_are_taken_whoever_gives_them() {
        for wait_for_code in [false, true] {
            let mut taken = BTreeSet::new();
            let ended = run_all(
                dealt(&indices(20), 3),
                wait_for_code,
                |part, news| {
                    for task in part {
                        news.tell(WorkerNews::Ran(task, Box::new(ran())));
                    }
                    Ok(())
                },
                || panic!("nothing failed"),
                &mut |task, _| {
                    taken.insert(task);
                    Ok(())
                },
            );
            assert_eq!(ended, Ok(()));
            assert_eq!(taken.len(), 20);
        }
    }

    #[test]
    fn others_begin_once_the_first_has_kept_its_code() {
        let (kept, at_work) = (AtomicBool::new(false), AtomicUsize::new(0));
        let ended = run_all(
            dealt(&indices(6), 3),
            true,
            |_, news| {
                if at_work.fetch_add(1, Ordering::SeqCst) == 0 {
                    kept.store(true, Ordering::SeqCst);
                    news.tell(WorkerNews::CodeKept);
                } else {
                    assert!(kept.load(Ordering::SeqCst));
                }
                Ok(())
            },
            || {},
            &mut |_, _| Ok(()),
        );
        assert_eq!((ended, at_work.into_inner()), (Ok(()), 3));
    }

    #[test]
    fn the_first_failure_stops_the_others() {
        let stopped = AtomicBool::new(false);
        let ended = run_all(
            dealt(&indices(4), 2),
            false,
            |part, news| {
                if part.contains(&TaskIndex(0)) {
                    return Err(NoResult::TimedOut { milliseconds: 1 });
                }
                // It goes on until it is stopped, or nobody listens any more.
                let again = || WorkerNews::Ran(TaskIndex(1), Box::new(ran()));
                while !stopped.load(Ordering::SeqCst) && news.tell(again()) {
                    std::hint::spin_loop();
                }
                Err(NoResult::Cancelled)
            },
            || stopped.store(true, Ordering::SeqCst),
            &mut |_, _| Ok(()),
        );
        assert_eq!(ended, Err(NoResult::TimedOut { milliseconds: 1 }));
        assert!(stopped.into_inner());
    }
}
