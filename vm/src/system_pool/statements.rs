//! Validators' statements that wait until a quorum says the same.
//!
//! What live jobs await has room for each validator's word, since there are only so many live jobs; of what is not
//! awaited yet each validator can place a few, the newest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use state::StateRead;
use types::committee::Committee;
use types::hash::ValidatorId;
use types::key::Signature;
use types::limits::EARLY_STATEMENTS_PER_VALIDATOR;
use types::number::ChainTime;
use types::stored::{SignedStatement, StoredCertificate, StoredStatement, StoredSubject};

use super::SystemPoolError;
use crate::query::{self, Wanted};
use crate::{Abort, Rules};

/// What one validator says of a subject.
#[derive(Debug, Clone, Copy)]
struct Word {
    statement: StoredStatement,
    signature: Signature,
}

/// A certificate, with when its job's window ends.
pub(super) struct DueCertificate {
    pub due: ChainTime,
    pub certificate: StoredCertificate,
}

/// The statements that wait, at most one of each validator on a subject.
#[derive(Debug, Clone, Default)]
pub(super) struct Statements {
    words: BTreeMap<StoredSubject, BTreeMap<ValidatorId, Word>>,
    /// What of each validator waits before its time, the oldest first.
    early: BTreeMap<ValidatorId, VecDeque<StoredSubject>>,
}

impl Statements {
    /// Takes a statement in, judged on the state `view`.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        signed: &SignedStatement,
    ) -> Result<(), SystemPoolError> {
        let SignedStatement {
            statement,
            validator,
            signature,
        } = *signed;
        let subject = statement.subject;
        if self.knows(&subject, &validator) {
            return Err(SystemPoolError::Known);
        }
        let wanted = query::wants_stored(view, &subject)?;
        if wanted == Wanted::No {
            return Err(SystemPoolError::Stale);
        }
        signed.verify(&rules.in_force(view)?.committee, rules.chain_id)?;
        if wanted == Wanted::NotYet {
            self.make_room(subject, validator);
        }
        let words = self.words.entry(subject).or_default();
        let word = Word {
            statement,
            signature,
        };
        words.insert(validator, word);
        Ok(())
    }

    fn knows(&self, subject: &StoredSubject, validator: &ValidatorId) -> bool {
        let words = self.words.get(subject);
        words.is_some_and(|words| words.contains_key(validator))
    }

    /// A statement that is early takes the room of the oldest one of its validator that is.
    fn make_room(&mut self, subject: StoredSubject, validator: ValidatorId) {
        let early = self.early.entry(validator).or_default();
        early.push_back(subject);
        if early.len() > EARLY_STATEMENTS_PER_VALIDATOR
            && let Some(oldest) = early.pop_front()
        {
            self.remove(&oldest, &validator);
        }
    }

    fn remove(&mut self, subject: &StoredSubject, validator: &ValidatorId) {
        if let Some(words) = self.words.get_mut(subject) {
            words.remove(validator);
            if words.is_empty() {
                self.words.remove(subject);
            }
        }
    }

    /// The certificates that a block on the state `view` could hold, of the job that is due first the first.
    pub fn certificates(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
    ) -> Result<Vec<DueCertificate>, Abort> {
        let rules = rules.in_force(view)?;
        let mut all = Vec::new();
        for (subject, words) in &self.words {
            if let Some(certificate) = gather(words, &rules.committee)
                && let Wanted::Yes { due } = query::wants_stored(view, subject)?
            {
                all.push(DueCertificate { due, certificate });
            }
        }
        all.sort_by_key(|one| (one.due, one.certificate.statement.subject));
        Ok(all)
    }

    /// True if a block on the state `view` could hold a certificate.
    pub fn is_ready(&self, rules: &Rules, view: &dyn StateRead) -> Result<bool, Abort> {
        let rules = rules.in_force(view)?;
        for (subject, words) in &self.words {
            if gather(words, &rules.committee).is_some()
                && matches!(query::wants_stored(view, subject)?, Wanted::Yes { .. })
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops what a newer state has no use for.
    pub fn recheck(&mut self, view: &dyn StateRead) -> Result<(), Abort> {
        let mut wanted = BTreeMap::new();
        for subject in self.words.keys() {
            wanted.insert(*subject, query::wants_stored(view, subject)?);
        }
        let is = |subject: &StoredSubject, what: Wanted| wanted.get(subject) == Some(&what);
        self.words.retain(|subject, _| !is(subject, Wanted::No));
        for early in self.early.values_mut() {
            early.retain(|subject| is(subject, Wanted::NotYet));
        }
        self.early.retain(|_, early| !early.is_empty());
        Ok(())
    }

    /// Drops what all validators said of a subject.
    pub fn drop_subject(&mut self, subject: &StoredSubject) {
        self.words.remove(subject);
        for early in self.early.values_mut() {
            early.retain(|other| other != subject);
        }
    }

    /// Number of statements that wait.
    pub fn len(&self) -> usize {
        self.words.values().map(BTreeMap::len).sum()
    }
}

/// The certificate of what a quorum says of one subject; nothing if no quorum says the same.
fn gather(words: &BTreeMap<ValidatorId, Word>, committee: &Committee) -> Option<StoredCertificate> {
    let mut equal = BTreeMap::<StoredStatement, BTreeMap<ValidatorId, Signature>>::new();
    for (validator, word) in words {
        let same = equal.entry(word.statement).or_default();
        same.insert(*validator, word.signature);
    }
    // Two quorums that differ have an honest validator in common, so that the largest group is the one.
    let largest = equal.into_iter().max_by_key(|(statement, same)| {
        let stake = same.keys().filter_map(|id| committee.validator(id));
        let stake: u128 = stake.map(|member| u128::from(member.stake.0)).sum();
        (stake, Reverse(*statement))
    });
    let (statement, signatures) = largest?;
    StoredCertificate::gather(statement, &signatures, committee)
}
