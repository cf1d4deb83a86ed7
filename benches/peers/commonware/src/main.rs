//! A validator of `commonware-consensus`, for `scripts/bench engine`: Simplex with ed25519 signatures, commonware's own
//! authenticated network and its journal on disk, over an application that proposes and accepts hashes at once.
//!
//! `commonware-peer NUMBER VALIDATORS BASE_PORT DIRECTORY SECONDS` runs validator NUMBER of VALIDATORS on loopback, its
//! journal below DIRECTORY, and ends after SECONDS with the file `NUMBER.events` there. A line is `p VIEW TIME` when it
//! proposed, or `f VIEW TIME` when it knew a finalization; TIME is in nanoseconds since the Unix epoch.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use commonware_actor::Feedback;
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{
    Config, Engine, Floor, ForwardPolicy, Plan, SkipBudget, SkipPolicy,
};
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_consensus::{Automaton, CertifiableAutomaton, Handoff, Relay, Reporter, Viewable};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{ChaCha20Poly1305, Hasher, Sha256, Signer as _};
use commonware_p2p::authenticated::lookup::{self, Network};
use commonware_p2p::{Address, AddressableManager as _};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::{self, CacheRef};
use commonware_runtime::{Clock as _, Quota, Runner as _, Supervisor as _, tokio};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::channel::oneshot;
use commonware_utils::ordered::{Map, Set};
use commonware_utils::{NZU32, NZUsize, NonZeroDuration, TryCollect as _};

/// Frames a second and peer on a channel. The crate's examples allow ten, which throttles an engine without a pace
/// silently; room is kept for as many messages, so that more would cost memory.
const FRAMES_PER_SECOND: u32 = 2_000;

/// What happened, by kind, view and time.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(char, u64, u128)>>>);

impl Events {
    fn note(&self, kind: char, view: u64) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push((kind, view, now.as_nanos()));
    }

    fn to_text(&self) -> String {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (kind, view, at) in events.iter() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{kind} {view} {at}");
        }
        text
    }
}

/// An application without content: a payload is the hash of its view.
#[derive(Clone)]
struct Empty(Events);

impl Empty {
    fn payload(&self, context: &Context<Digest, PublicKey>) -> Digest {
        let view = context.round.view().get();
        self.0.note('p', view);
        Sha256::hash(&[&view.to_be_bytes()])
    }
}

/// An answer that is there already.
fn answer<T>(value: T) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    // The receiver is alive: it is the next line.
    let _ = sender.send(value);
    receiver
}

impl Automaton for Empty {
    type Digest = Digest;
    type Context = Context<Digest, PublicKey>;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        answer(self.payload(&context))
    }

    async fn verify(&mut self, _: Self::Context, _: Digest) -> oneshot::Receiver<bool> {
        answer(true)
    }
}

impl CertifiableAutomaton for Empty {
    async fn prepare(&mut self, context: Self::Context) -> oneshot::Receiver<Handoff<Digest>> {
        let pipelined = std::env::var_os("COMMONWARE_PIPELINED").is_some();
        answer(if pipelined {
            Handoff::Vote(self.payload(&context))
        } else {
            Handoff::Wait
        })
    }
}

impl Relay for Empty {
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    /// A payload has no content that would have to travel.
    fn broadcast(&mut self, _: Digest, _: Self::Plan) -> Feedback {
        Feedback::Ok
    }
}

impl Reporter for Empty {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            self.0.note('f', finalization.view().get());
        }
        Feedback::Ok
    }
}

/// What the command line says.
struct Arguments {
    number: u64,
    validators: u64,
    base_port: u16,
    directory: PathBuf,
    seconds: u64,
}

impl Arguments {
    fn parse() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        Some(Self {
            number: words.next()?.parse().ok()?,
            validators: words.next()?.parse().ok()?,
            base_port: words.next()?.parse().ok()?,
            directory: words.next()?.into(),
            seconds: words.next()?.parse().ok()?,
        })
    }

    fn address(&self, number: u64) -> SocketAddr {
        let offset = u16::try_from(number).expect("few validators");
        (Ipv4Addr::LOCALHOST, self.base_port + offset).into()
    }
}

fn main() {
    let Some(arguments) = Arguments::parse() else {
        eprintln!("usage: commonware-peer NUMBER VALIDATORS BASE_PORT DIRECTORY SECONDS");
        std::process::exit(2);
    };
    let journal = arguments.directory.join(format!("journal-{}", arguments.number));
    let runtime = tokio::Config::new().with_storage_directory(journal);
    tokio::Runner::new(runtime).start(|context| run(context, arguments));
}

async fn run(context: tokio::Context, arguments: Arguments) {
    let own = PrivateKey::from_seed(arguments.number);
    let keys = (0..arguments.validators).map(|n| PrivateKey::from_seed(n).public_key());
    let committee: Set<PublicKey> = keys.clone().try_collect().expect("keys differ");
    let addresses: Vec<_> = keys
        .zip(0..)
        .map(|(key, n)| (key, Address::from(arguments.address(n))))
        .collect();
    let addresses: Map<PublicKey, Address> = addresses.try_into().expect("keys differ");
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: own.clone(),
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let network = lookup::Config::local(
        handshake,
        b"gridproof-bench-p2p",
        arguments.address(arguments.number),
        NZUsize!(4),
        64 << 10,
        NZUsize!(1024),
    );
    let (mut network, mut oracle) = Network::new(context.child("network"), network);
    oracle.track(0, addresses);
    let quota = Quota::per_second(NZU32!(FRAMES_PER_SECOND));
    let votes = network.register(0, quota);
    let certificates = network.register(1, quota);
    let resolver = network.register(2, quota);

    let events = Events::default();
    let application = Empty(events.clone());
    let config = Config {
        scheme: Scheme::signer(b"gridproof-bench", committee, own).expect("a member"),
        elector: RoundRobin::<Sha256>::default(),
        blocker: oracle,
        automaton: application.clone(),
        relay: application.clone(),
        reporter: application,
        track_historical_votes: false,
        strategy: Sequential,
        partition: "journal".to_owned(),
        mailbox_size: NZUsize!(1024),
        epoch: Epoch::zero(),
        floor: Floor::Genesis(Sha256::hash(&[b"genesis"])),
        replay_buffer: NZUsize!(1 << 20),
        write_buffer: NZUsize!(1 << 20),
        page_cache: CacheRef::new(paged::page_size(4096), NZUsize!(1_000)),
        leader_timeout: Duration::from_millis(250),
        certification_timeout: Duration::from_millis(500),
        timeout_retry: Duration::from_secs(1),
        view_retention: ViewDelta::new(10),
        skip: SkipPolicy::Enabled {
            timeout: Duration::from_secs(2),
            budget: SkipBudget::Participants,
        },
        fetch_timeout: NonZeroDuration::new_panic(Duration::from_millis(500)),
        fetch_retry_delay: Duration::from_millis(50),
        forward: ForwardPolicy::Disabled,
    };
    let engine = Engine::new(context.child("engine"), config);
    network.start();
    engine.start(votes, certificates, resolver);

    context.sleep(Duration::from_secs(arguments.seconds)).await;
    let path = arguments.directory.join(format!("{}.events", arguments.number));
    std::fs::write(path, events.to_text()).expect("the directory is the bench's own");
    // Its tasks would go on.
    std::process::exit(0);
}
