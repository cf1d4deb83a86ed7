//! The world of a run: hosts, network, customers, injected faults, and the queue of events by virtual time.

use std::collections::BTreeMap;

use chain::{BlobRequest, Done, Submission, Ticket};
use consensus::Message;
use node::core::{Event, Frame, FrameChannel, NodeSetup};
use partner::core::TaskExecution;
use state::{ChainStore, MemoryStore};
use types::hash::{BlobId, Hash32, TransactionId, ValidatorId};
use types::number::Height;

use crate::genesis::{self, MemberKeys};
use crate::grid::Grid;
use crate::host::{HostClock, SimulatedHost};
use crate::judge::{Judge, Violation};
use crate::liar::LiarMemory;
use crate::load::Load;
use crate::network::SimulatedNetwork;
use crate::random::SeededRandom;
use crate::scenario::{HostId, InjectedFault, Scenario};
use crate::{Report, RunOptions, show};

/// Time between two turns of the customers, in milliseconds.
const LOAD_EVERY_MS: u64 = 300;

/// Time between two turns of partners, in milliseconds.
const GRID_EVERY_MS: u64 = 120;

mod compute;
mod fault;
mod perform;
mod send;

/// An event of the queue.
#[derive(Debug)]
enum Happening {
    Arrive {
        host: HostId,
        from: ValidatorId,
        frame: Frame,
    },
    Wake {
        host: HostId,
        life: u32,
        at_ms: u64,
    },
    Work {
        host: HostId,
        life: u32,
    },
    Sync {
        host: HostId,
        life: u32,
    },
    Served {
        host: HostId,
        life: u32,
        to: ValidatorId,
        bytes: usize,
    },
    Fault(InjectedFault),
    Load,
    Grid,
    Ran {
        partner: usize,
        life: u32,
        execution: Box<TaskExecution>,
    },
    Asked {
        host: HostId,
        life: u32,
        blob: BlobId,
        from: ValidatorId,
    },
    Read {
        host: HostId,
        life: u32,
        list: BlobRequest,
    },
}

/// The whole state of a run.
pub(crate) struct World {
    scenario: Scenario,
    options: RunOptions,
    now_ms: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    hosts: Vec<SimulatedHost>,
    members: Vec<Vec<HostId>>,
    network: SimulatedNetwork,
    load: Load,
    grid: Option<Grid>,
    /// How often each transaction of a partner or customer was sent.
    tries: BTreeMap<TransactionId, usize>,
    random: SeededRandom,
    judge: Judge,
    liars: LiarMemory,
    keys: Vec<MemberKeys>,
    /// The members' ids, in the committee's order.
    ids: Vec<ValidatorId>,
    trace: blake3::Hasher,
    events: u64,
    frames: u64,
    /// Height that every honest host must reach once the faults are over.
    goal: Option<Height>,
}

