//! A state that arrives piece by piece from other nodes, until it is a store like any other.
//!
//! It lies in a directory of its own beside the store in use, and is on disk as far as it has come: every piece is one
//! batch with the removal of its row from what is wanted, so that a process that dies goes on where it stopped. Pieces
//! are entered by whoever has checked them against the row's hash ([`Subtree::check`](state::subtree::Subtree::check));
//! [`StagedStore::finish`] builds the tree from all values and compares its root once more. What this leaves out: whom
//! to ask, and when this store takes the other's place.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use rocksdb::{DB, IteratorMode};
use state::subtree::CheckedSubtree;
use state::tree::{self, NodePath};
use state::{Durability, KeptHeights, StateError, StoreDamage, StoredRecord, Tip};
use types::block::{Block, Header};
use types::codec::encode;
use types::hash::{ChainId, Hash32};
use types::signed_block::ProposerSignature;
use types::transaction::TransactionReceipt;

use crate::commit::Batch;
use crate::database::{family, present, stored};
use crate::error::engine_failure;
use crate::layout::{
    FLAT, FORMAT, FlatRow, Head, KEY_CHAIN, KEY_FORMAT, KEY_HEAD, KEY_STAGED, META, NODES,
    PROPOSERS, WANTED, height_key,
};
use crate::open::lock;
use crate::{StoreError, StoreSettings};

/// Bytes of nodes that are written together.
const NODE_BATCH_BYTES: usize = 1 << 20;

/// A state that arrives. It is that after the parent of a block whose header is known: the header names its root.
pub struct StagedStore {
    db: DB,
    target: Header,
    _lock: File,
}

/// The block whose state arrives, which is the last one of the store that comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedBlock {
    /// The block.
    pub block: Block,
    /// The receipts of its transactions.
    pub receipts: Vec<TransactionReceipt>,
    /// Its proposer's signature, where blocks travel with one.
    pub proposer: Option<ProposerSignature>,
}

impl std::fmt::Debug for StagedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let height = self.target.height;
        f.debug_struct("StagedStore")
            .field("height", &height)
            .finish_non_exhaustive()
    }
}

impl StagedStore {
    /// Opens what lies in a directory; none if nothing was begun there, or by another version of this program.
    pub fn open(directory: &Path, settings: &StoreSettings) -> Result<Option<Self>, StoreError> {
        if !directory.join("db").exists() {
            return Ok(None);
        }
        let lock = lock(directory)?;
        let db = open_database(directory, settings)?;
        let format = meta(&db, KEY_FORMAT)?;
        let format = format.map(|format| stored::<u32>(StoredRecord::Format, &format));
        if !matches!(format, Some(Ok(FORMAT))) {
            return Ok(None);
        }
        let Some(target) = meta(&db, KEY_STAGED)? else {
            return Ok(None);
        };
        let target = stored(StoredRecord::Staged, &target).map_err(StateError::from)?;
        Ok(Some(Self {
            db,
            target,
            _lock: lock,
        }))
    }

    /// Goes on with the state below a block, or begins: what was there for another block goes.
    pub fn begin(
        directory: &Path,
        chain: ChainId,
        target: &Header,
        settings: &StoreSettings,
    ) -> Result<Self, StoreError> {
        if let Some(staged) = Self::open(directory, settings)?
            && staged.target == *target
        {
            return Ok(staged);
        }
        let refused = |error| StoreError::Directory {
            directory: directory.to_owned(),
            error,
        };
        if directory.exists() {
            std::fs::remove_dir_all(directory).map_err(refused)?;
        }
        let lock = lock(directory)?;
        let db = open_database(directory, settings)?;
        let mut batch = Batch::new(&db);
        batch.put(META, KEY_FORMAT, encode(&FORMAT));
        batch.put(META, KEY_CHAIN, encode(&chain));
        batch.put(META, KEY_STAGED, encode(target));
        let root = target.parent_state_root;
        batch.put(WANTED, NodePath::ROOT.to_nibbles(), encode(&root));
        batch.write(Durability::Synced)?;
        let target = target.clone();
        Ok(Self {
            db,
            target,
            _lock: lock,
        })
    }

    /// The header of the block on whose parent's state this is.
    #[must_use]
    pub fn target(&self) -> &Header {
        &self.target
    }

    /// True once it is a store like any other: [`Store::open`](crate::Store::open) takes it.
    pub fn is_whole(&self) -> Result<bool, StateError> {
        Ok(meta(&self.db, KEY_HEAD)?.is_some())
    }

