//! What other validators did wrong: the operator is told, and what proves guilt is on disk before the loop goes on.

use consensus::log::LogStorage;
use consensus::{EvidenceBook, EvidenceBookError, Fault};

pub(super) fn report<S: LogStorage>(
    evidence: &mut EvidenceBook<S>,
    by: &str,
    fault: Fault,
) -> Result<(), EvidenceBookError> {
    tracing::warn!(validator = by, "a validator {fault}");
    if let Fault::Equivocation(piece) = fault {
        evidence.add(*piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use consensus::Evidence;
    use consensus::log::FileStorage;
    use types::hash::{BlockId, ChainId};
    use types::number::{Epoch, ValidatorIndex, View};
    use types::testing::{committee, validators};
    use types::vote::{Statement, Subject, Term, Vote};

    use super::*;

    #[test]
    fn of_what_is_reported_the_proofs_are_there_after_a_restart() {
        let (chain, folder) = (ChainId::default(), tempfile::tempdir().unwrap());
        let (committee, key) = (committee(&[1]), &validators(&[1])[0].key);
        let term = Term {
            chain,
            epoch: Epoch::FIRST,
            committee: &committee,
        };
        let vote = |subject| {
            let statement = Statement {
                epoch: Epoch::FIRST,
                view: View(3),
                subject,
            };
            Vote::sign(statement, ValidatorIndex(0), key, chain)
        };
        let block = BlockId::default();
        let finalize = vote(Subject::Finalize { block });
        let guilt = Evidence::new(vote(Subject::Nullify), finalize).unwrap();
        let open = || {
            let storage = FileStorage::new(&folder.path().join("evidence")).unwrap();
            EvidenceBook::open(storage, &term).unwrap()
        };
        for (fault, kept) in [(Fault::BadFrame, 0), (guilt.into(), 1)] {
            report(&mut open(), "zurich", fault).unwrap();
            assert_eq!(open().pieces().len(), kept);
        }
    }
}
