//! Certificates for blocks that Snowman accepted: the committee of the chain's own bonds says, after the fact, what the
//! host has decided, so that customers, partners and light clients check the same proofs as on the L1.
//!
//! A validator signs a finalize vote for a block once its own host has accepted it and it is in the store; the view of
//! the statement is the block's height. The host accepts one block at a height, so a correct validator signs one
//! statement a height, and two certificates of one height need more than F of the stake to have signed twice. Votes of
//! a quorum are the certificate. A height whose votes get lost has none of its own: the next one proves it too.
//!
//! Pure: time is an argument. What it leaves out: deciding anything. No block waits for a certificate.

use std::collections::BTreeMap;

use types::committee::Committee;
use types::hash::{BlockId, ChainId};
use types::key::SecretKey;
use types::number::{Epoch, Height, ValidatorIndex, View};
use types::vote::{Certificate, Statement, Subject, Term, Vote};

/// Votes are kept for so many heights above the newest accepted block: others are ahead of us by a few.
const HEIGHTS_AHEAD: u64 = 64;
/// Votes are kept for so many accepted heights below the newest: enough for any vote on its way.
const HEIGHTS_BEHIND: u64 = 16;
/// Time after which a validator repeats itself while the newest block has no certificate, in milliseconds.
const REPEAT_MS: u64 = 2_000;

/// The committee in office for a block, on one chain.
#[derive(Debug, Clone)]
pub struct Office {
    /// The chain.
    pub chain: ChainId,
    /// The first epoch of the committee's term.
    pub epoch: Epoch,
    /// The committee.
    pub committee: Committee,
}

impl Office {
    fn term(&self) -> Term<'_> {
        Term {
            chain: self.chain,
            epoch: self.epoch,
            committee: &self.committee,
        }
    }
}

/// A height with the votes that came for it.
#[derive(Debug, Default)]
struct VotedHeight {
    /// The block that our host accepted, if it did.
    accepted: Option<BlockId>,
    /// One verified vote of each member.
    votes: BTreeMap<ValidatorIndex, Vote>,
}

/// The votes of a committee on accepted blocks.
#[derive(Debug)]
pub struct FinalityVotes {
    office: Office,
    heights: BTreeMap<Height, VotedHeight>,
    newest: Height,
    /// The newest certificate, with the height of its block.
    certified: Option<(Height, Certificate)>,
    repeat_ms: Option<u64>,
}

impl FinalityVotes {
    /// Nothing voted on; `newest` is the store's last block, `certified` the store's newest certificate.
    pub fn new(office: Office, newest: Height, certified: Option<(Height, Certificate)>) -> Self {
        Self {
            office,
            heights: BTreeMap::new(),
            newest,
            certified,
            repeat_ms: None,
        }
    }

    /// The newest certificate, with the height of its block.
    pub fn certified(&self) -> Option<&(Height, Certificate)> {
        self.certified.as_ref()
    }

    /// The host accepted a block, which `office` was in office for. Gives the vote of the member whose key this is.
    pub fn accepted(
        &mut self,
        office: Office,
        height: Height,
        block: BlockId,
        key: Option<&SecretKey>,
        now_ms: u64,
    ) -> Option<Vote> {
        if office.epoch != self.office.epoch {
            self.heights.clear();
        }
        self.office = office;
        self.newest = height;
        self.heights.entry(height).or_default().accepted = Some(block);
        let lowest = height.saturating_sub(HEIGHTS_BEHIND);
        self.heights = self.heights.split_off(&lowest);
        self.repeat_ms = Some(now_ms.saturating_add(REPEAT_MS));
        let key = key?;
        let signer = self.office.committee.index_of_key(&key.public())?;
        let statement = self.statement(height, block);
        let vote = Vote::sign(statement, signer, key, self.office.chain);
        let votes = &mut self.heights.entry(height).or_default().votes;
        votes.insert(signer, vote);
        Some(vote)
    }

    fn statement(&self, height: Height, block: BlockId) -> Statement {
        Statement {
            epoch: self.office.epoch,
            view: View(height.0),
            subject: Subject::Finalize { block },
        }
    }

    /// Takes another validator's vote; false if it is useless or its signature does not verify.
    pub fn receive(&mut self, vote: Vote) -> bool {
        let height = Height(vote.statement.view.0);
        let (above, lowest) = (
            self.newest.0.saturating_add(HEIGHTS_AHEAD),
            self.newest.saturating_sub(HEIGHTS_BEHIND),
        );
        let is_final = matches!(vote.statement.subject, Subject::Finalize { .. });
        let is_certified = self.certified.as_ref().is_some_and(|(at, _)| *at >= height);
        if !is_final
            || is_certified
            || vote.statement.epoch != self.office.epoch
            || height.0 > above
            || height < lowest
        {
            return false;
        }
        let known = self.heights.get(&height);
        if known.is_some_and(|known| known.votes.contains_key(&vote.signer)) {
            return false;
        }
        let Some(signed) = vote.signed(&self.office.committee, self.office.chain) else {
            return false;
        };
        if signed
            .key
            .verify(&signed.message, &signed.signature)
            .is_err()
        {
            return false;
        }
        let votes = &mut self.heights.entry(height).or_default().votes;
        votes.insert(vote.signer, vote);
        true
    }

    /// Takes a certificate that a node sent; true if it finalizes an accepted block above the newest certificate's.
    pub fn receive_certificate(&mut self, certificate: Certificate) -> bool {
        let Subject::Finalize { block } = certificate.statement.subject else {
            return false;
        };
        let height = Height(certificate.statement.view.0);
        let accepted = self.heights.get(&height).and_then(|at| at.accepted);
        let is_newer = self.certified.as_ref().is_none_or(|(at, _)| *at < height);
        if accepted != Some(block)
            || !is_newer
            || certificate.verify(&self.office.term(), None).is_err()
        {
            return false;
        }
        self.certify(height, certificate);
        true
    }

