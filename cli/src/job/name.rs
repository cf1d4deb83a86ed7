//! A job as people name it: by its id, or by the first digits of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rpc::Client;
use types::hash::JobId;

use super::book::JobBook;
use crate::failure::{CommandFailure, ExitKind};
use crate::submit;

/// Fewest digits that name a job.
const MIN_DIGITS: usize = 4;
/// Digits of a whole id.
const ID_DIGITS: usize = 64;
/// Most jobs that an answer to an ambiguous name lists.
const MAX_SHOWN: usize = 5;

/// An id of 64 hex digits, or at least 4 digits that it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobName(String);

/// The reason why a text names no job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a job is named by its id of {ID_DIGITS} hex digits or by at least {MIN_DIGITS} that it begins with"
)]
pub struct NoJobName;

impl FromStr for JobName {
    type Err = NoJobName;

    fn from_str(text: &str) -> Result<Self, NoJobName> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = (MIN_DIGITS..=ID_DIGITS).contains(&text.len()) && text.bytes().all(is_digit);
        fits.then(|| Self(text.to_owned())).ok_or(NoJobName)
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JobName {
    /// The job of that name: of those submitted from this machine, and of those that the endpoint lists. An id that is whole is
    /// taken as it is.
    pub async fn resolve(&self, client: &Client) -> Result<JobId, CommandFailure> {
        if let Ok(job) = self.0.parse() {
            return Ok(job);
        }
        let own = JobBook::of_user().entries().into_iter();
        let mut found = self.among(own.map(|entry| entry.job));
        for live in [true, false] {
            match client.jobs(live).await {
                Ok(list) => found.extend(self.among(list.jobs.into_iter().map(|job| job.id))),
                // An endpoint that cannot list now does not keep anybody from a job that was submitted here.
                Err(error) if found.is_empty() => return Err(submit::failure(error)),
                Err(_) => {}
            }
        }
        self.only(&found)
    }

    fn among(&self, jobs: impl Iterator<Item = JobId>) -> BTreeSet<JobId> {
        jobs.filter(|job| job.to_string().starts_with(&self.0))
            .collect()
    }

    fn only(&self, found: &BTreeSet<JobId>) -> Result<JobId, CommandFailure> {
        if let (Some(job), 1) = (found.first(), found.len()) {
            return Ok(*job);
        }
        if found.is_empty() {
            let message = format!("no job is known here whose id begins with {self}");
            let hint = "gridproof job list shows an account's jobs; an id of 64 digits is always understood";
            return Err(
                CommandFailure::new(ExitKind::Refused, "job_not_found", message).hint(hint),
            );
        }
        let shown: Vec<_> = found.iter().take(MAX_SHOWN).map(JobId::to_string).collect();
        let message = format!(
            "{} jobs begin with {self}: {}",
            found.len(),
            shown.join(", ")
        );
        Err(CommandFailure::new(ExitKind::Usage, "ambiguous_job", message).hint("give more digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(first: u8) -> JobId {
        let mut bytes = [7; 32];
        bytes[0] = 0xab;
        bytes[1] = first;
        bytes.into()
    }

    #[test]
    fn a_name_is_hex_digits_of_an_id() {
        for bad in ["", "abc", "ABCD", "wxyz", &"a".repeat(65), "ab c1"] {
            assert_eq!(bad.parse::<JobName>(), Err(NoJobName), "{bad:?}");
        }
        assert!("ab01".parse::<JobName>().is_ok());
        assert!(job(1).to_string().parse::<JobName>().is_ok());
    }

    #[test]
    fn first_digits_name_the_only_job_that_has_them() {
        let name: JobName = "ab01".parse().unwrap();
        let found = name.among([job(1), job(2)].into_iter());
        assert_eq!(name.only(&found).unwrap(), job(1));
        let found = name.among([job(2)].into_iter());
        assert_eq!(name.only(&found).unwrap_err().code, "job_not_found");
        let name: JobName = "ab01".parse().unwrap();
        let mut other = [9; 32];
        other[..2].copy_from_slice(&[0xab, 1]);
        let found = name.among([job(1), JobId::from(other)].into_iter());
        let error = name.only(&found).unwrap_err();
        assert_eq!(error.code, "ambiguous_job");
        assert!(
            error.message.contains("2 jobs begin with ab01"),
            "{}",
            error.message
        );
    }
}
