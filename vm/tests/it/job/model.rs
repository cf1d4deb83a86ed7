//! A simple model of the money of jobs, told from outside: who holds what after a block follows from the records before
//! and after it, from what was sent in it, and from who is known to be wrong. It shares no code with the state machine
//! but the table of penalties.

use std::collections::BTreeMap;

use types::hash::{Address, JobId};
use types::job::{
    Assigned, Duties, FailureReason, JobRecord, Parties, Primary, Revealing, Stage, Verifier,
};
use types::number::Amount;
use types::transaction::{Action, JobStep};
use vm::compute::penalty::{Breach, penalty};
use vm::query;

use crate::fixture::{FUNDED, REFEREES, address};
use crate::job::judged::{Judged, did, openings, voters};
use crate::job::rent::RentMeter;
use crate::job::world::{CUSTOMER, PARTNERS, RESULT_BYTES, World, number};

/// Bytes of the inputs and of all results, in MiB, as the random jobs have them.
pub const INPUT_MIB: u128 = 1;

/// Steps that nobody pays for.
const FREE: [&str; 5] = ["renew", "vote", "open_vote", "contradict", "hand_on"];

/// What was sent in a block: by whom, what, and whether it succeeded.
pub type Sent = Vec<(u8, Action, bool)>;

/// What a naive model says of every balance, bond and lock.
pub struct Model {
    accounts: BTreeMap<u8, u128>,
    bonds: BTreeMap<u8, u128>,
    unbonding: Vec<(u64, u8, u128)>,
    verdicts: Vec<Judged>,
    burned: u128,
    rents: BTreeMap<JobId, RentMeter>,
    pots: BTreeMap<JobId, u128>,
    records: BTreeMap<JobId, JobRecord>,
    /// How often jobs ended in each way.
    pub ends: BTreeMap<String, u32>,
}

