//! The metrics of a partner's daemon: what its workers did, and how the partner stands on chain.

use std::path::Path;
use std::time::{Duration, Instant};

use executor::class::Compiler;
use executor::{NoResult, TaskRun};
use metrics::catalogue::TimeRange;
use metrics::value::{float, float_wide};
use metrics::{Catalogue, Counter, Gauge, Histogram, Labelled, MetricEntry, disk, process};
use types::account::Partner;
use types::attestation::Exit;
use types::number::{Amount, SQUARE};
use types::transaction::SignedTransaction;

use crate::assignment::AssignmentRole;
use crate::core::{Cause, Core, Event, ProvenState};
use crate::endpoints::Endpoints;
use crate::ledger::LedgerTotals;

/// Begins the catalogue of a daemon.
#[must_use]
pub fn catalogue() -> Catalogue {
    let mut all = Catalogue::default();
    process::register(&mut all, env!("CARGO_PKG_VERSION"));
    all
}

/// What the workers of a partner record.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    running: Gauge,
    tasks: Labelled<Counter>,
    fuel: Counter,
    prepared: Counter,
    compilers: Labelled<Counter>,
    no_result: Labelled<Counter>,
    code: Labelled<Counter>,
}

impl Default for WorkerMetrics {
    /// Metrics that nobody sees.
    fn default() -> Self {
        Self::register(&mut Catalogue::default())
    }
}

impl WorkerMetrics {
    /// Registers them.
    pub fn register(all: &mut Catalogue) -> Self {
        Self {
            running: all.gauge("gridproof_partner_workers", "Worker processes that run now."),
            tasks: all.counters(
                "gridproof_partner_tasks_total",
                &["exit"],
                "Tasks that gave a result here, by how they ended.",
            ),
            fuel: all.counter(
                "gridproof_partner_fuel_total",
                "Fuel of the tasks that gave a result here, what their modules are charged for compiling included.",
            ),
            prepared: all.counter(
                "gridproof_partner_prepare_seconds_total",
                "Time that workers took to compile modules and to load inputs.",
            ),
            compilers: all.counters(
                "gridproof_partner_modules_total",
                &["compiler"],
                "Workers that ran all their tasks, by the compiler that made their code.",
            ),
            no_result: all.counters(
                "gridproof_partner_no_result_total",
                &["cause"],
                "Workers that ended without a result, by cause.",
            ),
            code: all.counters(
                "gridproof_partner_code_total",
                &["found"],
                "Workers by whether their module's compiled code was kept here.",
            ),
        }
    }

    /// A worker starts.
    pub(crate) fn starts(&self, has_code: bool) -> RunningWorker {
        self.running.inc();
        self.code.of(&[if has_code { "yes" } else { "no" }]).inc();
        RunningWorker(self.running.clone())
    }

    /// A task gave a result.
    pub(crate) fn ran(&self, run: &TaskRun) {
        let exit = match run.outcome.exit {
            Exit::Code { code: 0 } => "success",
            Exit::Code { .. } => "code",
            Exit::Trap { .. } => "trap",
            Exit::OutOfFuel => "out_of_fuel",
            Exit::OutOfOutput => "out_of_output",
            Exit::Invalid => "invalid",
        };
        self.tasks.of(&[exit]).inc();
        self.fuel.add(run.outcome.fuel.0);
    }

    /// A worker has ended, which took that time to prepare its job.
    pub(crate) fn ended(&self, prepared: Duration, ended: Result<Compiler, &NoResult>) {
        self.prepared.add_time(prepared);
        match ended {
            Ok(Compiler::Optimizing) => self.compilers.of(&["optimizing"]).inc(),
            Ok(Compiler::Baseline) => self.compilers.of(&["baseline"]).inc(),
            Err(cause) => self.no_result.of(&[cause.name()]).inc(),
        }
    }
}

/// Counts a worker as running as long as it lives.
#[derive(Debug)]
pub(crate) struct RunningWorker(Gauge);

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the daemon's loop records.
#[derive(Debug, Clone)]
pub(crate) struct PartnerMetrics {
    height: Gauge,
    state_time: Gauge,
    balance: Gauge,
    bond: Gauge,
    locked: Gauge,
    duties: Labelled<Gauge>,
    awaited: Labelled<Gauge>,
    left: Labelled<Gauge>,
    executions: Labelled<Counter>,
    times: Histogram,
    sent: Labelled<Counter>,
    disk_full: Gauge,
    paused: Gauge,
    ledger: Labelled<Gauge>,
    ended: Labelled<Gauge>,
}

impl Default for PartnerMetrics {
    /// Metrics that nobody sees.
    fn default() -> Self {
        Self::register(&mut Catalogue::default())
    }
}

