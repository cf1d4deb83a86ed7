//! Audits: while a partner runs, it runs tasks of settled jobs again that its own VRF draws, and challenges what is wrong.
//!
//! Who audits what nobody else can foresee: the draw is over the receipt's result and made with a secret key. Nobody is paid for it
//! but by the bond of whoever is found wrong, and nothing of it is on the chain until then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keys::keyfile::{self, KeyKind};
use keys::passphrase::Passphrases;
use light::{FinalityError, Light, ValueError};
use partner::config::Config;
use rpc::Client;
use tokio::time::{MissedTickBehavior, interval};
use types::attestation::{drawn_tasks, drawn_tasks_seed};
use types::codec::decode;
use types::hash::{Address, Domain, Hash32, JobId};
use types::job::JobReceipt;
use types::key::{SecretKey, VrfOutput, VrfSecretKey};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::{Amount, TaskIndex};
use types::snapshot::{PartnerIndex, PartnerPage, page_of};
use types::state_key::StateKey;

use super::challenge::{self, ChallengeEnd, TriedTasks};
use super::connect;
use crate::failure::CommandFailure;
use crate::job::report;
use crate::submit::{FeeArgs, failure};
use crate::trust::{light_of, too_old};
use crate::ui::Ui;

/// Pause between two looks at what has settled.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest time to wait for the referees.
const PATIENCE: Duration = Duration::from_hours(1);
/// Settled jobs that are remembered as looked at.
const MAX_SEEN: usize = 16_384;

/// Audits for as long as it is polled. Whatever goes wrong is logged, and tried again with the next job.
pub async fn audit(dir: PathBuf, config: Config, passphrases: Arc<Passphrases>) {
    if config.audit_percent == 0 {
        return std::future::pending().await;
    }
    let mut auditor = match Auditor::open(&dir, config, &passphrases) {
        Ok(auditor) => auditor,
        Err(error) => {
            tracing::warn!(%error, "nothing is audited");
            return std::future::pending().await;
        }
    };
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = auditor.look().await {
            tracing::debug!(%error, "the settled jobs cannot be read now");
        }
    }
}

/// What a partner audits with.
struct Auditor {
    dir: PathBuf,
    config: Config,
    client: Client,
    light: Light,
    key: SecretKey,
    vrf: VrfSecretKey,
    seen: BTreeSet<JobId>,
}

impl Auditor {
    fn open(dir: &Path, config: Config, passphrases: &Passphrases) -> Result<Self, CommandFailure> {
        let key = dir.join(&config.account_key);
        let key = keyfile::read_secret(&key, KeyKind::Account, passphrases)?;
        let client = connect(&config, Ui::new(false))?;
        Ok(Self {
            light: light_of(&dir.join(&config.genesis))?,
            vrf: keyfile::read_vrf(&dir.join(&config.vrf_key), passphrases)?,
            dir: dir.to_owned(),
            seen: BTreeSet::new(),
            config,
            client,
            key,
        })
    }

    /// Looks at the jobs that have settled since the last look.
    async fn look(&mut self) -> Result<(), CommandFailure> {
        let list = self.client.jobs(false).await.map_err(failure)?;
        let settled = list.jobs.iter().filter(|job| job.stage == "settled");
        let new: Vec<_> = settled
            .map(|job| job.id)
            .filter(|job| !self.seen.contains(job))
            .collect();
        if self.seen.len() > MAX_SEEN {
            self.seen.clear();
        }
        for job in new {
            match Box::pin(self.try_job(job)).await {
                Ok(()) => {}
                // A node proves a receipt one block after it is settled.
                Err(error) if error.retryable => continue,
                Err(error) => tracing::warn!(%job, %error, "a settled job is not audited"),
            }
            self.seen.insert(job);
        }
        Ok(())
    }

    async fn try_job(&self, job: JobId) -> Result<(), CommandFailure> {
        let receipt = challenge::receipt(&self.client, &self.light, job).await?;
        let own = self.key.public().address();
        let Some(shares) = self.shares(&receipt, own).await? else {
            return Ok(());
        };
        let Some(tasks) = drawn(&self.vrf, &self.config, &receipt, shares, own) else {
            return Ok(());
        };
        tracing::info!(%job, tasks = tasks.len(), "auditing");
        let task = TriedTasks {
            job,
            tasks,
            wall: Duration::from_millis(self.config.task_wall_ms),
            patience: PATIENCE,
            dry_run: false,
            fee: FeeArgs::default(),
        };
        let own = (self.config.clone(), self.key.clone());
        match Box::pin(challenge::perform(&self.dir, own, &task, Ui::new(false))).await? {
            ChallengeEnd::Compared(..) => tracing::info!(%job, "audited: the receipt is right"),
            ChallengeEnd::Decided(found, view) => {
                let ended = view.failure.map_or("it has not failed", report::reason);
                tracing::warn!(%job, task = %found.task, stage = view.stage, "audited: the result is another one: {ended}");
            }
        }
        Ok(())
    }

    /// This partner's bond and those of all that may audit a receipt, as they count now; nothing if it is not among them.
    async fn shares(
        &self,
        receipt: &JobReceipt,
        own: Address,
    ) -> Result<Option<(Amount, Amount)>, CommandFailure> {
        let status = self.client.status().await.map_err(failure)?;
        let key = StateKey::PartnerSnapshot(status.epoch);
        // A new epoch has begun meanwhile: the next look knows it.
        let index = self.proven(&key).await?;
        let Some(index) = index.and_then(|bytes| decode(&bytes, MAX_STATE_VALUE_BYTES).ok()) else {
            return Ok(None);
        };
        let Some(bond) = self.bond(&index, own, receipt).await? else {
            return Ok(None);
        };
        let primary = self.bond(&index, receipt.primary, receipt).await?;
        let all = index.class_bond(receipt.class);
        let others = all.saturating_sub(primary.unwrap_or_default());
        Ok(Some((bond, others)))
    }

