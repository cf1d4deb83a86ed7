//! Frozen formats of the state machine's own bookkeeping. A change here is a change of protocol.
//!
//! To write new vectors after a deliberate change: `GRIDPROOF_BLESS=1 cargo test -p gridproof-vm golden`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use types::chain_record::{ClassTurnout, DueQueues};
use types::codec::{decode, encode};
use types::hash::{Address, Domain, Hash32, JobId, ValidatorId};
use types::number::{Amount, BeaconStep, ChainTime, EngineClass, Epoch, Fixed64, Height};
use types::state_key::StateKey;
use types::transaction::Action;
use vm::draws::{Draw, Draws};
use vm::due::Bucket;
use vm::{Beacon, ChainRecord};

use crate::fixture::{Chain, genesis, square};

fn line(name: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(format!("{name} "), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn value<T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug>(
    name: &str,
    value: &T,
) -> String {
    let bytes = encode(value);
    assert_eq!(
        &decode::<T>(&bytes, bytes.len()).unwrap(),
        value,
        "{name} does not come back"
    );
    line(name, &bytes)
}

fn records() -> Vec<String> {
    let hash = |n| Hash32([n; 32]);
    let beacon = Beacon {
        value: hash(1),
        step: BeaconStep(2),
        seed: hash(3),
        since_height: Height(4),
        since_time: ChainTime(5),
    };
    let chain = ChainRecord {
        chain_time: ChainTime(1),
        supply: Amount(2),
        burned: Amount(3),
        liquid: Amount(4),
        urgent: true,
        unbondings: Some((ChainTime(5), ChainTime(6))),
        due: DueQueues {
            windows: 10,
            ended: 11,
            locks: 15,
            verdicts: 17,
            places: 4,
        },
        live_jobs: 12,
        running_jobs: 5,
        attempt_ms: 9_000,
        live_bytes: 1 << 20,
        draws: 13,
        disputes: 16,
        first_draw: BeaconStep(14),
        past_snapshots: vec![(Epoch(7), ChainTime(8))],
        turnouts: BTreeMap::from([(
            EngineClass(2),
            ClassTurnout {
                expected: Fixed64(9),
                announced: 10,
                last: Epoch(11),
            },
        )]),
        committee_since: Epoch(1),
        params_since: Epoch(2),
        last_proposed: BTreeMap::from([(ValidatorId(Address([8; 20])), Height(9))]),
    };
    let draw = Draw {
        epoch: Epoch(4),
        since: ChainTime(5),
    };
    let (first, second) = (JobId(hash(1)), JobId(hash(2)));
    let windows = Bucket::from([
        (ChainTime(1), (second, Height(2))),
        (ChainTime(3), (first, Height(4))),
    ]);
    let ended = Bucket::from([(ChainTime(1), second), (ChainTime(3), first)]);
    vec![
        value("beacon", &beacon),
        value("chain", &chain),
        value("windows", &windows),
        value("ended", &ended),
        value("draws", &Draws::from([(first, draw), (second, draw)])),
    ]
}

/// The queue of unbondings as a chain leaves it: two partners at one time, then one at the next.
fn queue() -> Vec<String> {
    let mut chain = Chain::new();
    let unbond = |chain: &Chain, n| chain.sign(n, Action::Unbond { amount: square(1) });
    chain.next(vec![unbond(&chain, 0), unbond(&chain, 1)]);
    chain.next(vec![unbond(&chain, 0)]);
    let entries = chain
        .state
        .iter()
        .filter(|(key, _)| matches!(key, StateKey::Unbondings(_)));
    entries
        .map(|(key, value)| line(&format!("{key:?}"), value.as_ref().unwrap()))
        .collect()
}

/// A hash over all that genesis writes.
fn genesis_state() -> String {
    let writes = vm::genesis_writes(&genesis(|_| {})).unwrap();
    let all: Vec<_> = writes.iter().collect();
    line(
        "genesis_state",
        &Hash32::of(Domain::STATE_VALUE, &encode(&all)).0,
    )
}

#[test]
fn golden_vectors_are_frozen() {
    let text = records()
        .into_iter()
        .chain(queue())
        .chain([genesis_state()])
        .collect::<Vec<_>>()
        .join("\n")
        + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/records.txt");
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&path).unwrap(),
        "a format changed"
    );
}
