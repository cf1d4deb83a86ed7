//! Four validators over loopback, as an operator runs them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keys::keyfile::{self, KeyKind};
use keys::passphrase::Passphrases;
use light::Light;
use metrics::Heartbeat;
use node::config::{Config, Layout};
use node::{Listening, NodeError, NodeErrorKind, init};
use rpc::Client;
use rpc::model::{BlockSelector, TransactionStatus};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use types::account::Account;
use types::codec::{Text, decode};
use types::committee::Validator;
use types::genesis::{Genesis, GenesisAccount};
use types::hash::Hash32;
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce, SQUARE, Stake, Timestamp};
use types::params::Params;
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction, Transaction};

/// How long anything may take; far more than it does.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Stakes of which any one may be away.
const STAKES: [u64; 4] = [4, 3, 3, 3];

struct Running {
    listening: Listening,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), NodeError>>,
}

/// A network of four, each in its own directory.
struct Net {
    root: TempDir,
    genesis: Genesis,
    configs: Vec<Config>,
    running: Vec<Option<Running>>,
}

fn customer() -> SecretKey {
    SecretKey::from_bytes(&[77; 32])
}

#[expect(
    clippy::disallowed_methods,
    reason = "blocks are stamped with the time of this machine"
)]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

impl Net {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let mut validators = Vec::new();
        for (number, stake) in STAKES.iter().enumerate() {
            let keys =
                init::keys(&root.path().join(number.to_string()), &Passphrases::none()).unwrap();
            validators.push(Validator {
                key: keys.validator,
                vrf_key: keys.vrf,
                node_key: keys.node,
                stake: Stake(*stake),
            });
        }
        validators.sort_by_key(|validator| validator.key);
        let rich = GenesisAccount {
            address: customer().public().address(),
            balance: Amount(100 * SQUARE.0),
        };
        let genesis = Genesis {
            name: Text::new("loopback").unwrap(),
            time: now(),
            params: Params::devnet(),
            accounts: vec![rich],
            validators,
            partners: Vec::new(),
        };
        let mut net = Self {
            root,
            genesis,
            configs: Vec::new(),
            running: Vec::new(),
        };
        for number in 0..STAKES.len() {
            let mut config = Config::default();
            config.p2p.listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
            config.rpc.listen.set_port(0);
            init::init(
                &net.dir(number),
                &net.genesis,
                &config,
                &Passphrases::none(),
            )
            .unwrap();
            net.configs.push(config);
            net.running.push(None);
        }
        net
    }

    fn dir(&self, number: usize) -> PathBuf {
        self.root.path().join(number.to_string())
    }

    fn start(&mut self, runtime: &Runtime, number: usize) {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let (dir, mut config) = (self.dir(number), self.configs[number].clone());
        // The ports are whatever the system gave to those who run already.
        let running = self.running.iter().flatten();
        config.p2p.bootstrap = running
            .flat_map(|other| &other.listening.p2p)
            .map(ToString::to_string)
            .collect();
        let task = runtime.spawn(async move {
            let looked_at = AtomicBool::new(false);
            let shutdown = async {
                looked_at.store(true, Ordering::SeqCst);
                let _ = stopped.await;
            };
            let tell = |listening| {
                let looked_at = looked_at.load(Ordering::SeqCst);
                assert!(looked_at, "who is served may stop the node in good order");
                tell.send(listening).unwrap();
            };
            Box::pin(node::run_and_tell(
                &dir,
                config,
                Passphrases::none(),
                Heartbeat::default(),
                tell,
                shutdown,
            ))
            .await
        });
        let listening = runtime.block_on(async { tokio::time::timeout(TIMEOUT, told).await });
        let listening = listening.expect("it listens in time").expect("it starts");
        self.running[number] = Some(Running {
            listening,
            stop,
            task,
        });
    }

    /// Stops a node as SIGTERM would; it must end without an error.
    fn stop(&mut self, runtime: &Runtime, number: usize) {
        let running = self.running[number].take().unwrap();
        running.stop.send(()).unwrap();
        let ended = runtime.block_on(async { tokio::time::timeout(TIMEOUT, running.task).await });
        ended.expect("it stops in time").unwrap().unwrap();
    }

    fn client(&self, number: usize) -> Client {
        let running = self.running[number].as_ref().expect("it runs");
        Client::new(&format!("http://{}", running.listening.rpc)).unwrap()
    }
}