impl Model {
    /// The money at genesis.
    pub fn new(world: &World) -> Self {
        Self {
            accounts: (0..FUNDED)
                .chain(REFEREES..REFEREES + 4)
                .map(|n| (n, world.chain.account(n).balance.0))
                .collect(),
            bonds: (0..PARTNERS)
                .map(|n| (n, world.partner(n).bond.0))
                .collect(),
            unbonding: Vec::new(),
            verdicts: Vec::new(),
            burned: 0,
            rents: BTreeMap::new(),
            pots: BTreeMap::new(),
            records: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    fn fee(world: &World) -> u128 {
        world.chain.genesis.params.min_fee.0
    }

    /// Pays somebody out of a job's escrow.
    pub fn pay(&mut self, job: &JobId, to: &Address, amount: u128) {
        *self.pots.get_mut(job).unwrap() -= amount;
        *self.accounts.get_mut(&number(to)).unwrap() += amount;
    }

    fn burn_pot(&mut self, job: &JobId, amount: u128) {
        *self.pots.get_mut(job).unwrap() -= amount;
        self.burned += amount;
    }

    /// Notes that a bond and the accounts of others are to change by a verdict.
    pub fn forfeit_all(&mut self, judged: Judged) {
        for (n, amount) in &judged.forfeits {
            *self.bonds.get_mut(n).unwrap() -= amount;
        }
        self.verdicts.push(judged);
    }

    pub fn slash(&mut self, world: &World, of: &Address, breach: Breach, locked: Amount) {
        let amount = penalty(&world.chain.genesis.params.compute, breach, locked).0;
        *self.bonds.get_mut(&number(of)).unwrap() -= amount;
        self.burned += amount;
    }

    /// Follows one block that was just executed, and compares.
    pub fn follow(&mut self, world: &World, jobs: &[JobId], sent: &Sent) {
        for (n, action, succeeded) in sent {
            if !action.is_step() {
                let fee = world.chain.unsigned(*n, action.clone()).fee.0;
                *self.accounts.get_mut(n).unwrap() -= fee;
                self.burned += fee;
            }
            if *succeeded {
                self.acted(world, *n, action);
            }
        }
        for job in jobs {
            let after = world.record(job);
            let now = vm::chain_record(&world.chain.state).unwrap().chain_time;
            let meter = self.rents.entry(*job).or_insert(RentMeter::new(now));
            if let Some(before) = self.records.get(job).cloned() {
                let runs = after.stage.primary().is_some();
                let ends = after.stage.is_final() && !before.stage.is_final();
                let pays = before.settlement.is_none();
                if pays && (runs != before.stage.primary().is_some() || ends) {
                    meter.switch(&after, runs, now);
                }
                self.moved(world, &before, &after, sent);
            } else {
                let total = vm::compute::price::total(&after.escrow).unwrap().0;
                let opening = INPUT_MIB * world.chain.genesis.params.compute.storage_fee_per_mib.0;
                *self.accounts.get_mut(&CUSTOMER).unwrap() -= total + opening;
                self.pots.insert(*job, total);
                self.burned += opening;
            }
            self.records.insert(*job, after);
        }
        let now = vm::chain_record(&world.chain.state).unwrap().chain_time.0;
        for (_, n, amount) in self.unbonding.extract_if(.., |entry| entry.0 <= now) {
            *self.accounts.get_mut(&n).unwrap() += amount;
        }
        for judged in self.verdicts.extract_if(.., |judged| judged.due <= now) {
            for (n, amount) in judged.shares {
                *self.accounts.get_mut(&n).unwrap() += amount;
            }
            self.burned += judged.burned;
        }
        self.compare(world);
    }

    fn acted(&mut self, world: &World, n: u8, action: &Action) {
        match action {
            Action::Transfer { to, amount } => {
                *self.accounts.get_mut(&n).unwrap() -= amount.0;
                let to = (0..FUNDED).find(|m| address(*m) == *to).unwrap();
                *self.accounts.get_mut(&to).unwrap() += amount.0;
            }
            Action::Bond { amount } => {
                *self.accounts.get_mut(&n).unwrap() -= amount.0;
                *self.bonds.get_mut(&n).unwrap() += amount.0;
            }
            Action::Unbond { amount } => {
                *self.bonds.get_mut(&n).unwrap() -= amount.0;
                let now = vm::chain_record(&world.chain.state).unwrap().chain_time.0;
                self.unbonding.push((
                    now + world.chain.genesis.params.compute.unbonding_ms,
                    n,
                    amount.0,
                ));
            }
            Action::Job(action) if matches!(action.step, JobStep::Decline { .. }) => {
                let Stage::Assigned(assigned) = self.records[&action.job].stage.clone() else {
                    panic!()
                };
                let record = &self.records[&action.job];
                let unrunnable = action.step == JobStep::Decline { unrunnable: true };
                let breach = match &assigned.duties {
                    None => Breach::Declined,
                    Some(duties)
                        if unrunnable
                            && 4 * had_ms(world, record, duties) <= window_ms(world, record) =>
                    {
                        Breach::Unrunnable
                    }
                    Some(_) => Breach::Uncommitted,
                };
                let primary = assigned.primary;
                self.slash(world, &primary.partner, breach, primary.bond);
            }
            Action::Job(action) if action.step == JobStep::NoResult => {
                let stage = self.records[&action.job].stage.clone();
                let bond = stage.verifier(&address(n)).unwrap().bond;
                self.slash(world, &address(n), Breach::NoResult, bond);
            }
            Action::Job(action) if FREE.contains(&action.step.name()) => {}
            Action::Job(action) => self.burn_pot(&action.job, Self::fee(world)),
            // What that means is in the records before and after it.
            Action::CancelJob { .. }
            | Action::ChallengeJob { .. }
            | Action::RegisterPartner { .. }
            | Action::SubmitJob { .. } => {}
        }
    }

    /// What a challenge of a settled job means for money.
    fn contested(&mut self, world: &World, before: &JobRecord, after: &JobRecord, sent: &Sent) {
        match (&before.stage, &after.stage) {
            (Stage::Challenged(challenged), Stage::Settled) => {
                let silent = &challenged.parties.verifiers[0];
                let breach = Breach::ChallengeUnopened;
                self.slash(world, &silent.partner, breach, silent.bond);
                *self
                    .ends
                    .entry("unopened challenge".to_owned())
                    .or_default() += 1;
            }
            (Stage::Disputed(disputed), _) if after.verdicts > before.verdicts => {
                self.judged(world, before, after, disputed, sent);
            }
            _ => {}
        }
        if let Stage::Failed(failed) = &after.stage
            && !before.stage.is_final()
        {
            *self
                .ends
                .entry(format!("{:?}", Some(failed.reason)))
                .or_default() += 1;
        }
    }

    /// What a job's move from one stage to another means for money.
    fn moved(&mut self, world: &World, before: &JobRecord, after: &JobRecord, sent: &Sent) {
        if before.settlement.is_some() {
            return self.contested(world, before, after, sent);
        }
        let now = (before.id, before.attempt);
        let did = |partner: &Address, step: &str| did(sent, now, partner, step);
        let moved = before.stage.name() != after.stage.name() || before.attempt != after.attempt;
        if matches!(&after.stage, Stage::Failed(failed) if failed.reason == FailureReason::Cancelled)
        {
            if moved {
                self.cancelled(world, before, after);
                self.ended(world, before, after, sent);
            }
            return;
        }
        match (&before.stage, &after.stage) {
            (
                Stage::Assigned(Assigned { primary, duties }),
                Stage::Pending(_) | Stage::Failed(_),
            ) if !did(&primary.partner, "decline") => {
                let breach = if duties.is_some() {
                    Breach::Uncommitted
                } else {
                    Breach::Ignored
                };
                self.slash(world, &primary.partner, breach, primary.bond);
            }
            (Stage::Verifying(verifying), _) => {
                let verifiers = verifying.parties.verifiers.iter();
                let answered = |v: &Verifier| {
                    let steps = ["commit", "no_result"];
                    v.commitment.is_some() || steps.iter().any(|step| did(&v.partner, step))
                };
                let bound = |v: &&Verifier| after.stage.verifier(&v.partner).is_some();
                for verifier in verifiers.filter(|v| !answered(v) && !bound(v)) {
                    self.slash(
                        world,
                        &verifier.partner,
                        Breach::VerifierSilent,
                        verifier.bond,
                    );
                }
            }
            (Stage::Revealing(revealing), _) if moved => {
                self.revealed(world, before, after, revealing, sent);
            }
            (Stage::Disputed(disputed), _) if after.verdicts > before.verdicts => {
                self.judged(world, before, after, disputed, sent);
            }
            (Stage::Disputed(disputed), Stage::Failed(_)) => {
                let parties = openings(&disputed.parties.verifiers, now, sent);
                let open: Vec<_> = parties.iter().filter(|v| v.opening.is_some()).collect();
                self.pay_all(before, &open);
                self.pay_referees(before, &voters(disputed, before, sent));
            }
            (Stage::Storing(storing), _) if moved => {
                self.pay_all(
                    before,
                    &storing.parties.verifiers.iter().collect::<Vec<_>>(),
                );
            }
            _ => {}
        }
        if moved && after.stage.is_final() {
            self.ended(world, before, after, sent);
        }
    }

    /// What the customer's word means for money that ends a job before anything else is sent for it in a block.
    fn cancelled(&mut self, world: &World, before: &JobRecord, after: &JobRecord) {
        if let Stage::Assigned(assigned) = &before.stage
            && let Some(duties) = &assigned.duties
        {
            let part = assigned.primary.price.0 * u128::from(3 * had_ms(world, before, duties));
            let part = part.div_ceil(window_ms(world, before).into());
            // States that a quorum holds by then are read: all of the price.
            let is_held = after.states.is_some_and(|states| states.held);
            let part = if is_held { u128::MAX } else { part };
            let part = part.min(assigned.primary.price.0);
            self.pay(&before.id, &assigned.primary.partner, part);
        }
        if let Some(parties) = before.stage.parties() {
            let primary = &parties.primary;
            self.pay(&before.id, &primary.partner, primary.price.0);
            self.pay_all(before, &parties.verifiers.iter().collect::<Vec<_>>());
        }
    }

    /// What the end of the reveal window means for money.
    fn revealed(
        &mut self,
        world: &World,
        before: &JobRecord,
        after: &JobRecord,
        revealing: &Revealing,
        sent: &Sent,
    ) {
        let Parties {
            primary, verifiers, ..
        } = &revealing.parties;
        let now = (before.id, before.attempt);
        let did = |partner: &Address, step| did(sent, now, partner, step);
        if revealing.opening.is_none() && !did(&primary.partner, "reveal") {
            self.forfeit(world, before, primary, verifiers);
            return;
        }
        let earlier = openings(
            &before.earlier.verifiers,
            (before.id, before.earlier.attempt),
            sent,
        );
        let differ = verifiers.iter().any(|v| did(&v.partner, "differ"))
            || earlier.iter().any(|v| v.claim().is_some());
        let disputed = matches!(after.stage, Stage::Disputed(_));
        let open = |v: &Verifier| v.agrees() || did(&v.partner, "agree");
        // Nobody vouches for it: referees try one task.
        if disputed && !differ {
            assert!(!verifiers.iter().any(open));
            self.silent(world, &earlier);
            for silent in verifiers {
                let breach = Breach::VerifierUnopened;
                self.slash(world, &silent.partner, breach, silent.bond);
            }
            return;
        }
        assert_eq!(differ, disputed);
        if differ {
            let mut all = verifiers.iter().chain(&earlier);
            let found = all.any(|v| differs(world, before, primary, v));
            assert!(found, "nobody can show what is not so");
            return;
        }
        self.silent(world, &earlier);
        let (open, silent): (Vec<&Verifier>, Vec<&Verifier>) =
            verifiers.iter().partition(|v| open(v));
        self.concluded(world, before, after, (primary, &open, &silent));
    }

    /// Nobody differs any more.
    pub fn concluded(
        &mut self,
        world: &World,
        before: &JobRecord,
        after: &JobRecord,
        (primary, open, silent): (&Primary, &[&Verifier], &[&Verifier]),
    ) {
        for verifier in open {
            assert!(!differs(world, before, primary, verifier));
        }
        for verifier in silent {
            let breach = Breach::VerifierUnopened;
            self.slash(world, &verifier.partner, breach, verifier.bond);
        }
        if !matches!(after.stage, Stage::Storing(_)) {
            self.pay_all(before, open);
        }
    }

    /// A silent primary's lock: the verifiers' fees, the rest burned.
    fn forfeit(
        &mut self,
        world: &World,
        record: &JobRecord,
        primary: &Primary,
        verifiers: &[Verifier],
    ) {
        let params = &world.chain.genesis.params.compute;
        let mut left = penalty(params, Breach::PrimaryUnopened, primary.bond).0;
        *self.bonds.get_mut(&number(&primary.partner)).unwrap() -= left;
        for verifier in verifiers {
            let fee = record.policy.verifier_fee.0.min(left);
            left -= fee;
            *self.accounts.get_mut(&number(&verifier.partner)).unwrap() += fee;
        }
        self.burned += left;
    }

    fn pay_all(&mut self, record: &JobRecord, verifiers: &[&Verifier]) {
        for verifier in verifiers {
            self.pay(&record.id, &verifier.partner, record.policy.verifier_fee.0);
        }
    }

    fn ended(&mut self, world: &World, before: &JobRecord, after: &JobRecord, sent: &Sent) {
        let params = &world.chain.genesis.params.compute;
        let reason = match &after.stage {
            Stage::Failed(failed) => Some(failed.reason),
            _ => None,
        };
        let of = if before.terms.state.is_chain() {
            "chain "
        } else {
            ""
        };
        *self.ends.entry(format!("{of}{reason:?}")).or_default() += 1;
        let due = self.rents[&after.id].due;
        self.burn_pot(&after.id, due.min(before.escrow.rent.0));
        let primary = crate::job::world::parties(&before.stage).0;
        let paid = [FailureReason::Unverified, FailureReason::NonCanonical];
        if reason.is_none_or(|reason| paid.contains(&reason)) {
            let price = before.terms.fuel.0 * u64::from(before.terms.tasks.count());
            let ask = world.partner(primary.unwrap()).profile.ask.0;
            self.pay(
                &after.id,
                &address(primary.unwrap()),
                (ask * u128::from(price)).div_ceil(1_000_000),
            );
        }
        if reason.is_none() {
            let paid = u128::from(RESULT_BYTES.div_ceil(1 << 20)) * params.storage_fee_per_mib.0;
            self.burn_pot(&after.id, paid.min(before.escrow.storage.0));
        }
        if reason == Some(FailureReason::Unrunnable) {
            let parties = before.stage.parties().into_iter();
            let bound = parties.clone().flat_map(|parties| &parties.verifiers);
            let before_it = parties.flat_map(|parties| &parties.no_results);
            let reporters: Vec<_> = before_it
                .map(|report| report.partner)
                .chain(
                    bound
                        .map(|v| v.partner)
                        .filter(|v| did(sent, (after.id, before.attempt), v, "no_result")),
                )
                .collect();
            let most =
                before.escrow.verification.0 / u128::try_from(reporters.len().max(1)).unwrap();
            for reporter in reporters {
                let cost = penalty(params, Breach::NoResult, before.policy.verifier_bond);
                self.pay(&after.id, &reporter, cost.0.min(most));
            }
        }
        let left = self.pots.remove(&after.id).unwrap();
        *self.accounts.get_mut(&CUSTOMER).unwrap() += left;
    }

    fn compare(&self, world: &World) {
        for (n, balance) in &self.accounts {
            assert_eq!(world.chain.account(*n).balance.0, *balance, "account {n}");
        }
        for (n, bond) in &self.bonds {
            assert_eq!(
                query::partner(&world.chain.state, &address(*n))
                    .unwrap()
                    .unwrap()
                    .bond
                    .0,
                *bond,
                "bond {n}"
            );
        }
        assert_eq!(
            vm::chain_record(&world.chain.state).unwrap().burned.0,
            self.burned
        );
    }
}

/// The time that a job's primary has.
fn window_ms(world: &World, record: &JobRecord) -> u64 {
    let params = &world.chain.genesis.params.compute;
    vm::compute::price::execute_window_ms(params, &record.terms, record.terms.tasks.count())
}

/// The part of it that the primary had.
fn had_ms(world: &World, record: &JobRecord, duties: &Duties) -> u64 {
    let now = vm::chain_record(&world.chain.state).unwrap().chain_time.0;
    now + window_ms(world, record) - duties.until.0
}

/// True if primary and verifier are known to find different outcomes for one of the verifier's tasks. Who is wrong at
/// which task must not change while a job lives.
pub fn differs(world: &World, record: &JobRecord, primary: &Primary, verifier: &Verifier) -> bool {
    let of = |partner: &Address| world.leaves(number(partner), record, &verifier.tasks);
    of(&primary.partner) != of(&verifier.partner)
}
