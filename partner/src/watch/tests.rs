//! Honest endpoints, liars and laggards behind a real router.

use state::{DecidedState, Writes};
use types::account::{LiveIndex, LiveJobs, live_shard};
use types::codec::encode;
use types::hash::Hash32;
use types::number::{Amount, Nonce};
use types::snapshot::PageVersion;

use super::*;
use crate::core::tests::chain::{JOB, address, params, partner, record, snapshot, workload};
use crate::fixture::{FakeEndpoint, RunningEndpoint, add_block, chain, genesis, serve};

/// A job of others; above [`JOB`].
const STRANGERS: JobId = JobId(Hash32([0xee; 32]));

/// Block 1 writes an account with this nonce, the partner, one committed job and one of others; block 2 lets it be proven.
fn store(nonce: u64) -> state::MemoryStore {
    let store = chain();
    add_block(&store, writes(nonce));
    add_block(&store, Writes::new());
    store
}

fn writes(nonce: u64) -> Writes {
    let stage = Stage::Announcing(types::job::Announcing {
        parties: types::job::Parties {
            primary: crate::core::tests::chain::primary(1),
            commitment: Hash32([1; 32]),
            verifiers: Vec::new(),
            no_results: Vec::new(),
        },
        epoch: Epoch(1),
        class_bond: Amount(1_000),
        beacon: types::job::SortitionBeacon::Known {
            value: Hash32([2; 32]),
        },
    });
    let account = Account {
        balance: Amount(5),
        nonce: Nonce(nonce),
    };
    let (mut index, changed) = (LiveIndex::default(), Height(1));
    for job in [JOB, STRANGERS] {
        index.0[usize::from(live_shard(&job))] = changed;
    }
    let mut seen = PartnerIndex::default();
    let own = usize::from(page_of(&address(1)));
    seen.0[own] = PageVersion::new(Epoch(1), &snapshot(2));
    Writes::from([
        (StateKey::Chain, Some(encode(&chain_record(Epoch(1))))),
        (StateKey::Params(Epoch(1)), Some(encode(&params()))),
        (StateKey::Account(address(1)), Some(encode(&account))),
        (StateKey::Partner(address(1)), Some(encode(&partner(1)))),
        (
            StateKey::LiveJobs(live_shard(&JOB)),
            Some(encode(&LiveJobs::from([(JOB, changed)]))),
        ),
        (
            StateKey::LiveJobs(live_shard(&STRANGERS)),
            Some(encode(&LiveJobs::from([(STRANGERS, changed)]))),
        ),
        (StateKey::LiveIndex, Some(encode(&index))),
        (StateKey::CustomerJobs(address(1)), Some(encode(&2u32))),
        (StateKey::Job(JOB), Some(encode(&record(stage)))),
        (
            StateKey::JobSpec(JOB),
            Some(encode(&types::testing::job_spec(workload()))),
        ),
        // Whoever asks for the spec of this one, to which the account is no party, gets a proof that there is none.
        (
            StateKey::Job(STRANGERS),
            Some(encode(&JobRecord {
                id: STRANGERS,
                ..record(Stage::Pending(types::job::Pending::default()))
            })),
        ),
        (StateKey::PartnerSnapshot(Epoch(1)), Some(encode(&seen))),
        (
            StateKey::PartnerPage(page_of(&address(1)), Epoch(1)),
            Some(encode(&snapshot(2))),
        ),
    ])
}

/// The chain's record, which names the parameters in force.
fn chain_record(params_since: Epoch) -> ChainRecord {
    ChainRecord {
        chain_time: types::number::ChainTime::ZERO,
        supply: Amount::ZERO,
        burned: Amount::ZERO,
        liquid: Amount::ZERO,
        urgent: false,
        unbondings: None,
        due: types::chain_record::DueQueues::default(),
        live_jobs: 2,
        running_jobs: 0,
        attempt_ms: 1,
        live_bytes: 0,
        draws: 0,
        disputes: 0,
        first_draw: types::number::BeaconStep(0),
        past_snapshots: Vec::new(),
        turnouts: BTreeMap::new(),
        committee_since: Epoch::FIRST,
        params_since,
        last_proposed: BTreeMap::new(),
    }
}

