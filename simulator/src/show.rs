//! A run for people: one line per event.

use consensus::Message;
use node::core::{Channel, Event, Execute};

/// A line about an event of a host; `None` for those that say little.
pub fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Frame { from, frame } if frame.channel == Channel::Consensus => {
            format!("from {from}: {}", message(&frame.bytes))
        }
        Event::Frame { from, frame } => format!("from {from}: {:?}", frame.channel),
        Event::Committed { height, .. } => format!("decided height {height}"),
        Event::Executed { block, result } => format!("executed {block:?}: {}", verdict(result)),
        Event::Timer => "timer".to_owned(),
        _ => return None,
    })
}

fn verdict(result: &Execute) -> String {
    match result {
        Execute::Valid(_) => "valid".to_owned(),
        Execute::Invalid(invalid) => format!("invalid: {invalid}"),
        Execute::Failed(stop) => format!("failed: {stop}"),
    }
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
    }
}
