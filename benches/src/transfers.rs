//! Signed transfers through four local validators under open-loop load: each has its time to be sent, whether the
//! network keeps up or not, and latency counts from that time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keys::keyfile::{self, KeyKind};
use rpc::limits::MAX_SUBMITTED;
use rpc::model::{Event, SubmitResult};
use types::hash::{Address, ChainId, TransactionId};
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce, SQUARE};
use types::transaction::{Action, SignedTransaction, Transaction};

use crate::network::MeasuredNetwork;
use crate::peer::rounded;
use crate::{quantile, row};

/// Senders: a mempool takes a limited number of nonces from each, so the load needs many.
const SENDERS: u8 = 200;
/// How long transfers are gathered for a request.
const GATHER: Duration = Duration::from_millis(2);
/// How long nothing may become final before what is left counts as never final.
const TIMEOUT: Duration = Duration::from_secs(15);

struct ChainFacts {
    id: ChainId,
    fee: Amount,
    valid_until: Height,
}

impl ChainFacts {
    fn transfer(
        &self,
        key: &SecretKey,
        nonce: u64,
        to: Address,
        amount: Amount,
    ) -> SignedTransaction {
        let transaction = Transaction {
            chain_id: self.id,
            sender: key.public(),
            nonce: Nonce(nonce),
            valid_until: self.valid_until,
            fee: self.fee,
            action: Action::Transfer { to, amount },
        };
        transaction.sign(key)
    }
}

/// Prints throughput, latency and CPU time.
pub fn run(rate: u32, seconds: u32) -> Result<()> {
    load(&MeasuredNetwork::up(0)?, rate, seconds)
}

/// Puts a network under load and prints what it made of it.
pub fn load(network: &MeasuredNetwork, rate: u32, seconds: u32) -> Result<()> {
    let clients = network.clients()?;
    let customer = network.customer()?;
    network.runtime.block_on(async {
        let load = prepare(&clients[0], &customer, rate, seconds).await?;
        let total = u64::try_from(load.len())?;
        let cpu = network.validator_cpu_ms();
        let result = offer(&clients, load, rate).await?;
        report(&result, total, rate, network.validator_cpu_ms() - cpu);
        Ok(())
    })
}

/// Puts a chain that runs already under load, through these URLs, and prints what it made of it as one JSON object.
pub fn load_at(urls: &[String], customer: &Path, rate: u32, seconds: u32) -> Result<()> {
    let customer = keyfile::read_secret(
        customer,
        KeyKind::Account,
        &keys::passphrase::Passphrases::none(),
    )?;
    let clients: Vec<_> = urls
        .iter()
        .map(|url| rpc::Client::new(url).context("the URL of a node"))
        .collect::<Result<_>>()?;
    ensure!(!clients.is_empty(), "no URL is given");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let load = prepare(&clients[0], &customer, rate, seconds).await?;
        let (offered, before) = (load.len(), clients[0].status().await?.height.0);
        let result = offer(&clients, load, rate).await?;
        let blocks = clients[0].status().await?.height.0 - before;
        let latency = |share| u64::try_from(quantile(&result.latencies_ms, share));
        let accepted = u32::try_from(result.latencies_ms.len())?;
        let object = serde_json::json!({
            "system": "gridproof", "nodes": clients.len(), "rate": rate, "offered": offered, "accepted": accepted,
            "refused": result.refused, "sent_again": result.again, "blocks": blocks,
            "per_second": rounded(f64::from(accepted) / result.span.as_secs_f64(), 1),
            "p50_ms": latency(50)?, "p99_ms": latency(99)?,
        });
        row(&object.to_string());
        Ok(())
    })
}

/// Funds the senders that have nothing, and signs the whole load.
async fn prepare(
    client: &rpc::Client,
    customer: &SecretKey,
    rate: u32,
    seconds: u32,
) -> Result<Vec<SignedTransaction>> {
    let status = client.status().await?;
    let chain = ChainFacts {
        id: status.chain_id,
        fee: status.min_fee,
        valid_until: Height(status.height.0 + 90_000),
    };
    let (mut senders, mut poor) = (Vec::new(), Vec::new());
    for number in 1..=SENDERS {
        let key = SecretKey::from_bytes(&[number; 32]);
        let account = client.account(key.public().address()).await?;
        if account.balance == Amount(0) {
            poor.push(key.public().address());
        }
        senders.push((key, account.next_nonce.0));
    }
    fund(client, &chain, customer, &poor).await?;
    let count = u64::from(SENDERS);
    let signed = (0..u64::from(rate) * u64::from(seconds)).map(|i| {
        let (sender, first) = &senders[usize::try_from(i % count).unwrap_or_default()];
        chain.transfer(sender, first + i / count, Address([9; 20]), Amount(1))
    });
    Ok(signed.collect())
}

async fn fund(
    client: &rpc::Client,
    chain: &ChainFacts,
    customer: &SecretKey,
    poor: &[Address],
) -> Result<()> {
    let account = client.account(customer.public().address()).await?;
    let first = account.next_nonce.0;
    for (position, address) in (0u64..).zip(poor) {
        let amount = Amount(100 * SQUARE.0);
        let signed = chain.transfer(customer, first + position, *address, amount);
        client.submit(&signed).await?;
        // The mempool takes 16 nonces of one sender at a time.
        if position % 16 == 15 || position + 1 == u64::try_from(poor.len())? {
            client
                .wait_transaction(signed.id(), Duration::from_mins(1))
                .await?;
        }
    }
    Ok(())
}