fn watch(endpoints: &[&RunningEndpoint]) -> ChainWatch {
    let urls: Vec<_> = endpoints
        .iter()
        .map(|endpoint| endpoint.url.clone())
        .collect();
    let light = Light::new(&genesis()).unwrap();
    ChainWatch::new(
        Endpoints::new(&urls, None).unwrap(),
        light,
        address(1),
        Height::ZERO,
    )
}

fn available(watch: &ChainWatch) -> Vec<String> {
    watch
        .endpoints
        .available(Instant::now())
        .iter()
        .map(|endpoint| endpoint.client.url().to_owned())
        .collect()
}

#[tokio::test]
async fn a_view_holds_what_the_chain_proves() {
    let endpoint = serve(FakeEndpoint::new(store(3))).await;
    let proven = watch(&[&endpoint]).proven_state().await.unwrap();
    assert_eq!((proven.height, proven.newest), (Height(1), Height(1)));
    assert_eq!(
        proven.account,
        Account {
            balance: Amount(5),
            nonce: Nonce(3)
        }
    );
    assert_eq!(proven.partner, Some(partner(1)));
    assert_eq!(proven.live, BTreeSet::from([JOB, STRANGERS]));
    assert_eq!(proven.jobs[&JOB].stage.name(), "announcing");
    assert_eq!(proven.pages, BTreeMap::from([(Epoch(1), snapshot(2))]));
}

#[tokio::test]
async fn what_did_not_change_is_not_read_again_and_the_specs_of_others_never() {
    let endpoint = serve(FakeEndpoint::new(store(3))).await;
    let mut watch = watch(&[&endpoint]);
    let asked = || endpoint.fake.lock().requests;
    let first = watch.proven_state().await.unwrap();
    assert_eq!(
        first.workloads,
        BTreeMap::from([(JOB, Arc::new(workload()))])
    );
    let before = asked();
    let second = watch.proven_state().await.unwrap();
    assert_eq!(second.workloads, first.workloads);
    // The account, the partner, and when live jobs last changed.
    assert_eq!(asked() - before, 3);
    assert_eq!((second.live, second.jobs), (first.live, first.jobs));
}

/// A job of strangers with a spec of 60 KiB, of so many.
fn one_of_many(number: u16) -> JobRecord {
    let mut id = [0xcd; 32];
    id[..2].copy_from_slice(&number.to_le_bytes());
    JobRecord {
        id: JobId(Hash32(id)),
        ..record(Stage::Pending(types::job::Pending::default()))
    }
}

/// What a block writes that takes so many of these jobs in, or changes them, beside [`writes`].
fn crowd(jobs: u16, at: Height) -> Writes {
    let mut spec = types::testing::job_spec(workload());
    for number in 0..15 {
        let name = types::codec::Text::new(format!("LONG_{number}")).unwrap();
        let long = types::codec::Text::new("x".repeat(4_090)).unwrap();
        spec.workload.environment.insert(name, long);
    }
    let spec = encode(&spec);
    assert!(spec.len() > 60_000);
    let (mut index, mut shards) = (LiveIndex::default(), BTreeMap::<u8, LiveJobs>::new());
    let mut all = writes(3);
    for record in (0..jobs).map(one_of_many) {
        let shard = live_shard(&record.id);
        index.0[usize::from(shard)] = at;
        shards.entry(shard).or_default().insert(record.id, at);
        all.insert(StateKey::Job(record.id), Some(encode(&record)));
        all.insert(StateKey::JobSpec(record.id), Some(spec.clone()));
    }
    let shards = shards.into_iter();
    all.extend(shards.map(|(shard, jobs)| (StateKey::LiveJobs(shard), Some(encode(&jobs)))));
    all.insert(StateKey::LiveIndex, Some(encode(&index)));
    all
}

