//! A network of AvalancheGo nodes for one test, with gridproof as the VM of a subnet, and partners.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rpc::client::Client;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use testnet::devnet::process::{signal, wait_until};
use testnet::temporary::PortRange;

/// How long a partner gets to stop by itself.
const STOP_SECONDS: u64 = 20;

/// A program that scripts/avalanche-e2e builds.
fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run scripts/avalanche-e2e"))
        .into()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command to its end: its exit code, and standard output as JSON.
fn finish(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let code = output.status.code().unwrap_or(-1);
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    if code != 0 {
        eprintln!("{}\n{json}", String::from_utf8_lossy(&output.stderr));
    }
    (code, json)
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs gridproof with `--json`.
pub fn run(arguments: &[&str]) -> (i32, Value) {
    finish(spawn_gridproof(arguments))
}

fn spawn_gridproof(arguments: &[&str]) -> Child {
    let binary = env!("CARGO_BIN_EXE_gridproof");
    spawn(Command::new(binary).args(arguments).arg("--json"))
}

/// An account that nobody has the key of.
const RECEIVER: &str = "1111111111111111111111111111111111111111";

/// Sends so much to it.
fn spawn_send(key: &str, amount: u32, url: &str) -> Child {
    let amount = amount.to_string();
    spawn_gridproof(&[
        "wallet", "send", "--key", key, "--to", RECEIVER, "--amount", &amount, "--rpc", url,
    ])
}

/// The exit code of a command, or nothing if it is given up before.
fn wait_for(child: &mut Child, is_over: impl Fn() -> bool) -> Option<i32> {
    let mut code = None;
    wait_until(Duration::from_mins(2), || {
        code = child.try_wait().unwrap().and_then(|status| status.code());
        code.is_some() || is_over()
    });
    if code.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    code
}

/// Runs gridproof, which succeeds.
#[track_caller]
pub fn gridproof(arguments: &[&str]) -> Value {
    let (code, json) = run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {json}");
    json
}

/// A network that ends with the test, however it ends.
pub struct Network {
    folder: TempDir,
    partners: Vec<Child>,
    /// What the harness said last about nodes, chain and URLs.
    pub state: Value,
    runtime: tokio::runtime::Runtime,
    /// For the making of keys; and one such network at a time is enough for a machine.
    ports: PortRange,
}

impl Network {
    /// Starts nodes, creates the subnet and its chain, and starts partners that watch it.
    pub fn up(nodes: usize, partners: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut network = Self {
            folder,
            partners: Vec::new(),
            state: Value::Null,
            runtime: tokio::runtime::Runtime::new().unwrap(),
            ports: PortRange::take().unwrap(),
        };
        network.install();
        let made = network.path("net");
        let (many, some) = (nodes.to_string(), partners.to_string());
        let port = network.ports.base_port().to_string();
        let new = [
            "devnet",
            "new",
            "--dir",
            text(&made),
            "--validators",
            &many,
            "--partners",
            &some,
        ];
        gridproof(&[&new[..], &["--base-port", &port]].concat());
        let keys: Vec<_> = (0..nodes)
            .map(|node| format!("{}/validator-{node}/keys", made.display()))
            .collect();
        let (keys, genesis) = (keys.join(","), network.genesis());
        let config = network.write("chain.toml", "summary_interval = 8\n");
        let host = program("AVALANCHEGO");
        network.state = network.harness(&[
            "up",
            "--nodes",
            &many,
            "--vm",
            "gridproof",
            "--keys",
            &keys,
            "--avalanchego",
            text(&host),
            "--plugin-dir",
            text(&network.path("plugins")),
            "--genesis",
            text(&genesis),
            "--config",
            text(&config),
        ]);
        for partner in 0..partners {
            network.start_partner(partner, nodes);
        }
        network
    }

    /// Installs the plugin, as an operator does after an update too.
    pub fn install(&self) {
        let (host, plugins) = (program("AVALANCHEGO"), self.path("plugins"));
        gridproof(&[
            "avalanche",
            "install",
            "--avalanchego",
            text(&host),
            "--plugin-dir",
            text(&plugins),
        ]);
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the test's folder.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The chain's genesis.
    pub fn genesis(&self) -> PathBuf {
        self.path("net/genesis.bin")
    }

    /// Runs a command of the harness, which succeeds, and gives its answer.
    #[track_caller]
    pub fn harness(&self, arguments: &[&str]) -> Value {
        let (name, rest) = arguments.split_first().unwrap();
        let mut command = Command::new(program("AVALANCHE_HARNESS"));
        command
            .arg(name)
            .arg("--dir")
            .arg(self.path("avalanche"))
            .args(rest);
        let (code, json) = finish(spawn(&mut command));
        assert_eq!(code, 0, "{arguments:?}\n{}", self.last_words());
        json
    }

    /// URL of the chain behind the node of this number.
    pub fn url(&self, node: usize) -> &str {
        self.state["urls"][node].as_str().unwrap()
    }

    /// URLs of every node's chain, with commas between them.
    pub fn urls(&self) -> String {
        let urls: Vec<_> = self.state["urls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|url| url.as_str().unwrap())
            .collect();
        urls.join(",")
    }

    fn start_partner(&mut self, partner: usize, nodes: usize) {
        let dir = self.path(&format!("net/partner-{partner}"));
        let log = std::fs::File::create(dir.join("output.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridproof"));
        command.args(["partner", "start", "--dir", text(&dir)]);
        for offset in 0..nodes.min(3) {
            command.args(["--endpoint", self.url((partner + offset) % nodes)]);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.partners.push(command.spawn().unwrap());
    }

    /// A client of the chain behind the node of this number.
    pub fn client(&self, node: usize) -> Client {
        Client::new(self.url(node)).unwrap()
    }

    /// The height and the state root before it, as the node of this number has them; none if it does not answer.
    pub fn height(&self, node: usize) -> Option<u64> {
        let client = self.client(node);
        self.runtime
            .block_on(async { client.status().await.ok() })
            .map(|status| status.height.0)
    }

    /// Id of the block at a height on the node of this number.
    pub fn block(&self, node: usize, height: u64) -> Option<String> {
        let client = self.client(node);
        let selector = rpc::model::BlockSelector::Height(types::number::Height(height));
        let block = self
            .runtime
            .block_on(async { client.block(selector).await.ok() })?;
        Some(block.id.to_string())
    }

    /// Waits for a condition, or fails naming it.
    #[track_caller]
    pub fn wait(&self, what: &str, seconds: u64, mut condition: impl FnMut(&Self) -> bool) {
        let met = wait_until(Duration::from_secs(seconds), || condition(self));
        assert!(met, "no {what} within {seconds} s\n{}", self.last_words());
    }

    /// Waits until the node of this number is as far as another one was at the beginning, with the same blocks.
    #[track_caller]
    pub fn catches_up(&self, node: usize, with: usize) {
        let target = self.height(with).unwrap();
        self.wait(&format!("height {target} on node {node}"), 60, |net| {
            net.height(node) >= Some(target)
        });
        assert_eq!(
            self.block(node, target),
            self.block(with, target),
            "one chain"
        );
    }

    /// Runs a job to its end through these URLs, into a folder of this name; checks that it is settled and verified, now and
    /// offline.
    #[track_caller]
    pub fn job(&self, name: &str, urls: &str) -> Value {
        let (out, spec) = (self.path(name), histogram(&self.path("job")));
        let (customer, genesis) = (self.path("net/customer.key"), self.genesis());
        let done = run(&[
            "job",
            "run",
            text(&spec),
            "--rpc",
            urls,
            "--key",
            text(&customer),
            "--genesis",
            text(&genesis),
            "--out",
            text(&out),
        ]);
        assert_eq!(done.0, 0, "{}\n{}", done.1, self.last_words());
        assert_eq!(
            (&done.1["stage"], &done.1["verified"]),
            (&"settled".into(), &true.into())
        );
        let verified = self.verify(name, &[]);
        assert_eq!(verified["receipt"], done.1["receipt"]);
        done.1
    }

    /// Verifies the receipt and the outputs in a job's folder against the genesis.
    #[track_caller]
    fn verify(&self, name: &str, more: &[&str]) -> Value {
        let (out, genesis) = (self.path(name), self.genesis());
        let receipt = out.join("receipt.json");
        let (receipt, genesis, out) = (text(&receipt), text(&genesis), text(&out));
        let verify = ["job", "verify", "--receipt", receipt, "--genesis", genesis];
        gridproof(&[&verify[..], &["--outputs", out], more].concat())
    }

    /// Has the subnet's validators sign the state that shows a job's receipt, gathered by the node of this number; gives what was
    /// signed.
    #[track_caller]
    pub fn signed(&self, name: &str, node: usize) -> Value {
        let uri = self.state["nodes"][0]["uri"].as_str().unwrap();
        let chain = self.state["chain"].as_str().unwrap();
        let of_subnet = [
            "--avalanche",
            uri,
            "--chain",
            chain,
            "--rpc",
            self.url(node),
        ];
        self.verify(name, &of_subnet)["subnet"].clone()
    }

    /// Sends money to an account that nobody has the key of, through one URL; gives the transaction's id.
    #[track_caller]
    pub fn send(&self, url: &str) -> String {
        let customer = self.path("net/customer.key");
        let (code, sent) = finish(spawn_send(text(&customer), 1, url));
        assert_eq!(code, 0, "{sent}");
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Sends as [`Network::send`] while something else is done: the transfer is final in the end.
    #[track_caller]
    pub fn send_during(&mut self, node: usize, meanwhile: impl FnOnce(&mut Self)) {
        let customer = self.path("net/customer.key");
        let sending = spawn_send(text(&customer), 1, self.url(node));
        meanwhile(self);
        let (code, sent) = finish(sending);
        assert_eq!(code, 0, "{sent}");
    }

    /// What the node of this number says of its health, as text.
    pub fn health(&self, node: usize) -> (bool, String) {
        let status = self.harness(&["status", "--node", &node.to_string()]);
        let node = &status["nodes"][0];
        (node["healthy"] == true, node["checks"].to_string())
    }

    /// Money of the account that [`Network::send`] sends to, as the node of this number has it.
    pub fn sent(&self, node: usize) -> u128 {
        let url = self.url(node);
        let balance = gridproof(&["wallet", "balance", "--address", RECEIVER, "--rpc", url]);
        balance["balance"].as_str().unwrap().parse().unwrap()
    }

    /// Sends money through one URL, four transfers at a time, until `end` says so; gives how much became final. What was under way
    /// at the end is given up. Each of the four sends an amount of its own, for equal transfers of equal nonce are one.
    pub fn send_until(&self, url: &str, end: impl FnOnce(&AtomicU32)) -> u32 {
        let customer = self.path("net/customer.key");
        let (total, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
        let send_all = |amount: u32| {
            while !is_over.load(Ordering::SeqCst) {
                let mut child = spawn_send(text(&customer), amount, url);
                let code = wait_for(&mut child, || is_over.load(Ordering::SeqCst));
                if code == Some(0) {
                    total.fetch_add(amount, Ordering::SeqCst);
                }
            }
        };
        std::thread::scope(|scope| {
            let send_all = &send_all;
            for amount in 1..=4 {
                scope.spawn(move || send_all(amount));
            }
            let ended = catch_unwind(AssertUnwindSafe(|| end(&total)));
            is_over.store(true, Ordering::SeqCst);
            // Only now: the senders are waited for, whatever happened.
            if let Err(panic) = ended {
                resume_unwind(panic);
            }
        });
        total.into_inner()
    }

    /// The ends of all logs: nodes, their chains with the plugin's lines, and partners.
    pub fn last_words(&self) -> String {
        let mut shown = String::new();
        let mut left = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = left.pop() {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                // Databases have files of that ending too.
                let is_log = folder.ends_with("logs") || path.ends_with("output.log");
                if path.is_dir() {
                    left.push(path);
                } else if is_log {
                    let log = std::fs::read_to_string(&path).unwrap_or_default();
                    let mut lines: Vec<_> = log.lines().rev().take(8).collect();
                    lines.push(text(&path));
                    lines.reverse();
                    shown.push_str(&lines.join("\n"));
                    shown.push('\n');
                }
            }
        }
        shown
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        for partner in &self.partners {
            signal(partner.id(), Signal::TERM);
        }
        for partner in &mut self.partners {
            let ended = wait_until(Duration::from_secs(STOP_SECONDS), || {
                matches!(partner.try_wait(), Ok(Some(_)))
            });
            if !ended {
                let _ = partner.kill();
                let _ = partner.wait();
            }
        }
        if self.path("avalanche/network.json").exists() {
            let down = Command::new(program("AVALANCHE_HARNESS"))
                .args(["down", "--kill", "--dir"])
                .arg(self.path("avalanche"))
                .status();
            eprintln!("network down: {down:?}");
        }
    }
}

/// Writes a job over the histogram program into a folder and returns its spec.
fn histogram(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let module = types::testing::program_path(env!("CARGO_TARGET_TMPDIR"), "histogram");
    std::fs::copy(module, folder.join("histogram.wasm")).unwrap();
    let numbers: Vec<_> = (0..5_000u32)
        .map(|i| (f64::from(i * 7919 % 10_007) / 10_007.0).to_string())
        .collect();
    std::fs::write(folder.join("data.txt"), numbers.join("\n")).unwrap();
    let spec = folder.join("job.yaml");
    let text = "version: gridproof/v1\nname: e2e\nengine: {type: wasm, params: {module: histogram.wasm}}\n\
        inputs: [{source: data.txt, target: /in/data}]\noutputs: [{name: hist, path: /out/hist.csv}]\n\
        tasks: {array: 2}\nverification: {verifiers: 2, tasks: all}\n";
    std::fs::write(&spec, text).unwrap();
    spec
}
