//! Messages that a liar makes: proposals signed with its own key, and signatures that do not verify.

use consensus::Message;
use types::key::{SecretKey, Signature};
use types::number::ValidatorIndex;
use types::vote::{Certificate, Proposal, Vote};

/// A proposal with both of its leader's signatures made anew.
pub(super) fn signed(mut proposal: Proposal, index: ValidatorIndex, key: &SecretKey) -> Message {
    let (view, parent_view) = (proposal.view, proposal.parent_view);
    let (chain, block) = (proposal.block.header.chain_id, proposal.block.id());
    let hash = Proposal::signing_hash(proposal.epoch, view, parent_view, block, chain);
    proposal.signature = key.sign(&hash);
    let vote = Vote::sign(proposal.notarize_statement(), index, key, chain);
    proposal.notarize = vote.signature;
    Message::Proposal(Box::new(proposal))
}

fn spoil(signature: &mut Signature) {
    signature.0[5] ^= 1;
}

fn spoil_first(certificate: &mut Certificate) {
    let signatures = certificate.signatures.as_mut_slice();
    signatures.iter_mut().take(1).for_each(spoil);
}

/// The same message with one signature that does not verify, if it has any.
pub(super) fn with_bad_signature(message: &Message) -> Message {
    let mut message = message.clone();
    match &mut message {
        Message::Proposal(proposal) => spoil(&mut proposal.notarize),
        Message::Vote(vote) => spoil(&mut vote.signature),
        Message::Certificate(certificate) => spoil_first(certificate),
        Message::Certificates(certificates) => {
            certificates.as_mut_slice().iter_mut().for_each(spoil_first);
        }
        Message::Range(range) => spoil_first(&mut range.certificate),
        Message::Evidence(evidence) => spoil(&mut evidence.second.signature),
        Message::Request(_) | Message::Block(_) | Message::VoteRecovery { .. } => {}
    }
    message
}
