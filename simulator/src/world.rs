//! The world of a run: hosts, network, customers, faults, and the queue of what happens next.

use std::collections::{BTreeMap, BTreeSet};

use consensus::Message;
use node::application;
use node::core::{Channel, Effect, Event, Frame, Setup, Target, Ticket};
use partner::core::Execution;
use state::{ChainStore, MemoryStore};
use types::hash::{BlobId, Hash32};
use types::number::{Height, ValidatorIndex};

use crate::genesis::{self, MemberKeys};
use crate::grid::Grid;
use crate::host::Host;
use crate::judge::{Judge, Violation};
use crate::liar::{Liar, Lie};
use crate::load::Load;
use crate::network::Network;
use crate::random::Random;
use crate::scenario::{CrashPoint, Fault, HostId, Scenario, host_members};
use crate::{Options, Report, show};

/// Time between two turns of the customers, in milliseconds.
const LOAD_EVERY_MS: u64 = 300;

/// Time between two turns of partners, in milliseconds.
const GRID_EVERY_MS: u64 = 120;

mod compute;

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    Arrive {
        host: HostId,
        from: ValidatorIndex,
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
    Fault(Fault),
    Load,
    Grid,
    Ran {
        partner: usize,
        life: u32,
        execution: Box<Execution>,
    },
    Asked {
        host: HostId,
        life: u32,
        blob: BlobId,
        from: ValidatorIndex,
    },
    Read {
        host: HostId,
        life: u32,
        blob: BlobId,
    },
}

/// Everything.
pub(crate) struct World {
    scenario: Scenario,
    options: Options,
    now_ms: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    hosts: Vec<Host>,
    members: Vec<Vec<HostId>>,
    network: Network,
    load: Load,
    grid: Option<Grid>,
    random: Random,
    judge: Judge,
    liar: Liar,
    keys: Vec<MemberKeys>,
    trace: blake3::Hasher,
    events: u64,
    frames: u64,
    /// Height that every honest host must reach once the faults are over.
    goal: Option<Height>,
}

impl World {
    pub(crate) fn new(scenario: Scenario, options: Options) -> Self {
        let mut random = Random::new(scenario.seed ^ 0x5eed);
        let chain = genesis::world(scenario.committee);
        let writes = vm::genesis_writes(&chain.genesis).expect("the simulation's genesis is valid");
        let store = MemoryStore::new(&chain.genesis, writes).expect("genesis gives a state");
        let twins = scenario.committee.twins();
        let mut members: Vec<Vec<HostId>> = chain.members.iter().map(|_| Vec::new()).collect();
        let mut hosts = Vec::new();
        for (host, member) in host_members(scenario.committee).into_iter().enumerate() {
            let setup = setup(&chain.genesis, &chain.members[member], options);
            hosts.push(Host::new(
                member,
                twins.contains(&member),
                setup,
                scenario.skew_ms[host],
                store.fork(),
            ));
            members[member].push(host);
        }
        let network = Network::new(&scenario, hosts.len(), random.split());
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
            random,
            judge: Judge::default(),
            liar: Liar::default(),
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

    /// Runs until the goal is reached, a promise is broken or patience ends.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            self.start(host)?;
        }
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now_ms = at;
            self.events += 1;
            self.happen(happening)?;
            if self.is_done() {
                return Ok(());
            }
            if self.now_ms > self.scenario.calm_at_ms + self.scenario.patience_ms {
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
        let honest = self.hosts.iter().filter(|host| !host.is_liar);
        let jobs = self.grid.as_ref().map_or(0, Grid::outstanding);
        self.load.outstanding() == 0
            && jobs == 0
            && honest.into_iter().all(|host| host.tip().height >= goal)
    }

