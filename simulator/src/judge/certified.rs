//! The certificates that honest members showed, wrote down or were shown in a proposal, and what must hold among them.
//!
//! - S1: at most one notarization of a view.
//! - S2: never a nullification and a finalization of one view.
//! - S3: a final block is notarized, its ancestors are notarized, and the views between are nullified.
//! - L1: after the calm every view ends with a certificate.

use std::collections::{BTreeMap, BTreeSet};

use consensus::Message;
use consensus::log::Record;
use types::hash::BlockId;
use types::number::View;
use types::vote::{Certificate, Subject};

use super::Violation;

/// All certificates so far.
#[derive(Debug, Default)]
pub(super) struct Certified {
    /// The view of the parent, and the block.
    notarized: BTreeMap<View, (View, BlockId)>,
    nullified: BTreeSet<View>,
    finalized: BTreeMap<View, BlockId>,
}

impl Certified {
    /// A certificate that an honest member holds. Checks S1 and S2.
    pub(super) fn add(&mut self, certificate: &Certificate) -> Result<(), Violation> {
        let view = certificate.statement.view;
        match certificate.statement.subject {
            Subject::Notarize { parent_view, block } => {
                let notarized = (parent_view, block);
                if *self.notarized.entry(view).or_insert(notarized) != notarized {
                    return Err(Violation::TwoNotarizations { view });
                }
            }
            Subject::Nullify => drop(self.nullified.insert(view)),
            Subject::Finalize { block } => {
                if *self.finalized.entry(view).or_insert(block) != block {
                    return Err(Violation::TwoFinalizations { view });
                }
            }
        }
        if self.nullified.contains(&view) && self.finalized.contains_key(&view) {
            return Err(Violation::NullifiedAndFinalized { view });
        }
        Ok(())
    }

    /// True if a nullification of the view is known.
    pub(super) fn is_nullified(&self, view: View) -> bool {
        self.nullified.contains(&view)
    }

    /// Checks S3 along the path of the highest final block, and L1 above `calm`.
    pub(super) fn check_path(&self, calm: View) -> Result<(), Violation> {
        let Some((highest, _)) = self.finalized.last_key_value() else {
            return Ok(());
        };
        let mut view = *highest;
        while view > View::ZERO {
            let Some((parent, block)) = self.notarized.get(&view) else {
                return Err(Violation::NotNotarized { view });
            };
            if self.finalized.get(&view).is_some_and(|last| last != block) {
                return Err(Violation::NotNotarized { view });
            }
            let gap = (parent.0 + 1..view.0).map(View);
            if let Some(gap) = gap.into_iter().find(|gap| !self.nullified.contains(gap)) {
                return Err(Violation::GapNotNullified { view, gap });
            }
            view = *parent;
        }
        let ended =
            |view: &View| self.notarized.contains_key(view) || self.nullified.contains(view);
        match (calm.0 + 1..highest.0).map(View).find(|view| !ended(view)) {
            Some(view) => Err(Violation::ViewWithoutEnd { view }),
            None => Ok(()),
        }
    }

    /// The highest final view.
    pub(super) fn final_view(&self) -> View {
        self.finalized
            .last_key_value()
            .map_or(View::ZERO, |(view, _)| *view)
    }
}

/// The certificates in a message.
pub(super) fn in_message(message: &Message) -> Vec<&Certificate> {
    match message {
        Message::Certificate(certificate) => vec![certificate],
        Message::Certificates(certificates) => certificates.iter().collect(),
        Message::Range(range) => vec![&range.certificate],
        Message::Proposal(proposal) => proposal.certificates().collect(),
        Message::Vote(_)
        | Message::Request(_)
        | Message::Block(_)
        | Message::Evidence(_)
        | Message::VoteRecovery { .. } => Vec::new(),
    }
}

/// The certificate in a record of the log.
pub(super) fn in_record(record: &Record) -> Option<&Certificate> {
    match record {
        Record::Certificate(certificate) => Some(certificate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use types::number::Epoch;
    use types::vote::Statement;

    use super::*;

    fn of(view: u64, subject: Subject) -> Certificate {
        let statement = Statement {
            epoch: Epoch::FIRST,
            view: View(view),
            subject,
        };
        Certificate::from_votes(statement, &[])
    }

    fn notarize(view: u64, parent_view: u64, block: u8) -> Certificate {
        let block = BlockId(types::hash::Hash32([block; 32]));
        let parent_view = View(parent_view);
        of(view, Subject::Notarize { parent_view, block })
    }

    fn finalize(view: u64, block: u8) -> Certificate {
        let block = BlockId(types::hash::Hash32([block; 32]));
        of(view, Subject::Finalize { block })
    }

    fn nullify(view: u64) -> Certificate {
        of(view, Subject::Nullify)
    }

    fn judged(certificates: &[Certificate]) -> Result<(), Violation> {
        let mut all = Certified::default();
        for certificate in certificates {
            all.add(certificate)?;
        }
        all.check_path(View::ZERO)
    }

    #[test]
    fn each_promise_about_certificates_is_checked() {
        let good = [
            notarize(1, 0, 1),
            nullify(2),
            notarize(3, 1, 3),
            finalize(3, 3),
        ];
        assert_eq!(judged(&good), Ok(()));
        let with = |more: Certificate| judged(&[&good[..], &[more]].concat());
        assert_eq!(
            with(notarize(3, 1, 4)),
            Err(Violation::TwoNotarizations { view: View(3) })
        );
        assert_eq!(
            with(finalize(3, 4)),
            Err(Violation::TwoFinalizations { view: View(3) })
        );
        assert_eq!(
            with(nullify(3)),
            Err(Violation::NullifiedAndFinalized { view: View(3) })
        );
        assert_eq!(with(nullify(1)), Ok(()), "a split heals");
        let without = |at: usize| {
            let mut rest = good.to_vec();
            rest.remove(at);
            judged(&rest)
        };
        assert_eq!(without(0), Err(Violation::NotNotarized { view: View(1) }));
        let (view, gap) = (View(3), View(2));
        assert_eq!(without(1), Err(Violation::GapNotNullified { view, gap }));
        assert_eq!(without(2), Err(Violation::NotNotarized { view: View(3) }));
        let late = [notarize(1, 0, 1), notarize(9, 1, 2)];
        let mut all = Certified::default();
        for view in 2..9 {
            all.add(&nullify(view)).unwrap();
        }
        late.iter()
            .chain([&finalize(9, 2)])
            .for_each(|c| all.add(c).unwrap());
        assert_eq!(all.check_path(View::ZERO), Ok(()));
    }
}
