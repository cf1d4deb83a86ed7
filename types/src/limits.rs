//! Every limit of the protocol, in one place, with the relations between them asserted at compile time.
//!
//! A limit bounds bytes or counts that come from outside; it is checked before anything is allocated. Values that
//! a network may choose are in [`crate::params::Params`]; what is here is the same on every network.

/// Length of a BLAKE3 hash, in bytes.
pub const HASH_BYTES: usize = 32;
/// Length of an account address, in bytes.
pub const ADDRESS_BYTES: usize = 20;
/// Largest encoded genesis, in bytes.
pub const MAX_GENESIS_BYTES: usize = 1 << 20;
/// Largest encoded signed transaction, in bytes.
pub const MAX_TRANSACTION_BYTES: usize = 64 << 10;
/// Largest encoded block body (user transactions), in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Largest encoded block: body, header and system transactions, in bytes.
pub const MAX_BLOCK_BYTES: usize = MAX_BODY_BYTES + (64 << 10);
/// Most user transactions in a block; the byte limit usually binds first.
pub const MAX_BLOCK_TRANSACTIONS: usize = 8_192;
/// Most system transactions in a block.
pub const MAX_SYSTEM_TRANSACTIONS: usize = 64;
/// Largest encoded list of a block's system transactions, in bytes.
pub const MAX_SYSTEM_BYTES: usize = 56 << 10;
/// Largest encoded system transaction, in bytes: a certificate of the largest committee.
pub const MAX_SYSTEM_TRANSACTION_BYTES: usize = 64 * MAX_COMMITTEE + 256;
/// How far ahead of the current height a transaction's expiry may lie.
pub const MAX_VALIDITY_HEIGHTS: u64 = 100_000;
/// Most members of a consensus committee.
pub const MAX_COMMITTEE: usize = 256;
/// Most nullification certificates that travel inside a proposal; the rest is asked for.
pub const MAX_INLINE_NULLIFICATIONS: usize = 64;
/// Largest encoded certificate, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * MAX_COMMITTEE + 256;
/// Largest encoded consensus message (a proposal with its block and its certificates), in bytes.
pub const MAX_CONSENSUS_MESSAGE_BYTES: usize =
    MAX_BLOCK_BYTES + (MAX_INLINE_NULLIFICATIONS + 2) * MAX_CERTIFICATE_BYTES + 1_024;
/// Largest frame of any p2p channel, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 << 20;
/// Most headers in a proof from a state root to a finality certificate.
pub const MAX_HEADER_PATH: usize = 1_024;
/// Most siblings in a state proof: one per bit of a key hash.
pub const MAX_PROOF_SIBLINGS: usize = 256;
/// Largest value under one state key, in bytes.
pub const MAX_STATE_VALUE_BYTES: usize = 512 << 10;
/// How many heights of undo, stale tree nodes and served proofs are kept.
pub const KEPT_HEIGHTS: u64 = 64;
/// By how many heights the results in a header lag: state root, receipt root and gas are those after the block so many
/// heights below. A decision record says why it is one, and what a greater one would need.
pub const STATE_ROOT_LAG: u64 = 1;
/// How many blocks above the last one in its store a node fills blocks; deeper ones it builds empty, since old blocks
/// may need new ones to become final.
pub const MAX_BUILD_DEPTH: u64 = 16;
/// Most transactions of one sender that wait in a mempool.
pub const NONCES_PER_SENDER: u64 = 16;
/// Ordinary transactions that a block is built from, as a multiple of the bytes of its body: not all will fit.
pub const ORDINARY_CANDIDATE_BODIES: usize = 2;
/// The same for actions of parties to jobs, which are counted apart.
pub const PROTOCOL_CANDIDATE_BODIES: usize = 1;
/// Most actions of parties that are executed in vain while one block is built.
pub const MAX_REFUSED: usize = 32;
/// Most stored statements of one validator that wait before their time: on data that no live job awaits yet. Of what live jobs
/// await each validator's word has room.
pub const EARLY_STATEMENTS_PER_VALIDATOR: usize = 256;
/// Steps of the beacon beyond the due one whose outputs wait, unproven, until their turn.
pub const STEPS_AHEAD: u64 = 4;
/// Most outputs that wait for one such step.
pub const OUTPUTS_PER_STEP: usize = 4;
/// Steps of the beacon that stay readable beyond the lag. A draw is used in the block that ends its step, or as many blocks
/// later as it takes to move all jobs on.
pub const BEACON_STEPS_KEPT: u64 = 64;
/// Longest duration that a network may choose, in milliseconds: a year.
pub const MAX_DURATION_MS: u64 = 366 * 24 * 3_600 * 1_000;

