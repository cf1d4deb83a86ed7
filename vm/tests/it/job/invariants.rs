//! Invariants of jobs, asserted after every block.

use std::collections::{BTreeMap, BTreeSet};

use state::Writes;
use types::account::{BondLock, LockId, LockReason, Partner};
use types::codec::decode;
use types::hash::{Address, JobId};
use types::job::{JobRecord, JobVerdict, Revocation, Stage};
use types::limits::{MAX_AUDIT_LOCKS, MAX_BALLOTS};
use types::number::{Amount, BeaconStep, ChainTime, Height};
use types::state_key::{DueQueue, StateKey};
use vm::draws::Draws;
use vm::due::{Bucket, QueueEntry};
use vm::query;

use crate::audit::assert_conserved;

/// Asserts that money is conserved, that every lock belongs to a party of a live job and every party's lock is there,
/// and that the queues hold what the records say that jobs wait for, and nothing else.
pub fn check(state: &Writes, supply: Amount) {
    assert_conserved(state, supply);
    let mut locks = Locks::new();
    let (mut live, mut waits) = (Vec::new(), Waits::default());
    let mut ballots = 0;
    let mut audited = Audited::new();
    let mut customers = BTreeMap::<Address, u32>::new();
    let (mut live_bytes, mut running) = (0, 0);
    for (key, value) in state {
        let (StateKey::Job(id), Some(bytes)) = (key, value) else {
            continue;
        };
        let record: JobRecord = decode(bytes, 1 << 20).unwrap();
        assert_eq!(record.id, *id);
        live_bytes += record.rent.bytes;
        if record.stage.is_final() {
            assert_eq!(
                record.escrow,
                types::job::Escrow::default(),
                "a job that is over holds money"
            );
            waits.ended.insert((record.deadline.unwrap(), *id));
        } else {
            live.push(*id);
            if let Stage::Disputed(disputed) = &record.stage {
                ballots += u32::from(disputed.ballot.is_running());
                let nobody = disputed.unverified && disputed.parties.verifiers.is_empty();
                let claims = [disputed.parties.next_claim(), record.earlier.next_claim()];
                assert!(nobody || claims.iter().any(Option::is_some));
            }
            *customers.entry(record.customer).or_default() += 1;
            let window = record.deadline.map(|at| (at, (*id, record.opened)));
            waits.windows.extend(window);
            assert_eq!(record.draw, record.stage.draw());
            waits.draws.extend(record.draw.map(|step| (step, *id)));
            assert!(query::spec(state, id).is_ok());
        }
        waits.places.extend(record.queued.map(|at| (at, *id)));
        running += u32::from(record.stage.primary().is_some() && record.settlement.is_none());
        bonds(&record, &mut locks);
        receipts(state, &record, &mut audited);
    }
    assert_eq!(query::live_jobs(state).unwrap(), live);
    let chain = vm::chain_record(state).unwrap();
    assert_eq!(usize::try_from(chain.live_jobs).unwrap(), live.len());
    assert_eq!(
        (chain.live_bytes, chain.running_jobs),
        (live_bytes, running)
    );
    assert_eq!(usize::try_from(chain.draws).unwrap(), waits.draws.len());
    assert_eq!(chain.disputes, ballots);
    assert!(ballots <= MAX_BALLOTS);
    assert_eq!(queue(state, DueQueue::Verdicts), unpaid(state));
    assert_eq!(Waits::in_state(state), waits);
    for (key, value) in state {
        let (StateKey::CustomerJobs(address), Some(bytes)) = (key, value) else {
            continue;
        };
        let number = decode::<u32>(bytes, 4).unwrap();
        assert_eq!(customers.remove(address), Some(number));
    }
    assert!(customers.is_empty(), "{customers:?}");
    check_audited(state, audited);
    check_locks(state, locks);
}

/// What the primaries of settled jobs keep locked together, by partner and end.
type Audited = BTreeMap<(Address, ChainTime), u128>;

/// Asserts that a receipt stands exactly while its job is settled, and adds what is locked behind it.
fn receipts(state: &Writes, record: &JobRecord, audited: &mut Audited) {
    let receipt = query::receipt(state, &record.id).unwrap();
    let revocation = query::revocation(state, &record.id).unwrap();
    assert_eq!(receipt.is_some(), record.settlement.is_some());
    let stands = record.stage == Stage::Settled;
    assert_eq!(receipt.is_some() && revocation.is_none(), stands);
    let is_contested = matches!(revocation, Some(Revocation::Challenged { .. }));
    let decided = record.stage.is_final() || receipt.is_none();
    assert_eq!(is_contested, !decided);
    if let Some(settlement) = record.settlement.filter(|_| stands) {
        let primary = receipt.unwrap().primary;
        *audited.entry((primary, settlement.until)).or_default() += record.policy.bond.0;
    }
}