    /// The certificate of the highest block that a quorum has voted for, if it is new.
    pub fn gather(&mut self) -> Option<(Height, Certificate)> {
        let lowest = self
            .certified
            .as_ref()
            .map_or(Height::ZERO, |(at, _)| at.next());
        let found = self.heights.range(lowest..).rev().find_map(|(height, at)| {
            let statement = self.statement(*height, at.accepted?);
            let agreeing: Vec<_> = at
                .votes
                .values()
                .filter(|vote| vote.statement == statement)
                .copied()
                .collect();
            let signers = agreeing.iter().map(|vote| vote.signer);
            let quorum = self.office.committee.smallest_quorum(signers)?;
            let votes: Vec<_> = agreeing
                .into_iter()
                .filter(|vote| quorum.contains(vote.signer))
                .collect();
            Some((*height, Certificate::from_votes(statement, &votes)))
        });
        let (height, certificate) = found?;
        self.certify(height, certificate.clone());
        Some((height, certificate))
    }

    fn certify(&mut self, height: Height, certificate: Certificate) {
        self.certified = Some((height, certificate));
        if height >= self.newest {
            self.repeat_ms = None;
        }
    }

    /// If the newest block has had no certificate for a while: our vote for it, if we have one, and its height.
    pub fn repeat(
        &mut self,
        key: Option<&SecretKey>,
        now_ms: u64,
    ) -> Option<(Option<Vote>, Height)> {
        self.repeat_ms.filter(|at| *at <= now_ms)?;
        self.repeat_ms = Some(now_ms.saturating_add(REPEAT_MS));
        let own = key.and_then(|key| self.office.committee.index_of_key(&key.public()));
        let votes = self.heights.get(&self.newest).map(|at| &at.votes);
        let vote = own.and_then(|own| votes?.get(&own).copied());
        Some((vote, self.newest))
    }

    /// When [`FinalityVotes::repeat`] has something to say.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.repeat_ms
    }
}

/// The office that a chain's rules describe.
impl From<&vm::Rules> for Office {
    fn from(rules: &vm::Rules) -> Self {
        Self {
            chain: rules.chain_id,
            epoch: rules.committee_since,
            committee: rules.committee.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use types::hash::Hash32;
    use types::testing::numbered::{genesis, key};

    use super::*;

    fn block(number: u8) -> BlockId {
        BlockId(Hash32([number; 32]))
    }

    fn votes(members: u8) -> FinalityVotes {
        FinalityVotes::new(office(members), Height::ZERO, None)
    }

    fn office(members: u8) -> Office {
        Office::from(&vm::Rules::new(&genesis(members)).unwrap())
    }

    #[test]
    fn one_validator_is_a_quorum_of_one() {
        let mut votes = votes(1);
        let key = key(1);
        let vote = votes.accepted(office(1), Height(1), block(1), Some(&key), 0);
        assert!(vote.is_some());
        let (height, certificate) = votes.gather().unwrap();
        assert_eq!(height, Height(1));
        assert_eq!(certificate.verify(&office(1).term(), None), Ok(()));
        assert_eq!(votes.gather(), None, "told once");
        assert_eq!(votes.repeat(Some(&key), u64::MAX), None);
    }

    #[test]
    fn a_quorum_of_votes_before_and_after_our_own_accept_certifies() {
        let mut ours = votes(4);
        let mut sent = Vec::new();
        for number in 2..=4 {
            let mut other = votes(4);
            let vote = other.accepted(office(4), Height(1), block(1), Some(&key(number)), 0);
            sent.push(vote.unwrap());
        }
        assert!(ours.receive(sent[0]) && ours.receive(sent[1]) && !ours.receive(sent[1]));
        assert_eq!(ours.gather(), None, "our host has not accepted it");
        ours.accepted(office(4), Height(1), block(1), Some(&key(1)), 0)
            .unwrap();
        let (_, certificate) = ours.gather().unwrap();
        assert_eq!(certificate.verify(&office(4).term(), None), Ok(()));
        let mut late = votes(4);
        late.accepted(office(4), Height(1), block(1), None, 0);
        assert!(late.receive_certificate(certificate.clone()));
        assert!(!late.receive_certificate(certificate), "known");
    }

    #[test]
    fn votes_for_another_block_or_with_a_wrong_signature_count_nothing() {
        let mut ours = votes(4);
        ours.accepted(office(4), Height(1), block(1), Some(&key(1)), 0);
        for number in 2..=4 {
            let mut other = votes(4);
            let vote = other.accepted(office(4), Height(1), block(2), Some(&key(number)), 0);
            let mut forged = vote.unwrap();
            forged.statement.subject = Subject::Finalize { block: block(1) };
            assert!(!ours.receive(forged));
            assert!(ours.receive(vote.unwrap()));
        }
        assert_eq!(ours.gather(), None);
        assert!(ours.repeat(Some(&key(1)), REPEAT_MS - 1).is_none());
        let (vote, height) = ours.repeat(Some(&key(1)), REPEAT_MS).unwrap();
        assert!(vote.is_some() && height == Height(1));
    }

    #[test]
    fn votes_far_ahead_are_not_kept() {
        let mut other = votes(4);
        let far = Height(HEIGHTS_AHEAD + 1);
        let vote = other
            .accepted(office(4), far, block(1), Some(&key(2)), 0)
            .unwrap();
        assert!(!votes(4).receive(vote));
    }
}
