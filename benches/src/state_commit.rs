//! State commit per 10,000 updates on RocksDB: the diff with its tree, the tree alone, and the write batch.

use std::time::Instant;

use anyhow::{Context, Result};
use state::tree;
use state::{ChainStore, DecidedState, Decision, Durability, Tip, Undecided, Writes, compute_diff};
use store::Store;
use types::block::Block;
use types::codec::Text;
use types::genesis::Genesis;
use types::hash::{Address, ValidatorId};
use types::number::Timestamp;
use types::params::Params;
use types::state_key::StateKey;
use types::testing::empty_block;

use crate::{quantile, row};

fn key(n: u32) -> StateKey {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    StateKey::Account(Address(bytes))
}

fn writes(range: impl Iterator<Item = u32>, value: u64) -> Writes {
    range
        .map(|n| {
            (
                key(n),
                Some([value.to_le_bytes(), u64::from(n).to_le_bytes(), [7; 8]].concat()),
            )
        })
        .collect()
}

fn genesis() -> Genesis {
    Genesis {
        name: Text::new("bench").expect("short"),
        time: Timestamp(0),
        params: Params::devnet(),
        accounts: Vec::new(),
        validators: Vec::new(),
        partners: Vec::new(),
    }
}

/// Prints medians in microseconds over `runs` commits.
pub fn run(keys: u32, updates: u32, runs: u32) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let genesis = genesis();
    let store = Store::open(directory.path(), &genesis, writes(0..keys, 0))?;
    let mut undecided = Undecided::new(store.tip());
    let (mut whole, mut trees, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=runs {
        let tip = store.tip();
        let block = next_block(&genesis, tip, run);
        // A stride spreads the updates over the whole tree.
        let touched = (0..updates).map(|i| i.wrapping_mul(7_919).wrapping_add(run) % keys);
        let change = writes(touched, u64::from(run));
        let view = undecided.view(&store, tip.block)?;
        let start = Instant::now();
        tree::update(
            &view,
            Some(tip.root),
            tip.height.next(),
            &state::tree_changes(&change),
        )?;
        trees.push(start.elapsed().as_micros());
        let start = Instant::now();
        let diff = compute_diff(&view, block.id(), change)?;
        let diffed = start.elapsed().as_micros();
        undecided.insert(diff)?;
        let diff = undecided
            .decide(block.id())
            .context("the block just inserted")?;
        let start = Instant::now();
        store.commit(
            &Decision {
                block: block.into(),
                diff,
                receipts: Vec::new(),
                finality: None,
                proposer: None,
            },
            Durability::Synced,
        )?;
        let committed = start.elapsed().as_micros();
        batch.push(committed);
        whole.push(diffed + committed);
    }
    for list in [&mut whole, &mut trees, &mut batch] {
        list.sort_unstable();
    }
    row(&format!(
        "state commit: {updates} updates on {keys} keys, medians of {runs} runs"
    ));
    show(
        quantile(&whole, 50),
        quantile(&trees, 50),
        quantile(&batch, 50),
    );
    Ok(())
}

/// Shows medians in microseconds.
fn show(whole: u128, tree: u128, batch: u128) {
    row(&format!("  whole        {whole:>9} us"));
    row(&format!(
        "  tree         {tree:>9} us ({} % of the whole)",
        tree * 100 / whole.max(1)
    ));
    row(&format!("  write batch  {batch:>9} us (synced)"));
}

/// A block without transactions after the tip.
fn next_block(genesis: &Genesis, tip: Tip, run: u32) -> Block {
    let mut block = empty_block(
        genesis.chain_id(),
        tip.block,
        tip.height.next(),
        Timestamp(u64::from(run)),
        ValidatorId::ZERO,
    );
    block.header.parent_state_root = tip.root;
    block
}
