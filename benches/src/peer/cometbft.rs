//! Four validators of CometBFT, tuned for latency and throughput, with its key-value store in process: transactions of
//! 256 bytes without signatures.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testnet::devnet::process::wait_until;
use testnet::temporary::PortRange;

use super::report::{PeerReport, Seen};
use super::websocket::WebSocket;
use crate::http::{self, HttpAnswer, HttpConnection};
use crate::load::{self, LoadProfile, LoadResult, Network, OfferedLoad, Watcher};
use crate::progress;

/// Validators of the network, one process each.
const NODES: u16 = 4;
/// Bytes of a transaction.
const TRANSACTION_BYTES: usize = 256;
/// Digits of a transaction's number: a multiple of 3, so that they are base64 digits of their own.
const NUMBER_DIGITS: usize = 12;
/// Time to the first blocks.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to end after the signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What is changed in each validator's configuration, by section.
const TUNED: &[(&str, &str, Setting)] = &[
    ("", "proxy_app", Setting::Text("kvstore")),
    ("", "log_level", Setting::Text("error")),
    ("p2p", "allow_duplicate_ip", Setting::Flag(true)),
    ("p2p", "addr_book_strict", Setting::Flag(false)),
    ("p2p", "pex", Setting::Flag(false)),
    ("p2p", "flush_throttle_timeout", Setting::Text("1ms")),
    ("p2p", "send_rate", Setting::Number(512_000_000)),
    ("p2p", "recv_rate", Setting::Number(512_000_000)),
    ("mempool", "recheck", Setting::Flag(false)),
    ("mempool", "size", Setting::Number(100_000)),
    ("mempool", "cache_size", Setting::Number(200_000)),
    ("mempool", "max_txs_bytes", Setting::Number(1 << 30)),
    ("consensus", "timeout_commit", Setting::Text("0s")),
    ("consensus", "timeout_propose", Setting::Text("2s")),
    (
        "consensus",
        "peer_gossip_sleep_duration",
        Setting::Text("5ms"),
    ),
    ("tx_index", "indexer", Setting::Text("null")),
];

