//! One block's life, from top to bottom: it is built and handed to whoever orders blocks, executed, decided, committed.
//!
//! ```text
//! Blocks::build ─► Work::Build ─► Done::Built ─► (the host proposes it)
//! Blocks::execute ─► Work::Execute ─► Done::Executed ─► Blocks::keep ─► (the host votes on it)
//! Blocks::decide ─► Work::Commit ─► Done::Committed ─► Blocks::committed
//! Blocks::retain drops blocks that the host has forgotten
//! ```
//!
//! Undecided blocks live side by side: each has its own diff on top of its parent's. A piece of [`Work`] owns its
//! values, so that it runs on another thread over a snapshot of the store, or after a virtual delay in a simulator.
//! What this file leaves out: who orders blocks and why one is decided.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use state::{Branch, ChainStore, DecidedState, Decision, Diff, StateError, Undecided};
use types::hash::{BlockId, TransactionId, ValidatorId};
use types::limits::MAX_BUILD_DEPTH;
use types::number::{Height, Timestamp};
use types::signed_block::ProposerSignature;
use types::transaction::{SystemTransaction, TransactionReceipt};
use types::vote::Certificate;
use types::whole::WholeBlock;
use vm::{Abort, ExecutedBlock, Rules, Verified};

use crate::arrival::Arrivals;
use crate::caught::caught;
use crate::error::{Fatal, Invalid};
use crate::parent::Parent;
use crate::pools::Pools;

/// Heights between two commits that are made durable at once. Blocks between them are lost in a crash of the machine
/// and executed again.
const SYNC_EVERY: u64 = 16;

/// The host's name for a build request; comes back with the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildTicket(pub u64);

/// What the host asks to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildRequest {
    /// The host's name for this request.
    pub ticket: BuildTicket,
    /// The block to build on: executed here, or the store's last one.
    pub parent: BlockId,
    /// The new block's timestamp.
    pub timestamp: Timestamp,
    /// The validator that proposes it.
    pub proposer: ValidatorId,
}

/// A block to be built.
#[derive(Debug)]
pub struct Building {
    /// What was asked for.
    pub request: BuildRequest,
    /// The block below, as the new header must show it.
    pub parent: Parent,
    /// The undecided blocks up to the parent.
    pub branch: Branch,
    /// System transactions to include.
    pub system: Vec<SystemTransaction>,
    /// Transactions of accounts, in the order in which they are tried.
    pub candidates: Vec<Verified>,
}

/// A block that was built.
#[derive(Debug)]
pub struct Built {
    /// The host's name for the request.
    pub ticket: BuildTicket,
    /// The block with its body, as it goes to the other validators.
    pub block: WholeBlock,
    /// Candidates that cannot be included and are not worth another try.
    pub refused: Vec<TransactionId>,
    /// What executing it gives: it was executed while it was built.
    pub executed: Box<ExecutedBlock>,
}

/// A block to be built, and what the panic said that left it without candidates.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub building: Building,
    pub panicked: Option<String>,
}

/// What a panic in building cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildingFault {
    /// The block below.
    pub parent: BlockId,
    /// What the code that panicked said, for people.
    pub message: String,
    /// The transaction on which it panicked, if it was one.
    pub dropped: Vec<TransactionId>,
    /// Every system transaction that was tried, if it panicked on one of them.
    pub system: Vec<SystemTransaction>,
}

/// A block to be executed.
#[derive(Debug)]
pub struct Execution {
    /// The block with its body, as it goes to the other validators.
    pub block: WholeBlock,
    /// The parent as its children's headers must show it.
    pub parent: Parent,
    /// The undecided blocks up to the parent.
    pub branch: Branch,
    /// What executing it gives, if it was built here: only its diff is missing.
    pub known: Option<Box<ExecutedBlock>>,
    /// Positions of the transactions whose signatures were verified when they came.
    pub verified: BTreeSet<usize>,
}