/// Looks again and again until there is something.
fn wait<T>(runtime: &Runtime, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} in time");
        }
    })
}

fn transfer(net: &Net, nonce: u64, to: u8) -> SignedTransaction {
    let sender = customer();
    Transaction {
        chain_id: net.genesis.chain_id(),
        sender: sender.public(),
        nonce: Nonce(nonce),
        valid_until: Height(5_000),
        fee: net.genesis.params.min_fee,
        action: Action::Transfer {
            to: SecretKey::from_bytes(&[to; 32]).public().address(),
            amount: SQUARE,
        },
    }
    .sign(&sender)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn reaches(runtime: &Runtime, client: &Client, height: u64) -> Height {
    wait(
        runtime,
        &format!("height {height} at {}", client.url()),
        async || {
            let status = client.status().await.ok()?;
            (status.height.0 >= height).then_some(status.height)
        },
    )
}

fn root_after(runtime: &Runtime, client: &Client, height: Height) -> Hash32 {
    let above = BlockSelector::Height(height.next());
    runtime
        .block_on(client.block(above))
        .unwrap()
        .header
        .parent_state_root
}

#[test]
fn four_validators_move_money_prove_it_and_one_comes_back() {
    let runtime = runtime();
    let mut net = Net::new();
    (0..4).for_each(|number| net.start(&runtime, number));
    let mut clients: Vec<_> = (0..4).map(|number| net.client(number)).collect();
    reaches(&runtime, &clients[0], 2);
    wait(&runtime, "ready node", async || {
        clients[1].ready().await.ok()
    });

    // Sent to one, seen by another, proven to somebody who trusts neither.
    let sent = runtime
        .block_on(clients[0].submit(&transfer(&net, 0, 9)))
        .unwrap();
    let height = wait(&runtime, "final transfer", async || {
        match clients[3].transaction(sent.id).await {
            Ok(TransactionStatus::Included {
                height, receipt, ..
            }) => {
                assert_eq!(receipt.failure, None);
                Some(height)
            }
            _ => None,
        }
    });
    let key = StateKey::Account(SecretKey::from_bytes(&[9; 32]).public().address());
    reaches(&runtime, &clients[2], height.0 + 2);
    let proof = runtime.block_on(clients[2].proof(&key)).unwrap();
    let light = Light::new(&net.genesis).unwrap();
    assert!(light.verify_value(&proof, &key).is_ok());
    let account: Account = decode(&proof.value.clone().unwrap(), 1_024).unwrap();
    assert_eq!(account.balance, SQUARE);

    // One goes; the others go on; it comes back to the same state.
    net.stop(&runtime, 3);
    let sent = runtime
        .block_on(clients[1].submit(&transfer(&net, 1, 9)))
        .unwrap();
    wait(
        &runtime,
        "final transfer without one validator",
        async || {
            matches!(
                clients[2].transaction(sent.id).await,
                Ok(TransactionStatus::Included { .. })
            )
            .then_some(())
        },
    );
    let Height(ahead) = runtime.block_on(clients[0].status()).unwrap().height;
    net.start(&runtime, 3);
    clients[3] = net.client(3);
    reaches(&runtime, &clients[3], ahead + 3);
    assert_eq!(
        root_after(&runtime, &clients[3], Height(ahead)),
        root_after(&runtime, &clients[0], Height(ahead))
    );
    (0..4).for_each(|number| net.stop(&runtime, number));
}

#[test]
fn a_directory_that_cannot_be_used_is_refused_with_its_reason() {
    let runtime = runtime();
    let mut net = Net::new();
    let start = |dir: &Path, config: &Config| {
        let run = node::run(
            dir,
            config.clone(),
            Passphrases::none(),
            Heartbeat::default(),
            std::future::pending(),
        );
        runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, run).await })
            .expect("refused at once")
            .unwrap_err()
    };
    net.start(&runtime, 0);
    let client = net.client(0);
    wait(&runtime, "live node", async || client.live().await.ok());
    let in_use = start(&net.dir(0), &net.configs[0]);
    assert!(
        in_use.kind() == NodeErrorKind::Storage && in_use.to_string().contains("in use"),
        "{in_use}"
    );

    // A copy of its keys in a directory of its own has a clean log, and would sign what this one does not know of.
    let twin = net.root.path().join("twin");
    init::keys(&twin, &Passphrases::none()).unwrap();
    let (own, copied) = (Layout::new(&net.dir(0)), Layout::new(&twin));
    for file in [Layout::validator_key, Layout::node_key, Layout::vrf_key] {
        std::fs::copy(file(&own), file(&copied)).unwrap();
    }
    init::init(&twin, &net.genesis, &net.configs[0], &Passphrases::none()).unwrap();
    let second = start(&twin, &net.configs[0]);
    assert_eq!(second.kind(), NodeErrorKind::SecondSigner, "{second}");

    let without_marker = net.dir(1);
    std::fs::remove_dir_all(Layout::new(&without_marker).log()).unwrap();
    let lost = start(&without_marker, &net.configs[1]);
    assert!(matches!(&lost, NodeError::NotInitialised(_)), "{lost}");
    // Nothing was made, so that `init` can complete it.
    init::init(
        &without_marker,
        &net.genesis,
        &net.configs[1],
        &Passphrases::none(),
    )
    .unwrap();
    std::fs::remove_dir_all(Layout::new(&without_marker).log()).unwrap();
    std::fs::create_dir(Layout::new(&without_marker).db()).unwrap();
    let lost = start(&without_marker, &net.configs[1]);
    assert!(matches!(&lost, NodeError::VoteLogGone { .. }), "{lost}");
    assert!(!Layout::new(&without_marker).log().exists());
    std::fs::create_dir(Layout::new(&without_marker).log()).unwrap();
    let empty = start(&without_marker, &net.configs[1]);
    assert!(
        matches!(&empty, NodeError::VoteLog(error) if error.to_string().contains("marker")),
        "{empty}"
    );

    let stranger = net.dir(2);
    let path = Layout::new(&stranger).validator_key();
    std::fs::remove_file(&path).unwrap();
    keyfile::create(&path, KeyKind::Validator).unwrap();
    let refused = start(&stranger, &net.configs[2]);
    assert_eq!(refused.kind(), NodeErrorKind::Config, "{refused}");

    let existing = init::init(
        &net.dir(3),
        &net.genesis,
        &net.configs[3],
        &Passphrases::none(),
    )
    .unwrap_err();
    assert!(matches!(existing, init::InitError::Exists(_)), "{existing}");
    net.stop(&runtime, 0);
}

