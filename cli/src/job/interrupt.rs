//! Ctrl-C while a job is under way: the command ends, the job does not, and that is said.

use std::future::Future;

use types::hash::JobId;

use crate::failure::{CommandFailure, ExitKind};

/// Goes on with a job's business until it is done or the process is asked to stop.
pub async fn unless_interrupted<T>(
    job: JobId,
    work: impl Future<Output = Result<T, CommandFailure>>,
) -> Result<T, CommandFailure> {
    tokio::select! {
        done = work => done,
        () = crate::asked_to_stop() => Err(interrupted(job)),
    }
}

fn interrupted(job: JobId) -> CommandFailure {
    let message =
        format!("interrupted; job {job} goes on by itself, and is paid for if it settles");
    let hint = format!(
        "to wait again, run the same command with --resume {job} and without --key; to end the job and get back what is not \
         used, gridproof job cancel {job} --key FILE"
    );
    CommandFailure::new(ExitKind::Interrupted, "interrupted", message)
        .hint(hint)
        .about(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_interrupts_learns_that_the_job_goes_on_and_how_to_end_it() {
        let job = JobId::default();
        let failure = interrupted(job);
        assert_eq!(failure.kind.code(), 130);
        assert!(failure.message.contains("goes on"));
        let hint = failure.hint.unwrap();
        assert!(hint.contains(&format!("--resume {job}")));
        assert!(hint.contains(&format!("gridproof job cancel {job}")));
    }
}
