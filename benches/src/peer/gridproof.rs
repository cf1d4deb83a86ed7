//! Four validators of this project under load: a devnet whose genesis has as many accounts as it can hold, so that each
//! transfer has an account of its own, or one whose transfer before is seconds ago.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result};
use rpc::model::{Event, EventPage, Status, SubmitResult, SubmittedBatch};
use testnet::devnet::plan::DevnetOptions;
use testnet::devnet::{Devnet, ProcessRole};
use testnet::temporary::TemporaryDevnet;
use types::codec::encode;
use types::genesis::GenesisAccount;
use types::hash::{Address, TransactionId};
use types::key::SecretKey;
use types::limits::MAX_VALIDITY_HEIGHTS;
use types::number::{Amount, Height, Nonce, SQUARE};
use types::transaction::{Action, SignedTransaction, Transaction};

use super::report::{PeerReport, Seen};
use crate::http::{self, HttpAnswer, HttpConnection};
use crate::load::{self, LoadProfile, LoadResult, Network, OfferedLoad, Watcher};
use crate::network::binary;
use crate::progress;

/// Accounts in the genesis, a multiple of 4 so that each has its node: a mebibyte holds few more.
const ACCOUNTS: usize = 28_000;

/// Accounts with money from the start.
pub struct Funded {
    keys: Vec<SecretKey>,
}

impl Funded {
    /// The same accounts every time.
    pub fn new() -> Self {
        let key = |n: usize| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            seed[8] = 1;
            SecretKey::from_bytes(&seed)
        };
        Self {
            keys: (0..ACCOUNTS).map(key).collect(),
        }
    }

    /// How many there are.
    pub fn count() -> usize {
        ACCOUNTS
    }

    fn genesis(&self) -> impl Iterator<Item = GenesisAccount> {
        self.keys.iter().map(|key| GenesisAccount {
            address: key.public().address(),
            balance: Amount(1_000 * SQUARE.0),
        })
    }
}

/// A devnet under load.
pub struct Gridproof {
    /// Stops when it is dropped.
    pub net: TemporaryDevnet,
    /// Where the validators under load answer.
    pub addresses: Vec<SocketAddr>,
}

impl Gridproof {
    /// Makes and starts a devnet of so many validators with funded accounts, with a pace of its own or a devnet's.
    pub fn up(validators: u16, funded: &Funded, pace_ms: Option<u64>) -> Result<Self> {
        let mut net = TemporaryDevnet::make(|root, base_port| {
            let options = DevnetOptions {
                validators,
                partners: 0,
                base_port,
            };
            Devnet::create_with(root, &options, |genesis| {
                let pace_ms = pace_ms.unwrap_or(genesis.params.pace_ms);
                genesis.params.pace_ms = pace_ms;
                genesis.accounts.extend(funded.genesis());
                genesis.accounts.sort_by_key(|account| account.address);
            })
        })?;
        net.run(&binary()?, |_| {
            // All load comes from one address, which would get half of a node's places.
            let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            vec![
                set("GRIDPROOF_LOG", "warn"),
                set("GRIDPROOF_RPC__ADDRESS_PERCENT", "100"),
            ]
        })?;
        let addresses = net.devnet.manifest.rpc.iter().map(|url| {
            let address = url.strip_prefix("http://").unwrap_or(url);
            address.parse().context("a devnet's own address")
        });
        let addresses = addresses.collect::<Result<_>>()?;
        Ok(Self { net, addresses })
    }

    /// So many signed transfers, by accounts in turn from the first given on, and the load that they are. The accounts are as many
    /// times the number of validators as there are, so that each sends to one of them.
    pub fn transfers(
        &self,
        funded: &Funded,
        first_account: usize,
        count: usize,
    ) -> (Vec<SignedTransaction>, OfferedLoad) {
        let keys = &funded.keys[first_account..];
        let keys = &keys[..keys.len() / self.addresses.len() * self.addresses.len()];
        let chain_id = self.net.devnet.manifest.chain_id;
        let transfer = |i: usize| {
            let key = &keys[i % keys.len()];
            let transaction = Transaction {
                chain_id,
                sender: key.public(),
                nonce: Nonce(u64::try_from(i / keys.len()).unwrap_or(u64::MAX)),
                // Signed while the chain has its first blocks.
                valid_until: Height(MAX_VALIDITY_HEIGHTS),
                fee: Amount(SQUARE.0 / 1_000),
                action: Action::Transfer {
                    to: Address([9; 20]),
                    amount: Amount(1),
                },
            };
            transaction.sign(key)
        };
        let signed: Vec<_> = (0..count).map(transfer).collect();
        let transactions = signed.iter().map(encode).collect();
        let lanes = keys.len();
        let load = OfferedLoad {
            transactions,
            lanes,
        };
        (signed, load)
    }
}