    fn stuck(&self) -> Violation {
        let describe = |host: &Host| {
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
            Happening::Read { host, life, blob } => self.read(host, life, blob),
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
            self.event(
                host,
                Event::Submit {
                    ticket: Ticket(0),
                    transaction: Box::new(transaction),
                },
            )?;
        }
        Ok(())
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
        if let Event::Committed { height, .. } = event {
            let tip = self.hosts[host].tip();
            self.note("decided", host, &tip.root.0);
            if !self.hosts[host].is_liar {
                self.judge.decides(host, height, tip.block, tip.root)?;
                self.note_decided(host, height)?;
            }
        }
        let effects = self.hosts[host].step(self.now_ms, event);
        self.perform(host, effects)
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

    fn perform(&mut self, host: HostId, effects: Vec<Effect>) -> Result<(), Violation> {
        for effect in effects {
            match &mut self.hosts[host].fuse {
                Some(CrashPoint::Effects(0)) => {
                    self.crash(host);
                    return Ok(());
                }
                Some(CrashPoint::Effects(left)) => *left -= 1,
                Some(CrashPoint::Vote) | None => {}
            }
            let ends = self.hosts[host].fuse == Some(CrashPoint::Vote) && is_word(&effect);
            self.perform_one(host, effect)?;
            if ends {
                self.crash(host);
                return Ok(());
            }
        }
        Ok(())
    }

    fn perform_one(&mut self, host: HostId, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Persist(records) => {
                if let Err(why) = self.hosts[host].persist(&records) {
                    return self.stopped(host, why);
                }
            }
            Effect::Release(view) => {
                if let Err(why) = self.hosts[host].release(view) {
                    return self.stopped(host, why);
                }
            }
            Effect::Send { to, frame } => self.send(host, to, &frame)?,
            Effect::Work(work) => {
                let takes_ms = self.random.range(0, self.scenario.execution_ms);
                let at = self.hosts[host].queue(self.now_ms, *work, takes_ms);
                let life = self.hosts[host].life;
                self.later(at, Happening::Work { host, life });
            }
            Effect::Serve { to, request } => {
                let answer = application::serve(&self.hosts[host].store, request);
                match answer {
                    Ok(Some(message)) => {
                        self.send(host, Target::One(to), &Frame::consensus(&message))?
                    }
                    Ok(None) => {}
                    Err(error) => return self.stopped(host, error.to_string()),
                }
            }
            Effect::SetTimer(at) => {
                let life = self.hosts[host].life;
                self.hosts[host].timer = Some(at);
                self.later(
                    at.0,
                    Happening::Wake {
                        host,
                        life,
                        at_ms: at.0,
                    },
                );
            }
            Effect::Report { by, fault } => self.accused(host, by, &fault)?,
            Effect::Stop(stop) => return self.stopped(host, stop.to_string()),
            Effect::Blob(request) => self.blob(host, request),
            Effect::Answer { .. } => {}
        }
        Ok(())
    }

    fn accused(
        &self,
        by: HostId,
        accused: ValidatorIndex,
        fault: &consensus::Fault,
    ) -> Result<(), Violation> {
        let member = usize::from(accused.0);
        if self.hosts[by].is_liar || self.scenario.committee.twins().contains(&member) {
            return Ok(());
        }
        Err(Violation::FalseAccusation {
            by,
            member,
            fault: fault.to_string(),
        })
    }

    fn stopped(&mut self, host: HostId, why: String) -> Result<(), Violation> {
        if self.hosts[host].is_liar {
            self.crash(host);
            return Ok(());
        }
        Err(Violation::Stopped { host, why })
    }

    fn send(&mut self, from: HostId, to: Target, frame: &Frame) -> Result<(), Violation> {
        let member = self.hosts[from].member;
        let message = match frame.channel {
            Channel::Consensus => Message::from_bytes(&frame.bytes).ok(),
            Channel::Pool | Channel::Blobs => None,
        };
        let mut lie = Lie::Nothing;
        if let Some(message) = &message {
            self.liar.hear(message);
            if self.hosts[from].is_liar {
                let index = ValidatorIndex(u16::try_from(member).expect("a small committee"));
                lie = self.liar.instead_of(
                    message,
                    index,
                    &self.keys[member].validator,
                    &mut self.random,
                );
            } else {
                self.judge.says(member, message)?;
            }
        }
        let frame = match &lie {
            Lie::Nothing => frame,
            Lie::Instead(other) => other,
            Lie::Silence => return Ok(()),
        };
        let targets: Vec<usize> = match to {
            Target::One(target) => vec![usize::from(target.0)],
            Target::All { except } => (0..self.members.len())
                .filter(|target| except.is_none_or(|e| usize::from(e.0) != *target))
                .collect(),
        };
        let index = ValidatorIndex(u16::try_from(member).expect("a small committee"));
        for target in targets.into_iter().filter(|target| *target != member) {
            let Some(host) = self.route(from, target) else {
                continue;
            };
            self.frames += 1;
            for delay in self.network.carry(from, host) {
                self.later(
                    self.now_ms + delay,
                    Happening::Arrive {
                        host,
                        from: index,
                        frame: frame.clone(),
                    },
                );
            }
        }
        Ok(())
    }