impl World {
    pub(crate) fn new(scenario: Scenario, options: RunOptions) -> Self {
        let mut random = SeededRandom::new(scenario.seed ^ 0x5eed);
        let chain = genesis::world(&scenario.committee.stakes);
        let writes = vm::genesis_writes(&chain.genesis).expect("the simulation's genesis is valid");
        let store = MemoryStore::new(&chain.genesis, writes).expect("genesis gives a state");
        let mut members: Vec<Vec<HostId>> = chain.members.iter().map(|_| Vec::new()).collect();
        let mut hosts = Vec::new();
        for (host, member) in scenario.committee.host_members().into_iter().enumerate() {
            let setup = setup(&chain.genesis, &chain.members[member]);
            hosts.push(SimulatedHost::new(
                member,
                scenario.committee.liars.get(&member).copied(),
                setup,
                HostClock {
                    skew_ms: scenario.skew_ms[host],
                    drift_ppm: scenario.drift_ppm[host],
                },
                store.fork(),
            ));
            members[member].push(host);
        }
        let network = SimulatedNetwork::new(&scenario, hosts.len(), random.split());
        let fee = chain.genesis.params.min_fee;
        let load = Load::new(
            chain.genesis.chain_id(),
            fee,
            chain.customers,
            scenario.transfers,
        );
        let grid = scenario
            .jobs
            .then(|| Grid::new(&chain.genesis, chain.partners, chain.job_customer));
        let committee = chain.genesis.committee().expect("its members differ");
        let mut world = Self {
            options,
            now_ms: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            hosts,
            members,
            network,
            load,
            grid,
            tries: BTreeMap::new(),
            random,
            judge: Judge::new(chain.genesis.chain_id(), committee),
            liars: LiarMemory::default(),
            ids: chain
                .members
                .iter()
                .map(|keys| keys.validator.public().validator_id())
                .collect(),
            keys: chain.members,
            trace: blake3::Hasher::new(),
            events: 0,
            frames: 0,
            goal: None,
            scenario,
        };
        for (at, fault) in world.scenario.faults.clone() {
            world.later(at, Happening::Fault(fault));
        }
        world.later(1, Happening::Load);
        if world.grid.is_some() {
            world.later(2, Happening::Grid);
        }
        world
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            trace: self.trace.finalize().to_hex().to_string(),
            events: self.events,
            virtual_ms: self.now_ms,
            height: self.judge.height(),
            frames: self.frames,
        }
    }

    fn later(&mut self, at_ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue
            .insert((at_ms.max(self.now_ms), self.sequence), happening);
    }

    fn note(&mut self, what: &str, host: HostId, bytes: &[u8]) {
        let host = u64::try_from(host).unwrap_or(u64::MAX);
        self.trace
            .update(&self.now_ms.to_le_bytes())
            .update(&host.to_le_bytes());
        self.trace
            .update(what.as_bytes())
            .update(&[0])
            .update(bytes);
    }

    /// Runs until the goal is reached, a promise is broken or the time limit is over.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            self.start(host)?;
        }
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now_ms = at;
            self.events += 1;
            self.happen(happening)?;
            if self.now_ms > self.scenario.calm_at_ms {
                self.judge.calms();
            }
            if self.is_done() {
                return self.judge.ends();
            }
            if self.now_ms > self.scenario.calm_at_ms + self.scenario.timeout_ms {
                return Err(self.stuck());
            }
        }
        Err(self.stuck())
    }

    fn is_done(&mut self) -> bool {
        if self.now_ms <= self.scenario.calm_at_ms {
            return false;
        }
        let goal = *self
            .goal
            .get_or_insert(Height(self.judge.height().0 + self.scenario.blocks_after));
        let honest = self.hosts.iter().filter(|host| host.is_honest());
        let jobs = self.grid.as_ref().map_or(0, Grid::outstanding);
        self.load.outstanding() == 0
            && jobs == 0
            && honest.into_iter().all(|host| host.tip().height >= goal)
    }

    fn stuck(&self) -> Violation {
        let describe = |host: &SimulatedHost| {
            let view = host.node().map_or(0, |node| node.standing().view.0);
            format!(
                "member {} at height {} in view {view}",
                host.member,
                host.tip().height
            )
        };
        let hosts: Vec<_> = self.hosts.iter().map(describe).collect();
        let outstanding = self.load.outstanding();
        let jobs = self
            .grid
            .as_ref()
            .map_or_else(String::new, |grid| grid.describe(&self.hosts[0].store));
        let hosts = hosts.join(", ");
        Violation::Stuck(format!(
            "{outstanding} transfers wait, the goal is {:?}; {hosts}; {jobs}",
            self.goal
        ))
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Arrive { host, from, frame } => {
                self.note("frame", host, &frame.bytes);
                self.judge_frame(host, from, &frame)?;
                self.event(host, Event::Frame { from, frame })
            }
            Happening::Wake { host, life, at_ms } => {
                let running = &mut self.hosts[host];
                let is_due = running.timer.is_some_and(|timer| timer.0 == at_ms);
                if running.life != life || !is_due {
                    return Ok(());
                }
                running.timer = None;
                self.note("timer", host, &[]);
                self.event(host, Event::Timer)
            }
            Happening::Work { host, life } => {
                if self.hosts[host].life != life {
                    return Ok(());
                }
                match self.hosts[host].work() {
                    None => Ok(()),
                    Some(Ok(event)) => self.event(host, event),
                    Some(Err(why)) => self.stopped(host, why),
                }
            }
            Happening::Served {
                host,
                life,
                to,
                bytes,
            } => {
                if self.hosts[host].life != life {
                    return Ok(());
                }
                self.event(host, Event::Served { to, bytes })
            }
            Happening::Sync { host, life } if self.hosts[host].life == life => self.synced(host),
            Happening::Sync { .. } => Ok(()),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Grid => {
                self.later(self.now_ms + GRID_EVERY_MS, Happening::Grid);
                self.grid_turn()
            }
            Happening::Ran {
                partner,
                life,
                execution,
            } => {
                let Some(grid) = &mut self.grid else {
                    return Ok(());
                };
                let wishes = grid.ran(partner, life, *execution, &mut self.random);
                self.fulfil(wishes)
            }
            Happening::Asked {
                host,
                life,
                blob,
                from,
            } => self.asked(host, life, blob, from),
            Happening::Read { host, life, list } => self.read(host, life, &list),
            Happening::Load => {
                self.later(self.now_ms + LOAD_EVERY_MS, Happening::Load);
                self.send_load()
            }
        }
    }

    fn send_load(&mut self) -> Result<(), Violation> {
        let host = self.random.index(self.hosts.len());
        if !self.hosts[host].is_up() {
            return Ok(());
        }
        for transaction in self.load.send(&mut self.random) {
            self.note("submit", host, &transaction.id().0.0);
            self.chain_event(
                host,
                chain::Event::Submit(vec![Submission {
                    ticket: Ticket(0),
                    transactions: vec![transaction],
                }]),
            )?;
        }
        Ok(())
    }

    fn chain_event(&mut self, host: HostId, event: chain::Event) -> Result<(), Violation> {
        self.event(host, Event::Chain(event))
    }

    fn event(&mut self, host: HostId, event: Event) -> Result<(), Violation> {
        if let Some(print) = self.options.print
            && let Some(what) = show::event(&event)
        {
            let view = self.hosts[host]
                .node()
                .map_or(0, |node| node.standing().view.0);
            print(&format!(
                "{:>7} ms  host {host} (view {view})  {what}",
                self.now_ms
            ));
        }
        if let Event::Chain(chain::Event::Done(Done::Committed { decision, .. })) = &event {
            let height = decision.diff.height;
            let tip = self.hosts[host].tip();
            self.note("decided", host, &tip.root.0);
            if self.hosts[host].is_honest() {
                self.judge.decides(host, height, tip.block, tip.root)?;
                self.note_decided(host, height)?;
            }
        }
        let effects = self.hosts[host].step(self.now_ms, event);
        self.perform(host, effects)
    }

    /// What a liar tells an honest host counts as shown, if it proves itself.
    fn judge_frame(
        &mut self,
        host: HostId,
        from: ValidatorId,
        frame: &Frame,
    ) -> Result<(), Violation> {
        let lies = self
            .scenario
            .committee
            .liars
            .contains_key(&self.member_of(from));
        if !lies || !self.hosts[host].is_honest() || frame.channel != FrameChannel::Consensus {
            return Ok(());
        }
        match Message::from_bytes(&frame.bytes) {
            Ok(Message::Proposal(proposal)) => self.judge.hears(&proposal),
            Ok(Message::Vote(vote)) => self.judge.hears_vote(&vote),
            _ => Ok(()),
        }
    }

    fn note_decided(&mut self, host: HostId, height: Height) -> Result<(), Violation> {
        let store = &self.hosts[host].store;
        if let Ok(Some(block)) = store.block_at(height) {
            self.load.decided(&block);
        }
        match &mut self.grid {
            Some(grid) => grid
                .decided(store)
                .map_err(|unsettled| Violation::Job(unsettled.0)),
            None => Ok(()),
        }
    }

    fn accused(
        &self,
        by: HostId,
        accused: ValidatorId,
        fault: &consensus::Fault,
    ) -> Result<(), Violation> {
        let member = self.member_of(accused);
        let lies = self.scenario.committee.liars.contains_key(&member);
        if !self.hosts[by].is_honest() || lies {
            return Ok(());
        }
        Err(Violation::FalseAccusation {
            by,
            member,
            fault: fault.to_string(),
        })
    }

    /// The position of a member.
    fn member_of(&self, id: ValidatorId) -> usize {
        let position = self.ids.iter().position(|known| *known == id);
        position.expect("hosts know members only")
    }

    fn stopped(&mut self, host: HostId, why: String) -> Result<(), Violation> {
        if !self.hosts[host].is_honest() {
            self.crash(host);
            return Ok(());
        }
        Err(Violation::Stopped { host, why })
    }
}

fn setup(genesis: &types::genesis::Genesis, keys: &MemberKeys) -> NodeSetup {
    let (validator, vrf) = (keys.validator.clone(), keys.vrf.clone());
    NodeSetup::new(genesis, validator, vrf, Hash32([9; 32])).expect("the keys are those of genesis")
}
