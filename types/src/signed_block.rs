//! A block with its proposer's signature, as it travels where no consensus of ours says who proposed it: between the
//! nodes of an Avalanche subnet.
//!
//! The signature shows that the validator in the header made this block, so that nobody else fills a block under its
//! name. It is no part of the block's id: who could make a second signature is the proposer alone, and nothing is decided
//! by which one it was.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::block::Block;
use crate::codec::{CodecError, decode, encode};
use crate::hash::{BlockId, Domain, ValidatorId};
use crate::key::{KeyError, PublicKey, SecretKey, Signature, signing_hash};
use crate::limits::MAX_BLOCK_BYTES;
use crate::whole::WholeBlock;

/// Largest encoded signed block, in bytes.
pub const MAX_SIGNED_BLOCK_BYTES: usize = MAX_BLOCK_BYTES + 128;

/// A proposer's signature of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProposerSignature {
    /// The proposer's key, whose address is the header's proposer.
    pub key: PublicKey,
    /// Over the block's id and the chain.
    pub signature: Signature,
}

/// Why bytes are not a block that its proposer signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedBlockError {
    /// The bytes are not the canonical encoding of one.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The body is not the one that the header commits to, or too large.
    #[error("block {0} has another body than its header says")]
    Body(BlockId),
    /// It is above height 0 and not signed.
    #[error("block {0} is not signed")]
    Unsigned(BlockId),
    /// It is signed with another key than the proposer's.
    #[error("the block is signed by {signer}, its proposer is {proposer}")]
    OtherSigner {
        /// The validator whose key signed it.
        signer: ValidatorId,
        /// The proposer in the header.
        proposer: ValidatorId,
    },
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

/// A whole block with its proposer's signature, which verifies. The block of height 0 has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBlock {
    block: WholeBlock,
    proposer: Option<ProposerSignature>,
}

impl SignedBlock {
    /// Signs a block that this key's validator proposes.
    #[must_use]
    pub fn sign(block: WholeBlock, key: &SecretKey) -> Self {
        let message = signing_hash(Domain::SIGN_BLOCK, block.header.chain_id, &block.id());
        let proposer = ProposerSignature {
            key: key.public(),
            signature: key.sign(&message),
        };
        Self {
            block,
            proposer: Some(proposer),
        }
    }

    /// A block out of a store, where only verified ones are.
    #[must_use]
    pub fn stored(block: Block, proposer: Option<ProposerSignature>) -> Option<Self> {
        WholeBlock::new(block).map(|block| Self { block, proposer })
    }

    /// Decodes a block that anybody may have sent, and verifies its signature.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignedBlockError> {
        let (block, proposer): (Block, Option<ProposerSignature>) =
            decode(bytes, MAX_SIGNED_BLOCK_BYTES)?;
        let id = block.id();
        let block = WholeBlock::new(block).ok_or(SignedBlockError::Body(id))?;
        let header = &block.header;
        match &proposer {
            None if header.height.0 == 0 => {}
            None => return Err(SignedBlockError::Unsigned(id)),
            Some(ProposerSignature { key, signature }) => {
                let (signer, proposer) = (key.validator_id(), header.proposer);
                if signer != proposer {
                    return Err(SignedBlockError::OtherSigner { signer, proposer });
                }
                let message = signing_hash(Domain::SIGN_BLOCK, header.chain_id, &id);
                key.verify(&message, signature)?;
            }
        }
        Ok(Self { block, proposer })
    }

    /// The block and its proposer's signature in canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&(self.block.block().as_ref(), &self.proposer))
    }

    /// The block, without its signature.
    #[must_use]
    pub fn block(&self) -> &WholeBlock {
        &self.block
    }

    /// The signature; none at height 0.
    #[must_use]
    pub fn proposer(&self) -> Option<ProposerSignature> {
        self.proposer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Body;
    use crate::testing::numbered::{genesis, key};

    fn block(proposer: u8) -> WholeBlock {
        let mut header = genesis(1).header();
        header.height = crate::number::Height(1);
        header.proposer = key(proposer).public().validator_id();
        let body = Body::default();
        WholeBlock::new(Block { header, body }).unwrap()
    }

    #[test]
    fn a_signed_block_comes_back_and_every_changed_byte_is_noticed() {
        let signed = SignedBlock::sign(block(1), &key(1));
        let bytes = signed.to_bytes();
        assert_eq!(SignedBlock::from_bytes(&bytes).unwrap(), signed);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(SignedBlock::from_bytes(&changed).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(SignedBlock::from_bytes(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn another_validators_name_is_refused() {
        let forged = SignedBlock::sign(block(2), &key(1)).to_bytes();
        let error = SignedBlock::from_bytes(&forged).unwrap_err();
        assert!(matches!(error, SignedBlockError::OtherSigner { .. }));
        let unsigned = SignedBlock::stored(block(1).block().as_ref().clone(), None).unwrap();
        let error = SignedBlock::from_bytes(&unsigned.to_bytes()).unwrap_err();
        assert!(matches!(error, SignedBlockError::Unsigned(_)));
    }
}
