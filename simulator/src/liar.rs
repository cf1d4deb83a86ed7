//! The lies of a liar beside running twice: as a leader it sometimes proposes over a view that was not nullified, and it
//! sometimes withholds its finalize votes.

use std::collections::BTreeMap;

use consensus::Message;
use node::core::Frame;
use types::block::Block;
use types::key::SecretKey;
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::{Proposal, Statement, Subject, Vote};

use crate::random::SeededRandom;

/// What a liar does with a message that it would send.
#[derive(Debug)]
pub enum Lie {
    /// Sends the frame unchanged.
    Nothing,
    /// Sends another frame in its place.
    Instead(Frame),
    /// Sends nothing at all.
    Silence,
}

/// What liars know: the first proposal of each view.
#[derive(Debug, Default)]
pub struct Liar {
    proposals: BTreeMap<View, Proposal>,
}

impl Liar {
    /// Learns a message that somebody sent.
    pub fn hear(&mut self, message: &Message) {
        if let Message::Proposal(proposal) = message {
            self.proposals
                .entry(proposal.view)
                .or_insert_with(|| proposal.as_ref().clone());
        }
    }

    /// What a liar does with a message; chance decides whether it lies.
    pub fn instead_of(
        &self,
        message: &Message,
        index: ValidatorIndex,
        key: &SecretKey,
        random: &mut SeededRandom,
    ) -> Lie {
        match message {
            Message::Proposal(proposal) if random.chance(300) => {
                let lie = self.skip_a_view(proposal, index, key);
                lie.map_or(Lie::Nothing, |lie| Lie::Instead(Frame::consensus(&lie)))
            }
            Message::Vote(vote) if matches!(vote.statement.subject, Subject::Finalize { .. }) => {
                if random.chance(500) {
                    Lie::Silence
                } else {
                    Lie::Nothing
                }
            }
            _ => Lie::Nothing,
        }
    }

    /// A sibling of the block that was proposed in the view before: a valid block with everything it needs but the
    /// nullification of that view, which does not exist.
    fn skip_a_view(
        &self,
        own: &Proposal,
        index: ValidatorIndex,
        key: &SecretKey,
    ) -> Option<Message> {
        let before = self.proposals.get(&View(own.view.0.checked_sub(1)?))?;
        let Block { mut header, body } = before.block.clone();
        header.proposer = key.public().validator_id();
        header.timestamp.0 += 1;
        let chain = header.chain_id;
        let block = Block { header, body };
        let (view, parent_view, id) = (own.view, before.parent_view, block.id());
        let subject = Subject::Notarize {
            parent_view,
            block: id,
        };
        let vote = Vote::sign(
            Statement {
                epoch: Epoch::FIRST,
                view,
                subject,
            },
            index,
            key,
            chain,
        );
        let signed = Proposal::signing_hash(Epoch::FIRST, view, parent_view, id, chain);
        Some(Message::Proposal(Box::new(Proposal {
            epoch: Epoch::FIRST,
            view,
            parent_view,
            block,
            parent_certificate: before.parent_certificate.clone(),
            nullifications: before.nullifications.clone(),
            signature: key.sign(&signed),
            notarize: vote.signature,
        })))
    }
}
