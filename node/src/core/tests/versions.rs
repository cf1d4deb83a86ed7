//! A version of the protocol that this program or its schedule lacks: the node stops and says which of the two it is, and a
//! liar stops nobody.

use chain::{Fatal, Invalid};
use types::number::ProtocolVersion;
use types::params::{NEWEST_PROTOCOL_VERSION, VersionStart};
use types::versions::VersionSchedule;
use types::whole::WholeBlock;
use vm::{Abort, BlockError};

use super::*;

/// A version that this build lacks.
const NEWER: ProtocolVersion = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);
/// The first height of that version.
const START: Height = Height(3);

/// A chain of one validator whose blocks follow [`NEWER`] from [`START`] on, as a newer program would make it.
fn upgraded() -> Host {
    let mut host = Host::of(1);
    let end = host.now_ms + 5_000;
    while host.now_ms < end {
        while let Some(work) = host.work.pop_front() {
            let rules = host.node.rules().clone();
            let mut event = work.perform(&rules, &host.store).unwrap();
            if let Done::Built(built) = &mut event
                && built.block.header.height >= START
            {
                let mut block = built.block.block().as_ref().clone();
                block.header.protocol_version = NEWER;
                built.block = WholeBlock::new(block).unwrap();
            }
            host.step(done(event));
        }
        host.now_ms = host.timer.take().unwrap().0;
        host.step(Event::Timer);
    }
    assert!(host.height() > START.0, "at {}", host.height());
    host
}

fn empty_store(genesis: &Genesis) -> MemoryStore {
    MemoryStore::new(genesis, vm::genesis_writes(genesis).unwrap()).unwrap()
}

fn with_start(setup: NodeSetup, genesis: &Genesis, height: Height) -> NodeSetup {
    let start = VersionStart {
        height,
        version: NEWER,
    };
    let schedule = VersionSchedule::of_genesis(&genesis.params);
    setup.with_versions(schedule.with_upgrades(&[start]).unwrap())
}

/// Why the core does not start on this store.
fn refusal(setup: NodeSetup, host: &Host) -> SetupError {
    let log = host.log.clone();
    let started = Node::start(setup, host.now(), &host.store, log, BTreeSet::new());
    started.map(drop).unwrap_err()
}

#[test]
fn a_final_block_of_a_newer_version_asks_for_a_newer_program() {
    let ahead = upgraded();
    let store = empty_store(&ahead.genesis);
    let mut host = Host::start(
        ahead.genesis.clone(),
        ahead.setup.clone(),
        store,
        ahead.now_ms,
        ahead.log.clone(),
    );
    host.pass(1_000);
    let stop = host.seen.last();
    assert!(
        matches!(
            stop,
            Some(Effect::Stop(StopReason::Chain(Fatal::State(Abort::Version(unknown)))))
                if (unknown.version, unknown.height) == (NEWER, START)
        ),
        "{stop:?}"
    );
    assert_eq!(host.height(), START.0 - 1, "nothing of it was judged");
}

#[test]
fn a_scheduled_version_stops_an_old_program_below_its_height() {
    let genesis = genesis(1);
    let setup = NodeSetup::new(&genesis, key(1), vrf(1), Hash32([3; 32])).unwrap();
    let setup = with_start(setup, &genesis, START);
    let store = empty_store(&genesis);
    let mut host = Host::start(genesis, setup.clone(), store, 0, Vec::new());
    let fatal = loop {
        let Some(work) = host.work.pop_front() else {
            host.now_ms = host.timer.take().unwrap().0;
            host.step(Event::Timer);
            continue;
        };
        let rules = host.node.rules().clone();
        match work.perform(&rules, &host.store) {
            Ok(event) => host.step(done(event)),
            Err(fatal) => break fatal,
        }
    };
    assert!(
        matches!(&fatal, Fatal::State(Abort::Version(unknown)) if unknown.height == START),
        "{fatal}"
    );
    assert!(host.height() < START.0);
}

#[test]
fn a_program_or_a_schedule_that_decided_blocks_contradict_does_not_start() {
    let ahead = upgraded();
    let error = refusal(ahead.setup.clone(), &ahead);
    assert!(
        matches!(
            error,
            SetupError::Chain(Fatal::State(Abort::Version(unknown))) if unknown.version == NEWER
        ),
        "an old program on the folder of a newer one"
    );
    let mut plain = Host::of(1);
    plain.pass(5_000);
    assert!(plain.height() > START.0);
    let setup = with_start(plain.setup.clone(), &plain.genesis, START);
    let error = refusal(setup, &plain);
    assert!(
        matches!(
            &error,
            SetupError::Chain(Fatal::State(Abort::Schedule(other)))
                if (other.height, other.expected) == (START, NEWER)
        ),
        "{error}"
    );
    let tip = Height(plain.height());
    let error = refusal(with_start(plain.setup.clone(), &plain.genesis, tip), &plain);
    assert!(
        matches!(&error, SetupError::Chain(Fatal::State(Abort::Schedule(_)))),
        "{error}"
    );
    let later = Height(tip.0 + 2);
    let setup = with_start(plain.setup.clone(), &plain.genesis, later);
    let started = Node::start(
        setup,
        plain.now(),
        &plain.store,
        plain.log.clone(),
        BTreeSet::new(),
    );
    assert!(started.is_ok(), "what is to come may be scheduled");
}

#[test]
fn a_block_that_is_not_final_stops_nobody_and_is_remembered_until_another_is_decided() {
    let mut host = Host::of(1);
    host.pass(2_000);
    let own = host.node.id();
    let block = loop {
        match host.work.pop_front() {
            Some(Work::Execute(execution)) => break execution.block,
            Some(work) => {
                let rules = host.node.rules().clone();
                let event = work.perform(&rules, &host.store).unwrap();
                host.step(done(event));
            }
            None => {
                host.now_ms = host.timer.take().unwrap().0;
                host.step(Event::Timer);
            }
        }
    };
    let refused = BlockError::ProtocolVersion {
        found: NEWER,
        expected: ProtocolVersion(1),
    };
    // The next block has another time, hence another id.
    host.now_ms += 1;
    host.step(done(Done::Executed {
        block: block.id(),
        result: Err(Invalid::Rule(refused)),
    }));
    let remembered = host.node.refused_versions()[&own];
    assert_eq!(remembered.found, NEWER);
    assert_eq!(remembered.height, block.header.height);
    host.pass(10_000);
    assert!(host.height() > block.header.height.0, "{}", host.height());
    assert!(host.node.refused_versions().is_empty());
    assert_eq!(host.stops(), [""; 0]);
}