/// Most tasks of one job.
pub const MAX_TASKS: usize = 1_024;
/// Most inputs of one job.
pub const MAX_INPUTS: usize = 64;
/// Most declared outputs of one task.
pub const MAX_OUTPUTS: usize = 32;
/// Most outputs that a task of a chain hands to the next one.
pub const MAX_STATE_OUTPUTS: usize = 8;
/// Most program arguments or environment entries of a job.
pub const MAX_ARGUMENTS: usize = 256;
/// Longest name (of a job, an output, an attribute), in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest path inside a task's file tree, in bytes.
pub const MAX_PATH_BYTES: usize = 256;
/// Longest argument, environment key or value, in bytes.
pub const MAX_ARGUMENT_BYTES: usize = 4_096;
/// Largest module, in bytes.
pub const MAX_MODULE_BYTES: u64 = 100 << 20;
/// Largest single blob, in bytes.
pub const MAX_BLOB_BYTES: u64 = 1 << 30;
/// Largest sum of a job's inputs and module, in bytes.
pub const MAX_JOB_INPUT_BYTES: u64 = 4 << 30;
/// Largest sum of what one task writes (outputs, stdout, stderr), in bytes.
pub const MAX_TASK_OUTPUT_BYTES: u64 = 256 << 20;
/// Largest sum of what all tasks of a job may write, in bytes: validators keep it and partners move it.
pub const MAX_JOB_OUTPUT_BYTES: u64 = 4 << 30;
/// Reports of drawn primaries that end a job whose module cannot be run.
pub const REPORTS_THAT_END_A_JOB: usize = 3;
/// Longest window for executing a job or for storing its results, in milliseconds of chain time: a week.
pub const MAX_WINDOW_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Largest linear memory of a task, in bytes: all of a 32-bit address space.
pub const MAX_TASK_MEMORY_BYTES: u64 = 4 << 30;
/// Largest fuel of one task.
pub const MAX_TASK_FUEL: u64 = 1 << 50;
/// Most verifiers bound to one job attempt.
pub const MAX_VERIFIERS: usize = 32;
/// Most verifiers that a customer may demand; the others are selected, or appointed as replacements.
pub const MAX_MIN_VERIFIERS: u16 = 12;
/// Most verifiers that the policy draws in expectation; the tail of the draw fits `MAX_VERIFIERS`.
pub const MAX_EXPECTED_VERIFIERS: u32 = 8;
/// Most jobs that are live at the same time.
pub const MAX_LIVE_JOBS: usize = 4_096;
/// Settled jobs that may be challenged at the same time, beyond what is live at most.
pub const MAX_CHALLENGED_JOBS: usize = 256;
/// Most challenges of one job's receipt.
pub const MAX_CHALLENGES: u16 = 64;
/// Most attempts of one job.
pub const MAX_ATTEMPTS: u16 = 8;
/// Most attributes of a partner and most constraints of a job.
pub const MAX_ATTRIBUTES: usize = 32;
/// Pages into which partners are divided by their addresses.
pub const PARTNER_PAGES: usize = 64;
/// Most active partners of a page: its places.
pub const MAX_PAGE_PARTNERS: usize = 192;
/// Most active partners.
pub const MAX_PARTNERS: usize = PARTNER_PAGES * MAX_PAGE_PARTNERS;
/// What the draws of one block may cost together; the last one begins below it. A partner that is looked at, a try and a turn cost 1.
pub const MAX_DRAW_COST_PER_BLOCK: usize = 65_536;
/// What a partner's record costs that a draw reads.
pub const DRAW_RECORD_COST: usize = 16;
/// Largest encoded partner profile, in bytes.
pub const MAX_PROFILE_BYTES: usize = 448;
/// Most entries of a network's schedule of protocol versions.
pub const MAX_PROTOCOL_VERSIONS: usize = 64;
/// Most engine classes of a network.
pub const MAX_CLASSES: usize = 16;
/// Most snapshots of the partners of past epochs that are kept.
pub const MAX_PAST_SNAPSHOTS: usize = 512;
/// Shards into which live jobs are divided: whoever follows them reads again only those that changed.
pub const LIVE_SHARDS: usize = 64;
/// Most things that are due in one bucket of a queue; what is more is due in the next.
pub const MAX_DUE_PER_BUCKET: usize = 8_192;
/// Most ended jobs that one block forgets; the rest follows in the next blocks.
pub const MAX_FORGOTTEN_PER_BLOCK: usize = 64;
/// Locks of one partner that end by themselves at the same time, at most: ends are rounded up to so many steps in an audit window.
pub const MAX_AUDIT_LOCKS: u64 = 16;
/// Most locks that one block ends by their time; the rest follows in the next blocks.
pub const MAX_UNLOCKED_PER_BLOCK: usize = 256;
/// Most ballots of referees that run at the same time; a dispute beyond waits.
pub const MAX_BALLOTS: u32 = 4;
/// Most verdicts that one block pays out; the rest follows in the next blocks.
pub const MAX_VERDICTS_PER_BLOCK: usize = 16;
/// Most jobs that one block moves on by draws and deadlines; the rest follows in the next blocks.
pub const MAX_MOVED_PER_BLOCK: usize = 64;
/// Most unbondings that one block pays; the rest follows in the next blocks.
pub const MAX_PAID_PER_BLOCK: usize = 256;
/// Most unbondings in progress per partner.
pub const MAX_UNBONDINGS: usize = 16;
/// Chunk of a blob that is served and verified as a whole, in bytes.
pub const BLOB_CHUNK_BYTES: u64 = 256 << 10;
/// Largest encoded outcome of a task in that list, in bytes.
pub const MAX_OUTCOME_BYTES: usize = 200 + MAX_OUTPUTS * 41;
/// Largest encoded state in the list of a chain's states, in bytes.
pub const MAX_STATE_ENTRY_BYTES: usize = 4 + MAX_STATE_OUTPUTS * 41;
/// Largest encoded list of a chain's states, in bytes.
pub const MAX_STATES_BYTES: usize = 4 + MAX_TASKS * MAX_STATE_ENTRY_BYTES;
/// Largest encoded list of outcomes of a job, in bytes.
pub const MAX_OUTCOMES_BYTES: usize = 8 << 20;

