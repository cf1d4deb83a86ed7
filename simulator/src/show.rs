//! A run for people: one line per event.

use chain::{Done, Submission};
use consensus::Message;
use node::core::{Event, FrameChannel};
use types::transaction::SignedTransaction;

/// A line about an event of a host; `None` for those that say little.
pub fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Frame { from, frame } if frame.channel == FrameChannel::Consensus => {
            format!("from {from}: {}", message(&frame.bytes))
        }
        Event::Frame { from, frame } => format!("from {from}: {:?}", frame.channel),
        Event::Timer => "timer".to_owned(),
        Event::Chain(chain::Event::Done(done)) => return work(done),
        Event::Chain(chain::Event::Submit(submissions)) => submitted(submissions),
        Event::Chain(chain::Event::Failed(fatal)) => format!("failed: {fatal}"),
        Event::Served { .. } | Event::Chain(_) => return None,
    })
}

fn submitted(submissions: &[Submission]) -> String {
    let all = submissions.iter().flat_map(|one| &one.transactions);
    let all = all.map(|transaction| {
        let SignedTransaction::Native(native) = transaction;
        let (by, nonce) = (native.transaction.sender, native.transaction.nonce);
        format!("{by:?} submits {nonce} {:?}", native.transaction.action)
    });
    all.collect::<Vec<_>>().join("; ")
}

fn work(done: &Done) -> Option<String> {
    Some(match done {
        Done::Committed { decision, .. } => format!("decided height {}", decision.diff.height),
        Done::Executed { block, result } => match result {
            Ok(_) => format!("executed {block:?}: valid"),
            Err(invalid) => format!("executed {block:?}: invalid: {invalid}"),
        },
        Done::BuildingPanicked { fault, .. } => format!("building panicked: {}", fault.message),
        Done::Built(_) | Done::Verified(_) | Done::Outrun(_) => return None,
    })
}

fn message(bytes: &[u8]) -> String {
    let Ok(message) = Message::from_bytes(bytes) else {
        return "garbage".to_owned();
    };
    match message {
        Message::Proposal(p) => format!("proposal of view {} ({:?})", p.view, p.block.id()),
        Message::Vote(vote) => format!("vote {} {:?}", vote.statement.view, vote.statement.subject),
        Message::Certificate(c) => {
            format!("certificate {} {:?}", c.statement.view, c.statement.subject)
        }
        Message::Request(request) => format!("{request:?}"),
        Message::Block(block) => format!("block {:?}", block.id()),
        Message::Range(range) => format!("{} blocks", range.blocks.len()),
        Message::Certificates(all) => format!("{} certificates", all.len()),
        Message::VoteRecovery { votes, .. } => format!("{} votes of mine", votes.len()),
        Message::Evidence(piece) => format!("two votes of yours in view {}", piece.view()),
    }
}