    /// The host that a member's frames reach from a host: of a liar the one that shows this side its face.
    fn route(&self, from: HostId, member: usize) -> Option<HostId> {
        let side = self.network.side(from);
        let hosts = self.members.get(member)?;
        let lies = self.hosts[from].is_liar || hosts.len() > 1;
        hosts
            .iter()
            .copied()
            .find(|host| !lies || self.network.side(*host) == side)
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        if let Some(print) = self.options.print {
            print(&format!("{:>7} ms  {fault:?}", self.now_ms));
        }
        match fault {
            Fault::Crash { host, at } => {
                if self.hosts[host].is_up() {
                    self.hosts[host].fuse = Some(at);
                }
            }
            Fault::CutLog { host, bytes } => self.hosts[host].cut_log(bytes),
            Fault::Restart(host) => {
                if self.hosts[host].fuse != Some(CrashPoint::Vote) {
                    self.hosts[host].fuse = None;
                }
                self.start(host)?;
            }
            Fault::CrashAll => (0..self.hosts.len()).for_each(|host| self.crash(host)),
            Fault::RestartAll => {
                for host in 0..self.hosts.len() {
                    self.hosts[host].fuse = None;
                    self.start(host)?;
                }
            }
            Fault::Partition(groups) => self.network.split(groups),
            Fault::Heal => self.network.heal(),
        }
        if self.now_ms >= self.scenario.calm_at_ms {
            self.network.lose(self.scenario.loss_after);
        }
        Ok(())
    }

    fn crash(&mut self, host: HostId) {
        let torn = if self.random.chance(500) {
            self.random.index(200)
        } else {
            0
        };
        self.note("crash", host, &[]);
        self.hosts[host].crash(torn);
    }

    fn start(&mut self, host: HostId) -> Result<(), Violation> {
        if self.hosts[host].is_up() {
            return Ok(());
        }
        self.note("start", host, &[]);
        let effects = match self.hosts[host].start(self.now_ms) {
            Ok(effects) => effects,
            Err(why) => return self.stopped(host, why),
        };
        self.perform(host, effects)?;
        let own = self.hosts[host].member;
        let others: BTreeSet<_> = (0..self.members.len())
            .filter(|member| *member != own)
            .map(|member| ValidatorIndex(u16::try_from(member).expect("a small committee")))
            .collect();
        self.event(host, Event::Peers(others))
    }
}

/// True if the effect sends something that its sender is bound to from then on.
fn is_word(effect: &Effect) -> bool {
    let Effect::Send { frame, .. } = effect else {
        return false;
    };
    frame.channel == Channel::Consensus
        && matches!(
            Message::from_bytes(&frame.bytes),
            Ok(Message::Vote(_) | Message::Proposal(_))
        )
}

#[cfg(feature = "planted-bugs")]
fn planted(config: consensus::Config, options: Options) -> consensus::Config {
    match options.mutation {
        Some(mutation) => config.planted(mutation),
        None => config,
    }
}

#[cfg(not(feature = "planted-bugs"))]
fn planted(config: consensus::Config, _options: Options) -> consensus::Config {
    config
}

fn setup(genesis: &types::genesis::Genesis, keys: &MemberKeys, options: Options) -> Setup {
    let (validator, vrf) = (keys.validator.clone(), keys.vrf.clone());
    let mut setup = Setup::new(genesis, validator, vrf, Hash32([9; 32]))
        .expect("the keys are those of genesis");
    setup.consensus = planted(setup.consensus, options);
    setup
}