const _: () = {
    assert!(
        MAX_TRANSACTION_BYTES <= MAX_BODY_BYTES / 4,
        "the reserve of a block must be able to hold a transaction"
    );
    assert!(MAX_BODY_BYTES < MAX_BLOCK_BYTES, "a block holds its body");
    assert!(
        MAX_SYSTEM_BYTES + 4_096 <= MAX_BLOCK_BYTES - MAX_BODY_BYTES
            && MAX_SYSTEM_TRANSACTION_BYTES + 4 <= MAX_SYSTEM_BYTES,
        "header and system transactions fit beside the body"
    );
    assert!(
        MAX_CONSENSUS_MESSAGE_BYTES <= MAX_FRAME_BYTES,
        "a proposal fits a frame"
    );
    assert!(
        MAX_BLOCK_BYTES < 2 << 20,
        "a block stays below the 2 MiB messages of an outer host"
    );
    // The opening of a job whose every task is drawn: index and leaf for each, no siblings.
    assert!(
        MAX_TASKS * (4 + HASH_BYTES) + 4_096 <= MAX_TRANSACTION_BYTES,
        "an opening fits a transaction"
    );
    assert!(
        MAX_OUTPUTS * (3 * MAX_PATH_BYTES) + MAX_INPUTS * (40 + MAX_PATH_BYTES + 8)
            < MAX_TRANSACTION_BYTES,
        "a job's paths fit a transaction"
    );
    assert!(
        MAX_PAGE_PARTNERS * (MAX_PROFILE_BYTES + 64) <= MAX_STATE_VALUE_BYTES / 4,
        "a page of partners fits a quarter of a value"
    );
    assert!(
        PARTNER_PAGES * (16 + MAX_CLASSES * 24) <= MAX_STATE_VALUE_BYTES / 4
            && PARTNER_PAGES * 4 == 256,
        "the index of pages fits a quarter of a value, and six bits of an address name a page"
    );
    assert!(
        NONCES_PER_SENDER >= MAX_BUILD_DEPTH,
        "a sender can have one transaction in each undecided block"
    );
    assert!(
        PROTOCOL_CANDIDATE_BODIES >= 1 && ORDINARY_CANDIDATE_BODIES >= 1,
        "what is offered fills the reserve of a block, and the rest"
    );
    assert!(
        (MAX_LIVE_JOBS + EARLY_STATEMENTS_PER_VALIDATOR) * MAX_COMMITTEE * 120 <= 128 << 20,
        "the statements of all validators, a signature and a key each, fit 128 MiB"
    );
    assert!(
        MAX_PAST_SNAPSHOTS * 16 + MAX_COMMITTEE * (ADDRESS_BYTES + 8) + 1_024
            <= MAX_STATE_VALUE_BYTES,
        "the chain's record fits"
    );
    assert!(
        MAX_BLOCK_TRANSACTIONS * ADDRESS_BYTES + 1_024 <= MAX_STATE_VALUE_BYTES,
        "the unbondings of one block fit a value"
    );
    assert!(
        MAX_PAID_PER_BLOCK * 768 >= MAX_PARTNERS * MAX_UNBONDINGS,
        "all unbondings are paid within 768 blocks"
    );
    assert!(
        (MAX_LIVE_JOBS + MAX_CHALLENGED_JOBS) * (HASH_BYTES + 8) + 4 <= MAX_STATE_VALUE_BYTES
            && LIVE_SHARDS < 256,
        "all live jobs fit a shard"
    );
    assert!(
        KEPT_HEIGHTS > MAX_BUILD_DEPTH,
        "undo reaches below everything undecided"
    );
    assert!(
        MAX_TASKS * MAX_OUTCOME_BYTES <= MAX_OUTCOMES_BYTES,
        "outcomes of all tasks fit their blob"
    );
};
