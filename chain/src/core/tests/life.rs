//! A block's life: built, executed, decided, committed; siblings, and blocks that are rejected.

use super::*;

#[test]
fn a_host_without_consensus_decides_blocks_with_transactions_and_beacon_outputs() {
    let mut host = Host::of(1);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    for _ in 0..5 {
        host.grow();
    }
    assert_eq!(host.chain.tip().header.height, Height(5));
    assert_eq!(host.store.tip().block, host.chain.tip().id);
    assert!(host.store.transaction(&id).unwrap().is_some());
    let beacon = vm::Beacon::read(&host.store).unwrap();
    assert!(beacon.step.0 >= 3, "an output in nearly every block");
    assert!(host.stops().is_empty());
    assert_eq!(host.chain.blocks().undecided(), 0);
}

#[test]
fn siblings_live_side_by_side_until_one_is_decided() {
    let mut host = Host::of(1);
    let below = host.grow().id();
    let time = |ms| Timestamp(BEGIN + 1_000 + ms);
    let left = host.build(below, time(1));
    let right = host.build(below, time(2));
    assert!(host.execute(&left) && host.execute(&right));
    let (left_child, right_child) = (
        host.build(left.id(), time(3)),
        host.build(right.id(), time(4)),
    );
    assert!(host.execute(&left_child) && host.execute(&right_child));
    assert_eq!(host.chain.blocks().undecided(), 4);
    host.decide(left.id());
    assert_eq!(host.chain.tip().id, left.id());
    assert_eq!(host.chain.blocks().undecided(), 1, "the child of the tip");
    assert!(!host.execute(&right_child), "its branch is dead");
    host.decide(left_child.id());
    assert_eq!(host.store.tip().height, Height(3));
    assert!(host.stops().is_empty());
}

#[test]
fn rejected_blocks_are_forgotten_and_those_below_needed_ones_are_not() {
    let mut host = Host::of(1);
    let below = host.grow().id();
    let time = |ms| Timestamp(BEGIN + 1_000 + ms);
    let rejected = host.build(below, time(1));
    let parent = host.build(below, time(2));
    assert!(host.execute(&rejected) && host.execute(&parent));
    let child = host.build(parent.id(), time(3));
    assert!(host.execute(&child));
    host.chain.retain(|block| *block == child.id());
    assert!(!host.chain.blocks().holds(&rejected.id()));
    assert!(host.chain.blocks().holds(&parent.id()) && host.chain.blocks().holds(&child.id()));
}

#[test]
fn a_block_that_was_not_executed_cannot_be_decided() {
    let mut host = Host::of(1);
    let below = host.grow().id();
    let block = host.build(below, Timestamp(BEGIN + 1_001));
    host.decide(block.id());
    assert_eq!(host.stops(), [&Fatal::NotExecuted(block.id())]);
}

#[test]
fn a_commit_that_nobody_asked_for_stops_the_chain() {
    let mut host = Host::of(1);
    let below = host.chain.tip().id;
    let block = host.build(below, Timestamp(BEGIN + 500));
    assert!(host.execute(&block));
    let effects = host.chain.decide(&block.id(), None, None);
    let Some(Effect::Work(work)) = effects.into_iter().next() else {
        panic!("a commit")
    };
    let Done::Committed { decision, synced } = work
        .perform(&host.chain.rules().clone(), &host.store)
        .unwrap()
    else {
        panic!("a commit")
    };
    let again = Arc::clone(&decision);
    host.step(Event::Done(Done::Committed { decision, synced }));
    assert!(host.stops().is_empty());
    host.step(Event::Done(Done::Committed {
        decision: again,
        synced,
    }));
    let (found, expected) = (block.id(), None);
    assert_eq!(host.stops(), [&Fatal::OutOfTurn { found, expected }]);
}

#[test]
fn a_decision_is_shared_with_whoever_tells_of_it() {
    let mut host = Host::of(1);
    let below = host.chain.tip().id;
    let block = host.build(below, Timestamp(BEGIN + 500));
    assert!(host.execute(&block));
    let effects = host.chain.decide(&block.id(), None, None);
    let Some(Effect::Work(work)) = effects.into_iter().next() else {
        panic!("a commit")
    };
    let Work::Commit {
        decision: asked, ..
    } = work.as_ref()
    else {
        panic!("a commit")
    };
    let asked = Arc::clone(asked);
    let done = work.perform(&host.chain.rules().clone(), &host.store);
    let Done::Committed { decision, .. } = done.unwrap() else {
        panic!("a commit")
    };
    assert!(Arc::ptr_eq(&asked, &decision));
    assert!(
        Arc::ptr_eq(&asked.block, block.block()),
        "nor is its block copied"
    );
}