#[tokio::test]
async fn a_thousand_open_jobs_with_long_specs_cost_a_steady_look_a_few_kibibytes() {
    const JOBS: u16 = 1_000;
    let store = chain();
    add_block(&store, crowd(JOBS, Height(1)));
    add_block(&store, Writes::new());
    let endpoint = serve(FakeEndpoint::new(store)).await;
    let mut watch = watch(&[&endpoint]);
    let mut counted = (0, 0);
    let mut since_last = || {
        let fake = endpoint.fake.lock();
        let now = (fake.requests, fake.proof_bytes);
        let before = std::mem::replace(&mut counted, now);
        (now.0 - before.0, now.1 - before.1)
    };
    let first = watch.proven_state().await.unwrap();
    assert_eq!(first.jobs.len(), usize::from(JOBS));
    // Each record and shard once, and a few values beside them; of the specs, which have 60 MiB, nothing.
    let (requests, bytes) = since_last();
    println!("first look: {requests} requests, {bytes} bytes");
    assert!((1_064..1_080).contains(&requests), "{requests}");
    assert!(bytes < 4 << 20, "{bytes}");
    // The account, the partner, and when live jobs last changed.
    watch.proven_state().await.unwrap();
    let (requests, bytes) = since_last();
    println!("steady look: {requests} requests, {bytes} bytes");
    assert_eq!(requests, 3);
    assert!(bytes < 8 << 10, "{bytes}");
    // One job changes: its shard and its record besides.
    let changed = one_of_many(7);
    let shard = live_shard(&changed.id);
    let mut index = LiveIndex::default();
    let mut jobs = LiveJobs::default();
    for id in first.jobs.keys() {
        index.0[usize::from(live_shard(id))] = Height(1);
        if live_shard(id) == shard {
            jobs.insert(*id, Height(1));
        }
    }
    index.0[usize::from(shard)] = Height(3);
    jobs.insert(changed.id, Height(3));
    let written = [
        (StateKey::Job(changed.id), encode(&changed)),
        (StateKey::LiveJobs(shard), encode(&jobs)),
        (StateKey::LiveIndex, encode(&index)),
    ];
    {
        let fake = endpoint.fake.lock();
        let written = written.map(|(key, value)| (key, Some(value)));
        add_block(&fake.store, Writes::from(written));
        add_block(&fake.store, Writes::new());
    }
    watch.proven_state().await.unwrap();
    let (requests, bytes) = since_last();
    println!("a look at one change: {requests} requests, {bytes} bytes");
    assert_eq!(requests, 5);
    assert!(bytes < 16 << 10, "{bytes}");
}

#[tokio::test]
async fn a_liar_is_set_aside_and_the_other_is_believed() {
    let (liar, honest) = (
        serve(FakeEndpoint::new(store(3))).await,
        serve(FakeEndpoint::new(store(3))).await,
    );
    liar.fake.lock().lies = true;
    let mut watch = watch(&[&liar, &honest]);
    assert_eq!(watch.proven_state().await.unwrap().account.nonce, Nonce(3));
    assert_eq!(available(&watch), [honest.url.as_str()]);
    let asked = liar.fake.lock().requests;
    watch.proven_state().await.unwrap();
    assert_eq!(liar.fake.lock().requests, asked, "it is not asked again");
}

#[tokio::test]
async fn a_liar_alone_gives_no_view() {
    let liar = serve(FakeEndpoint::new(store(3))).await;
    liar.fake.lock().lies = true;
    assert!(watch(&[&liar]).proven_state().await.is_none());
}

#[tokio::test]
async fn the_server_that_is_ahead_is_read_and_nothing_older_follows() {
    let (behind, ahead) = (
        serve(FakeEndpoint::new(store(3))).await,
        serve(FakeEndpoint::new(store(3))).await,
    );
    {
        let fake = ahead.fake.lock();
        add_block(&fake.store, writes(4));
        add_block(&fake.store, Writes::new());
    }
    let mut watch = watch(&[&behind, &ahead]);
    let proven = watch.proven_state().await.unwrap();
    assert_eq!((proven.height, proven.account.nonce), (Height(3), Nonce(4)));
    // The one that was ahead goes away; the other tells the truth of yesterday.
    ahead.fake.lock().lies = true;
    assert!(watch.proven_state().await.is_none());
    assert_eq!(
        available(&watch),
        [behind.url.as_str()],
        "being behind is no fault"
    );
}

#[tokio::test]
async fn who_does_not_answer_is_no_obstacle() {
    let honest = serve(FakeEndpoint::new(store(3))).await;
    let urls = ["http://127.0.0.1:1".to_owned(), honest.url.clone()];
    let light = Light::new(&genesis()).unwrap();
    let mut watch = ChainWatch::new(
        Endpoints::new(&urls, None).unwrap(),
        light,
        address(1),
        Height::ZERO,
    );
    assert!(watch.proven_state().await.is_some());
    assert_eq!(available(&watch), [honest.url.as_str()]);
}