    /// At most so many of the pieces that are wanted, with their hashes, but for those given. They come in the order of their
    /// paths, those below a piece before those beside it: so few are wanted at a time, however large the state is.
    pub fn wanted(
        &self,
        most: usize,
        but: &BTreeSet<NodePath>,
    ) -> Result<Vec<(NodePath, Hash32)>, StateError> {
        let record = StoredRecord::Staged;
        let mut found = Vec::new();
        let rows = self
            .db
            .iterator_cf(family(&self.db, WANTED), IteratorMode::Start);
        for row in rows {
            if found.len() >= most {
                break;
            }
            let (nibbles, hash) = row.map_err(|error| engine_failure(&error))?;
            let length = nibbles.len();
            let path = NodePath::of_nibbles(&nibbles);
            let path = path.ok_or(StoreDamage::BadKey { record, length })?;
            if !but.contains(&path) {
                found.push((path, stored(record, &hash)?));
            }
        }
        Ok(found)
    }

    /// Enters a piece that is wanted and was checked. One that is wanted no more changes nothing.
    pub fn enter(&self, path: &NodePath, piece: &CheckedSubtree) -> Result<(), StateError> {
        let nibbles = path.to_nibbles();
        let wanted = self.db.get_cf(family(&self.db, WANTED), &nibbles);
        if wanted.map_err(|error| engine_failure(&error))?.is_none() {
            return Ok(());
        }
        let mut batch = Batch::new(&self.db);
        batch.delete(WANTED, nibbles);
        for (path, hash) in &piece.below {
            batch.put(WANTED, path.to_nibbles(), encode(hash));
        }
        for (hash, key, value) in &piece.values {
            batch.put(FLAT, hash.0, encode(&(key, value)));
        }
        batch.write(Durability::Buffered)
    }

    /// Makes a store of it that ends in the parent of the target. The parent must be checked against the target's header.
    /// An error of a root that differs means that the disk has changed a value: nothing of this is of use then.
    pub fn finish(self, parent: &StagedBlock) -> Result<(), StateError> {
        let (tip, root) = (
            &parent.block.header,
            build_tree(&self.db, &parent.block.header)?,
        );
        if root != self.target.parent_state_root {
            return Err(StateError::RootMismatch {
                height: tip.height,
                expected: self.target.parent_state_root,
                found: root,
            });
        }
        let height = tip.height;
        let mut batch = Batch::new(&self.db);
        batch.put_block(&parent.block, &parent.receipts);
        if let Some(proposer) = &parent.proposer {
            batch.put(PROPOSERS, height_key(height), encode(proposer));
        }
        batch.put_head(Head {
            tip: Tip {
                block: tip.id(),
                height,
                root,
            },
            kept: KeptHeights {
                state: height,
                blocks: height,
                transactions: height,
            },
        });
        batch.write(Durability::Synced)
    }
}

fn open_database(directory: &Path, settings: &StoreSettings) -> Result<DB, StateError> {
    let (path, families) = (directory.join("db"), settings.families());
    let db = DB::open_cf_descriptors(&settings.database(), path, families);
    db.map_err(|error| engine_failure(&error))
}

fn meta(db: &DB, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
    let found = db.get_cf(family(db, META), key);
    found.map_err(|error| engine_failure(&error))
}

/// Writes the nodes of the tree of all values, as of the height of a header, and gives the root.
fn build_tree(db: &DB, header: &Header) -> Result<Hash32, StateError> {
    let rows = db.iterator_cf(family(db, FLAT), IteratorMode::Start);
    let leaves = rows.map(|row| {
        let (key, row) = row.map_err(|error| engine_failure(&error))?;
        let (record, length) = (StoredRecord::Value, key.len());
        let (found, value): FlatRow = present(record, Some(row.into_vec()))?;
        let hash = found.hash();
        if *key != hash.0 {
            return Err(StoreDamage::BadKey { record, length }.into());
        }
        Ok((hash, tree::value_hash(&value)))
    });
    let (mut batch, mut bytes) = (Batch::new(db), 0);
    let mut sink = |name: tree::NodeKey, node: tree::StateNode| {
        let node = node.to_bytes();
        bytes += node.len();
        batch.put(NODES, name.to_bytes(), node);
        if bytes >= NODE_BATCH_BYTES {
            bytes = 0;
            return std::mem::replace(&mut batch, Batch::new(db)).write(Durability::Buffered);
        }
        Ok(())
    };
    let root = tree::build(header.height, leaves, &mut sink)?;
    batch.write(Durability::Buffered)?;
    Ok(root)
}