impl PartnerMetrics {
    pub(crate) fn register(all: &mut Catalogue) -> Self {
        let role = &["role"];
        Self {
            height: all.gauge(
                "gridproof_partner_height",
                "Height of the newest state that was proven here.",
            ),
            state_time: all.gauge(
                "gridproof_partner_state_time_seconds",
                "Timestamp of that state, in seconds since 1970.",
            ),
            balance: all.gauge("gridproof_partner_balance_square", "Balance of the account."),
            bond: all.gauge("gridproof_partner_bond_square", "Bond on record."),
            locked: all.gauge("gridproof_partner_locked_square", "Bond that is locked."),
            duties: all.gauges(
                "gridproof_partner_duties",
                role,
                "Live jobs that the partner is a party to.",
            ),
            awaited: all.gauges(
                "gridproof_partner_awaited",
                role,
                "Those of them that await something of the partner now: the locks at risk.",
            ),
            left: all.gauges(
                "gridproof_partner_deadline_seconds",
                role,
                "Time until the next deadline of what is awaited, as of the newest proven state; absent if nothing is.",
            ),
            executions: all.counters(
                "gridproof_partner_executions_total",
                &["outcome"],
                "Executions that ended: with results, for want of something on this machine, because of the tasks, or cancelled.",
            ),
            times: all.histogram(
                "gridproof_partner_execution_seconds",
                TimeRange::Long,
                "Time of an execution that gave results, fetching its inputs included.",
            ),
            sent: all.counters(
                "gridproof_partner_sent_total",
                &["action"],
                "Transactions sent, those that were sent again included.",
            ),
            disk_full: all.gauge(
                "gridproof_partner_disk_full",
                "1 while the daemon pauses because its disk is full.",
            ),
            paused: all.gauge(
                "gridproof_partner_paused",
                "1 while its offer on record has no places.",
            ),
            ledger: all.gauges(
                "gridproof_partner_ledger_square",
                &["entry"],
                "Sums of the partner's ledger: earned, lost, fees, received.",
            ),
            ended: all.gauges(
                "gridproof_partner_ledger_duties",
                &["outcome"],
                "Duties of the partner's ledger that were paid, and that ended without pay.",
            ),
        }
    }

    /// A state was proven, and the core knows it.
    pub(crate) fn proven(&self, proven: &ProvenState) {
        self.height.set(proven.height.0);
        self.state_time.set_float(float(proven.time.0) / 1_000.0);
        self.balance.set_float(square(proven.account.balance));
        let partner = proven.partner.as_ref();
        let amount = |amount: Option<Amount>| amount.map_or(0.0, square);
        self.bond
            .set_float(amount(partner.map(|partner| partner.bond)));
        self.locked.set_float(amount(partner.map(Partner::locked)));
        self.paused
            .set_bool(partner.is_some_and(|partner| partner.profile.places == 0));
    }

    /// What is owed after a state was proven.
    pub(crate) fn duties(&self, core: &Core) {
        self.left.clear();
        let duties = core.open_duties();
        for role in [AssignmentRole::Primary, AssignmentRole::Verifier] {
            let name = match role {
                AssignmentRole::Primary => "primary",
                AssignmentRole::Verifier => "verifier",
            };
            let own = || duties.iter().filter(|duty| duty.assignment.role == role);
            self.duties.of(&[name]).set_len(own().count());
            let awaited = own().filter_map(|duty| duty.awaited);
            let left_ms: Vec<u64> = awaited.map(|(_, left_ms)| left_ms).collect();
            self.awaited.of(&[name]).set_len(left_ms.len());
            if let Some(least) = left_ms.into_iter().min() {
                let left = self.left.of(&[name]);
                left.set_float(Duration::from_millis(least).as_secs_f64());
            }
        }
    }

    /// The sums of the ledger.
    pub(crate) fn earned(&self, totals: &LedgerTotals) {
        for (name, amount) in [
            ("earned", totals.earned),
            ("lost", totals.lost),
            ("fees", totals.fees),
            ("received", totals.received),
        ] {
            self.ledger.of(&[name]).set_float(square(amount));
        }
        self.ended.of(&["paid"]).set(totals.paid);
        self.ended.of(&["unpaid"]).set(totals.unpaid);
    }

    /// An execution has ended, or another event came.
    pub(crate) fn happened(&self, event: &Event) {
        let outcome = match event {
            Event::Executed(_) => "done",
            Event::NotExecuted { cause, .. } => match cause {
                Cause::Machine => "machine",
                Cause::Tasks => "tasks",
            },
            _ => return,
        };
        self.executions.of(&[outcome]).inc();
    }

    /// An execution that began then gave results.
    pub(crate) fn executed(&self, begun: Instant) {
        self.times.observe(begun.elapsed());
    }

    /// An execution was cancelled.
    pub(crate) fn cancelled(&self) {
        self.executions.of(&["cancelled"]).inc();
    }

    /// A transaction is sent.
    pub(crate) fn sending(&self, transaction: &SignedTransaction) {
        let action = transaction.transaction().action.name();
        self.sent.of(&[action]).inc();
    }

    /// The daemon pauses because its disk is full, or goes on.
    pub(crate) fn pauses(&self, paused: bool) {
        self.disk_full.set_bool(paused);
    }
}

/// What is read of the endpoints when somebody looks.
pub(crate) struct EndpointMetrics {
    known: Gauge,
    available: Gauge,
}

impl EndpointMetrics {
    pub(crate) fn register(all: &mut Catalogue) -> Self {
        Self {
            known: all.gauge(
                "gridproof_partner_endpoints",
                "Endpoints of the configuration.",
            ),
            available: all.gauge(
                "gridproof_partner_endpoints_available",
                "Endpoints that are not set aside for a failure or a lie; at least one is always asked.",
            ),
        }
    }

    pub(crate) fn refresh(&self, endpoints: &Endpoints) {
        self.known.set_len(endpoints.all().len());
        let available = endpoints.available(Instant::now());
        self.available.set_len(available.len());
    }
}

/// Everything that a partner shows.
#[must_use]
pub fn entries() -> Vec<MetricEntry> {
    let mut all = catalogue();
    WorkerMetrics::register(&mut all);
    disk::register(&mut all, Path::new("."));
    EndpointMetrics::register(&mut all);
    PartnerMetrics::register(&mut all);
    all.entries().to_vec()
}

/// An amount in SQUARE, rounded to what a float holds.
fn square(amount: Amount) -> f64 {
    float_wide(amount.0) / float_wide(SQUARE.0)
}