/// An executed block, kept until it is committed or forgotten.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The block with its body, as it goes to the other validators.
    pub block: WholeBlock,
    /// What it changes in the state.
    pub diff: Arc<Diff>,
    /// The receipts of its transactions, in their order.
    pub receipts: Vec<TransactionReceipt>,
    /// The state root, receipt root and gas that its children's headers must show.
    pub shown: Parent,
    /// True if the next block should follow soon.
    pub urgent: bool,
}

/// Work that takes long: done one piece after the other, in the order in which it was asked for.
#[derive(Debug)]
pub enum Work {
    /// Execute a block on its parent's state; answered with [`Done::Executed`].
    Execute(Execution),
    /// Build a block on an executed parent; answered with [`Done::Built`].
    Build(Building),
    /// Write a decided block into the store.
    Commit {
        /// The block and what it changed; shared with whoever tells others of it.
        decision: Arc<Decision>,
        /// True if the write must be durable before it is answered.
        sync: bool,
    },
    /// Verify the signatures of transactions that came; in any order with the other work.
    Verify(Arrivals),
}

/// The answer to a piece of [`Work`].
#[derive(Debug)]
pub enum Done {
    /// Answers [`Work::Execute`].
    Executed {
        /// Id of the executed block.
        block: BlockId,
        /// Its result, or the rule that it broke.
        result: Result<Box<Executed>, Invalid>,
    },
    /// Answers [`Work::Build`].
    Built(Box<Built>),
    /// Answers [`Work::Build`] that panicked: an empty block, unless that panicked as well.
    BuildingPanicked {
        /// The empty block.
        built: Option<Box<Built>>,
        /// What it cost.
        fault: Box<BuildingFault>,
    },
    /// Answers [`Work::Execute`] or [`Work::Build`] that waited for so many commits that its state is no longer kept.
    /// It is to be asked for again, on what is decided now.
    Outrun(Outrun),
    /// Answers [`Work::Commit`]: the store ends in this block.
    Committed {
        /// The block and what it changed.
        decision: Arc<Decision>,
        /// True if it is durable.
        synced: bool,
    },
    /// Answers [`Work::Verify`], also several together.
    Verified(Vec<Arrivals>),
}

/// Work whose state is no longer kept. Nobody's mistake.
#[derive(Debug)]
pub enum Outrun {
    /// This block was to be executed.
    Execution(WholeBlock),
    /// This was to be built.
    Building(BuildRequest),
}

/// The undecided blocks that were executed here, above the store's last one.
#[derive(Debug)]
pub struct Blocks {
    undecided: Undecided,
    executed: BTreeMap<BlockId, Executed>,
    /// Blocks whose execution was asked for.
    executing: BTreeMap<BlockId, WholeBlock>,
    /// The block that was built last and what executing it gives.
    built: Option<(BlockId, Box<ExecutedBlock>)>,
    /// The store's last block.
    tip: Parent,
    /// Decided blocks on their way into the store, lowest first.
    committing: VecDeque<BlockId>,
    /// Height of the last commit that was asked to be durable.
    synced: Height,
}

impl Blocks {
    /// No undecided blocks above the store's last one.
    pub fn restore(store: &impl ChainStore) -> Result<Self, StateError> {
        let tip = Parent::restore(store)?;
        Ok(Self {
            undecided: Undecided::new(store.tip()),
            executed: BTreeMap::new(),
            executing: BTreeMap::new(),
            built: None,
            synced: tip.header.height,
            tip,
            committing: VecDeque::new(),
        })
    }

    /// The store's last block.
    #[must_use]
    pub fn tip(&self) -> &Parent {
        &self.tip
    }

    /// Undecided blocks that were executed here.
    #[must_use]
    pub fn undecided(&self) -> usize {
        self.executed.len()
    }

    /// True if the block was executed here and is not committed yet.
    #[must_use]
    pub fn holds(&self, block: &BlockId) -> bool {
        self.executed.contains_key(block)
    }