struct Measured {
    latencies_ms: Vec<u128>,
    /// Refused for good.
    refused: u64,
    /// Refused for the moment, and sent again as the answer said.
    again: u64,
    /// Neither refused nor final.
    lost: usize,
    span: Duration,
}

/// What is to be sent to one node, each at its time.
type Due = BTreeMap<(Instant, u64), SignedTransaction>;

/// Sends to one node what is due, up to a full request together, and again after the time that a refusal names. Tells the
/// id of each that is refused for good, and nothing for one that is sent again.
async fn send(
    client: rpc::Client,
    mut due: Due,
    refusals: tokio::sync::mpsc::UnboundedSender<Option<TransactionId>>,
) {
    while let Some(((first, _), _)) = due.first_key_value() {
        tokio::time::sleep_until((*first).into()).await;
        let now = Instant::now();
        let mut batch = Vec::new();
        while batch.len() < MAX_SUBMITTED
            && let Some(next) = due.first_entry().filter(|next| next.key().0 <= now)
        {
            let ((_, number), signed) = next.remove_entry();
            batch.push((number, signed));
        }
        let signed: Vec<_> = batch.iter().map(|(_, signed)| signed.clone()).collect();
        let results = client.submit_batch(&signed).await;
        let results =
            results.unwrap_or_else(|error| vec![SubmitResult::Refused(error.body()); batch.len()]);
        for ((number, signed), result) in batch.into_iter().zip(results) {
            let SubmitResult::Refused(body) = result else {
                continue;
            };
            let told = if body.retryable {
                let after = body.retry_after_ms.unwrap_or(100);
                let at = Instant::now() + Duration::from_millis(after);
                due.insert((at, number), signed);
                None
            } else {
                Some(signed.id())
            };
            // Whoever listens no more has given up on the whole load.
            let _ = refusals.send(told);
        }
        // What comes within a moment goes together.
        tokio::time::sleep_until(tokio::time::Instant::now() + GATHER).await;
    }
}

/// Sends each transfer at its time, round robin over the validators, and reads the events of the first one.
async fn offer(
    clients: &[rpc::Client],
    load: Vec<SignedTransaction>,
    rate: u32,
) -> Result<Measured> {
    let start = Instant::now();
    let send_at = move |i: u64| start + Duration::from_micros(i * 1_000_000 / u64::from(rate));
    let mut wanted: BTreeMap<TransactionId, Instant> = (0u64..)
        .zip(&load)
        .map(|(i, signed)| (signed.id(), send_at(i)))
        .collect();
    let watcher = clients[0].clone();
    let mut cursor = watcher.status().await?.cursor;
    let mut by_node: Vec<Due> = clients.iter().map(|_| Due::new()).collect();
    for (i, signed) in (0u64..).zip(load) {
        let node = usize::try_from(i).unwrap_or_default() % clients.len();
        by_node[node].insert((send_at(i), i), signed);
    }
    let (tell, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let mut sending = tokio::task::JoinSet::new();
    for (client, due) in clients.iter().zip(by_node) {
        sending.spawn(send(client.clone(), due, tell.clone()));
    }
    let (mut latencies, mut refused, mut again) = (Vec::new(), 0, 0);
    let mut last = start;
    let end = send_at(u64::try_from(wanted.len())?);
    while !wanted.is_empty() && Instant::now() < end.max(last) + TIMEOUT {
        let page = watcher
            .events(Some(cursor), Duration::from_millis(500), 1_000)
            .await?;
        cursor = page.cursor;
        for event in page.events {
            if let Event::Transaction { id, .. } = event
                && let Some(send_at) = wanted.remove(&id)
            {
                last = Instant::now();
                latencies.push(last.saturating_duration_since(send_at).as_millis());
            }
        }
        while let Ok(told) = refusals.try_recv() {
            match told {
                Some(id) => refused += u64::from(wanted.remove(&id).is_some()),
                None => again += 1,
            }
        }
    }
    sending.shutdown().await;
    ensure!(!latencies.is_empty(), "no transfer became final");
    latencies.sort_unstable();
    Ok(Measured {
        latencies_ms: latencies,
        refused,
        again,
        lost: wanted.len(),
        span: last - start,
    })
}

fn report(measured: &Measured, total: u64, rate: u32, cpu_ms: u64) {
    let done = u128::try_from(measured.latencies_ms.len()).unwrap_or_default();
    let per_second = done * 1_000 / measured.span.as_millis().max(1);
    row(&format!(
        "transfers: {total} offered at {rate}/s over HTTP to 4 validators on loopback, open loop"
    ));
    row(&format!(
        "  final         {done} at {per_second}/s, {} refused, {} sent again, {} never final",
        measured.refused, measured.again, measured.lost
    ));
    row(&format!(
        "  submit-final  p50 {} ms, p99 {} ms",
        quantile(&measured.latencies_ms, 50),
        quantile(&measured.latencies_ms, 99)
    ));
    row(&format!(
        "  validators    {} CPU ms per 1,000 transfers",
        u128::from(cpu_ms) * 1_000 / done.max(1)
    ));
}
