//! Uploading a job's inputs: only what the node lacks, again when it does not answer, from the start at another node.

use std::fs::File;
use std::time::Duration;

use rpc::{Client, ClientError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use types::hash::JobId;

use super::input::LocalFile;
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::ui::{ProgressLine, Ui};

/// How long an upload that does not get on is tried again.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Text beside the progress bar.
const MESSAGE: &str = "uploading inputs";
/// Pause before an upload that was refused is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Uploads what the node lacks.
pub async fn upload(
    client: &Client,
    job: JobId,
    files: &[LocalFile],
    ui: Ui,
) -> Result<(), CommandFailure> {
    upload_within(client, job, files, TIMEOUT, ui).await
}

async fn upload_within(
    client: &Client,
    job: JobId,
    files: &[LocalFile],
    time_limit: Duration,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let total = files.iter().map(|file| file.encoder.id().length).sum();
    let progress = ui.bytes(total, MESSAGE);
    let mut result = Ok(());
    for file in files {
        let mut retry = interval(PAUSE);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let upload = FileUpload {
            client,
            job,
            file,
            progress: &progress,
            retry,
            sent: Vec::new(),
        };
        result = upload.run(time_limit).await;
        if result.is_err() {
            break;
        }
    }
    progress.finish();
    result.map_err(|failure| {
        let next = format!(
            "the job waits for its inputs and is refunded if they do not arrive in time: run the same command with \
             --resume {job} and without --key to go on"
        );
        let hint = failure.hint.as_ref().map_or_else(|| next.clone(), |hint| format!("{hint}; {next}"));
        failure.about(job).hint(hint)
    })
}

/// Why an attempt ended.
enum UploadStop {
    /// The file cannot be sent.
    File(CommandFailure),
    /// The node did not take it.
    Node(ClientError),
}

struct FileUpload<'a> {
    client: &'a Client,
    job: JobId,
    file: &'a LocalFile,
    progress: &'a ProgressLine,
    retry: Interval,
    /// Which chunks some node has taken.
    sent: Vec<bool>,
}

impl FileUpload<'_> {
    async fn run(mut self, time_limit: Duration) -> Result<(), CommandFailure> {
        let chunks =
            usize::try_from(blobs::chunk_count(self.file.encoder.id())).unwrap_or(usize::MAX);
        self.sent.resize(chunks, false);
        let (mut until, mut taken) = (Instant::now() + time_limit, 0);
        loop {
            self.retry.tick().await;
            let outcome = self.attempt().await;
            let now_taken = self.sent.iter().filter(|sent| **sent).count();
            if now_taken > taken {
                (until, taken) = (Instant::now() + time_limit, now_taken);
            }
            let late = Instant::now() >= until;
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) if late => return Err(self.never_complete()),
                Ok(false) => {}
                Err(UploadStop::File(failure)) => return Err(failure),
                Err(UploadStop::Node(error))
                    if error.code() == "blob_not_named" && self.is_past_inputs().await =>
                {
                    return Ok(());
                }
                // A node that is a block behind has not heard of the job yet.
                Err(UploadStop::Node(error))
                    if !late && (error.is_retryable() || error.is_not_found()) =>
                {
                    self.progress
                        .message(&format!("{MESSAGE}: retrying: {error}"));
                }
                Err(UploadStop::Node(error)) => return Err(failure(error)),
            }
        }
    }

    fn never_complete(&self) -> CommandFailure {
        let message = format!("{} takes chunks and still lacks them", self.client.url());
        CommandFailure::new(ExitKind::Refused, "upload", message).hint("ask another endpoint")
    }

    /// Sends what the node says it lacks; true if it then has all.
    async fn attempt(&mut self) -> Result<bool, UploadStop> {
        let id = self.file.encoder.id();
        let data = File::open(&self.file.path).map_err(|error| {
            let message = format!("cannot read {} any more: {error}", self.file.path.display());
            UploadStop::File(
                CommandFailure::new(ExitKind::BadInput, "missing_input", message)
                    .hint("put it back as it was"),
            )
        })?;
        let (mut complete, missing) = match self.client.blob(id).await {
            Ok(status) => (status.complete, status.missing),
            // It has heard of none of it.
            Err(error) if error.is_not_found() => {
                (false, (0..u64::from(blobs::chunk_count(id))).collect())
            }
            Err(error) => return Err(UploadStop::Node(error)),
        };
        for chunk in missing {
            if complete {
                break;
            }
            complete = self.send(&data, chunk).await?;
        }
        if complete {
            (0..blobs::chunk_count(id)).for_each(|chunk| self.count(chunk));
        }
        Ok(complete)
    }

    /// Sends a chunk; true if the node then has the whole blob.
    async fn send(&mut self, data: &File, chunk: u64) -> Result<bool, UploadStop> {
        let id = self.file.encoder.id();
        let number = u32::try_from(chunk).unwrap_or(u32::MAX);
        let encoded = self.file.encoder.encode(data, number).map_err(|error| {
            let message = format!(
                "{} changed while it was uploaded: {error}",
                self.file.path.display()
            );
            UploadStop::File(
                CommandFailure::new(ExitKind::BadInput, "input_changed", message)
                    .hint("put it back as it was"),
            )
        })?;
        let status = self
            .client
            .put_blob_chunk(self.job, id, chunk, encoded)
            .await
            .map_err(UploadStop::Node)?;
        self.count(number);
        Ok(status.complete)
    }

    fn count(&mut self, chunk: u32) {
        let place = usize::try_from(chunk)
            .ok()
            .and_then(|place| self.sent.get_mut(place));
        if let Some(sent) = place.filter(|sent| !**sent) {
            *sent = true;
            self.progress
                .advance(blobs::chunk_length(self.file.encoder.id(), chunk).unwrap_or(0));
        }
    }

    /// True if the job does not take inputs any more: validators hold them, or it ended, which waiting for it tells.
    async fn is_past_inputs(&self) -> bool {
        self.client
            .job(self.job)
            .await
            .is_ok_and(|view| !view.takes_inputs())
    }
}
