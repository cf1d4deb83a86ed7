//! Fetching a settled job's results into a folder. Each chunk is verified as it comes; a broken endpoint costs time,
//! never a wrong byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use light::{JobProofError, Light};
use rpc::model::JobView;
use rpc::{Client, ClientError};
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::attestation::Outcomes;
use types::codec::{decode, encode};
use types::hash::{BlobId, JobId};
use types::job::{JobReceipt, Workload};
use types::limits::MAX_OUTCOMES_BYTES;
use types::proof::ReceiptProof;
use types::state_key::StateKey;

use super::files::{Folder, MARK, OUTCOMES, RECEIPT, WORKLOAD};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::trust::{self, too_old};
use crate::ui::{ProgressLine, Ui};

/// How long an endpoint may take to have a proof or a blob that the network has.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Pause before a blob that could not be fetched is tried again.
const PAUSE: Duration = Duration::from_millis(300);

/// Makes the folder and refuses one that holds something else than the results of `job`: results of two jobs must not mix.
pub fn prepare_folder(out: &Path, job: Option<JobId>) -> Result<(), CommandFailure> {
    let bad = |why: String| {
        CommandFailure::new(
            ExitKind::BadInput,
            "out_folder",
            format!("{}: {why}", out.display()),
        )
    };
    std::fs::create_dir_all(out).map_err(|error| bad(error.to_string()))?;
    let mut entries = std::fs::read_dir(out).map_err(|error| bad(error.to_string()))?;
    let mark = std::fs::read_to_string(out.join(MARK)).ok();
    let marked = mark.and_then(|text| text.trim().parse::<JobId>().ok());
    if entries.next().is_none() || (marked.is_some() && marked == job) {
        return Ok(());
    }
    let hint = marked.map_or("give an empty or new folder with --out".to_owned(), |job| {
        format!("it holds results of job {job}: --resume {job} goes on there; or give another folder with --out")
    });
    Err(bad("the folder is not empty".to_owned()).hint(hint))
}

/// Says in a folder whose results it is for, so that the same job can go on there.
pub fn mark_folder(out: &Path, job: JobId) -> Result<(), CommandFailure> {
    Ok(std::fs::write(out.join(MARK), format!("{job}\n"))?)
}

/// Fetches receipt, outcomes and every file of a settled job. The workload is the one that the chain settled.
pub async fn fetch(
    client: &Client,
    light: &Light,
    view: &JobView,
    out: &Path,
    ui: Ui,
) -> Result<(), CommandFailure> {
    prepare_folder(out, Some(view.id))?;
    mark_folder(out, view.id)?;
    let settled = settled(client, light, view, ui).await?;
    let (workload, outcomes) = (&settled.workload, &settled.outcomes);
    std::fs::write(out.join(WORKLOAD), encode(workload))?;
    std::fs::write(out.join(OUTCOMES), encode(outcomes))?;
    let folder = Folder::new(out, workload);
    let mut places: BTreeMap<BlobId, Vec<PathBuf>> = BTreeMap::new();
    for (file, blob) in light::files_of(&workload.tasks, outcomes) {
        let path = folder.path(file).ok_or_else(|| {
            CommandFailure::new(
                ExitKind::NotVerified,
                "not_verified",
                format!("{file} is an output that the job does not have"),
            )
        })?;
        places.entry(blob).or_default().push(path);
    }
    fetch_all(client, &places, "fetching outputs", ui).await?;
    // Last: a folder with a receipt is a whole one.
    std::fs::write(out.join(RECEIPT), settled.document)?;
    Ok(())
}

/// What a settled job ran, and how its tasks ended, proven by its receipt.
pub async fn outcomes(
    client: &Client,
    light: &Light,
    view: &JobView,
    ui: Ui,
) -> Result<(Workload, Outcomes), CommandFailure> {
    let settled = settled(client, light, view, ui).await?;
    Ok((settled.workload, settled.outcomes))
}

/// A settled job without the files that its tasks wrote.
struct SettledJob {
    /// The receipt with its proof.
    document: String,
    workload: Workload,
    outcomes: Outcomes,
}

