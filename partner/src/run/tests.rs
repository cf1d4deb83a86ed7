//! What the loop keeps on disk and what it removes.

use std::os::unix::fs::PermissionsExt;

use keys::folder::FolderError;
use keys::passphrase::Passphrases;
use types::job::JobRecord;
use types::number::{Amount, Height, Nonce};
use types::transaction::Transaction;

use super::*;
use crate::assignment::{AssignmentRole, OwnCommitment};
use crate::core::Cause;
use crate::core::outbox::TransactionOutbox;
use crate::core::tests::chain::{CHAIN, assigned, identity, proven, record, settings};
use crate::fixture::{FakeEndpoint, chain, serve};
use crate::journal::JournalError;

/// An endpoint that is not there: executions wait for their inputs.
const NOBODY: &str = "http://127.0.0.1:1";

struct Daemon {
    shell: PartnerShell,
    queue: mpsc::Receiver<ShellInput>,
    height: u64,
}

impl Daemon {
    fn start(dir: &Path) -> Self {
        let endpoints = Endpoints::new(&[NOBODY.to_owned()], None).unwrap();
        let backend = Box::new(WorkerProcess {
            program: "/nonexistent".into(),
            may_lack_seccomp: false,
            room: TaskRoom::new(1, 0),
            code: None,
            metrics: crate::meters::WorkerMetrics::default(),
        });
        let work =
            JobRunner::open(dir, endpoints.clone(), backend, 1 << 20, &BTreeSet::new()).unwrap();
        let journal = DiskJournal::open(&dir.join("journal")).unwrap();
        let core = Core::new(
            identity(1),
            settings(1),
            Vec::new(),
            TransactionOutbox::default(),
        );
        let (inputs, queue) = mpsc::channel(INPUT_QUEUE);
        let ledger = Ledger::open(dir, identity(1).address());
        Self {
            shell: PartnerShell::new(
                dir,
                core,
                Box::new(journal),
                work,
                endpoints,
                ledger,
                inputs,
            ),
            queue,
            height: 1,
        }
    }

    fn see(&mut self, record: &JobRecord) {
        self.height += 100;
        let proven = proven(1, 1, self.height, record.clone());
        self.take(Event::Proven(Box::new(proven)));
    }

    fn take(&mut self, event: Event) {
        self.shell.take(ShellInput::Event(event)).unwrap();
    }

    fn put_input(&self, bytes: &[u8]) -> BlobId {
        self.shell.runner.inputs().put_bytes(bytes).unwrap()
    }

    fn has(&self, id: BlobId) -> bool {
        self.shell.runner.inputs().has(id)
    }
}

fn mine() -> JobRecord {
    record(assigned(1, true))
}

/// The same job after it was given to somebody else.
fn lost() -> JobRecord {
    record(assigned(2, true))
}

fn assignment() -> Assignment {
    Assignment {
        job: mine().id,
        attempt: mine().attempt,
        role: AssignmentRole::Primary,
    }
}

#[tokio::test]
async fn inputs_go_with_the_executions_that_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path());
    let (module, stranger) = (daemon.put_input(b"module"), daemon.put_input(b"stranger"));
    assert!(
        crate::core::tests::chain::workload()
            .blobs()
            .contains(&module)
    );
    daemon.see(&mine());
    assert!(
        daemon.has(module) && !daemon.has(stranger),
        "what another life left is removed"
    );
    daemon.see(&lost());
    assert!(!daemon.has(module), "cancelled");

    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path());
    let module = daemon.put_input(b"module");
    for _ in 0..crate::core::MAX_EXECUTIONS {
        daemon.see(&mine());
        assert!(daemon.has(module));
        daemon.take(Event::NotExecuted {
            assignment: assignment(),
            cause: Cause::Machine,
            reason: "x".into(),
        });
    }
    assert!(!daemon.has(module), "declined");
}

#[tokio::test]
async fn what_a_cancelled_execution_still_wrote_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path());
    daemon.see(&mine());
    daemon.see(&lost());
    // It was at work while it was cancelled.
    let late = daemon.put_input(b"late");
    let results = dir.path().join("results").join(assignment().to_string());
    std::fs::create_dir_all(&results).unwrap();
    let stopped = daemon.queue.recv().await.unwrap();
    assert!(matches!(&stopped, ShellInput::Stopped(stopped) if *stopped == assignment()));
    daemon.shell.take(stopped).unwrap();
    assert!(!daemon.has(late) && !results.exists());
}

#[tokio::test]
async fn the_results_of_the_next_execution_are_not_those_of_the_cancelled_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path());
    for record in [mine(), lost(), mine()] {
        daemon.see(&record);
    }
    let results = dir.path().join("results").join(assignment().to_string());
    std::fs::create_dir_all(&results).unwrap();
    daemon
        .shell
        .take(ShellInput::Stopped(assignment()))
        .unwrap();
    assert!(results.exists());
}

/// A worker that shows no cage keeps the partner from starting.
#[tokio::test]
async fn a_worker_without_a_cage_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for worker in ["/nonexistent", "/bin/false", "/bin/cat"] {
        let mut config = Config::new(vec![NOBODY.to_owned()]);
        config.worker = Some(worker.into());
        let refused = run(
            directory.path(),
            config,
            DaemonControls::until(std::future::pending()),
        )
        .await;
        assert!(matches!(refused, Err(PartnerError::Worker(_))), "{worker}");
    }
}

