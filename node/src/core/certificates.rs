//! How long after a view was entered its certificates came, for the operator's metrics. Nothing in consensus looks at it.

use std::collections::BTreeMap;

use consensus::log::Record;
use types::number::View;
use types::time::Monotonic;
use types::vote::Subject;

/// Views of which the entry is remembered.
const VIEWS: usize = 64;
/// Certificates that are kept for whoever asks next; older ones go.
const KEPT: usize = 256;

/// The kinds of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// A quorum of the stake notarized a block.
    Notarization,
    /// A quorum gave the view up.
    Nullification,
    /// A quorum made a block final.
    Finalization,
}

impl CertificateKind {
    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Notarization => "notarization",
            Self::Nullification => "nullification",
            Self::Finalization => "finalization",
        }
    }
}

/// A certificate that consensus acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateTime {
    /// What it certifies.
    pub kind: CertificateKind,
    /// Time since its view was entered here, in milliseconds; none for a view that was passed over.
    pub after_ms: Option<u64>,
}

/// Entries of views and the certificates since somebody last asked.
#[derive(Debug, Default)]
pub(super) struct CertificateTimes {
    entered: BTreeMap<View, Monotonic>,
    new: Vec<CertificateTime>,
}

impl CertificateTimes {
    /// Consensus is in that view now.
    pub(super) fn entered(&mut self, now: Monotonic, view: View) {
        self.entered.entry(view).or_insert(now);
        while self.entered.len() > VIEWS {
            self.entered.pop_first();
        }
    }

    /// These records were written: each certificate of them is new.
    pub(super) fn logged(&mut self, now: Monotonic, records: &[Record]) {
        for record in records {
            let Record::Certificate(certificate) = record else {
                continue;
            };
            let kind = match certificate.statement.subject {
                Subject::Notarize { .. } => CertificateKind::Notarization,
                Subject::Nullify => CertificateKind::Nullification,
                Subject::Finalize { .. } => CertificateKind::Finalization,
            };
            let entered = self.entered.get(&certificate.statement.view);
            if self.new.len() == KEPT {
                self.new.remove(0);
            }
            self.new.push(CertificateTime {
                kind,
                after_ms: entered.map(|entered| now.0.saturating_sub(entered.0)),
            });
        }
    }

    /// The certificates since the last time.
    pub(super) fn take(&mut self) -> Vec<CertificateTime> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use types::codec::Bounded;
    use types::committee::ValidatorSet;
    use types::hash::BlockId;
    use types::number::Epoch;
    use types::vote::{Certificate, Statement};

    use super::*;

    fn certificate(view: u64, subject: Subject) -> Record {
        Record::Certificate(Certificate {
            statement: Statement {
                epoch: Epoch::FIRST,
                view: View(view),
                subject,
            },
            signers: ValidatorSet::default(),
            signatures: Bounded::default(),
        })
    }

    #[test]
    fn a_certificate_has_the_time_since_its_view_was_entered() {
        let mut times = CertificateTimes::default();
        times.entered(Monotonic(100), View(7));
        times.entered(Monotonic(400), View(7));
        times.entered(Monotonic(350), View(8));
        let block = BlockId::default();
        let records = [
            certificate(7, Subject::Finalize { block }),
            certificate(8, Subject::Nullify),
            certificate(3, Subject::Nullify),
        ];
        times.logged(Monotonic(450), &records);
        let found: Vec<_> = times
            .take()
            .into_iter()
            .map(|time| (time.kind.name(), time.after_ms))
            .collect();
        let expected = [
            ("finalization", Some(350)),
            ("nullification", Some(100)),
            ("nullification", None),
        ];
        assert_eq!(found, expected);
        assert_eq!(times.take(), []);
    }

    #[test]
    fn what_nobody_asks_for_is_bounded() {
        let mut times = CertificateTimes::default();
        for view in 0..1_000 {
            times.entered(Monotonic(view), View(view));
            times.logged(Monotonic(view), &[certificate(view, Subject::Nullify)]);
        }
        assert_eq!((times.entered.len(), times.new.len()), (VIEWS, KEPT));
    }
}