/// Fetches the receipt, which says what the chain settled, and the outcomes that it names.
async fn settled(
    client: &Client,
    light: &Light,
    view: &JobView,
    ui: Ui,
) -> Result<SettledJob, CommandFailure> {
    let refused =
        |message: String| CommandFailure::new(ExitKind::NotVerified, "not_verified", message);
    let progress = ui.spinner("fetching the receipt and its proof");
    let receipt = receipt(client, light, view.id).await;
    progress.finish();
    let (document, receipt) = receipt?;
    let workload = settled_workload(client, view, &receipt)?;
    if usize::try_from(receipt.outcomes.length).map_or(true, |length| length > MAX_OUTCOMES_BYTES) {
        return Err(refused(
            "the receipt's list of outcomes is too long".to_owned(),
        ));
    }
    let progress = ui.spinner("fetching the outcomes");
    let from = Fetcher {
        client,
        progress: &progress,
    };
    let mut list = Vec::new();
    let fetched = from.blob(receipt.outcomes, &mut list).await;
    progress.finish();
    fetched?;
    let outcomes =
        light::verify_outcomes(&receipt, &list).map_err(|error| refused(error.to_string()))?;
    Ok(SettledJob {
        document,
        workload,
        outcomes,
    })
}

/// The receipt's document, verified. A node can prove a receipt one block after it is settled.
async fn receipt(
    client: &Client,
    light: &Light,
    job: JobId,
) -> Result<(String, JobReceipt), CommandFailure> {
    let until = Instant::now() + TIMEOUT;
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let proof = standing_proof(client, job).await;
        let late = Instant::now() >= until;
        match proof {
            Ok(proof) if proof.receipt.value.is_some() || late => {
                let refused = |why: &str| not_proven(client, why);
                let document = light.receipt_document(&proof).map_err(|error| {
                    let newer = light.newer_version(&proof);
                    newer.map_or_else(|| refused(&error.to_string()), |newer| too_old(&newer))
                })?;
                let verified = light.verify_receipt(&document);
                let receipt = match verified {
                    Ok(standing) => standing.receipt,
                    // Another node behind the same address is some blocks behind.
                    Err(JobProofError::OutOfOrder { .. }) if !late => continue,
                    Err(error) => return Err(trust::not_proven(&error, refused)),
                };
                if receipt.job != job {
                    return Err(not_proven(client, "it is another job's receipt"));
                }
                return Ok((document, receipt));
            }
            Err(error) if late || !error.is_retryable() => return Err(failure(error)),
            Ok(_) | Err(_) => {}
        }
    }
}

/// What proves that a receipt stands, in the order in which the states must be.
async fn standing_proof(client: &Client, job: JobId) -> Result<ReceiptProof, ClientError> {
    let time = client.proof(&StateKey::Chain).await?;
    let revocation = client.proof(&StateKey::Revocation(job)).await?;
    let receipt = client.proof(&StateKey::Receipt(job)).await?;
    Ok(ReceiptProof {
        time,
        revocation,
        receipt,
    })
}

fn not_proven(client: &Client, why: &str) -> CommandFailure {
    let message = format!(
        "{} gives no valid proof of the receipt: {why}",
        client.url()
    );
    CommandFailure::new(ExitKind::NotVerified, "not_verified", message)
        .hint("ask another endpoint; if --genesis is given, is it this chain's?")
}

/// The workload that a receipt settled, as an endpoint shows it: its hash says whether it is.
fn settled_workload(
    client: &Client,
    view: &JobView,
    receipt: &JobReceipt,
) -> Result<Workload, CommandFailure> {
    let shown = view.canonical_spec().ok().map(|spec| spec.workload);
    let settled = shown.filter(|workload| workload.id() == receipt.workload);
    settled.ok_or_else(|| {
        let message = format!(
            "{} shows another workload than the one that the chain settled",
            client.url()
        );
        CommandFailure::new(ExitKind::NotVerified, "not_verified", message)
            .hint("ask another endpoint")
    })
}

/// Where an input lies in a folder that [`to_run`] filled.
pub fn input_path(folder: &Path, blob: BlobId) -> PathBuf {
    folder.join(blob.hash.to_string())
}

