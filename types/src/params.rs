//! What a network chooses in its genesis. All durations are milliseconds, all windows milliseconds of chain time.

mod check;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::number::{Amount, EngineClass, Epoch, Height, ProtocolVersion, SQUARE};

pub use check::ParamsError;

/// The parameters of a network.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// True on a network of tests, which may have windows of milliseconds; on any other the floors of [`Params::check`] hold.
    #[serde(default, skip_serializing_if = "is_false")]
    pub devnet: bool,
    /// From which heights on which versions of the protocol are in force: the first from height 0, then ascending. A
    /// header must carry the version of its height.
    pub protocol_versions: Vec<VersionStart>,
    /// Blocks per epoch (E): bonds, keys and asks count one epoch after they change.
    pub epoch_length: u64,
    /// Time between blocks when nothing is urgent.
    pub idle_target_ms: u64,
    /// Least time between blocks, kept while something is urgent: a floor of a few milliseconds, above which blocks follow
    /// each other as fast as the validators agree. What must last a time is never counted in blocks.
    pub pace_ms: u64,
    /// How far ahead of a notarizing validator's clock a block may be.
    pub max_clock_ahead_ms: u64,
    /// Least fee of a transaction, and what one pays for so much gas or so many bytes, see [`crate::gas::least_fee`]; burned.
    pub min_fee: Amount,
    /// Gas limit of a block, in gas: bytes and actions, see [`crate::gas`].
    pub block_gas_limit: u64,
    /// Steps between an event and the beacon output that draws for it (8; smaller only on devnets).
    pub beacon_lag: u64,
    /// Blocks after which a silent contributor's beacon step may be skipped.
    pub beacon_skip_blocks: u64,
    /// Chain time after which a silent contributor's beacon step may be skipped.
    pub beacon_skip_ms: u64,
    /// What a skipped step costs its contributor's account, as far as it reaches; burned.
    pub beacon_skip_penalty: Amount,
    /// Parameters of jobs: windows, fees, bonds.
    pub compute: ComputeParams,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the serializer hands over a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The newest version of the protocol that this build knows; it knows all versions from 1 on.
pub const NEWEST_PROTOCOL_VERSION: ProtocolVersion = ProtocolVersion(1);

/// The height at which a version of the protocol comes into force.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct VersionStart {
    /// The first height whose header carries the version.
    pub height: Height,
    /// The version, above 0.
    pub version: ProtocolVersion,
}

/// A version of the protocol is in force that this build does not know: it cannot judge blocks from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "protocol version {version} is in force at height {height}, this build knows versions up to {NEWEST_PROTOCOL_VERSION}: \
     install a newer gridproof"
)]
pub struct UnknownProtocolVersion {
    /// The version in force.
    pub version: ProtocolVersion,
    /// The height that was asked about.
    pub height: Height,
}

/// Windows, prices and penalties of jobs.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeParams {
    /// For the customer to bring the inputs, from Open on.
    pub open_window_ms: u64,
    /// For a drawn primary to acknowledge.
    pub acknowledge_window_ms: u64,
    /// For drawn verifiers to announce themselves.
    pub announce_window_ms: u64,
    /// Least time to execute, for the primary and for verifiers; deadlines grow with the fuel.
    pub execute_window_ms: u64,
    /// How often primary and verifiers say that they still work; who has not said so for twice as long has left its duty.
    pub renewal_interval_ms: u64,
    /// Time for primary and verifiers to reveal, in milliseconds of chain time.
    pub reveal_window_ms: u64,
    /// For validators to attest that they hold the results.
    pub store_window_ms: u64,
    /// Time that bonds stay locked by an unbonding.
    pub unbonding_ms: u64,
    /// Time after a job settled in which its results may be contradicted: so long its primary's bond stays locked. At most
    /// `ended_jobs_kept_ms`.
    pub audit_window_ms: u64,
    /// Time after a verdict of referees until forfeited bonds are paid out and burned. At most `ended_jobs_kept_ms`.
    pub appeal_window_ms: u64,
    /// Time for which record, spec and receipt of a job stay in state after its end.
    pub ended_jobs_kept_ms: u64,
    /// Least bond of a partner.
    pub min_bond: Amount,
    /// The classes that partners may run.
    pub classes: Vec<ClassParams>,
    /// Verification fee per fuel, in percent of the median ask of the class's partners (weighed by bond) or of the
    /// class's floor, whichever is more.
    pub verifier_fee_percent: u8,
    /// Verifications that the beacon may load on a partner at the same time, per place for jobs that it offers.
    pub verifications_per_place: u16,
    /// Most live jobs of one customer.
    pub live_jobs_per_customer: u16,
    /// Fee for storage, per MiB of inputs and results, burned; for inputs when the job is submitted, and the more the
    /// more jobs are live.
    pub storage_fee_per_mib: Amount,
    /// Rent of a live job's place per minute of chain time, burned; the more, the more jobs are live.
    pub place_rent: Amount,
    /// Rent of room for blobs per GiB and minute, burned; the more, the less room is left.
    pub blob_rent_per_gib: Amount,
    /// Rent of locked bonds per minute, in billionths of them, burned.
    pub bond_rent_ppb: u32,
    /// Most bytes that live jobs hold together, inputs and results: what every validator promises to store.
    pub blob_room_bytes: u64,
    /// What a declined or ignored assignment costs the drawn primary's bond, burned.
    pub decline_penalty: Amount,
    /// Most attempts before a job fails.
    pub max_attempts: u16,
    /// What others must have earned by verifying a primary's jobs, in multiples of the bond that it locks, before it may run one
    /// that nobody verifies.
    pub probation_multiple: u32,
}