#[tokio::test]
async fn a_directory_that_others_may_enter_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    for wide in [directory.path().to_owned(), directory.path().join("keys")] {
        for path in [directory.path().to_owned(), directory.path().join("keys")] {
            let mode = if path == wide { 0o750 } else { 0o700 };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let config = Config::new(vec![NOBODY.to_owned()]);
        let controls = DaemonControls::until(std::future::pending());
        let backend = Box::new(WorkerProcess {
            program: "/nonexistent".into(),
            may_lack_seccomp: false,
            room: TaskRoom::new(1, 0),
            code: None,
            metrics: crate::meters::WorkerMetrics::default(),
        });
        let refused = run_with(directory.path(), config, backend, controls).await;
        let is_wide = |error: &FolderError| matches!(error, FolderError::TooOpen { path, .. } if *path == wide);
        assert!(
            matches!(&refused, Err(PartnerError::Folder(error)) if is_wide(error)),
            "{refused:?}"
        );
    }
}

/// Who is set aside for an answer of its own may be the only one that passes an opening on.
#[tokio::test]
async fn a_transaction_goes_to_endpoints_that_are_set_aside_too() {
    let (near, aside) = (
        serve(FakeEndpoint::new(chain())).await,
        serve(FakeEndpoint::new(chain())).await,
    );
    let endpoints = Endpoints::new(&[near.url.clone(), aside.url.clone()], None).unwrap();
    endpoints.all()[1].lied(Instant::now(), "test");
    assert_eq!(endpoints.available(Instant::now()).len(), 1);
    let action = types::transaction::JobStep::Acknowledge.of(mine().id, mine().attempt);
    let key = identity(1).key;
    let transaction = Transaction {
        chain_id: CHAIN,
        sender: key.public(),
        nonce: Nonce::ZERO,
        valid_until: Height(9),
        fee: Amount(1),
        action,
    };
    send(endpoints, transaction.sign(&key)).await;
    for endpoint in [near, aside] {
        assert_eq!(endpoint.fake.lock().submitted, 1);
    }
}

/// A journal on a disk that is full while it is told so.
struct FullJournal(Arc<std::sync::atomic::AtomicBool>);

impl FullJournal {
    fn answer(&self) -> Result<(), JournalError> {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) {
            let (path, source) = ("journal".into(), std::io::ErrorKind::StorageFull.into());
            return Err(JournalError::Io { path, source });
        }
        Ok(())
    }
}

impl Journal for FullJournal {
    fn keep(&mut self, _: &OwnCommitment) -> Result<(), JournalError> {
        self.answer()
    }
    fn keep_outbox(&mut self, _: &TransactionOutbox) -> Result<(), JournalError> {
        self.answer()
    }
    fn forget(&mut self, _: &Assignment) -> Result<(), JournalError> {
        self.answer()
    }
    fn load(&self) -> Result<(Vec<OwnCommitment>, TransactionOutbox), JournalError> {
        self.answer()?;
        Ok((Vec::new(), TransactionOutbox::default()))
    }
}

#[tokio::test]
async fn a_full_disk_pauses_the_partner_and_nothing_overtakes_what_must_be_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path());
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    daemon.shell.journal = Box::new(FullJournal(Arc::clone(&full)));
    let (running, cancel) = (assignment(), Cancel::default());
    daemon.shell.running.insert(running, cancel.clone());
    let later = Effect::Cancel(running);
    daemon
        .shell
        .held
        .extend([Effect::KeepOutbox(Box::default()), later]);
    for _ in 0..3 {
        daemon.shell.perform_held().unwrap();
        assert!(daemon.shell.paused && daemon.shell.held.len() == 2);
        assert!(!cancel.is_cancelled(), "what comes after it waits");
    }
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    daemon.shell.perform_held().unwrap();
    assert!(!daemon.shell.paused && daemon.shell.held.is_empty());
    assert!(cancel.is_cancelled());
}

#[tokio::test]
async fn the_same_keys_in_two_folders_are_one_partner() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (
        directory.path().join("first"),
        directory.path().join("second"),
    );
    let genesis = types::codec::encode(&crate::fixture::genesis());
    let config = Config::new(vec![NOBODY.to_owned(), "http://127.0.0.1:2".to_owned()]);
    crate::init(&first, &config, &genesis, &Passphrases::none()).unwrap();
    keys::folder::create(&second.join("keys")).unwrap();
    for name in ["account.key", "vrf.key"] {
        let (from, to) = (
            first.join("keys").join(name),
            second.join("keys").join(name),
        );
        std::fs::copy(&from, &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
    }
    std::fs::set_permissions(&second, PermissionsExt::from_mode(0o700)).unwrap();
    crate::init(&second, &config, &genesis, &Passphrases::none()).unwrap();
    let backend = || {
        Box::new(WorkerProcess {
            program: "/nonexistent".into(),
            room: TaskRoom::new(1, 0),
            may_lack_seccomp: false,
            code: None,
            metrics: crate::meters::WorkerMetrics::default(),
        })
    };
    let key = keyfile::read_public(&first.join("keys/account.key"), KeyKind::Account).unwrap();
    let held = SignerLock::take(&key).unwrap();
    let refused = run_with(
        &second,
        config.clone(),
        backend(),
        DaemonControls::until(std::future::pending()),
    )
    .await;
    assert!(
        matches!(&refused, Err(PartnerError::Signer(_))),
        "{refused:?}"
    );
    drop(held);
    run_with(
        &second,
        config,
        backend(),
        DaemonControls::until(std::future::ready(())),
    )
    .await
    .unwrap();
}
