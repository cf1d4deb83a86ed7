//! A validator of the engine alone: the real consensus core, p2p and vote log over an application that builds empty blocks
//! and finds every block valid at once, without a pace. What it notes of views goes into a file at its end.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use chain::Destination;
use consensus::log::{FileStorage, Identity, Log};
use consensus::{
    CommittedTip, Config, Effect, Effects, Event, Message, Recipients, Replica, Request, Restored,
    Timing, Verdict,
};
use node::core::gate::{GateVerdict, LogGate, RecordGroup};
use node::core::{Effect as NodeEffect, Frame};
use node::shell::log_thread::LogThread;
use p2p::{Channel, Multiaddr, PeerEvent};
use types::committee::{Committee, Validator};
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{Epoch, Height, Stake, Timestamp, View};
use types::params::Params;
use types::testing::empty_block;
use types::time::{Monotonic, Now};
use types::vote::Certificate;
use types::whole::WholeBlock;

use super::history::History;

const CHAIN: ChainId = ChainId(Hash32([7; 32]));
const GENESIS: BlockId = BlockId(Hash32([8; 32]));
const EPOCH: Epoch = Epoch(1);

/// One of the validators on loopback: keys and ports follow from its number.
#[derive(Debug, clap::Args)]
pub struct EngineValidator {
    /// Its number, from 0 on.
    number: u8,
    /// How many there are.
    validators: u8,
    /// The port of number 0.
    base_port: u16,
    /// Where its log and, at the end, its events lie.
    directory: PathBuf,
    /// How long it runs.
    seconds: u64,
}

impl EngineValidator {
    /// Runs it to its end.
    pub fn run(&self) -> Result<()> {
        // One thread for the loop and the connections, as in a node.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.drive())
    }

    async fn drive(&self) -> Result<()> {
        let committee = self.committee()?;
        let (network, mut peers) = p2p::start(self.p2p(&committee)?).await?;
        let (mut host, first) = self.host(committee, network)?;
        host.perform(first)?;
        let urgent = host.replica.step(host.now(), Event::Urgent(true));
        host.perform(urgent)?;
        let end = host.start + Duration::from_secs(self.seconds);
        let end = tokio::time::sleep_until(end.into());
        tokio::pin!(end);
        loop {
            let wake = host
                .timer
                .map(|at| host.start + Duration::from_millis(at.0));
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut end => break,
                group = host.log.progress() => host.synced(group?)?,
                Some(event) = peers.recv() => host.peer(event)?,
                () = timer => {
                    host.timer = None;
                    let effects = host.replica.step(host.now(), Event::Timer);
                    host.perform(effects)?;
                }
            }
        }
        let path = self.directory.join(format!("{}.events", self.number));
        std::fs::write(path, host.notes)?;
        Ok(())
    }

    fn key(number: u8, kind: u8) -> [u8; 32] {
        let mut seed = [kind; 32];
        seed[0] = number + 1;
        seed
    }

    fn committee(&self) -> Result<Committee> {
        let member = |number| {
            anyhow::Ok(Validator {
                key: SecretKey::from_bytes(&Self::key(number, 1)).public(),
                vrf_key: VrfSecretKey::from_bytes(&Self::key(number, 2))?.public(),
                node_key: SecretKey::from_bytes(&Self::key(number, 3)).public(),
                stake: Stake(1),
            })
        };
        let mut members = (0..self.validators)
            .map(member)
            .collect::<Result<Vec<_>>>()?;
        members.sort_by_key(|member| member.key);
        Ok(Committee::new(members)?)
    }

    fn p2p(&self, committee: &Committee) -> Result<p2p::Config> {
        let address = |number: u8| -> Result<Multiaddr> {
            let port = self.base_port + u16::from(number);
            Ok(format!("/ip4/127.0.0.1/tcp/{port}").parse()?)
        };
        let others = (0..self.validators).filter(|number| *number != self.number);
        Ok(p2p::Config {
            node_key: SecretKey::from_bytes(&Self::key(self.number, 3)),
            validator: Some(SecretKey::from_bytes(&Self::key(self.number, 1)).into()),
            chain_id: CHAIN,
            committee: committee.clone(),
            listen: vec![address(self.number)?],
            bootstrap: others.map(address).collect::<Result<_>>()?,
            external: Vec::new(),
            name: types::job::Name::default(),
            limits: p2p::Limits::default(),
        })
    }

    fn host(&self, committee: Committee, network: p2p::Handle) -> Result<(Host, Effects)> {
        let key = SecretKey::from_bytes(&Self::key(self.number, 1));
        let timing = Timing {
            pace_ms: 0,
            idle_target_ms: 0,
            ..Timing::new(&Params::devnet())
        };
        let identity = Identity {
            chain: CHAIN,
            validator: key.public(),
            epoch: EPOCH,
        };
        let directory = self.directory.join(format!("log-{}", self.number));
        Log::init(FileStorage::new(&directory)?, identity)?;
        let (log, records) = Log::open(FileStorage::new(&directory)?, identity)?;
        let config = Config::new(CHAIN, EPOCH, committee, key, GENESIS, timing)?;
        let restored = Restored {
            tip: CommittedTip {
                id: GENESIS,
                height: Height::ZERO,
                timestamp: Timestamp(0),
            },
            finalization: None,
            records,
        };
        let own = config.id();
        let start = Instant::now();
        let secret = SecretKey::generate()?;
        let secret = Hash32(*secret.to_bytes());
        let (replica, effects) = Replica::start(config, secret, now(start), restored)?;
        let host = Host {
            own,
            replica,
            log: LogThread::start(log, |_| ())?,
            gate: LogGate::default(),
            synced: RecordGroup::default(),
            committing: VecDeque::new(),
            network,
            start,
            timer: None,
            history: History::default(),
            notes: String::new(),
        };
        Ok((host, effects))
    }
}