#[test]
fn work_that_fails_stops_the_chain() {
    let mut host = Host::of(1);
    let fatal = Fatal::Panicked {
        work: crate::WorkKind::Commit(host.chain.tip().id),
        message: "index out of bounds".to_owned(),
    };
    host.step(Event::Failed(fatal.clone()));
    assert_eq!(host.stops(), [&fatal]);
}

#[test]
fn every_commitment_of_a_header_to_its_parent_is_compared() {
    let mut host = Host::of(1);
    host.submit(transfer(&host.genesis, 0));
    for _ in 0..3 {
        host.grow();
    }
    let tip = host.store.tip();
    let parent = Parent::restore(&host.store).unwrap();
    assert_eq!(
        &parent,
        host.chain.tip(),
        "what a restart restores is what execution gave"
    );
    let timestamp = Timestamp(parent.header.timestamp.0 + 1);
    let building = Building {
        request: BuildRequest {
            ticket: BuildTicket(999),
            parent: parent.id,
            timestamp,
            proposer: own(),
        },
        parent: parent.clone(),
        branch: state::Branch::decided(tip),
        system: Vec::new(),
        candidates: Vec::new(),
    };
    let rules = host.chain.rules().clone();
    let good = building.run(&rules, &host.store).unwrap().block;
    let run = |change: &dyn Fn(&mut types::block::Header)| {
        let mut block = good.block().as_ref().clone();
        change(&mut block.header);
        let execution = Execution {
            block: WholeBlock::new(block).unwrap(),
            parent: parent.clone(),
            branch: state::Branch::decided(tip),
            known: None,
            verified: BTreeSet::new(),
        };
        match execution.run(&rules, &host.store) {
            Ok(_) => None,
            Err(ExecutionError::Invalid(invalid)) => Some(invalid),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(run(&|_| {}), None);
    assert!(matches!(
        run(&|h| h.parent_state_root = Hash32::ZERO),
        Some(Invalid::StateRoot { .. })
    ));
    assert!(matches!(
        run(&|h| h.parent_receipt_root = Hash32::ZERO),
        Some(Invalid::ReceiptRoot { .. })
    ));
    assert!(matches!(
        run(&|h| h.parent_gas_used.0 += 1),
        Some(Invalid::GasUsed { .. })
    ));
    assert!(matches!(
        run(&|h| h.base_fee.0 += 1),
        Some(Invalid::Rule(_))
    ));
}

/// A disk that does not answer holds up commits, and no vote on what comes next.
#[test]
fn a_commit_that_waits_for_its_disk_holds_up_no_execution() {
    let mut host = Host::of(1);
    let first = host.build(host.chain.tip().id, Timestamp(BEGIN + 500));
    assert!(host.execute(&first));
    let second = host.build(first.id(), Timestamp(BEGIN + 1_000));
    let effects = host.chain.decide(&first.id(), None, None);
    host.perform(effects);
    let effects = host.chain.execute(second.clone());
    host.perform(effects);

    let (disk, answered) = std::sync::mpsc::channel::<()>();
    let answered = Arc::new(std::sync::Mutex::new(answered));
    let (rules, store) = (host.chain.rules().clone(), host.store.clone());
    let perform = move |work: Work| {
        if matches!(work, Work::Commit { .. }) {
            answered.lock().unwrap().recv().unwrap();
        }
        Event::Done(work.perform(&rules, &store).unwrap())
    };
    let (sender, mut answers) = tokio::sync::mpsc::channel(8);
    let worker = crate::worker::Worker::with(
        perform,
        host.chain.rules().clone(),
        sender,
        &crate::meters::ChainMetrics::default(),
    )
    .unwrap();
    let asked: Vec<_> = host.work.drain(..).collect();
    assert_eq!(asked.len(), 2, "the commit, then the execution");
    for work in asked {
        worker.queue(work).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut next = || {
        let deadline = std::time::Duration::from_secs(20);
        let answer = async { tokio::time::timeout(deadline, answers.recv()).await };
        runtime.block_on(answer)
    };
    let executed = next().expect("the execution does not wait for the commit");
    disk.send(()).unwrap();
    let committed = next().unwrap();
    assert!(matches!(executed, Some(Event::Done(Done::Executed { .. }))));
    for event in [executed, committed] {
        host.step(event.unwrap());
    }
    assert_eq!(host.chain.tip().id, first.id());
    host.decide(second.id());
    assert_eq!(host.store.tip().block, second.id());
    assert!(host.stops().is_empty());
    worker.finish();
}