#[test]
fn a_directory_that_a_crash_left_unfinished_is_completed_and_nothing_in_it_is_overwritten() {
    let net = Net::new();
    let (dir, layout) = (net.dir(0), Layout::new(&net.dir(0)));
    let init = || init::init(&dir, &net.genesis, &net.configs[0], &Passphrases::none());
    let beside = |path: PathBuf| PathBuf::from(format!("{}.new", path.display()));
    let again = || {
        std::fs::remove_dir_all(layout.log()).unwrap();
        assert!(matches!(init(), Ok(())));
        let left: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(
            left.iter()
                .all(|path| path.extension().is_none_or(|end| end != "new")),
            "{left:?}"
        );
        assert!(layout.log().join("00000000000000000000.log").exists());
    };
    // Before the log had its name: empty, or with a part of its marker.
    std::fs::create_dir(beside(layout.log())).unwrap();
    again();
    std::fs::create_dir(beside(layout.log())).unwrap();
    std::fs::write(
        beside(layout.log()).join("00000000000000000000.log"),
        [1, 2, 3],
    )
    .unwrap();
    again();
    // Before the files had theirs.
    std::fs::remove_file(layout.config()).unwrap();
    std::fs::write(beside(layout.config()), "[p2p").unwrap();
    again();
    std::fs::remove_file(layout.genesis()).unwrap();
    std::fs::write(beside(layout.genesis()), [1]).unwrap();
    again();
    // What is there and says something else stays.
    for path in [layout.genesis(), layout.config()] {
        std::fs::remove_dir_all(layout.log()).unwrap();
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(init(), Err(init::InitError::Differs(differs)) if differs == path));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::write(&path, before).unwrap();
        init().unwrap();
    }
}
