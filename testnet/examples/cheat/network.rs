//! A devnet of four validators and seven partners of which two cheat, and a customer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blobs::Encoder;
use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rpc::model::JobView;
use serde::Serialize;
use testnet::devnet::Devnet;
use testnet::devnet::plan::DevnetOptions;
use testnet::devnet::process::wait_until;
use testnet::temporary::TemporaryDevnet;
use types::attestation::{Outcome, Outcomes};
use types::codec::{Bounded, Text, decode};
use types::gas::with_least_fee;
use types::hash::{Address, BlobId, JobId};
use types::job::{JobSpec, Output, StateOutputs};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::{Amount, Fuel, Height};
use types::params::Params;
use types::transaction::{Action, Transaction};

/// Number of partners of the devnet, the cheats among them.
const PARTNERS: usize = 7;
/// Verifiers that the customer demands, so that every partner but the primary checks, or all but one.
const MIN_VERIFIERS: u16 = 5;
/// Tasks of a chain.
const CHAIN_TASKS: u32 = 3;
/// Probability of detection that the customer asks for, in parts per million: each partner is drawn almost certainly.
const CONFIDENCE_PPM: u32 = 980_000;
/// A WASM module whose `_start` runs until its fuel is used up, which is an outcome as any other: its standard output is empty.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\
    \x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

/// What a partner had before and has after.
#[derive(Debug, Serialize)]
pub struct PartnerMoney {
    name: String,
    honest: bool,
    bond_before: Amount,
    bond_after: Amount,
    /// By how much its account grew.
    earned: String,
}

/// Balance and bond of each partner.
pub type Money = Vec<(Amount, Amount)>;

/// A devnet of four validators and [`PARTNERS`] partners, some of which cheat.
pub struct CheatedNetwork(TemporaryDevnet);

impl CheatedNetwork {
    /// Starts it; the cheats have a fault.
    pub fn start(fault: &str, cheats: &[usize]) -> Result<Self> {
        let environment = |name: &str| {
            let number = name.strip_prefix("partner-").and_then(|n| n.parse().ok());
            let is_cheat = number.is_some_and(|number| cheats.contains(&number));
            let variable = ("TESTNET_FAULT".to_owned(), fault.to_owned());
            is_cheat.then_some(variable).into_iter().collect()
        };
        let mut network = TemporaryDevnet::make(|root, base_port| {
            let options = DevnetOptions {
                validators: 4,
                partners: u16::try_from(PARTNERS)?,
                base_port,
            };
            let devnet = Devnet::create(root, &options)?;
            (0..PARTNERS).try_for_each(|partner| never_fill_up(root, partner))?;
            Ok(devnet)
        })?;
        network.run(&peer()?, environment)?;
        Ok(Self(network))
    }

    fn client(&self) -> Result<Client> {
        self.0.client(1)
    }

    fn address_of(&self, partner: usize) -> Result<Address> {
        let name = format!("partner-{partner}");
        let key = self.0.devnet.root().join(name).join("keys/account.key");
        Ok(keyfile::read_public(&key, KeyKind::Account)?.address())
    }

    /// Balance and bond of each partner now.
    pub fn money(&self) -> Result<Money> {
        let client = self.client()?;
        (0..PARTNERS)
            .map(|partner| {
                let address = self.address_of(partner)?;
                self.0.block_on(async {
                    let account = client.account(address).await?;
                    let bond = client.partner(address).await?.bond;
                    Ok((account.balance, bond))
                })
            })
            .collect()
    }

    /// Submits the job.
    pub fn submit(&self, location: &str, fuel: u64, is_chain: bool) -> Result<JobId> {
        let key = keyfile::read_secret(
            &self.0.devnet.manifest.customer_key,
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )?;
        let client = self.client()?;
        self.0.block_on(async {
            let status = client.status().await?;
            let account = client.account(key.public().address()).await?;
            let transaction = Transaction {
                chain_id: status.chain_id,
                sender: key.public(),
                nonce: account.next_nonce,
                valid_until: Height(status.height.0 + 1_000),
                fee: Amount::ZERO,
                action: Action::SubmitJob {
                    spec: Box::new(spec(location, fuel, is_chain)?),
                },
            };
            let transaction = with_least_fee(transaction, status.min_fee);
            let id = transaction.job_id();
            client.submit(&transaction.sign(&key)).await?;
            Ok(id)
        })
    }