/// Parameters of one engine class.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassParams {
    /// Number of the class, by which workloads name it; above 0.
    pub class: EngineClass,
    /// The first height whose block may take jobs of the class.
    pub from_height: Height,
    /// The first height whose block takes none any more, above `from_height`; without it the class has no end. A job that
    /// was taken before keeps its class to its own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_height: Option<Height>,
    /// The lowest admitted speed, in fuel per millisecond: see [`ComputeParams::run_window_ms`].
    pub min_fuel_per_ms: u64,
    /// The lowest admitted bandwidth, in bytes per millisecond: windows grow by what has to be moved in them.
    pub lowest_bytes_per_ms: u64,
    /// Most fuel of a task: a referee must be able to run any task again.
    pub max_task_fuel: u64,
    /// Least price per million units of fuel: what partners are conscripted for is worth something.
    pub min_ask: Amount,
}

impl ClassParams {
    /// True if the block of a height may take jobs of the class.
    #[must_use]
    pub fn is_open(&self, height: Height) -> bool {
        self.from_height <= height && self.until_height.is_none_or(|until| height < until)
    }
}

/// The class that a new job takes by itself at a height: of those that a build knows the one with the highest number that is
/// open then. Nothing if none of them is.
#[must_use]
pub fn newest_open_class(
    classes: &[ClassParams],
    known: &[EngineClass],
    height: Height,
) -> Option<EngineClass> {
    let open = classes.iter().filter(|class| class.is_open(height));
    open.map(|class| class.class)
        .filter(|class| known.contains(class))
        .max()
}

/// Deadlines are so many times what the work takes at the lowest speed that a class admits.
pub const RUN_FACTOR: u128 = 3;

impl ComputeParams {
    /// The parameters of a class, if the network has it.
    #[must_use]
    pub fn class(&self, class: EngineClass) -> Option<&ClassParams> {
        self.classes.iter().find(|known| known.class == class)
    }

    /// The time that the network gives a partner of a class to run so much fuel, in milliseconds.
    #[must_use]
    pub fn run_window_ms(&self, class: EngineClass, fuel: u128) -> u128 {
        let speed = self
            .class(class)
            .map_or(1, |class| class.min_fuel_per_ms.max(1));
        fuel.saturating_mul(RUN_FACTOR).div_ceil(u128::from(speed))
    }
}

impl Params {
    /// The epoch of a height: epoch e is the heights from (e - 1) E + 1 to e E. Genesis counts to the first, which is 1.
    #[must_use]
    pub fn epoch(&self, height: Height) -> Epoch {
        Epoch(height.0.max(1).div_ceil(self.epoch_length.max(1)))
    }

    /// True for the last height of an epoch.
    #[must_use]
    pub fn is_boundary(&self, height: Height) -> bool {
        height != Height::ZERO && height.0.is_multiple_of(self.epoch_length.max(1))
    }

    /// What a devnet uses: windows of seconds.
    #[must_use]
    pub fn devnet() -> Self {
        Self {
            devnet: true,
            protocol_versions: vec![VersionStart {
                height: Height::ZERO,
                version: ProtocolVersion(1),
            }],
            epoch_length: 20,
            idle_target_ms: 500,
            pace_ms: 10,
            max_clock_ahead_ms: 500,
            min_fee: Amount(SQUARE.0 / 1_000),
            block_gas_limit: 8 << 20,
            beacon_lag: 2,
            beacon_skip_blocks: 2,
            beacon_skip_ms: 5_000,
            beacon_skip_penalty: Amount(SQUARE.0 / 100),
            compute: ComputeParams {
                open_window_ms: 60_000,
                acknowledge_window_ms: 6_000,
                announce_window_ms: 3_000,
                execute_window_ms: 15_000,
                renewal_interval_ms: 5_000,
                reveal_window_ms: 12_000,
                store_window_ms: 30_000,
                unbonding_ms: 60_000,
                audit_window_ms: 30_000,
                appeal_window_ms: 10_000,
                ended_jobs_kept_ms: 3_600_000,
                min_bond: Amount(100 * SQUARE.0),
                classes: vec![ClassParams {
                    class: crate::spec::CLASS_WASM_V2,
                    from_height: Height::ZERO,
                    until_height: None,
                    min_fuel_per_ms: 50_000,
                    lowest_bytes_per_ms: 1_000,
                    max_task_fuel: 1 << 42,
                    min_ask: Amount(SQUARE.0 / 10_000_000),
                }],
                verifier_fee_percent: 100,
                verifications_per_place: 4,
                live_jobs_per_customer: 1_024,
                storage_fee_per_mib: Amount(SQUARE.0 / 1_000),
                place_rent: Amount(SQUARE.0 / 1_000),
                blob_rent_per_gib: Amount(SQUARE.0 / 10),
                bond_rent_ppb: 300,
                blob_room_bytes: 64 << 30,
                decline_penalty: Amount(SQUARE.0 / 10),
                max_attempts: 4,
                probation_multiple: 10,
            },
        }
    }
}