    /// A partner's bond, if it counts and runs the class of a receipt.
    async fn bond(
        &self,
        index: &PartnerIndex,
        partner: Address,
        receipt: &JobReceipt,
    ) -> Result<Option<Amount>, CommandFailure> {
        let number = page_of(&partner);
        let Some(version) = index.version(number) else {
            return Ok(None);
        };
        let key = StateKey::PartnerPage(number, version.since);
        let page = self.proven(&key).await?;
        let page = page.and_then(|bytes| decode::<PartnerPage>(&bytes, MAX_STATE_VALUE_BYTES).ok());
        let entry = page.as_ref().and_then(|page| page.partner(&partner));
        let counted = entry.filter(|entry| entry.runs(receipt.class));
        Ok(counted.map(|entry| entry.bond))
    }

    /// A value of the state with its proof; nothing where it is absent or not proven. Error: only a newer program can tell.
    async fn proven(&self, key: &StateKey) -> Result<Option<Vec<u8>>, CommandFailure> {
        let proof = self.client.proof(key).await.map_err(failure)?;
        match self.light.verify_value(&proof, key) {
            Ok(value) => Ok(value.bytes.map(<[u8]>::to_vec)),
            Err(ValueError::Finality(FinalityError::Version(unknown))) => Err(too_old(&unknown)),
            Err(_) => Ok(None),
        }
    }
}

/// The tasks of a settled job that a partner audits, if its VRF draws it; it never audits itself. `shares` are its bond and those of
/// all that may audit the job.
fn drawn(
    vrf: &VrfSecretKey,
    config: &Config,
    receipt: &JobReceipt,
    (bond, all): (Amount, Amount),
    own: Address,
) -> Option<Vec<TaskIndex>> {
    if receipt.primary == own {
        return None;
    }
    let result = (receipt.job, receipt.attempt, receipt.result_root, own);
    let input = Hash32::of(Domain::AUDIT, &result);
    let output = vrf.public().verify(&input, &vrf.prove(&input)).ok()?;
    is_drawn(&output, config.audit_percent, bond, all).then(|| {
        let seed = drawn_tasks_seed(&output);
        let tasks = (&receipt.tasks, &receipt.state);
        drawn_tasks(&seed, tasks, receipt.policy.tasks_per_verifier)
    })
}

/// True if an output is among the share that a partner with `bond` of the bonds of a class audits: output / 2^64 < percent / 100 x
/// bond / class bond.
fn is_drawn(output: &VrfOutput, percent: u16, bond: Amount, class_bond: Amount) -> bool {
    // In units of 2^-32, rounded down; bonds are far below 2^96.
    let scaled = bond.0.saturating_mul(1 << 32);
    let Some(share) = scaled.checked_div(class_bond.0) else {
        return false;
    };
    let share = share.min(1 << 32);
    let threshold = (share * u128::from(percent) * (1 << 32)) / 100;
    u128::from(output.hash(Domain::AUDIT).low_u64()) < threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::fake;
    use crate::trust::newer;

    #[tokio::test]
    async fn a_newer_version_is_no_absence() {
        let node = fake::start().await;
        let auditor = Auditor {
            dir: PathBuf::new(),
            config: Config::new(Vec::new()),
            client: node.client.clone(),
            light: newer::light(),
            key: SecretKey::from_bytes(&[1; 32]),
            vrf: VrfSecretKey::from_bytes(&[5; 32]).unwrap(),
            seen: BTreeSet::new(),
        };
        let mut proof = newer::value_proof();
        *node.fake.proof.lock().unwrap() = Some(proof.clone());
        newer::assert_too_old(auditor.proven(&StateKey::Chain).await);
        newer::assert_too_old(auditor.try_job(JobId::default()).await);
        let certificate = &mut proof.finality.certificate;
        certificate.signatures = types::codec::Bounded::default();
        *node.fake.proof.lock().unwrap() = Some(proof);
        let lie = auditor.proven(&StateKey::Chain).await.unwrap();
        assert_eq!(lie, None, "nothing of it is proven");
    }

    #[test]
    fn the_share_of_the_bond_is_the_chance_of_an_audit() {
        let outputs: Vec<_> = (0..2_000u16)
            .map(|n| {
                let mut bytes = [0; 64];
                bytes[..2].copy_from_slice(&n.to_le_bytes());
                VrfOutput(bytes)
            })
            .collect();
        let count = |percent, bond, all| {
            let drawn = |output: &&VrfOutput| is_drawn(output, percent, Amount(bond), Amount(all));
            outputs.iter().filter(drawn).count()
        };
        assert_eq!(
            count(100, 7, 7),
            outputs.len(),
            "all of the bond, once each"
        );
        assert_eq!(count(300, 1 << 90, 1 << 91), outputs.len());
        assert_eq!(count(0, 7, 7), 0);
        assert_eq!(count(100, 7, 0), 0);
        assert_eq!(count(100, 0, 7), 0);
        let quarter = count(50, 1, 2);
        assert!((400..600).contains(&quarter), "{quarter} of 2000");
    }
}