    /// Brings the module and looks at the job until it is over.
    pub fn follow(
        &self,
        job: JobId,
        at_most: Duration,
        mut look: impl FnMut(&JobView),
    ) -> Result<JobView> {
        let (client, encoder) = (self.client()?, Encoder::of(MODULE));
        let mut ended = None;
        let reached = wait_until(at_most, || {
            let view = self.0.block_on(async {
                let view = client.job(job).await.ok()?;
                if view.takes_inputs()
                    && let Ok(chunk) = encoder.encode(MODULE, 0)
                {
                    // Refused once it is there.
                    let _ = client.put_blob_chunk(job, encoder.id(), 0, chunk).await;
                }
                Some(view)
            });
            view.iter().for_each(&mut look);
            ended = view.filter(|view| !view.live);
            ended.is_some()
        });
        ensure!(
            reached,
            "the job is not over after {at_most:?}\n{}",
            self.0.last_words(20)
        );
        ended.context("a job that is over")
    }

    /// Waits until verdicts are paid out: by chain time, which follows the clock.
    pub fn wait_for_payout(&self) -> Result<()> {
        let client = self.client()?;
        let now = || {
            let chain_time = self
                .0
                .block_on(client.status())
                .map(|status| status.chain_time);
            chain_time.map_or(0, |time| time.0)
        };
        let until = now() + Params::devnet().compute.appeal_window_ms + 1_000;
        let reached = wait_until(Duration::from_mins(1), || now() >= until);
        ensure!(reached, "chain time stands still");
        Ok(())
    }

    /// True if the job has a receipt of another result than the program's, whose standard output is empty and which writes no file.
    pub fn is_wrong(&self, job: &JobView) -> Result<bool> {
        let Some(receipt) = &job.receipt else {
            return Ok(false);
        };
        let client = self.client()?;
        let list = receipt.outcomes;
        let bytes = self.0.block_on(client.blob_chunk(list, 0))?;
        let content = blobs::verify_chunk(list, 0, &bytes).context("the list of outcomes")?;
        let outcomes: Outcomes = decode(&content, MAX_OUTCOMES_BYTES)?;
        let empty = BlobId::of(b"");
        let wrote = |outcome: &Outcome| outcome.outputs.iter().any(Option::is_some);
        let mut all = outcomes.0.iter();
        Ok(all.any(|outcome| outcome.stdout != empty || wrote(outcome)))
    }
}

/// What each partner won or lost.
pub fn compare(before: &Money, after: &Money, cheats: &[usize]) -> Vec<PartnerMoney> {
    let pairs = before.iter().zip(after).enumerate();
    let money = pairs.map(|(n, (before, after))| {
        let (sign, amount) = match after.0.checked_sub(before.0) {
            Some(earned) => ("", earned),
            None => ("-", before.0.saturating_sub(after.0)),
        };
        PartnerMoney {
            name: format!("partner-{n}"),
            honest: !cheats.contains(&n),
            bond_before: before.1,
            bond_after: after.1,
            earned: format!("{sign}{amount}"),
        }
    });
    money.collect()
}

/// Has a partner leave its bond as it is: a daemon fills up what its bond has lost.
fn never_fill_up(root: &Path, partner: usize) -> Result<()> {
    let file = root.join(format!("partner-{partner}/partner.toml"));
    let text = std::fs::read_to_string(&file)?;
    let (before, after) = ("\nbond = \"10000\"", "\nbond = \"100\"");
    ensure!(text.contains(before), "no bond in {}", file.display());
    Ok(std::fs::write(&file, text.replace(before, after))?)
}

/// The program that runs validators and partners, beside this one.
fn peer() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(|examples| examples.parent());
    let peer = folder.context("a folder of examples")?.join("testnet-peer");
    ensure!(peer.exists(), "{} was not built", peer.display());
    Ok(peer)
}

fn spec(location: &str, fuel: u64, is_chain: bool) -> Result<JobSpec> {
    let tasks = if is_chain { CHAIN_TASKS } else { 1 };
    let mut workload = types::testing::workload(MODULE, tasks);
    if is_chain {
        let output = Output {
            name: Text::new("state")?,
            path: Text::new("/out/state")?,
        };
        workload.outputs = Bounded::new(vec![output])?;
        workload.state = StateOutputs(Bounded::new(vec![0])?);
    }
    workload.limits.fuel = Fuel(fuel);
    let mut spec = types::testing::job_spec(workload);
    let location = (Text::new("location")?, Text::new(location)?);
    spec.constraints.attributes = BTreeMap::from([location]);
    spec.verification.min_verifiers = MIN_VERIFIERS;
    spec.verification.confidence_ppm = CONFIDENCE_PPM;
    Ok(spec)
}
