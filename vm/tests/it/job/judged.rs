//! What the simple model says of verdicts: who was wrong, what that costs, and who gets it.

use std::collections::BTreeMap;

use types::hash::{Address, Hash32, JobId};
use types::job::{BallotPhase, Disputed, JobRecord, Stage, Verifier, VerifierOpening};
use types::number::Attempt;
use types::transaction::{Action, JobStep};
use vm::compute::penalty::Breach;

use crate::fixture::{REFEREES, address};
use crate::job::model::{Model, Sent, differs};
use crate::job::world::{CUSTOMER, World, number};

/// Money that a verdict moves.
pub struct Judged {
    pub due: u64,
    pub forfeits: Vec<(u8, u128)>,
    pub shares: BTreeMap<u8, u128>,
    pub burned: u128,
}

/// Verifiers that committed in an attempt of a job, with the openings that came in a block.
pub fn openings(
    verifiers: &[Verifier],
    (job, attempt): (JobId, Attempt),
    sent: &Sent,
) -> Vec<Verifier> {
    let mut verifiers = verifiers.to_vec();
    for verifier in verifiers.iter_mut().filter(|v| v.opening.is_none()) {
        if did(sent, (job, attempt), &verifier.partner, "agree") {
            let salt = Hash32::ZERO;
            verifier.opening = Some(VerifierOpening::Agreed { salt });
        }
        let shown = sent.iter().find_map(|(n, action, ok)| match action {
            Action::Job(action) if *ok && (action.job, action.attempt) == (job, attempt) => {
                match &action.step {
                    JobStep::Differ { divergence } if address(*n) == verifier.partner => {
                        Some((divergence.task, divergence.leaf))
                    }
                    _ => None,
                }
            }
            _ => None,
        });
        if let Some((task, leaf)) = shown {
            verifier.opening = Some(VerifierOpening::Differed { task, leaf });
        }
    }
    verifiers
}

impl Model {
    /// Those that have not opened what they committed to in an attempt before lose what they locked.
    pub fn silent(&mut self, world: &World, earlier: &[Verifier]) {
        for verifier in earlier.iter().filter(|v| v.opening.is_none()) {
            let breach = Breach::VerifierUnopened;
            self.slash(world, &verifier.partner, breach, verifier.bond);
        }
    }

    /// Pays referees whom no forfeited bond pays.
    pub fn pay_referees(&mut self, record: &JobRecord, voters: &[u8]) {
        let per_task = u128::from(record.policy.tasks_per_verifier);
        let fee = record.policy.verifier_fee.0.div_ceil(per_task);
        for n in voters {
            self.pay(&record.id, &address(*n), fee);
        }
    }

    /// A verdict took effect. Referees are honest in these tests, or silent.
    pub fn judged(
        &mut self,
        world: &World,
        before: &JobRecord,
        after: &JobRecord,
        disputed: &Disputed,
        sent: &Sent,
    ) {
        *self.ends.entry("verdict".to_owned()).or_default() += 1;
        let task = disputed.ballot.task;
        let of = |n: u8| world.leaves(n, before, &[task])[0].1;
        let truth = of(REFEREES);
        let primary = disputed.parties.primary;
        let is_right = of(number(&primary.partner)) == truth;
        let now = (before.id, before.attempt);
        let verifiers = openings(&disputed.parties.verifiers, now, sent);
        let before_it = (before.id, before.earlier.attempt);
        let earlier = openings(&before.earlier.verifiers, before_it, sent);
        // What a verifier claimed of the task is what it found; nobody can show anything else.
        let claims = |v: &Verifier| match v.opening {
            Some(VerifierOpening::Agreed { .. }) => v.tasks.contains(&task),
            Some(VerifierOpening::Differed { task: at, .. }) => at == task,
            None => false,
        };
        let (mut losers, mut winners) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        let side = if is_right { &mut winners } else { &mut losers };
        side.push((primary.partner, primary.bond.0));
        let mut unopened = Vec::new();
        let own = verifiers.iter().map(|verifier| (verifier, true));
        for (verifier, is_own) in own.chain(earlier.iter().map(|verifier| (verifier, false))) {
            let party = (verifier.partner, verifier.bond.0);
            match (claims(verifier), of(number(&verifier.partner)) == truth) {
                (true, false) => {
                    losers.push(party);
                    continue;
                }
                (true, true) => winners.push(party),
                (false, _) => {}
            }
            if is_own {
                left.push(verifier);
            } else {
                unopened.push(verifier.clone());
            }
        }
        let fees = left.iter().filter(|v| !is_right && v.opening.is_some());
        let fees: Vec<_> = fees.map(|v| v.partner).collect();
        let winners: Vec<_> = winners.iter().map(|(partner, _)| *partner).collect();
        let cost = primary.price.0 + after_fees(before, sent, world);
        let voters = voters(disputed, before, sent);
        if losers.is_empty() {
            self.pay_referees(before, &voters);
        }
        let parties = (losers, voters, fees, winners);
        self.forfeit_all(split(before, parties, cost, after_due(world)));
        if !is_right {
            self.silent(world, &unopened);
            for silent in left.iter().filter(|v| v.opening.is_none()) {
                self.slash(
                    world,
                    &silent.partner,
                    Breach::VerifierUnopened,
                    silent.bond,
                );
            }
            return;
        }
        if !matches!(after.stage, Stage::Disputed(_)) && before.settlement.is_none() {
            let (open, silent): (Vec<&Verifier>, Vec<&Verifier>) =
                left.into_iter().partition(|v| v.opening.is_some());
            assert!(open.iter().all(|v| !differs(world, before, &primary, v)));
            self.silent(world, &unopened);
            self.concluded(world, before, after, (&primary, &open, &silent));
        }
    }
}

