//! A partner that hands on another list of a chain's states than its tasks left.
//!
//! It runs its tasks as it should. Its proxies withhold the step that hands on the states; then the daemon stops, another list takes the
//! place of the true one on its disk, and the daemon goes on with that as with its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use blobs::BlobStore;
use partner::assignment::OwnCommitment;
use partner::config::Config;
use partner::journal::{DiskJournal, Journal};
use tokio::sync::Notify;
use types::codec::{Bounded, decode, encode};
use types::hash::BlobId;
use types::job::TaskStates;
use types::limits::MAX_STATES_BYTES;

use crate::proxy::{self, Withheld};

/// The file that a broken link puts in the place of what a task left.
const OTHER_STATE: &[u8] = b"another state";

/// What is wrong with the list of states that a partner hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongStates {
    /// It names another file than the first task left.
    BrokenLink,
    /// It has no state after the last task but one.
    TooShort,
}

impl WrongStates {
    /// The list that takes the place of the true one, where `other` is a file that no task left.
    fn forged(self, states: &TaskStates, other: BlobId) -> Result<TaskStates> {
        let mut all = states.0.to_vec();
        match self {
            Self::BrokenLink => {
                let first = all.first_mut().context("a state")?;
                *first = Bounded::new(vec![Some(other); first.len()])?;
            }
            Self::TooShort => drop(all.pop()),
        }
        Ok(TaskStates(Bounded::new(all)?))
    }
}

/// Which lists of states pass a proxy.
#[derive(Debug, Default)]
pub struct ForgedLists {
    passing: Mutex<BTreeSet<BlobId>>,
    wanted: Notify,
}

impl ForgedLists {
    /// True if a list is a true one: the daemon is to stop, so that another one takes its place.
    pub fn holds(&self, list: BlobId) -> bool {
        let passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = !passing.contains(&list);
        if holds {
            self.wanted.notify_one();
        }
        holds
    }

    /// Puts another list in the place of each true one in a partner's directory; nobody uses the directory meanwhile.
    fn forge(&self, dir: &Path, config: &Config, what: WrongStates) -> Result<()> {
        let mut journal = DiskJournal::open(&dir.join("journal"))?;
        let (commitments, _) = journal.load()?;
        for mut own in commitments {
            let Some(list) = own.states.first().copied() else {
                continue;
            };
            let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
            if !passing.contains(&list) {
                let forged = replace(dir, config, what, &mut own, list)?;
                journal.keep(&own)?;
                passing.insert(forged);
            }
        }
        Ok(())
    }
}

/// Puts a forged list and what it names beside a partner's results, and into its commitment; gives the list.
fn replace(
    dir: &Path,
    config: &Config,
    what: WrongStates,
    own: &mut OwnCommitment,
    list: BlobId,
) -> Result<BlobId> {
    let folder = dir.join("results").join(own.assignment.to_string());
    let results = BlobStore::open(&folder, config.blob_quota_bytes)?;
    let states: TaskStates = decode(&results.read(list)?, MAX_STATES_BYTES)?;
    let states = what.forged(&states, results.put_bytes(OTHER_STATE)?)?;
    let list = results.put_bytes(&encode(&states))?;
    let files: BTreeSet<_> = states.files().collect();
    own.states = Bounded::new(std::iter::once(list).chain(files).collect())?;
    Ok(list)
}

/// Runs the partner until it fails.
pub async fn run(dir: &Path, mut config: Config, what: WrongStates) -> Result<()> {
    let lists = Arc::new(ForgedLists::default());
    for endpoint in &mut config.endpoints {
        *endpoint = proxy::start(endpoint, Withheld::TrueStates(Arc::clone(&lists)))?;
    }
    loop {
        let until = partner::DaemonControls::until(lists.wanted.notified());
        partner::run(dir, config.clone(), until).await?;
        lists.forge(dir, &config, what)?;
        tracing::warn!(?what, "hands on other states");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_list_differs_in_one_state_or_lacks_one() {
        let blob = |text: &str| BlobId::of(text.as_bytes());
        let state = |file: Option<BlobId>| Bounded::new(vec![file]).expect("one file");
        let of = |files: &[Option<BlobId>]| {
            let all = files.iter().copied().map(state).collect();
            TaskStates(Bounded::new(all).expect("a few states"))
        };
        let other = BlobId::of(OTHER_STATE);
        for first in [None, Some(blob("one"))] {
            let states = of(&[first, Some(blob("two"))]);
            let forged = |what: WrongStates| what.forged(&states, other).expect("a list");
            let broken = of(&[Some(other), Some(blob("two"))]);
            assert_eq!(forged(WrongStates::BrokenLink), broken);
            assert_eq!(forged(WrongStates::TooShort), of(&[first]));
        }
    }
}
