//! Liars: members whose host runs the node as it ships, and whose messages are changed on their way out. They talk to
//! everybody, under their own names.
//!
//! A lie follows from the message that the honest node would have sent, so that liars keep up with the chain and lie
//! when it matters. What it leaves out: liars that act together.

use std::collections::{BTreeMap, BTreeSet};

use consensus::{Message, Request};
use node::core::{Frame, FrameChannel};
use types::block::Block;
use types::codec::Bounded;
use types::hash::{BlockId, Hash32};
use types::key::SecretKey;
use types::number::{Height, ValidatorIndex, View};
use types::vote::{Certificate, Proposal, Subject};

use crate::random::SeededRandom;

mod forge;

/// How a member lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiarKind {
    /// Its key runs on two hosts that know nothing of each other and each talk to a side; it also skips views and
    /// withholds finalize votes.
    Twin,
    /// Proposes blocks that break a rule: height, timestamp, base fee, proposer, or a body that is not the header's.
    InvalidBlocks,
    /// Proposes blocks whose roots, gas or committee are not those of the parent's state.
    WrongRoots,
    /// Signatures of its votes, proposals and certificates do not verify.
    BadSignatures,
    /// Sends its proposals to some members only, and answers no requests.
    WithheldBodies,
    /// Sends each message to other members only.
    SelectiveSending,
    /// Tells members that start again other votes than they cast, or none.
    LyingRecovery,
    /// Sends garbage, replays, requests and forged certificates with everything it says.
    Flood,
    /// Sends its proposals late.
    LateProposals,
    /// Proposes blocks of the future, and in views that are not there yet.
    FutureProposals,
}

impl LiarKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Twin,
        Self::InvalidBlocks,
        Self::WrongRoots,
        Self::BadSignatures,
        Self::WithheldBodies,
        Self::SelectiveSending,
        Self::LyingRecovery,
        Self::Flood,
        Self::LateProposals,
        Self::FutureProposals,
    ];

    /// A random kind.
    #[must_use]
    pub fn draw(random: &mut SeededRandom) -> Self {
        Self::ALL[random.index(Self::ALL.len())]
    }
}

/// What leaves instead of a message.
#[derive(Debug, Clone)]
pub struct Lie {
    /// The frame; none for silence.
    pub frame: Option<Frame>,
    /// Additional frames to the same members.
    pub extra: Vec<Frame>,
    /// The members that get it, if not all that the message is for.
    pub only: Option<BTreeSet<usize>>,
    /// How much later it leaves, in milliseconds.
    pub late_ms: u64,
}

impl Lie {
    /// The truth.
    fn none(frame: &Frame) -> Self {
        Self {
            frame: Some(frame.clone()),
            extra: Vec::new(),
            only: None,
            late_ms: 0,
        }
    }

    fn instead(message: &Message) -> Self {
        Self::none(&Frame::consensus(message))
    }

    fn silence() -> Self {
        Self {
            frame: None,
            extra: Vec::new(),
            only: None,
            late_ms: 0,
        }
    }
}

/// A liar at work: who it is, and its source of chance.
pub struct LiarVoice<'a> {
    /// How it lies.
    pub kind: LiarKind,
    /// Its position.
    pub index: ValidatorIndex,
    /// Its key.
    pub key: &'a SecretKey,
    /// Number of members.
    pub members: usize,
    /// Chance.
    pub random: &'a mut SeededRandom,
}

/// What liars know: the first proposal of each view, and what was said lately.
#[derive(Debug, Default)]
pub struct LiarMemory {
    proposals: BTreeMap<View, Proposal>,
    heard: Vec<Message>,
}

/// Messages that are kept to be said again.
const KEPT: usize = 64;

impl LiarMemory {
    /// Learns a message that somebody sent.
    pub fn hear(&mut self, message: &Message) {
        if let Message::Proposal(proposal) = message {
            self.proposals
                .entry(proposal.view)
                .or_insert_with(|| proposal.as_ref().clone());
        }
        if self.heard.len() >= KEPT {
            self.heard.remove(0);
        }
        self.heard.push(message.clone());
    }

