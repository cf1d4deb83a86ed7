//! A devnet of four validators and seven partners of which two cheat, and a customer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blobs::Encoder;
use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rpc::model::JobView;
use testnet::cheats::{self, CheatKind, Money};
use testnet::devnet::process::wait_until;
use testnet::temporary::TemporaryDevnet;
use types::codec::{Bounded, Text};
use types::gas::with_least_fee;
use types::hash::JobId;
use types::job::{JobSpec, Output, StateOutputs};
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

/// A devnet of four validators and [`PARTNERS`] partners, some of which cheat.
pub struct CheatedNetwork(TemporaryDevnet);

impl CheatedNetwork {
    /// Starts it; the cheats have their fault.
    pub fn start(kind: &'static CheatKind) -> Result<Self> {
        let fault = |partner| kind.cheats.contains(&partner).then_some(kind.fault);
        Ok(Self(cheats::start(&peer()?, PARTNERS, fault)?))
    }

    fn client(&self) -> Result<Client> {
        self.0.client(1)
    }

    /// Balance and bond of each partner now.
    pub fn money(&self) -> Result<Money> {
        cheats::money(&self.0, &self.client()?, PARTNERS)
    }

    /// The name of the primary whose result settled, if one did.
    pub fn settled_by(&self, job: &JobView) -> Result<Option<String>> {
        let receipt = job.receipt.as_ref();
        let name = receipt.map(|receipt| cheats::name_of(&self.0, receipt.primary, PARTNERS));
        name.transpose()
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

    /// True if the job has settled with another result than the program's.
    pub fn is_wrong(&self, job: &JobView) -> Result<bool> {
        self.0.block_on(cheats::is_wrong(&self.client()?, job))
    }
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
