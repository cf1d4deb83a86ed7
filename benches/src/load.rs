//! Open-loop load over HTTP: each transaction has its time to be sent, whatever became of those before it, and is offered
//! once at that time, in turn to all nodes. What waits for a connection waits on its own account: latency counts from
//! the time at which it was due.
//!
//! Requests stand in lanes, such as the transfers of one account. A lane's requests go in order, but one that was refused
//! goes again at the lane's next turn, so that what follows it is not left behind; where no turn comes before the end,
//! it is sent again after it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::http::{HttpAnswer, HttpConnection};
use crate::process::{ProcessCost, peak_memory_mb};

/// Connections to each node: as many requests may await their answers. A node of ours takes 64 requests at once and refuses
/// the next.
const CONNECTIONS: usize = 48;
/// Connections to each node where a request may carry several transactions: what falls due meanwhile goes together.
const BATCH_CONNECTIONS: usize = 4;
/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(1);
/// Time between two looks at what still waits after the load.
const DRAIN_TICK: Duration = Duration::from_millis(250);
/// What a node counts as done a reader of its events may not have heard yet.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// The nodes under load.
pub trait Network: 'static {
    /// Follows what becomes final at a node.
    type Watcher: Watcher + 'static;

    /// Where each node answers HTTP.
    fn addresses(&self) -> &[SocketAddr];

    /// The processes of the nodes.
    fn pids(&self) -> Vec<u32>;

    /// The whole request that offers these transactions to a node.
    fn request(address: SocketAddr, transactions: &[&[u8]]) -> Vec<u8>;

    /// What the answer to such a request says of each of its transactions: `Err` with a short reason for a refusal. An
    /// answer that speaks of less gives less.
    fn verdicts(answer: &HttpAnswer, transactions: usize) -> Vec<Result<(), String>>;

    /// The path that tells how many transactions a node holds that are not final.
    const WAITING_PATH: &'static str;

    /// That number in its answer.
    fn waiting(answer: &HttpAnswer) -> Option<u64>;

    /// Begins to follow what becomes final at a node.
    fn subscribe(address: SocketAddr) -> impl Future<Output = io::Result<Self::Watcher>>;
}

/// Follows what becomes final at one node.
pub trait Watcher {
    /// What came next, in the node's own words: it is read after the measurement.
    fn next(&mut self) -> impl Future<Output = io::Result<Vec<u8>>>;
}

/// When how much is offered.
#[derive(Debug, Clone, Copy)]
pub struct LoadProfile {
    /// Transactions per second.
    pub rate: u32,
    /// Load before the measured time.
    pub warm_up: Duration,
    /// Load that is measured.
    pub length: Duration,
    /// How long after the load transactions may take to become final.
    pub drain: Duration,
    /// Most transactions that a request carries, at least 1: those that are due when a connection is free.
    pub batch: usize,
}

impl LoadProfile {
    /// The number of transactions of the whole load.
    pub fn transactions(&self) -> usize {
        let micros = (self.warm_up + self.length).as_micros() * u128::from(self.rate);
        usize::try_from(micros / 1_000_000).unwrap_or(usize::MAX)
    }
}

/// What is offered: transaction i stands in lane `i % lanes`, and lane l goes to node `l % nodes`.
#[derive(Debug)]
pub struct OfferedLoad {
    /// Their bytes as a request takes them, in the order in which their lanes have their turns.
    pub transactions: Vec<Vec<u8>>,
    /// The number of lanes, at least 1.
    pub lanes: usize,
}

/// What a node said, and when it was heard.
#[derive(Debug)]
pub struct Sight {
    /// When all of it was here.
    pub at: Instant,
    /// What was said.
    pub body: Vec<u8>,
}

/// What became of a load.
#[derive(Debug)]
pub struct LoadResult {
    /// For each transaction the time at which it was due, if a node accepted it.
    pub accepted: Vec<Option<Instant>>,
    /// Refusals of transactions that were due within the measured time, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// What each node said.
    pub sights: Vec<Vec<Sight>>,
    /// From the end of the warm-up to the end of the load; what was due or became final in it counts.
    pub measured: Range<Instant>,
    /// What the nodes' processes used in the measured time.
    pub cost: ProcessCost,
    /// Most memory that they held up to its end, in MiB.
    pub peak_memory_mb: u64,
}

/// Offers a load and follows the nodes until all that they accepted is final, or the time to drain is over.
pub async fn offer<N: Network>(
    network: &N,
    load: OfferedLoad,
    profile: LoadProfile,
) -> Result<LoadResult> {
    let local = LocalSet::new();
    local.run_until(drive(network, load, profile)).await
}