/// Asserts that so much is locked. It may be more: jobs are forgotten, locks are not.
fn check_audited(state: &Writes, audited: Audited) {
    let now = vm::chain_record(state).unwrap().chain_time;
    for ((primary, until), bonds) in audited {
        if until > now {
            let partner = query::partner(state, &primary).unwrap().unwrap();
            let held = partner.locks[&LockReason::Audit(until).id()].amount;
            assert!(
                held.0 >= bonds,
                "{primary} until {until}: {held:?} for {bonds}"
            );
        }
    }
}

/// Asserts that each partner's locks are these, and those that end by themselves, which a queue holds.
fn check_locks(state: &Writes, mut locks: Locks) {
    let mut ending_locks = Bucket::new();
    for (key, value) in state {
        let (StateKey::Partner(address), Some(bytes)) = (key, value) else {
            continue;
        };
        let mut partner: Partner = decode(bytes, 1 << 20).unwrap();
        let ending = partner
            .locks
            .extract_if(.., |_, lock| lock.reason.until().is_some());
        let ends = ending.map(|(id, lock)| (lock.reason.until().unwrap(), (*address, id)));
        let ends: Bucket<_> = ends.collect();
        assert!(ends.len() <= usize::try_from(MAX_AUDIT_LOCKS).unwrap() + 1);
        ending_locks.extend(ends);
        assert_eq!(
            partner.locks,
            locks.remove(address).unwrap_or_default(),
            "locks of {address}"
        );
    }
    assert!(locks.is_empty());
    assert_eq!(queue(state, DueQueue::Locks), ending_locks);
}

/// The verdicts that are not paid out yet, when they are due.
fn unpaid(state: &Writes) -> Bucket<(JobId, u16)> {
    let verdicts = state.iter().filter_map(|(key, value)| {
        let (StateKey::Verdict(job, number), Some(bytes)) = (key, value) else {
            return None;
        };
        let verdict: JobVerdict = decode(bytes, 1 << 20).unwrap();
        (!verdict.paid).then_some((verdict.due, (*job, *number)))
    });
    verdicts.collect()
}

/// What a queue holds. No key stands for nothing.
fn queue<T: QueueEntry>(state: &Writes, wanted: DueQueue) -> Bucket<T> {
    let mut all = Bucket::new();
    for (key, value) in state {
        if let (StateKey::Due(queue, _), Some(bytes)) = (key, value)
            && *queue == wanted
        {
            let bucket: Bucket<T> = decode(bytes, 1 << 20).unwrap();
            assert!(!bucket.is_empty());
            all.extend(bucket);
        }
    }
    all
}

/// What jobs wait for.
#[derive(Debug, Default, PartialEq)]
struct Waits {
    windows: Bucket<(JobId, Height)>,
    ended: Bucket<JobId>,
    places: Bucket<JobId>,
    draws: BTreeSet<(BeaconStep, JobId)>,
}

impl Waits {
    /// What the queues hold.
    fn in_state(state: &Writes) -> Self {
        let mut all = Self {
            windows: queue(state, DueQueue::Windows),
            ended: queue(state, DueQueue::Ended),
            places: queue(state, DueQueue::Places),
            draws: BTreeSet::new(),
        };
        for (key, value) in state {
            if let (StateKey::Draws(step), Some(bytes)) = (key, value) {
                let draws: Draws = decode(bytes, 1 << 20).unwrap();
                assert!(!draws.is_empty());
                all.draws.extend(draws.into_keys().map(|job| (*step, job)));
            }
        }
        all
    }
}

type Locks = BTreeMap<Address, BTreeMap<LockId, BondLock>>;

fn bonds(record: &JobRecord, locks: &mut Locks) {
    let lock = |partner: Address, reason: LockReason, amount: Amount| {
        let lock = BondLock { amount, reason };
        (partner, lock)
    };
    let primary = record.stage.primary().into_iter();
    let (of_primary, of_verifier) = if record.settlement.is_some() {
        (
            LockReason::Contested(record.id),
            LockReason::Challenger(record.id),
        )
    } else {
        (
            LockReason::Primary(record.id),
            LockReason::Verifier(record.id),
        )
    };
    let primary = primary.map(|p| lock(p.partner, of_primary, p.bond));
    let verifiers = record.stage.verifiers().iter();
    let verifiers = verifiers.map(|v| lock(v.partner, of_verifier, v.bond));
    let mut parties = BTreeSet::new();
    for (partner, lock) in primary.chain(verifiers) {
        assert!(
            parties.insert(partner),
            "a partner is a party twice in one job"
        );
        let own = locks.entry(partner).or_default();
        assert_eq!(own.insert(lock.reason.id(), lock), None);
    }
    for verifier in &record.earlier.verifiers {
        assert!(record.earlier.attempt < record.attempt && !record.stage.is_final());
        let reason = LockReason::EarlierVerifier(record.id);
        let (partner, lock) = lock(verifier.partner, reason, verifier.bond);
        let own = locks.entry(partner).or_default();
        assert_eq!(own.insert(lock.reason.id(), lock), None);
    }
}