    /// What a liar sends instead of a message; chance decides whether it lies this time.
    pub fn instead_of(&self, message: &Message, frame: &Frame, liar: &mut LiarVoice<'_>) -> Lie {
        match liar.kind {
            LiarKind::Twin => self.twin(message, frame, liar),
            LiarKind::InvalidBlocks => liar.reproposed(message, frame, LiarVoice::break_block),
            LiarKind::WrongRoots => liar.reproposed(message, frame, LiarVoice::break_roots),
            LiarKind::BadSignatures if liar.random.chance(300) => {
                Lie::instead(&forge::with_bad_signature(message))
            }
            LiarKind::WithheldBodies => liar.withheld(message, frame),
            LiarKind::SelectiveSending => Lie {
                only: Some(liar.some_members()),
                ..Lie::none(frame)
            },
            LiarKind::LyingRecovery => liar.lying_recovery(message, frame),
            LiarKind::Flood => Lie {
                extra: self.flood(liar),
                ..Lie::none(frame)
            },
            LiarKind::LateProposals if matches!(message, Message::Proposal(_)) => Lie {
                late_ms: liar.random.range(0, 4_000),
                ..Lie::none(frame)
            },
            LiarKind::FutureProposals => liar.in_the_future(message, frame),
            LiarKind::BadSignatures | LiarKind::LateProposals => Lie::none(frame),
        }
    }

    fn twin(&self, message: &Message, frame: &Frame, liar: &mut LiarVoice<'_>) -> Lie {
        match message {
            Message::Proposal(proposal) if liar.random.chance(300) => self
                .skip_a_view(proposal, liar)
                .map_or_else(|| Lie::none(frame), |lie| Lie::instead(&lie)),
            Message::Vote(vote)
                if matches!(vote.statement.subject, Subject::Finalize { .. })
                    && liar.random.chance(500) =>
            {
                Lie::silence()
            }
            _ => Lie::none(frame),
        }
    }

    /// A sibling of the block that was proposed in the view before: a valid block with everything it needs but the
    /// nullification of that view, which does not exist.
    fn skip_a_view(&self, own: &Proposal, liar: &LiarVoice<'_>) -> Option<Message> {
        let before = self.proposals.get(&View(own.view.0.checked_sub(1)?))?;
        let Block { mut header, body } = before.block.clone();
        header.proposer = liar.key.public().validator_id();
        header.timestamp.0 += 1;
        let mut proposal = before.clone();
        (proposal.view, proposal.block) = (own.view, Block { header, body });
        Some(forge::signed(proposal, liar.index, liar.key))
    }

    /// Frames that cost their readers something and say nothing.
    fn flood(&self, liar: &mut LiarVoice<'_>) -> Vec<Frame> {
        let count = liar.random.index(4);
        (0..count).map(|_| self.useless(liar)).collect()
    }

    fn useless(&self, liar: &mut LiarVoice<'_>) -> Frame {
        let random = &mut *liar.random;
        let any = random.next_u64();
        let request = |request| Frame::consensus(&Message::Request(request));
        match random.index(8) {
            0 => Frame {
                channel: [
                    FrameChannel::Consensus,
                    FrameChannel::Pool,
                    FrameChannel::Blobs,
                ][random.index(3)],
                bytes: any.to_le_bytes().to_vec().into(),
            },
            1 => request(Request::Block(BlockId(Hash32(
                [random.index(256).to_le_bytes()[0]; 32],
            )))),
            2 => request(Request::Range(Height(any % 20))),
            3 => request(Request::Certificates {
                from: View(any % 50),
                to: View(any % 50 + random.range(0, 60)),
            }),
            4 => request(Request::VoteRecovery { session: any }),
            5 => Frame::consensus(&Message::VoteRecovery {
                session: any,
                votes: Bounded::default(),
                entry: None,
            }),
            // What others said, as if it were its own.
            6 if !self.heard.is_empty() => {
                Frame::consensus(&self.heard[random.index(self.heard.len())])
            }
            _ => self.forged_certificate(any),
        }
    }