/// Starts the validators, puts them under this load and stops them.
pub fn measure(
    runtime: &tokio::runtime::Runtime,
    profile: LoadProfile,
    pace_ms: Option<u64>,
) -> Result<PeerReport> {
    let funded = Funded::new();
    progress(&format!("gridproof at {}/s: starting", profile.rate));
    let network = Gridproof::up(4, &funded, pace_ms)?;
    let (signed, load) = network.transfers(&funded, 0, profile.transactions());
    progress(&format!("gridproof at {}/s: load", profile.rate));
    let result = runtime.block_on(load::offer(&network, load, profile))?;
    let seen = seen(&network, &signed, &result)?;
    PeerReport::new("gridproof", profile, &result, &seen)
}

fn seen(network: &Gridproof, signed: &[SignedTransaction], result: &LoadResult) -> Result<Seen> {
    let requests: BTreeMap<TransactionId, usize> = signed
        .iter()
        .enumerate()
        .map(|(i, signed)| (signed.id(), i))
        .collect();
    let mut seen = Seen {
        requests: vec![None; signed.len()],
        blocks: Vec::new(),
    };
    let nodes = network.addresses.len();
    for (node, sights) in result.sights.iter().enumerate() {
        for sight in sights {
            let page: EventPage = serde_json::from_slice(&sight.body)?;
            for event in page.events {
                match event {
                    Event::Block { .. } if node == 0 => seen.blocks.push(sight.at),
                    Event::Transaction { id, .. } => {
                        note(
                            &mut seen.requests,
                            requests.get(&id),
                            (node, nodes),
                            sight.at,
                        );
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(seen)
}

/// Notes a request that its own node showed.
fn note(
    seen: &mut [Option<Instant>],
    request: Option<&usize>,
    (node, nodes): (usize, usize),
    at: Instant,
) {
    // The number of lanes is a multiple of the number of nodes.
    if let Some(request) = request.filter(|request| *request % nodes == node) {
        seen[*request] = Some(at);
    }
}

impl Network for Gridproof {
    type Watcher = EventPages;

    fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn pids(&self) -> Vec<u32> {
        let processes = self.net.devnet.manifest.processes.iter();
        processes
            .filter(|process| process.role == ProcessRole::Validator)
            .map(|process| process.pid)
            .collect()
    }

    fn request(address: SocketAddr, transactions: &[&[u8]]) -> Vec<u8> {
        let binary = "application/octet-stream";
        if let [one] = transactions {
            return http::post(address, "/v1/transactions", binary, one);
        }
        let count = u32::try_from(transactions.len()).unwrap_or(u32::MAX);
        let body = [&count.to_le_bytes()[..], &transactions.concat()].concat();
        http::post(address, "/v1/transactions/batch", binary, &body)
    }

    fn verdicts(answer: &HttpAnswer, transactions: usize) -> Vec<Result<(), String>> {
        if answer.status == 202 && transactions == 1 {
            return vec![Ok(())];
        }
        if answer.status == 200
            && let Ok(answer) = serde_json::from_slice::<SubmittedBatch>(&answer.body)
        {
            let results = answer.results.into_iter().map(|result| match result {
                SubmitResult::Accepted(_) => Ok(()),
                SubmitResult::Refused(body) => Err(format!("{:?}", body.code)),
            });
            return results.collect();
        }
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or("no code");
        vec![Err(format!("{} {code}", answer.status)); transactions]
    }

    const WAITING_PATH: &'static str = "/v1/status";

    fn waiting(answer: &HttpAnswer) -> Option<u64> {
        let status: Status = serde_json::from_slice(&answer.body).ok()?;
        Some(status.mempool_transactions)
    }

    async fn subscribe(address: SocketAddr) -> io::Result<EventPages> {
        let mut connection = HttpConnection::open(address).await?;
        let newest = connection
            .exchange(&http::get(address, "/v1/events"))
            .await?;
        let cursor = cursor(&newest)?;
        Ok(EventPages {
            address,
            connection,
            cursor,
        })
    }
}

/// Pages of the events of a validator.
pub struct EventPages {
    address: SocketAddr,
    connection: HttpConnection,
    cursor: u64,
}

impl Watcher for EventPages {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let path = format!("/v1/events?cursor={}&wait_ms=10000&limit=1000", self.cursor);
        let request = http::get(self.address, &path);
        let answer = self.connection.exchange(&request).await?;
        self.cursor = cursor(&answer)?;
        Ok(answer.body)
    }
}

/// The cursor of a page, without reading its events: it stands at the beginning, or at the end.
fn cursor(answer: &HttpAnswer) -> io::Result<u64> {
    const NAME: &[u8] = b"\"cursor\":";
    let body = &answer.body;
    let found = body.windows(NAME.len()).position(|at| at == NAME);
    let digits: String = found
        .map(|at| &body[at + NAME.len()..])
        .into_iter()
        .flatten()
        .map(|byte| char::from(*byte))
        .skip_while(|character| *character == ' ')
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().map_err(|_| {
        let body = String::from_utf8_lossy(&answer.body);
        io::Error::other(format!("no page of events: {body}"))
    })
}