async fn drive<N: Network>(
    network: &N,
    load: OfferedLoad,
    profile: LoadProfile,
) -> Result<LoadResult> {
    let run = Rc::new(LoadRun::new(load, network.addresses().len()));
    let sights: Rc<RefCell<Vec<Vec<Sight>>>> = Rc::default();
    let mut tasks = JoinSet::new();
    for (node, address) in network.addresses().iter().enumerate() {
        sights.borrow_mut().push(Vec::new());
        let mut watcher = N::subscribe(*address)
            .await
            .with_context(|| format!("the events of {address}"))?;
        let sights = sights.clone();
        tasks.spawn_local(async move {
            loop {
                let body = watcher.next().await?;
                let at = Instant::now();
                sights.borrow_mut()[node].push(Sight { at, body });
            }
        });
        let connections = if profile.batch > 1 {
            BATCH_CONNECTIONS
        } else {
            CONNECTIONS
        };
        for _ in 0..connections {
            tasks.spawn_local(serve::<N>(run.clone(), node, *address, profile.batch));
        }
    }
    let start = Instant::now();
    let measured = start + profile.warm_up..start + profile.warm_up + profile.length;
    run.measured.replace(Some(measured.clone()));
    let pids = network.pids();
    let costs = async {
        sleep_until(measured.start.into()).await;
        let before = ProcessCost::of(&pids);
        sleep_until(measured.end.into()).await;
        (ProcessCost::of(&pids) - before, peak_memory_mb(&pids))
    };
    let load = async { tokio::join!(run.schedule(start, profile), costs) };
    let ((), (cost, peak_memory_mb)) = tokio::select! {
        done = load => done,
        Some(ended) = tasks.join_next() => return Err(ended_early(ended)),
    };
    tokio::select! {
        done = drain::<N>(network, &run, measured.end + profile.drain) => done?,
        Some(ended) = tasks.join_next() => return Err(ended_early(ended)),
    }
    tasks.shutdown().await;
    run.count_unsent();
    Ok(LoadResult {
        accepted: run.accepted.take(),
        refusals: run.refusals.take(),
        sights: sights.take(),
        measured,
        cost,
        peak_memory_mb,
    })
}

fn ended_early(ended: Result<io::Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    let error = match ended {
        Ok(Ok(())) => return anyhow::anyhow!("a connection ended"),
        Ok(Err(error)) => anyhow::Error::from(error),
        Err(error) => error.into(),
    };
    error.context("the events of a node ended during the load")
}

/// A lane's turn.
#[derive(Debug, Clone, Copy)]
struct LaneTurn {
    lane: usize,
    due: Instant,
}

#[derive(Debug, Default)]
struct Lane {
    /// Turns that took a new request.
    begun: usize,
    /// Requests that were refused and not taken since.
    again: BTreeSet<usize>,
    /// The last request that was accepted.
    accepted: Option<usize>,
}

#[derive(Debug)]
struct LoadRun {
    load: OfferedLoad,
    lanes: RefCell<Vec<Lane>>,
    /// For each node the turns whose time has come.
    due: Vec<RefCell<VecDeque<LaneTurn>>>,
    wake: Vec<Notify>,
    in_flight: Cell<usize>,
    accepted: RefCell<Vec<Option<Instant>>>,
    refusals: RefCell<BTreeMap<String, u64>>,
    measured: RefCell<Option<Range<Instant>>>,
}

impl LoadRun {
    fn new(load: OfferedLoad, nodes: usize) -> Self {
        let lanes = (0..load.lanes).map(|_| Lane::default()).collect();
        let accepted = vec![None; load.transactions.len()];
        Self {
            load,
            lanes: RefCell::new(lanes),
            due: (0..nodes).map(|_| RefCell::default()).collect(),
            wake: (0..nodes).map(|_| Notify::new()).collect(),
            in_flight: Cell::new(0),
            accepted: RefCell::new(accepted),
            refusals: RefCell::default(),
            measured: RefCell::default(),
        }
    }

    /// Gives each lane its turns at their times.
    async fn schedule(&self, start: Instant, profile: LoadProfile) {
        let (total, rate) = (self.load.transactions.len(), u128::from(profile.rate));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut next = 0;
        while next < total {
            tick.tick().await;
            let due = start.elapsed().as_micros() * rate / 1_000_000;
            let due = usize::try_from(due).unwrap_or(total).min(total);
            while next < due {
                let after = u64::try_from(next).unwrap_or(u64::MAX) * 1_000_000;
                let after = Duration::from_micros(after / u64::from(profile.rate));
                self.push(LaneTurn {
                    lane: next % self.load.lanes,
                    due: start + after,
                });
                next += 1;
            }
        }
    }

    fn push(&self, turn: LaneTurn) {
        let node = turn.lane % self.due.len();
        self.due[node].borrow_mut().push_back(turn);
        self.wake[node].notify_one();
    }

