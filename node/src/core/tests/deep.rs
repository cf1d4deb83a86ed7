//! What happens while many blocks are not in the store yet: because the store is slow, or because nothing became final
//! for long and then much at once.

use types::limits::{KEPT_HEIGHTS, MAX_BUILD_DEPTH};

use super::*;

impl Host {
    fn perform_one(&mut self, work: Work) -> Event {
        done(
            work.perform(self.node.rules().clone().as_ref(), &self.store)
                .unwrap(),
        )
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
    let Work::Commit { decision, .. } = work else {
        panic!("{work:?}")
    };
    decision.block.body.transactions.len() + decision.block.body.system.len()
}

#[test]
fn work_whose_state_is_no_longer_kept_is_done_again_on_the_state_there_is() {
    let kept = usize::try_from(KEPT_HEIGHTS).unwrap();
    for is_it in [
        |work: &Work| matches!(work, Work::Execute(_)),
        |work: &Work| matches!(work, Work::Build(_)),
    ] {
        let mut host = Host::of(1);
        let (commits, late) = host.run_ahead(kept + 1, is_it);
        let ahead = u64::try_from(commits.len()).unwrap();
        // As the worker does it: all commits, then what was asked for after them, which begins below what is kept.
        let events: Vec<_> = commits
            .into_iter()
            .map(|commit| host.perform_one(commit))
            .collect();
        let outrun = host.perform_one(late);
        assert!(
            matches!(outrun, Event::Chain(chain::Event::Done(Done::Outrun(_)))),
            "{outrun:?}"
        );
        events
            .into_iter()
            .chain([outrun])
            .for_each(|event| host.step(event));
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
    assert!(
        commits[..depth]
            .iter()
            .any(|commit| transactions_of(commit) > 0),
        "beacon outputs"
    );
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.work.push_front(late);
    let (more, late) = host.run_ahead(depth, build);
    commits.extend(more);
    // Two more: what is built on the block of the greatest depth that is filled is in the works at the border.
    assert!(
        commits[depth + 2..]
            .iter()
            .all(|commit| transactions_of(commit) == 0)
    );
    host.work.extend(commits);
    host.work.push_back(late);
    host.pass(3_000);
    assert!(
        host.store.transaction(&id).unwrap().is_some(),
        "once the store has caught up"
    );
    assert_eq!(host.stops(), [""; 0]);
}

/// Four validators, whose frames take a tick and whose workers do one piece of work in so many ticks.
struct Committee {
    hosts: Vec<Host>,
    frames: Vec<(usize, Event)>,
    now_ms: u64,
    outrun: usize,
}

const TICK_MS: u64 = 10;
const WORK_MS: u64 = 20;

impl Committee {
    fn new() -> Self {
        let mut hosts: Vec<_> = (1..=4).map(|number| Host::member(number, 4)).collect();
        hosts.sort_by_key(|host| host.node.id());
        let all: BTreeSet<_> = hosts.iter().map(|host| host.node.id()).collect();
        for host in &mut hosts {
            let own = host.node.id();
            host.step(Event::Chain(chain::Event::Peers(
                all.iter().copied().filter(|peer| *peer != own).collect(),
            )));
        }
        Self {
            hosts,
            frames: Vec::new(),
            now_ms: 0,
            outrun: 0,
        }
    }

    fn tick(&mut self, carries: impl Fn(&Frame) -> bool) {
        self.now_ms += TICK_MS;
        let mut frames = std::mem::take(&mut self.frames);
        let ids: Vec<_> = self.hosts.iter().map(|host| host.node.id()).collect();
        for (at, host) in self.hosts.iter_mut().enumerate() {
            host.now_ms = self.now_ms;
            for (_, event) in frames.extract_if(.., |(to, _)| *to == at) {
                host.step(event);
            }
            if host.timer.is_some_and(|due| due.0 <= self.now_ms) {
                host.timer = None;
                host.step(Event::Timer);
            }
            let works = self.now_ms.is_multiple_of(WORK_MS);
            if let Some(work) = host.work.pop_front_if(|_| works) {
                let event = host.perform_one(work);
                self.outrun += usize::from(matches!(
                    event,
                    Event::Chain(chain::Event::Done(Done::Outrun(_)))
                ));
                host.step(event);
            }
            let from = host.node.id();
            for effect in host
                .seen
                .extract_if(.., |effect| matches!(effect, Effect::Send { .. }))
            {
                let Effect::Send { to, frame, .. } = effect else {
                    continue;
                };
                let reaches = |peer: &ValidatorId| match to {
                    Destination::One(one) => *peer == one,
                    Destination::All { except } => *peer != from && Some(*peer) != except,
                };
                for (at, _) in ids
                    .iter()
                    .enumerate()
                    .filter(|(_, peer)| reaches(peer))
                    .filter(|_| carries(&frame))
                {
                    self.frames.push((
                        at,
                        Event::Frame {
                            from,
                            frame: frame.clone(),
                        },
                    ));
                }
            }
        }
    }

    fn depth(&self) -> u64 {
        self.hosts
            .iter()
            .map(|host| u64::try_from(host.node.chain.blocks().undecided()).unwrap())
            .min()
            .unwrap()
    }

    fn height(&self) -> u64 {
        self.hosts.iter().map(Host::height).min().unwrap()
    }
}

fn is_finalize_vote(frame: &Frame) -> bool {
    let Ok(consensus::Message::Vote(vote)) = consensus::Message::from_bytes(&frame.bytes) else {
        return false;
    };
    matches!(vote.statement.subject, Subject::Finalize { .. })
}

#[test]
fn a_committee_that_could_not_finalise_for_long_decides_it_all_at_once_and_goes_on() {
    let mut committee = Committee::new();
    let deep = 2 * KEPT_HEIGHTS;
    // Every block is certified, none is final: no vote for that arrives.
    while committee.depth() < deep {
        committee.tick(|frame| !is_finalize_vote(frame));
        assert!(
            committee.now_ms < 600_000,
            "blocks go on: {} deep",
            committee.depth()
        );
    }
    assert_eq!(committee.height(), 0);
    let transaction = transfer(&committee.hosts[0].genesis, 0);
    committee.hosts[0].submit(transaction.clone());
    let end = committee.now_ms + 60_000;
    while committee.height() < deep + 20 && committee.now_ms < end {
        committee.tick(|_| true);
    }
    let stops: Vec<_> = committee.hosts.iter().flat_map(Host::stops).collect();
    assert_eq!(stops, [""; 0]);
    assert!(
        committee.height() >= deep + 20,
        "height {}",
        committee.height()
    );
    assert!(
        committee.outrun > 0,
        "some work was outrun by the commits before it"
    );
    for host in &committee.hosts {
        let bodies = (MAX_BUILD_DEPTH + 1..=deep)
            .map(|height| host.store.block_at(Height(height)).unwrap().unwrap().body);
        assert_eq!(
            bodies
                .filter(|body| !body.system.is_empty() || !body.transactions.is_empty())
                .count(),
            0
        );
        assert!(host.store.transaction(&transaction.id()).unwrap().is_some());
    }
}
