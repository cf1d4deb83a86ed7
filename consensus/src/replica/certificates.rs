//! Certificates that others send: each is verified once, and one that says nothing new is compared with the votes held.

use std::collections::VecDeque;

use types::number::{ValidatorIndex, View};
use types::time::Now;
use types::vote::{Certificate, Subject};

use super::Replica;
use crate::effect::{Effects, Fault, Recipients};
use crate::input::Event;
use crate::message::Message;

impl Replica {
    /// A certificate that a validator sent unasked; one that speaks of an old finalization is told of ours.
    pub(super) fn take_offer(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        certificate: Certificate,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let view = certificate.statement.view;
        let is_final = matches!(certificate.statement.subject, Subject::Finalize { .. });
        self.engine
            .note_shown(from, view, if is_final { view } else { View::ZERO });
        if is_final
            && let Some(newer) = self.engine.newer_finalization(view)
            && self.serving.has_credit(now.monotonic, from)
        {
            let message = Message::Certificate(newer);
            self.serving
                .charge(now.monotonic, from, message.encoded_bytes());
            out.send(Recipients::One(self.config.id_of(from)), message);
        }
        self.take_certificate(from, certificate, events, out);
    }

    fn take_certificate(
        &mut self,
        from: ValidatorIndex,
        certificate: Certificate,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let is_good = self.is_new_and_good(from, &certificate, out);
        events.extend(is_good.then_some(Event::Certificate(certificate)));
    }

    /// Certificates that came together are one event: what follows from all of them is done once.
    pub(super) fn take_certificates(
        &mut self,
        from: ValidatorIndex,
        certificates: impl IntoIterator<Item = Certificate>,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let good: Vec<Certificate> = certificates
            .into_iter()
            .filter(|certificate| self.is_new_and_good(from, certificate, out))
            .collect();
        events.extend((!good.is_empty()).then_some(Event::Certificates(good)));
    }

    /// True if a certificate is to be taken. One that is known is compared with the votes held, and not taken again.
    fn is_new_and_good(
        &mut self,
        from: ValidatorIndex,
        certificate: &Certificate,
        out: &mut Effects,
    ) -> bool {
        if self.engine.knows(certificate) {
            if self.shows_foreign_vote(certificate) {
                match self.own_vote_of(certificate) {
                    Some(vote) if self.collector.is_by(&vote, self.config.me) => {
                        self.stop_for_foreign_vote(vote.statement.view, out);
                    }
                    _ => self.report(from, Fault::BadCertificate, out),
                }
                return false;
            }
            match self.collector.compare(certificate) {
                Ok(faults) => self.report_all(faults, out),
                Err(_) => self.report(from, Fault::BadCertificate, out),
            }
            return false;
        }
        let verified = self.collector.verify_certificate(certificate);
        if verified.is_err() {
            self.report(from, Fault::BadCertificate, out);
        }
        verified.is_ok()
    }
}