/// What the job burned until a verdict: before the block, and for the steps in it.
fn after_fees(before: &JobRecord, sent: &Sent, world: &World) -> u128 {
    let fee = world.chain.genesis.params.min_fee.0;
    let paid = sent.iter().filter(|(_, action, ok)| match action {
        Action::Job(action) => {
            *ok && action.job == before.id && ["agree", "differ"].contains(&action.step.name())
        }
        _ => false,
    });
    before.burned.0 + fee * u128::try_from(paid.count()).unwrap()
}

fn after_due(world: &World) -> u64 {
    let now = vm::chain_record(&world.chain.state).unwrap().chain_time.0;
    now + world.chain.genesis.params.compute.appeal_window_ms
}

/// The referees whose votes made the quorum.
pub fn voters(disputed: &Disputed, record: &JobRecord, sent: &Sent) -> Vec<u8> {
    let all = REFEREES..REFEREES + 4;
    let voted = |n: &u8| match &disputed.ballot.phase {
        BallotPhase::Decided { referees, .. } => referees.iter().any(|id| id.0 == address(*n)),
        BallotPhase::Opening { opened, .. } => {
            let before = opened.keys().any(|id| id.0 == address(*n));
            before || did(sent, (record.id, record.attempt), &address(*n), "open_vote")
        }
        BallotPhase::Queued | BallotPhase::Voting { .. } => false,
    };
    all.filter(voted).collect()
}

/// Who lost how much, the referees, who is paid a fee, and who was right.
type Sides = (Vec<(Address, u128)>, Vec<u8>, Vec<Address>, Vec<Address>);

/// Divides what losers forfeit: referees, fees, a half to the winners, a fifth to the customer at most.
fn split(
    record: &JobRecord,
    (losers, voters, fees, winners): Sides,
    cost: u128,
    due: u64,
) -> Judged {
    let forfeits: Vec<_> = losers
        .iter()
        .map(|(who, bond)| (number(who), *bond))
        .collect();
    let total: u128 = forfeits.iter().map(|(_, bond)| bond).sum();
    let mut left = total;
    let mut shares = BTreeMap::new();
    let mut pay = |n: u8, amount: u128| {
        let amount = amount.min(left);
        left -= amount;
        *shares.entry(n).or_insert(0) += amount;
        left
    };
    let per_task = u128::from(record.policy.tasks_per_verifier);
    for n in voters {
        pay(n, record.policy.verifier_fee.0.div_ceil(per_task));
    }
    for partner in &fees {
        pay(number(partner), record.policy.verifier_fee.0);
    }
    let half = pay(CUSTOMER, 0) / 100 * 50;
    for partner in &winners {
        pay(
            number(partner),
            half / u128::try_from(winners.len()).unwrap(),
        );
    }
    let burned = pay(CUSTOMER, cost.min(total / 100 * 20));
    Judged {
        due,
        forfeits,
        shares,
        burned,
    }
}

/// True if a partner took a step in an attempt of a job, and it succeeded.
pub fn did(sent: &Sent, (job, attempt): (JobId, Attempt), partner: &Address, step: &str) -> bool {
    sent.iter().any(|(n, action, ok)| {
        let Action::Job(action) = action else {
            return false;
        };
        let is_for = (action.job, action.attempt) == (job, attempt);
        *ok && address(*n) == *partner && is_for && action.step.name() == step
    })
}