/// The replica and what performs its effects.
struct Host {
    own: ValidatorId,
    replica: Replica,
    log: LogThread,
    gate: LogGate,
    /// The last records that the log synced.
    synced: RecordGroup,
    /// Final blocks, and the records that are on disk before they are committed.
    committing: VecDeque<(RecordGroup, WholeBlock, Option<Certificate>)>,
    network: p2p::Handle,
    start: Instant,
    timer: Option<Monotonic>,
    history: History,
    notes: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the rim: the core gets the time from here"
)]
fn unix() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn now(start: Instant) -> Now {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Now {
        monotonic: Monotonic(ms(start.elapsed())),
        unix: Timestamp(ms(unix())),
    }
}

impl Host {
    fn now(&self) -> Now {
        now(self.start)
    }

    fn peer(&mut self, event: PeerEvent) -> Result<()> {
        let PeerEvent::Frame { from, bytes, .. } = event else {
            return Ok(());
        };
        let message = Message::from_bytes(&bytes)?;
        let effects = self.replica.receive(self.now(), from, message);
        self.perform(effects)
    }

    /// Performs effects in their order, then what the application answers.
    fn perform(&mut self, effects: Effects) -> Result<()> {
        let mut answers = VecDeque::new();
        self.obey(effects, &mut answers)?;
        while let Some(answer) = answers.pop_front() {
            let effects = self.replica.step(self.now(), answer);
            self.obey(effects, &mut answers)?;
        }
        Ok(())
    }