    /// A block to build or execute on, with the undecided blocks up to it; `None` if nothing that descends from it can
    /// be decided any more.
    fn below(&self, id: &BlockId) -> Option<(Parent, Branch)> {
        let parent = if self.tip.id == *id {
            &self.tip
        } else {
            &self.executed.get(id)?.shown
        };
        Some((parent.clone(), self.undecided.branch(parent.id).ok()?))
    }

    // 1. Build, and hand over what was built.

    /// Has a block built; `None` if its parent cannot be decided any more. At [`MAX_BUILD_DEPTH`] above the store's
    /// last block and deeper it is built empty, not refused: the blocks below may need it to become final.
    pub(crate) fn build(
        &self,
        rules: &Rules,
        pools: &Pools,
        state: &dyn DecidedState,
        request: BuildRequest,
    ) -> Result<Option<Ordered>, Fatal> {
        let Some((parent, branch)) = self.below(&request.parent) else {
            return Ok(None);
        };
        let (height, tip) = (parent.header.height.0, self.tip.header.height.0);
        let is_deep = height.saturating_sub(tip) >= MAX_BUILD_DEPTH;
        let mut building = Building {
            request,
            parent,
            branch,
            system: Vec::new(),
            candidates: Vec::new(),
        };
        let mut panicked = None;
        if !is_deep {
            // Its state is surely kept: the store may be ahead of us, but not of the parent.
            let view = building.branch.clone().over(state)?;
            let height = Height(height);
            match caught(|| pools.candidates(rules, &view, height)) {
                Ok(found) => (building.system, building.candidates) = found?,
                Err(message) => panicked = Some(message),
            }
        }
        Ok(Some(Ordered { building, panicked }))
    }

