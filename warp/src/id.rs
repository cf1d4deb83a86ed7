//! Ids as Avalanche writes them: base 58 of the bytes with the last four bytes of their SHA-256 behind them.

use std::fmt;

use sha2::{Digest, Sha256};

/// Bytes of the checksum that follows an id in its text.
const CHECKSUM_BYTES: usize = 4;
/// Longest text that can be an id; longer ones are refused before they are decoded.
const MAX_TEXT_BYTES: usize = 64;
/// What stands before a node's id.
const NODE: &str = "NodeID-";

/// The id of a chain, a subnet, a transaction or a VM of Avalanche.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvalancheId(pub [u8; 32]);

/// The id of a node of Avalanche.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvalancheNodeId(pub [u8; 20]);

impl AvalancheId {
    /// The id of a text as [`fmt::Display`] writes it; none if it is no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decoded(text).map(Self)
    }
}

impl AvalancheNodeId {
    /// The id of a text as [`fmt::Display`] writes it; none if it is no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decoded(text.strip_prefix(NODE)?).map(Self)
    }
}

impl fmt::Display for AvalancheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoded(&self.0))
    }
}

impl fmt::Display for AvalancheNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NODE}{}", encoded(&self.0))
    }
}

fn decoded<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let bytes = bs58::decode(text).into_vec().ok()?;
    let (id, given) = bytes.split_at_checked(BYTES)?;
    let id: [u8; BYTES] = id.try_into().ok()?;
    (given == checksum(&id)).then_some(id)
}

fn encoded(id: &[u8]) -> String {
    bs58::encode([id, &checksum(id)].concat()).into_string()
}

fn checksum(id: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash: [u8; 32] = Sha256::digest(id).into();
    let mut last = [0; CHECKSUM_BYTES];
    last.copy_from_slice(&hash[hash.len() - CHECKSUM_BYTES..]);
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_others_are_no_ids() {
        let (host, node) = (AvalancheId([7; 32]), AvalancheNodeId([9; 20]));
        assert_eq!(AvalancheId::parse(&host.to_string()), Some(host));
        assert_eq!(AvalancheNodeId::parse(&node.to_string()), Some(node));
        // The id of the P-chain is 32 zeros.
        let zeros = "11111111111111111111111111111111LpoYY";
        assert_eq!(AvalancheId::parse(zeros), Some(AvalancheId([0; 32])));
        let good = host.to_string();
        let mut swapped: Vec<char> = good.chars().collect();
        swapped.swap(3, 4);
        let swapped: String = swapped.into_iter().collect();
        let (longer, long) = (format!("{good}2"), "2".repeat(65));
        for text in ["", "0OIl", &good[1..], &longer, &swapped, &long, NODE] {
            assert_eq!(AvalancheId::parse(text), None, "{text}");
            assert_eq!(
                AvalancheNodeId::parse(&format!("{NODE}{text}")),
                None,
                "{text}"
            );
        }
        assert_eq!(AvalancheNodeId::parse(&good), None);
        assert_eq!(AvalancheNodeId::parse(&format!("{NODE}{good}")), None);
    }
}
