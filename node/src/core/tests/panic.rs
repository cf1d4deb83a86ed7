//! A block on which execution panics: invalid here, remembered, and an end only if it becomes final.

use chain::{Alarm, Invalid};

use super::*;

/// Goes on until a block is to be executed, and gives it.
fn next_execution(host: &mut Host) -> chain::Execution {
    loop {
        match host.work.pop_front() {
            Some(Work::Execute(execution)) => return execution,
            Some(work) => {
                let event = work
                    .perform(host.node.rules().clone().as_ref(), &host.store)
                    .unwrap();
                host.step(done(event));
            }
            None => {
                host.now_ms = host.timer.take().unwrap().0;
                host.step(Event::Timer);
            }
        }
    }
}

fn panic_on(host: &mut Host, block: BlockId) {
    let message = "index out of bounds".to_owned();
    host.step(done(Done::Executed {
        block,
        result: Err(Invalid::Panicked { block, message }),
    }));
}

fn nullified(log: &[Record]) -> bool {
    log.iter().any(|record| {
        matches!(record, Record::Vote(vote) if matches!(vote.statement.subject, Subject::Nullify))
    })
}

#[test]
fn a_panic_in_execution_nullifies_the_view_and_the_chain_goes_on() {
    let mut host = Host::of(1);
    host.pass(2_000);
    let height = host.height();
    let transaction = transfer(&host.genesis, 0);
    host.submit(transaction.clone());
    let execution = next_execution(&mut host);
    let block = execution.block.id();
    assert_eq!(execution.block.body.transactions.len(), 1);
    assert!(!nullified(&host.log));
    panic_on(&mut host, block);
    assert!(
        host.node.mempool().is_empty(),
        "our next block would panic as well"
    );
    let remembered = host
        .seen
        .iter()
        .any(|e| matches!(e, Effect::Quarantine(b) if *b == block));
    let alarm = host
        .seen
        .iter()
        .any(|e| matches!(e, Effect::Alarm(Alarm::Execution { block: b, .. }) if *b == block));
    assert!(remembered && alarm, "{:?}", host.seen);
    host.pass(10_000);
    assert!(nullified(&host.log), "its view is given up");
    assert!(
        host.height() > height + 3,
        "others follow: {}",
        host.height()
    );
    assert!(host.store.block(&block).unwrap().is_none());
    assert_eq!(host.stops(), [""; 0]);
}

#[test]
fn a_restart_does_not_execute_it_again() {
    let mut host = Host::of(1);
    host.pass(2_000);
    host.submit(transfer(&host.genesis, 0));
    let block = next_execution(&mut host).block.id();
    panic_on(&mut host, block);
    host.setup.chain.quarantined.insert(block);
    host.work.clear();
    let mut host = host.restart();
    for _ in 0..5 {
        assert_ne!(next_execution(&mut host).block.id(), block);
    }
    assert_eq!(host.stops(), [""; 0]);
}

#[test]
fn it_stops_the_node_once_it_is_final() {
    let mut ahead = Host::of(1);
    ahead.submit(transfer(&ahead.genesis, 0));
    ahead.pass(3_000);
    let first = ahead.store.block_at(Height(1)).unwrap().unwrap().id();
    let store = MemoryStore::new(&ahead.genesis, vm::genesis_writes(&ahead.genesis).unwrap());
    ahead.setup.chain.quarantined.insert(first);
    let mut host = Host::start(
        ahead.genesis,
        ahead.setup,
        store.unwrap(),
        ahead.now_ms,
        ahead.log,
    );
    host.pass(1_000);
    assert!(
        matches!(
            host.seen.last(),
            Some(Effect::Stop(StopReason::Chain(chain::Fatal::FinalQuarantined(block)))) if *block == first
        ),
        "{:?}",
        host.stops()
    );
    assert_eq!(host.height(), 0);
}