    fn forged_certificate(&self, any: u64) -> Frame {
        let heard = self.heard.iter().rev().find_map(|message| match message {
            Message::Certificate(certificate) => Some(certificate.clone()),
            _ => None,
        });
        let Some(mut certificate): Option<Certificate> = heard else {
            return Frame::consensus(&Message::Request(Request::Range(Height(1))));
        };
        certificate.statement.view.0 += any % 70;
        Frame::consensus(&Message::Certificate(certificate))
    }
}

impl LiarVoice<'_> {
    /// About half of the members.
    fn some_members(&mut self) -> BTreeSet<usize> {
        (0..self.members)
            .filter(|_| self.random.chance(500))
            .collect()
    }

    /// A proposal with its block changed and signed again.
    fn reproposed(
        &mut self,
        message: &Message,
        frame: &Frame,
        change: fn(&mut Self, &mut Block),
    ) -> Lie {
        match message {
            Message::Proposal(proposal) if self.random.chance(700) => {
                let mut proposal = proposal.as_ref().clone();
                change(self, &mut proposal.block);
                Lie::instead(&forge::signed(proposal, self.index, self.key))
            }
            _ => Lie::none(frame),
        }
    }

    fn break_block(&mut self, block: &mut Block) {
        let header = &mut block.header;
        match self.random.index(7) {
            0 => header.height = header.height.next(),
            1 => header.timestamp.0 = 1,
            2 => header.base_fee.0 += 1,
            3 => header.proposer = types::hash::ValidatorId::default(),
            4 => header.transaction_root = Hash32([1; 32]),
            5 => header.parent = BlockId(Hash32([2; 32])),
            _ => header.protocol_version.0 += 1,
        }
    }

    fn break_roots(&mut self, block: &mut Block) {
        let header = &mut block.header;
        match self.random.index(4) {
            0 => header.parent_state_root = Hash32([3; 32]),
            1 => header.parent_receipt_root = Hash32([4; 32]),
            2 => header.parent_gas_used.0 += 1,
            _ => header.next_committee = Hash32([5; 32]),
        }
    }

    fn withheld(&mut self, message: &Message, frame: &Frame) -> Lie {
        match message {
            Message::Proposal(_) => Lie {
                only: Some(self.some_members()),
                ..Lie::none(frame)
            },
            Message::Block(_) | Message::Range(_) | Message::Certificates(_) => Lie::silence(),
            _ => Lie::none(frame),
        }
    }

    fn lying_recovery(&mut self, message: &Message, frame: &Frame) -> Lie {
        let Message::VoteRecovery {
            session,
            votes,
            entry,
        } = message
        else {
            return Lie::none(frame);
        };
        let mut votes = votes.clone().into_inner();
        match self.random.index(3) {
            0 => votes.clear(),
            1 => {
                for vote in &mut votes {
                    vote.statement.view.0 += 5;
                }
            }
            _ => return Lie::silence(),
        }
        Lie::instead(&Message::VoteRecovery {
            session: *session,
            votes: Bounded::new(votes).unwrap_or_default(),
            entry: entry.clone(),
        })
    }

    fn in_the_future(&mut self, message: &Message, frame: &Frame) -> Lie {
        let Message::Proposal(proposal) = message else {
            return Lie::none(frame);
        };
        let mut proposal = proposal.as_ref().clone();
        if self.random.chance(500) {
            proposal.block.header.timestamp.0 += self.random.range(1_000, 100_000_000);
        } else {
            proposal.view.0 += self.random.range(1, 80);
        }
        let lie = forge::signed(proposal, self.index, self.key);
        let mut lie = Lie::instead(&lie);
        if self.random.chance(300) {
            lie.extra.push(frame.clone());
        }
        lie
    }
}