/// A proven state within less than the time that an endpoint has for one answer.
async fn prompt_view(watch: &mut ChainWatch) -> ProvenState {
    timeout(Duration::from_secs(4), watch.proven_state())
        .await
        .expect("no endpoint holds up a proven state")
        .unwrap()
}

#[tokio::test]
async fn a_slow_server_holds_nobody_up() {
    let (slow, honest) = (
        serve(FakeEndpoint::new(store(3))).await,
        serve(FakeEndpoint::new(store(3))).await,
    );
    slow.fake.lock().max_proofs = Some(0);
    let mut watch = watch(&[&slow, &honest]);
    assert_eq!(prompt_view(&mut watch).await.account.nonce, Nonce(3));
    assert_eq!(available(&watch), [honest.url.as_str()], "it is set aside");
    assert_eq!(watch.time_limit, TIMEOUT);
}

#[tokio::test]
async fn an_endpoint_that_goes_silent_within_a_state_is_left_for_the_next() {
    let (silent, honest) = (
        serve(FakeEndpoint::new(store(3))).await,
        serve(FakeEndpoint::new(store(3))).await,
    );
    {
        let mut fake = silent.fake.lock();
        add_block(&fake.store, writes(4));
        add_block(&fake.store, Writes::new());
        // Its head, which is ahead, and the account.
        fake.max_proofs = Some(2);
    }
    let mut watch = watch(&[&silent, &honest]);
    assert_eq!(prompt_view(&mut watch).await.account.nonce, Nonce(3));
    assert_eq!(available(&watch), [honest.url.as_str()]);
}

#[tokio::test]
async fn where_all_are_slow_they_get_more_time() {
    let slow = serve(FakeEndpoint::new(store(3))).await;
    slow.fake.lock().max_proofs = Some(0);
    let mut watch = watch(&[&slow]);
    assert!(watch.proven_state().await.is_none());
    assert!(watch.time_limit > TIMEOUT);
    slow.fake.lock().max_proofs = None;
    for _ in 0..8 {
        watch.proven_state().await.unwrap();
    }
    assert_eq!(watch.time_limit, TIMEOUT);
}

#[tokio::test]
async fn nothing_in_a_view_is_older_than_its_account() {
    let endpoint = serve(FakeEndpoint::new(store(3))).await;
    {
        let mut fake = endpoint.fake.lock();
        // The chain as it was goes on being proven while the account is two blocks further.
        fake.stale = Some(store(3));
        add_block(&fake.store, writes(4));
        add_block(&fake.store, Writes::new());
    }
    assert!(watch(&[&endpoint]).proven_state().await.is_none());
    endpoint.fake.lock().stale = None;
    assert!(watch(&[&endpoint]).proven_state().await.is_some());
}

/// Genesis says one fee, the state another one from an epoch on: the state is right.
#[tokio::test]
async fn parameters_are_those_that_the_state_says_are_in_force() {
    let (mut short, mut dearer) = (params(), params());
    (short.epoch_length, dearer.epoch_length) = (8, 8);
    dearer.min_fee = Amount(77);
    let store = store(0);
    let at_first = (StateKey::Params(Epoch(1)), Some(encode(&short)));
    add_block(&store, Writes::from([at_first]));
    add_block(&store, Writes::new());
    let endpoint = serve(FakeEndpoint::new(store.clone())).await;
    let mut watch = watch(&[&endpoint]);
    let first = watch.proven_state().await.unwrap();
    assert_eq!(*first.params, short);
    assert_ne!(*first.params, genesis().params);
    add_block(
        &store,
        Writes::from([
            (StateKey::Chain, Some(encode(&chain_record(Epoch(2))))),
            (StateKey::Params(Epoch(2)), Some(encode(&dearer))),
        ]),
    );
    while store.tip().height.0 < 2 * short.epoch_length {
        add_block(&store, Writes::new());
    }
    let later = watch.proven_state().await.unwrap();
    assert_eq!(*later.params, dearer);
}

#[tokio::test]
async fn a_state_without_parameters_is_no_state_to_act_on() {
    let store = chain();
    let mut writes = writes(0);
    writes.remove(&StateKey::Params(Epoch(1)));
    writes.insert(StateKey::Params(Epoch(1)), None);
    add_block(&store, writes);
    add_block(&store, Writes::new());
    let endpoint = serve(FakeEndpoint::new(store)).await;
    assert!(watch(&[&endpoint]).proven_state().await.is_none());
}