#[derive(Debug, Clone, Copy)]
enum Setting {
    Text(&'static str),
    Flag(bool),
    Number(i64),
}

impl From<Setting> for toml::Value {
    fn from(setting: Setting) -> Self {
        match setting {
            Setting::Text(text) => text.into(),
            Setting::Flag(flag) => flag.into(),
            Setting::Number(number) => number.into(),
        }
    }
}

/// A running network, stopped when it is dropped.
pub struct Cometbft {
    nodes: Vec<Child>,
    addresses: Vec<SocketAddr>,
    _folder: tempfile::TempDir,
    _ports: PortRange,
}

impl Drop for Cometbft {
    fn drop(&mut self) {
        for node in &self.nodes {
            testnet::devnet::process::signal(node.id(), rustix::process::Signal::TERM);
        }
        wait_until(STOP_TIMEOUT, || {
            self.nodes
                .iter_mut()
                .all(|node| !matches!(node.try_wait(), Ok(None)))
        });
        for node in &mut self.nodes {
            // It may have ended by itself.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Cometbft {
    /// Makes and starts four validators; returns when each has two blocks.
    fn up(binary: &Path) -> Result<Self> {
        let (ports, folder) = (PortRange::take()?, tempfile::tempdir()?);
        let homes = make(binary, &folder.path().join("net"), ports.base_port())?;
        let mut network = Self {
            nodes: Vec::new(),
            addresses: (0..NODES)
                .map(|n| ([127, 0, 0, 1], ports.base_port() + 2 * n + 1).into())
                .collect(),
            _folder: folder,
            _ports: ports,
        };
        for home in homes {
            let log = std::fs::File::create(home.join("output.log"))?;
            let node = Command::new(binary)
                .args(["node", "--home"])
                .arg(&home)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?;
            network.nodes.push(node);
        }
        Ok(network)
    }

    async fn wait_for_blocks(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        for address in &self.addresses {
            loop {
                tick.tick().await;
                let status = ask(*address, "/status").await.unwrap_or_default();
                let height = &status["result"]["sync_info"]["latest_block_height"];
                if number(height).is_some_and(|height| height >= 2) {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "{address} has no blocks after {} s",
                    START_TIMEOUT.as_secs()
                );
            }
        }
        Ok(())
    }
}

/// Makes the homes of all validators below a folder.
fn make(binary: &Path, root: &Path, base_port: u16) -> Result<Vec<PathBuf>> {
    let mut testnet = Command::new(binary);
    testnet
        .args(["testnet", "--v", &NODES.to_string(), "--o"])
        .arg(root);
    for _ in 0..NODES {
        testnet.args(["--hostname", "127.0.0.1"]);
    }
    output(&mut testnet)?;
    let homes: Vec<_> = (0..NODES).map(|n| root.join(format!("node{n}"))).collect();
    let mut peers = Vec::new();
    for (home, n) in homes.iter().zip(0..) {
        let id = output(
            Command::new(binary)
                .args(["show-node-id", "--home"])
                .arg(home),
        )?;
        peers.push(format!("{}@127.0.0.1:{}", id.trim(), base_port + 2 * n));
    }
    for (home, n) in homes.iter().zip(0..) {
        let path = home.join("config/config.toml");
        let mut config: toml::Table = std::fs::read_to_string(&path)?.parse()?;
        let address = |port: u16| toml::Value::from(format!("tcp://127.0.0.1:{port}"));
        let peers = toml::Value::from(peers.join(","));
        set(&mut config, "p2p", "laddr", address(base_port + 2 * n))?;
        set(&mut config, "rpc", "laddr", address(base_port + 2 * n + 1))?;
        set(&mut config, "p2p", "persistent_peers", peers)?;
        for (section, key, setting) in TUNED {
            set(&mut config, section, key, (*setting).into())?;
        }
        std::fs::write(&path, toml::to_string(&config)?)?;
    }
    Ok(homes)
}

/// Changes a setting that exists: another version may name it otherwise, and would then not be tuned.
fn set(config: &mut toml::Table, section: &str, key: &str, value: toml::Value) -> Result<()> {
    let table = match section {
        "" => Some(config),
        section => config.get_mut(section).and_then(toml::Value::as_table_mut),
    };
    let setting = table.and_then(|table| table.get_mut(key));
    *setting.with_context(|| format!("CometBFT has no setting {section}.{key}"))? = value;
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts the validators, puts them under this load and stops them.
pub fn measure(
    runtime: &tokio::runtime::Runtime,
    binary: &Path,
    profile: LoadProfile,
) -> Result<PeerReport> {
    progress(&format!("cometbft at {}/s: starting", profile.rate));
    let network = Cometbft::up(binary)?;
    runtime.block_on(network.wait_for_blocks())?;
    let load = load(profile.transactions());
    progress(&format!("cometbft at {}/s: load", profile.rate));
    let result = runtime.block_on(load::offer(&network, load, profile))?;
    let seen = runtime.block_on(seen(&network, &result))?;
    PeerReport::new("cometbft", profile, &result, &seen)
}

/// Transaction n sets a key of its own: `n` in decimals, `=`, padding. Each is a whole call.
fn load(count: usize) -> OfferedLoad {
    let call = |n: usize| {
        let mut transaction = format!("{n:0NUMBER_DIGITS$}=").into_bytes();
        transaction.resize(TRANSACTION_BYTES, b'x');
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{{"tx":"{}"}}}}"#,
            base64(&transaction)
        );
        call.into_bytes()
    };
    OfferedLoad {
        transactions: (0..count).map(call).collect(),
        // Nothing follows another.
        lanes: count,
    }
}

/// What the answer to one call says.
fn verdict(status: u16, answer: &Value) -> Result<(), String> {
    let (result, error) = (&answer["result"], &answer["error"]["data"]);
    if status == 200 && result["code"] == 0 {
        return Ok(());
    }
    Err(format!("{status} {error} {}", result["code"]))
}

/// Reads the blocks of the load from the first node, and says when each node showed them.
async fn seen(network: &Cometbft, result: &LoadResult) -> Result<Seen> {
    let mut times = Vec::new();
    for sights in &result.sights {
        let mut at = BTreeMap::new();
        for sight in sights {
            let event: Value = serde_json::from_slice(&sight.body)?;
            let height = &event["result"]["data"]["value"]["header"]["height"];
            if let Some(height) = number(height) {
                at.insert(height, sight.at);
            }
        }
        times.push(at);
    }
    let heights = times.iter().flat_map(BTreeMap::keys);
    let (first, last) = (heights.clone().min(), heights.max());
    let (Some(first), Some(last)) = (first, last) else {
        anyhow::bail!("no node showed a block");
    };
    let mut seen = Seen {
        requests: vec![None; result.accepted.len()],
        blocks: times[0].values().copied().collect(),
    };
    for height in *first..=*last {
        let block = ask(network.addresses[0], &format!("/block?height={height}")).await?;
        let transactions = block["result"]["block"]["data"]["txs"].as_array();
        for transaction in transactions.into_iter().flatten() {
            let text = transaction.as_str().context("a transaction in base64")?;
            let request = request_of(text).context("a transaction of the load")?;
            let node = request % NODES as usize;
            if let Some(seen) = seen.requests.get_mut(request) {
                *seen = times[node].get(&height).copied();
            }
        }
    }
    Ok(seen)
}

/// The number of a transaction, from its base64 digits.
fn request_of(text: &str) -> Option<usize> {
    let mut number = 0;
    for group in text.as_bytes().get(..NUMBER_DIGITS / 3 * 4)?.chunks(4) {
        let bits = group.iter().try_fold(0_usize, |bits, digit| {
            let value = BASE64.iter().position(|known| known == digit)?;
            Some((bits << 6) | value)
        })?;
        for shift in [16, 8, 0] {
            let digit = ((bits >> shift) & 0xff).checked_sub(usize::from(b'0'));
            number = number * 10 + digit.filter(|digit| *digit < 10)?;
        }
    }
    Some(number)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            (bits << 8) | group.get(at).map_or(0, |byte| usize::from(*byte))
        });
        for at in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * at)) & 0x3f];
            text.push(if at <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

async fn ask(address: SocketAddr, path: &str) -> Result<Value> {
    let mut connection = HttpConnection::open(address).await?;
    let answer = connection.exchange(&http::get(address, path)).await?;
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Numbers of 64 bits stand in JSON as text.
fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

impl Network for Cometbft {
    type Watcher = Headers;

    fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(Child::id).collect()
    }

    fn request(address: SocketAddr, transactions: &[&[u8]]) -> Vec<u8> {
        let body = match transactions {
            [one] => one.to_vec(),
            // A batch of JSON-RPC: an array of calls, answered by an array in the same order.
            many => [b"[", many.join(&b","[..]).as_slice(), b"]"].concat(),
        };
        http::post(address, "/", "application/json", &body)
    }

    fn verdicts(answer: &HttpAnswer, transactions: usize) -> Vec<Result<(), String>> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match body.as_array() {
            Some(all) => all.iter().map(|one| verdict(answer.status, one)).collect(),
            None => vec![verdict(answer.status, &body); transactions],
        }
    }

    const WAITING_PATH: &'static str = "/num_unconfirmed_txs";

    fn waiting(answer: &HttpAnswer) -> Option<u64> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        number(&body["result"]["total"])
    }

    async fn subscribe(address: SocketAddr) -> io::Result<Headers> {
        let mut socket = WebSocket::open(address, "/websocket").await?;
        let subscription = r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='NewBlockHeader'"}}"#;
        socket.send(subscription).await?;
        // The answer to the subscription comes before its first event.
        socket.next().await?;
        Ok(Headers(socket))
    }
}

/// Headers of the blocks of a node.
pub struct Headers(WebSocket);

impl Watcher for Headers {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        self.0.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_known_by_its_digits() {
        assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
        assert_eq!(base64(b"any carnal pleasu"), "YW55IGNhcm5hbCBwbGVhc3U=");
        for n in [0, 7, 123_456_789_012] {
            let text = base64(format!("{n:0NUMBER_DIGITS$}=xxx").as_bytes());
            assert_eq!(request_of(&text), Some(n));
        }
        assert_eq!(request_of("YW55IGNhcm5hbA=="), None);
        assert_eq!(request_of("MDAw"), None);
    }
}
