//! A devnet whose partner number 0 misbehaves, and a customer that submits jobs to it over RPC.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use blobs::Encoder;
use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rpc::model::JobView;
use rustix::process::Signal;
use testnet::devnet::ProcessRole;
use testnet::devnet::process::{signal, wait_until};
use testnet::temporary::TemporaryDevnet;
use types::codec::Text;
use types::gas::with_least_fee;
use types::hash::{Address, JobId};
use types::job::JobSpec;
use types::number::{Amount, Fuel, Height, SQUARE};
use types::transaction::{Action, Transaction};

/// The program that runs validators and partners, as cargo built it.
const PEER: &str = env!("CARGO_BIN_EXE_testnet-peer");

/// A WASM module whose `_start` does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";

/// What a devnet's partner owns at genesis: 1,000 SQUARE and a bond of 10,000.
const PARTNER_WEALTH: u128 = 11_000 * SQUARE.0;

/// What an honest partner may pay in fees during a test: half of the smallest punishment.
const MAX_FEES: u128 = SQUARE.0 / 20;

/// What differs between the jobs of these tests.
pub struct TestJob {
    /// The site that the primary must be at.
    pub location: &'static str,
    /// Minimum number of verifiers.
    pub min_verifiers: u16,
    /// Probability of detection that the customer asks for, in parts per million.
    pub confidence_ppm: u32,
}

/// A devnet of four validators and some partners.
pub struct FaultyNetwork(TemporaryDevnet);

impl Drop for FaultyNetwork {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.last_words(20));
        }
    }
}

impl FaultyNetwork {
    /// Starts a devnet whose partner number 0 has a fault.
    pub fn with_fault(partners: u16, fault: &str) -> Self {
        let environment = |name: &str| {
            let faulty = name == "partner-0";
            let variable = ("TESTNET_FAULT".to_owned(), fault.to_owned());
            faulty.then_some(variable).into_iter().collect()
        };
        Self(TemporaryDevnet::start(Path::new(PEER), partners, environment).unwrap())
    }

    fn client(&self) -> Client {
        self.0.client(1).unwrap()
    }

    /// Sends a signal to a process.
    pub fn signal(&self, name: &str, what: Signal) {
        let mut processes = self.0.devnet.manifest.processes.iter();
        let process = processes.find(|process| process.name == name).unwrap();
        signal(process.pid, what);
    }

    /// Submits a job of one task and brings its module.
    pub fn submit(&self, job: &TestJob) -> JobId {
        let key = keyfile::read_secret(
            &self.0.devnet.manifest.customer_key,
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        );
        let (key, client) = (key.unwrap(), self.client());
        self.0.block_on(async {
            let status = client.status().await.unwrap();
            let account = client.account(key.public().address()).await.unwrap();
            let transaction = Transaction {
                chain_id: status.chain_id,
                sender: key.public(),
                nonce: account.next_nonce,
                valid_until: Height(status.height.0 + 1_000),
                fee: Amount::ZERO,
                action: Action::SubmitJob {
                    spec: Box::new(spec(job)),
                },
            };
            let transaction = with_least_fee(transaction, status.min_fee);
            let id = transaction.job_id();
            client.submit(&transaction.sign(&key)).await.unwrap();
            id
        })
    }

    /// Waits until a job has left the stages in which its module may still be missing, bringing it, and then for a
    /// condition on the job.
    fn wait(&self, job: JobId, what: &str, condition: impl Fn(&JobView) -> bool) -> JobView {
        let (client, encoder) = (self.client(), Encoder::of(MODULE));
        let mut found = None;
        let reached = wait_until(Duration::from_mins(3), || {
            self.0.block_on(async {
                found = client.job(job).await.ok();
                if found.as_ref().is_some_and(|view| view.stage == "pending") {
                    let chunk = encoder.encode(MODULE, 0).unwrap();
                    // Refused once it is there.
                    let _ = client.put_blob_chunk(job, encoder.id(), 0, chunk).await;
                }
            });
            found.as_ref().is_some_and(&condition)
        });
        assert!(
            reached,
            "no {what} within three minutes; the job is {found:?}"
        );
        found.unwrap()
    }

    /// Waits until a job is in a stage, by name.
    pub fn wait_for_stage(&self, job: JobId, stage: &str) -> JobView {
        self.wait(job, &format!("stage {stage}"), |view| view.stage == stage)
    }

    /// Waits until a job has settled or failed.
    pub fn wait_for_end(&self, job: JobId) -> JobView {
        self.wait(job, "end", |view| !view.live)
    }

    /// The address of a partner, by its number.
    pub fn address_of(&self, partner: usize) -> Address {
        let name = format!("partner-{partner}");
        let key = self.0.devnet.root().join(name).join("keys/account.key");
        keyfile::read_public(&key, KeyKind::Account)
            .unwrap()
            .address()
    }

    /// The numbers of the partners whose bond and balance together fell by more than fees.
    pub fn who_was_punished(&self) -> Vec<usize> {
        let client = self.client();
        let wealth = |partner: usize| {
            let address = self.address_of(partner);
            self.0.block_on(async {
                let account = client.account(address).await.unwrap();
                let bonded = client.partner(address).await.unwrap();
                account.balance.0 + bonded.bond.0
            })
        };
        let partners = 0..self.0.names(ProcessRole::Partner).len();
        partners
            .filter(|partner| wealth(*partner) < PARTNER_WEALTH - MAX_FEES)
            .collect()
    }
}

fn spec(job: &TestJob) -> JobSpec {
    let name = |text: &str| Text::new(text).unwrap();
    let mut workload = types::testing::workload(MODULE, 1);
    workload.limits.fuel = Fuel(10_000_000);
    let mut spec = types::testing::job_spec(workload);
    let location = (name("location"), name(job.location));
    spec.constraints.attributes = BTreeMap::from([location]);
    spec.verification.min_verifiers = job.min_verifiers;
    spec.verification.confidence_ppm = job.confidence_ppm;
    spec
}