    fn obey(&mut self, effects: Effects, answers: &mut VecDeque<Event>) -> Result<()> {
        for effect in effects {
            match effect {
                Effect::Persist(records) => self.pass(NodeEffect::Persist(records))?,
                Effect::Send { to, message } => self.send(&to, &message)?,
                Effect::Execute(block) => answers.push_back(Event::Executed {
                    block: block.id(),
                    verdict: Verdict::Valid { urgent: true },
                }),
                Effect::Propose {
                    view,
                    parent,
                    height,
                    timestamp,
                } => {
                    self.note('p', view);
                    let block = self.build(parent, height, timestamp);
                    answers.extend(block.map(|block| Event::Proposed { view, block }));
                }
                Effect::Commit {
                    block,
                    finalization,
                } => {
                    let group = self.gate.commits_after(finalization.is_some());
                    self.committing.push_back((group, block, finalization));
                    self.commit()?;
                }
                Effect::Serve { to, request } => self.serve(to, request, answers)?,
                Effect::SetTimer(at) => self.timer = Some(at),
                Effect::Report { by, fault } => crate::progress(&format!("{by} {fault}")),
                Effect::Ban { validator, .. } => anyhow::bail!("{validator} is banned"),
                Effect::Stop(halt) => return Err(halt.into()),
            }
        }
        Ok(())
    }

    /// As the node's shell does: what promises something waits for the log.
    fn pass(&mut self, effect: NodeEffect) -> Result<()> {
        match self.gate.pass(effect) {
            GateVerdict::Perform(effect) => self.leave(effect),
            GateVerdict::Append(group, records) => self.log.append(group, records)?,
            GateVerdict::Defer(group, records) => self.log.defer(group, records)?,
            GateVerdict::Waits => {}
        }
        Ok(())
    }

    fn synced(&mut self, group: RecordGroup) -> Result<()> {
        self.synced = group;
        for effect in self.gate.synced(group) {
            self.leave(effect);
        }
        self.commit()
    }

    /// Frames may be lost: the protocol repeats what matters.
    fn leave(&self, effect: NodeEffect) {
        let NodeEffect::Send { to, frame, .. } = effect else {
            return;
        };
        match to {
            Destination::One(to) => {
                let _ = self.network.send(to, Channel::Consensus, frame.bytes);
            }
            Destination::All { except } => {
                let _ = self
                    .network
                    .broadcast(Channel::Consensus, frame.bytes, except);
            }
        }
    }

    fn send(&mut self, to: &Recipients, message: &Message) -> Result<()> {
        let promise = message.promise(self.replica.position());
        let frame = Frame::consensus(message);
        let to: Vec<_> = match to {
            Recipients::All => vec![Destination::All { except: None }],
            Recipients::One(to) => vec![Destination::One(*to)],
            Recipients::Some(list) => list.iter().copied().map(Destination::One).collect(),
        };
        to.into_iter().try_for_each(|to| {
            self.pass(NodeEffect::Send {
                to,
                frame: frame.clone(),
                promise: promise.clone(),
            })
        })
    }

    fn serve(
        &mut self,
        to: ValidatorId,
        request: Request,
        answers: &mut VecDeque<Event>,
    ) -> Result<()> {
        let answer = self.history.answer(request);
        let bytes = answer.as_ref().map_or(0, |answer| answer.to_bytes().len());
        if let Some(answer) = &answer {
            self.send(&Recipients::One(to), answer)?;
        }
        let effects = self.replica.served(self.now(), to, bytes);
        self.obey(effects, answers)
    }

    fn build(&self, parent: BlockId, height: Height, timestamp: Timestamp) -> Option<WholeBlock> {
        WholeBlock::new(empty_block(CHAIN, parent, height, timestamp, self.own))
    }

    /// Commits what rests on no record that is not synced.
    fn commit(&mut self) -> Result<()> {
        while let Some((_, block, finalization)) = self
            .committing
            .pop_front_if(|(group, ..)| *group <= self.synced)
        {
            let view = finalization.as_ref().map(|proof| proof.statement.view);
            self.history.add(&block, finalization);
            if let Some(view) = view {
                self.note('f', view);
                self.log.release(view)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: char, view: View) {
        // Writing to a string does not fail.
        let _ = writeln!(self.notes, "{kind} {} {}", view.0, unix().as_nanos());
    }
}