    /// The next turns at a node whose time has come, with their transactions; one at least has come.
    async fn turns(&self, node: usize, most: usize) -> Vec<(LaneTurn, usize)> {
        loop {
            let due: Vec<_> = {
                let mut due = self.due[node].borrow_mut();
                let count = due.len().min(most);
                due.drain(..count).collect()
            };
            if !due.is_empty() {
                let taken = due.into_iter();
                return taken
                    .filter_map(|turn| Some((turn, self.take(turn.lane)?)))
                    .collect();
            }
            self.wake[node].notified().await;
        }
    }

    /// The transaction that a lane's turn is for; none if all of the lane are on their way.
    fn take(&self, lane: usize) -> Option<usize> {
        let mut lanes = self.lanes.borrow_mut();
        let state = &mut lanes[lane];
        if let Some(again) = state.again.pop_first() {
            return Some(again);
        }
        let request = lane + state.begun * self.load.lanes;
        state.begun += 1;
        (request < self.load.transactions.len()).then_some(request)
    }

    fn note(&self, turn: LaneTurn, request: usize, verdict: Result<(), String>) {
        let lane = &mut self.lanes.borrow_mut()[turn.lane];
        match verdict {
            Ok(()) => {
                lane.accepted = lane.accepted.max(Some(request));
                self.accepted.borrow_mut()[request] = Some(turn.due);
            }
            Err(reason) => {
                lane.again.insert(request);
                self.refuse(turn, reason);
            }
        }
    }

    fn refuse(&self, turn: LaneTurn, reason: String) {
        let measured = self.measured.borrow();
        if measured
            .as_ref()
            .is_some_and(|time| time.contains(&turn.due))
        {
            *self.refusals.borrow_mut().entry(reason).or_default() += 1;
        }
    }

    /// Gives a turn to each lane whose refused request others wait behind; the number of these lanes.
    fn repeat_refused(&self, due: Instant) -> usize {
        let lanes = self.lanes.borrow();
        let behind = lanes.iter().enumerate().filter(|(_, lane)| {
            let first = lane.again.first();
            first.is_some_and(|first| lane.accepted.is_some_and(|accepted| *first < accepted))
        });
        let behind: Vec<_> = behind.map(|(lane, _)| lane).collect();
        drop(lanes);
        for lane in &behind {
            self.push(LaneTurn { lane: *lane, due });
        }
        behind.len()
    }

    fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && self.due.iter().all(|due| due.borrow().is_empty())
    }

    /// What no connection took before the end was refused by nobody, but not accepted either.
    fn count_unsent(&self) {
        for due in &self.due {
            for turn in due.take() {
                self.refuse(turn, "unsent".to_owned());
            }
        }
    }
}

/// One connection: takes turns and sends what they are for.
async fn serve<N: Network>(
    run: Rc<LoadRun>,
    node: usize,
    address: SocketAddr,
    batch: usize,
) -> io::Result<()> {
    let mut connection = None;
    loop {
        let turns = run.turns(node, batch).await;
        if turns.is_empty() {
            continue;
        }
        run.in_flight.set(run.in_flight.get() + 1);
        let bytes = |request: usize| run.load.transactions[request].as_slice();
        let payloads: Vec<_> = turns.iter().map(|(_, request)| bytes(*request)).collect();
        let answer = exchange(&mut connection, address, &N::request(address, &payloads)).await;
        run.in_flight.set(run.in_flight.get() - 1);
        let verdicts = match answer {
            Ok(answer) => N::verdicts(&answer, turns.len()),
            Err(error) => {
                connection = None;
                vec![Err(format!("connection: {}", error.kind())); turns.len()]
            }
        };
        let unsaid = std::iter::repeat(Err("not in the answer".to_owned()));
        for ((turn, request), verdict) in turns.into_iter().zip(verdicts.into_iter().chain(unsaid))
        {
            run.note(turn, request, verdict);
        }
    }
}

/// One exchange on a connection that is opened if there is none.
async fn exchange(
    connection: &mut Option<HttpConnection>,
    address: SocketAddr,
    request: &[u8],
) -> io::Result<HttpAnswer> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(HttpConnection::open(address).await?),
    };
    open.exchange(request).await
}

/// Waits until no node holds a transaction that is not final, and sends again what others wait behind.
async fn drain<N: Network>(network: &N, run: &LoadRun, deadline: Instant) -> Result<()> {
    let mut tick = interval(DRAIN_TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = 0;
    while quiet < 2 && Instant::now() < deadline {
        tick.tick().await;
        let mut waiting = 0;
        for address in network.addresses() {
            let path = crate::http::get(*address, N::WAITING_PATH);
            let answer = exchange(&mut None, *address, &path).await?;
            let Some(count) = N::waiting(&answer) else {
                bail!("{address} does not say how many transactions wait");
            };
            waiting += count;
        }
        let done = run.is_idle() && run.repeat_refused(Instant::now()) == 0 && waiting == 0;
        quiet = if done { quiet + 1 } else { 0 };
    }
    sleep_until((Instant::now() + LAST_EVENTS).into()).await;
    Ok(())
}