    /// True if something waits that a block on `parent` could hold; false if that cannot be found out.
    pub(crate) fn has_candidates(
        &self,
        rules: &Rules,
        pools: &Pools,
        state: &dyn DecidedState,
        parent: &BlockId,
    ) -> bool {
        let Some((parent, branch)) = self.below(parent) else {
            return false;
        };
        let height = parent.header.height;
        let Ok(view) = branch.over(state) else {
            return false;
        };
        let found = caught(|| -> Result<bool, Abort> {
            let (system, transactions) = pools.candidates(rules, &view, height)?;
            let is_stored = |transaction: &SystemTransaction| {
                matches!(transaction, SystemTransaction::Stored(_))
            };
            if system.iter().any(is_stored) {
                return Ok(true);
            }
            // Steps are offered for this state. Of the others those of undecided blocks still wait.
            let is_step = |candidate: &Verified| candidate.transaction().action.is_step();
            if transactions.iter().any(is_step) {
                return Ok(true);
            }
            let mut nonces = BTreeMap::new();
            for candidate in &transactions {
                let transaction = candidate.transaction();
                let sender = transaction.sender.address();
                if let Entry::Vacant(vacant) = nonces.entry(sender) {
                    vacant.insert(vm::query::account(&view, &sender)?.nonce);
                }
                if nonces.get(&sender) == Some(&transaction.nonce) {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        matches!(found, Ok(Ok(true)))
    }

    /// Keeps what building a block computed, for when it is to be executed.
    pub(crate) fn keep_built(&mut self, built: Built) -> (BuildTicket, WholeBlock) {
        self.built = Some((built.block.id(), built.executed));
        (built.ticket, built.block)
    }

    // 2. Execute.

    /// Has a block executed, unless it descends from one that can never be decided. The signatures of the transactions at
    /// positions `verified` are valid.
    pub fn execute(
        &mut self,
        block: WholeBlock,
        verified: BTreeSet<usize>,
    ) -> Result<Work, Invalid> {
        let Some((parent, branch)) = self.below(&block.header.parent) else {
            return Err(Invalid::DeadBranch(block.id()));
        };
        let id = block.id();
        self.executing.insert(id, block.clone());
        let known = self.built.take_if(|(built, _)| *built == id);
        Ok(Work::Execute(Execution {
            block,
            parent,
            branch,
            known: known.map(|(_, executed)| executed),
            verified,
        }))
    }

    /// The execution of a block ended, with whatever result. Gives the block, if its execution was asked for.
    pub fn execution_ended(&mut self, block: &BlockId) -> Option<WholeBlock> {
        self.executing.remove(block)
    }

    /// Keeps the result of an execution; false if its parent is neither undecided nor the store's last block any more:
    /// then nothing that descends from it can be decided.
    pub fn keep(&mut self, mut executed: Executed) -> Result<bool, Fatal> {
        if self.undecided.at(&executed.diff.parent).is_none() {
            return Ok(false);
        }
        let id = executed.block.id();
        assert_eq!(executed.diff.block, id, "a block is kept with its own diff");
        self.undecided.insert(Arc::unwrap_or_clone(executed.diff))?;
        let Some(shared) = self.undecided.diff(&id) else {
            return Ok(false);
        };
        executed.diff = Arc::clone(shared);
        self.executed.insert(id, executed);
        Ok(true)
    }

    // 3. Decide.

    /// A block is decided: has it written. Blocks are decided in the order of their heights. `finality` proves it to
    /// others; only a block with its own proof is made durable at once.
    pub fn decide(
        &mut self,
        block: &BlockId,
        finality: Option<Certificate>,
        proposer: Option<ProposerSignature>,
    ) -> Result<Work, Fatal> {
        let Some(executed) = self.executed.get_mut(block) else {
            return Err(Fatal::NotExecuted(*block));
        };
        let last = self.committing.back().unwrap_or(&self.tip.id);
        assert_eq!(
            executed.block.header.parent, *last,
            "a block is decided on the last one that was"
        );
        let height = executed.block.header.height;
        let sync = finality.is_some() && height.0 >= self.synced.0.saturating_add(SYNC_EVERY);
        if sync {
            self.synced = height;
        }
        self.committing.push_back(*block);
        let decision = Arc::new(Decision {
            block: Arc::clone(executed.block.block()),
            diff: Arc::clone(&executed.diff),
            // Nobody reads them here any more.
            receipts: std::mem::take(&mut executed.receipts),
            finality,
            proposer,
        });
        Ok(Work::Commit { decision, sync })
    }

    // 4. Commit.

    /// The store holds a decided block: it is the tip now, and its siblings go.
    pub fn committed(&mut self, decision: &Decision) -> Result<(), Fatal> {
        let found = decision.diff.block;
        let expected = self.committing.pop_front();
        if expected != Some(found) {
            return Err(Fatal::OutOfTurn { found, expected });
        }
        let executed = self.executed.remove(&found);
        let executed = executed.ok_or(Fatal::NotExecuted(found))?;
        self.undecided.decide(found)?;
        assert_eq!(
            executed.shown.header.parent, self.tip.id,
            "the store grows by one block at a time"
        );
        self.tip = executed.shown;
        let undecided = &self.undecided;
        self.executed.retain(|id, _| undecided.diff(id).is_some());
        Ok(())
    }

    /// Drops the blocks that the host does not need any more, unless they are on their way into the store or below
    /// something that is still needed.
    pub fn retain(&mut self, is_needed: impl Fn(&BlockId) -> bool) {
        let needed = |id: &BlockId| is_needed(id) || self.committing.contains(id);
        if self.executed.keys().all(needed) {
            return;
        }
        let roots = self.executed.keys().filter(|id| needed(id));
        let executing = self.executing.values();
        let roots = roots.chain(executing.map(|block| &block.header.parent));
        let mut kept = BTreeSet::new();
        for root in roots {
            let mut at = *root;
            while let Some(executed) = self.executed.get(&at)
                && kept.insert(at)
            {
                at = executed.block.header.parent;
            }
        }
        self.undecided.retain(&kept);
        self.executed.retain(|id, _| kept.contains(id));
    }
}