/// Fetches what running a settled job again takes: module and inputs into a folder, and the outcomes to compare with.
pub async fn to_run(
    client: &Client,
    view: &JobView,
    receipt: &JobReceipt,
    folder: &Path,
    ui: Ui,
) -> Result<(Workload, Outcomes), CommandFailure> {
    let workload = settled_workload(client, view, receipt)?;
    let blobs = workload.blobs().into_iter();
    let mut places: BTreeMap<_, _> = blobs
        .map(|blob| (blob, vec![input_path(folder, blob)]))
        .collect();
    let list = folder.join(OUTCOMES);
    places
        .entry(receipt.outcomes)
        .or_default()
        .push(list.clone());
    fetch_all(client, &places, "fetching inputs and outcomes", ui).await?;
    let outcomes = light::verify_outcomes(receipt, &std::fs::read(&list)?).map_err(|error| {
        CommandFailure::new(ExitKind::NotVerified, "not_verified", error.to_string())
    })?;
    Ok((workload, outcomes))
}

/// Fetches each blob once, puts it at all its places and shows how far that is.
async fn fetch_all(
    client: &Client,
    places: &BTreeMap<BlobId, Vec<PathBuf>>,
    message: &str,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let progress = ui.bytes(places.keys().map(|blob| blob.length).sum(), message);
    let from = Fetcher {
        client,
        progress: &progress,
    };
    let fetched = from.all(places).await;
    progress.finish();
    fetched
}

struct Fetcher<'a> {
    client: &'a Client,
    progress: &'a ProgressLine,
}

impl Fetcher<'_> {
    /// Fetches each blob once and puts it at all its places.
    async fn all(&self, places: &BTreeMap<BlobId, Vec<PathBuf>>) -> Result<(), CommandFailure> {
        for (blob, paths) in places {
            for path in paths {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
            }
            let Some((first, rest)) = paths.split_first() else {
                continue;
            };
            let mut file = File::create(first)?;
            self.blob(*blob, &mut file).await?;
            file.sync_all()?;
            for path in rest {
                std::fs::copy(first, path)?;
            }
        }
        Ok(())
    }

    async fn blob(&self, id: BlobId, to: &mut impl Write) -> Result<(), CommandFailure> {
        for chunk in 0..blobs::chunk_count(id) {
            to.write_all(&self.chunk(id, chunk).await?)?;
            self.progress
                .advance(blobs::chunk_length(id, chunk).unwrap_or(0));
        }
        Ok(())
    }

    /// One chunk, verified. The node asked may still be fetching the blob from the others.
    async fn chunk(&self, id: BlobId, chunk: u32) -> Result<Vec<u8>, CommandFailure> {
        let until = Instant::now() + TIMEOUT;
        let mut tick = interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.client.blob_chunk(id, u64::from(chunk)).await {
                Ok(encoded) => {
                    return blobs::verify_chunk(id, chunk, &encoded).map_err(|error| {
                        let message = format!("{} gives wrong bytes: {error}", self.client.url());
                        CommandFailure::new(ExitKind::NotVerified, "wrong_bytes", message)
                            .hint("ask another endpoint")
                    });
                }
                Err(error) if Instant::now() < until && may_come(&error) => {}
                Err(error) => return Err(failure(error)),
            }
        }
    }
}

/// How the tasks of a settled job ended, on the endpoint's word; none if it does not have the list of outcomes now.
pub async fn outcomes_shown(client: &Client, view: &JobView) -> Option<Outcomes> {
    let list = view.receipt.as_ref()?.outcomes;
    let limit = u64::try_from(MAX_OUTCOMES_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    for chunk in (0..blobs::chunk_count(list)).take_while(|_| list.length <= limit) {
        let encoded = client.blob_chunk(list, u64::from(chunk)).await.ok()?;
        bytes.extend(blobs::verify_chunk(list, chunk, &encoded).ok()?);
    }
    decode(&bytes, MAX_OUTCOMES_BYTES).ok()
}

fn may_come(error: &ClientError) -> bool {
    error.is_retryable() || error.is_not_found()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::fake;
    use crate::trust::newer;

    #[tokio::test]
    async fn a_receipt_of_a_newer_version_is_not_called_wrong() {
        let node = fake::start().await;
        *node.fake.proof.lock().unwrap() = Some(newer::value_proof());
        let fetched = receipt(&node.client, &newer::light(), JobId::default()).await;
        newer::assert_too_old(fetched);
    }
}
