//! Random sequences of operations, good and bad, against a simple model: every receipt, every balance and the supply
//! must be what the model says, to the unit. `GRIDPROOF_MONEY_OPERATIONS` and `GRIDPROOF_SEED` choose longer and other runs.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::Address;
use types::job::PartnerProfile;
use types::number::{Amount, EngineClass, Height};
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction};
use vm::Beacon;

use crate::audit::assert_conserved;
use crate::fixture::{Chain, FUNDED, address, key, profile, square};
use types::testing::Random;

/// Accounts that take part; genesis funds the first of them.
const PEOPLE: u8 = FUNDED + 4;
const UNBONDING_MS: u64 = 5_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ModelAccount {
    balance: u128,
    nonce: u64,
}

#[derive(Debug, Clone)]
struct ModelPartner {
    profile: PartnerProfile,
    bond: u128,
    /// (due, amount), oldest first.
    unbonding: Vec<(u64, u128)>,
}

/// What the chain should be, by the plainest means.
struct Model {
    accounts: BTreeMap<Address, ModelAccount>,
    partners: BTreeMap<u8, ModelPartner>,
    burned: u128,
    time: u64,
    min_bond: u128,
}

impl Model {
    fn new(chain: &Chain) -> Self {
        let account = |balance: Amount| ModelAccount {
            balance: balance.0,
            nonce: 0,
        };
        let accounts = chain
            .genesis
            .accounts
            .iter()
            .map(|a| (a.address, account(a.balance)))
            .collect();
        let partner = |n| ModelPartner {
            profile: profile(n),
            bond: square(500).0,
            unbonding: Vec::new(),
        };
        let partners = (0..2).map(|n| (n, partner(n))).collect();
        let min_bond = chain.genesis.params.compute.min_bond.0;
        Self {
            accounts,
            partners,
            burned: 0,
            time: 0,
            min_bond,
        }
    }

    fn take(&mut self, n: u8, amount: u128) -> Result<(), &'static str> {
        let account = self.accounts.entry(address(n)).or_default();
        account.balance = account
            .balance
            .checked_sub(amount)
            .ok_or("insufficient_balance")?;
        Ok(())
    }

    fn is_active(&self, partner: &ModelPartner) -> bool {
        partner.bond >= self.min_bond
    }

    fn register(&mut self, n: u8, profile: &PartnerProfile) -> Result<(), &'static str> {
        if profile.classes.contains(&EngineClass(9)) {
            return Err("unknown_class");
        }
        let new = || ModelPartner {
            profile: profile.clone(),
            bond: 0,
            unbonding: Vec::new(),
        };
        self.partners.entry(n).or_insert_with(new).profile = profile.clone();
        Ok(())
    }

    fn bond(&mut self, n: u8, amount: u128) -> Result<(), &'static str> {
        if amount == 0 {
            return Err("zero_amount");
        }
        self.partners.get(&n).ok_or("not_registered")?;
        if self.accounts[&address(n)].balance < amount {
            return Err("insufficient_balance");
        }
        self.take(n, amount)?;
        self.partners.get_mut(&n).unwrap().bond += amount;
        Ok(())
    }

    fn unbond(&mut self, n: u8, amount: u128) -> Result<(), &'static str> {
        if amount == 0 {
            return Err("zero_amount");
        }
        let due = self.time + UNBONDING_MS;
        let partner = self.partners.get_mut(&n).ok_or("not_registered")?;
        if amount > partner.bond {
            return Err("bond_locked");
        }
        if partner.unbonding.len() == 16 {
            return Err("too_many_unbondings");
        }
        partner.bond -= amount;
        partner.unbonding.push((due, amount));
        Ok(())
    }

    fn apply(&mut self, n: u8, fee: u128, action: &Action) -> Result<(), &'static str> {
        self.take(n, fee).expect("the generator pays its fees");
        self.burned += fee;
        self.accounts.get_mut(&address(n)).unwrap().nonce += 1;
        match action {
            Action::Transfer { to, amount } => {
                self.take(n, amount.0)?;
                self.accounts.entry(*to).or_default().balance += amount.0;
                Ok(())
            }
            Action::RegisterPartner { profile } => self.register(n, profile),
            Action::Bond { amount } => self.bond(n, amount.0),
            Action::Unbond { amount } => self.unbond(n, amount.0),
            _ => unreachable!("not generated"),
        }
    }

    fn pay_unbondings(&mut self) {
        for (n, partner) in &mut self.partners {
            let paid: u128 = partner
                .unbonding
                .iter()
                .filter(|(due, _)| *due <= self.time)
                .map(|(_, amount)| amount)
                .sum();
            partner.unbonding.retain(|(due, _)| *due > self.time);
            self.accounts.entry(address(*n)).or_default().balance += paid;
        }
    }

    fn assert_equals(&self, chain: &Chain) {
        let touched: BTreeSet<_> = chain
            .state
            .keys()
            .filter_map(|key| match key {
                StateKey::Account(address) => Some(*address),
                _ => None,
            })
            .collect();
        for address in touched.iter().chain(self.accounts.keys()) {
            let account = vm::query::account(&chain.state, address).unwrap();
            let found = ModelAccount {
                balance: account.balance.0,
                nonce: account.nonce.0,
            };
            assert_eq!(
                Some(&found),
                self.accounts.get(address),
                "account {address}"
            );
        }
        let active = vm::query::partners(&chain.state).unwrap();
        assert_eq!(
            active.len(),
            self.partners
                .values()
                .filter(|partner| self.is_active(partner))
                .count()
        );
        for (n, expected) in &self.partners {
            let partner = vm::query::partner(&chain.state, &address(*n))
                .unwrap()
                .unwrap();
            assert_eq!(
                (partner.bond.0, &partner.profile),
                (expected.bond, &expected.profile)
            );
            let unbonding: Vec<_> = partner
                .unbonding
                .iter()
                .map(|entry| (entry.deadline.0, entry.amount.0))
                .collect();
            assert_eq!(unbonding, expected.unbonding);
        }
        assert_eq!(
            vm::chain_record(&chain.state).unwrap().burned.0,
            self.burned
        );
        assert_conserved(&chain.state, chain.rules.supply);
    }
}

fn amount(random: &mut Random, balance: u128) -> Amount {
    Amount(match random.below(8) {
        0 => 0,
        1 => balance,
        2 => balance + 1,
        3 => u128::MAX,
        4 => square(u128::from(random.below(200))).0,
        _ => balance / u128::from(1 + random.below(20)),
    })
}

fn action(random: &mut Random, model: &Model, n: u8) -> Action {
    let balance = model.accounts[&address(n)].balance;
    match random.below(10) {
        0..4 => {
            let others = u8::try_from(random.below(u64::from(PEOPLE))).unwrap();
            Action::Transfer {
                to: address(others),
                amount: amount(random, balance),
            }
        }
        4 | 5 => Action::Bond {
            amount: amount(random, balance),
        },
        6..9 => {
            let bond = model.partners.get(&n).map_or(0, |partner| partner.bond);
            Action::Unbond {
                amount: amount(random, bond),
            }
        }
        _ => {
            let mut profile = profile(if random.below(3) == 0 {
                u8::try_from(random.below(u64::from(PEOPLE))).unwrap()
            } else {
                n
            });
            match random.below(6) {
                0 => profile.classes = [EngineClass(9)].into(),
                1 => profile.places = 0,
                _ => profile.ask = Amount(u128::from(random.below(1_000))),
            }
            Action::RegisterPartner { profile }
        }
    }
}

/// Signs random operations of one block and lets the model say how each ends.
fn operations(
    random: &mut Random,
    chain: &Chain,
    model: &mut Model,
) -> (Vec<SignedTransaction>, Vec<Option<&'static str>>) {
    let (mut signed, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..=random.below(40) {
        let n = u8::try_from(random.below(u64::from(PEOPLE))).unwrap();
        let account = model.accounts.get(&address(n)).cloned().unwrap_or_default();
        if account.balance < chain.genesis.params.min_fee.0 {
            continue;
        }
        let action = action(random, model, n);
        let mut transaction = chain.unsigned(n, action);
        let fee = transaction.fee.0 * u128::from(1 + random.below(3));
        if account.balance < fee {
            continue;
        }
        expected.push(model.apply(n, fee, &transaction.action).err());
        (transaction.nonce.0, transaction.fee) = (account.nonce, Amount(fee));
        transaction.valid_until = Height(chain.tip.height.0 + 1 + random.below(10_001));
        signed.push(transaction.sign(&key(n)));
    }
    (signed, expected)
}

fn run(seed: u64, operations_wanted: usize) {
    let mut random = Random::new(seed);
    let mut chain = Chain::with(|params| {
        (params.compute.unbonding_ms, params.epoch_length) = (UNBONDING_MS, 7);
        (params.beacon_skip_ms, params.beacon_skip_penalty) = (1_000, Amount(square(1).0 / 7));
    });
    let mut model = Model::new(&chain);
    let mut done = 0;
    while done < operations_wanted {
        let step = 1 + random.below(1_500);
        model.time += step.min(1_000);
        let beacon = Beacon::read(&chain.state).unwrap();
        let system = if random.below(4) == 0 {
            Vec::new()
        } else {
            vec![chain.output()]
        };
        let silent = system.is_empty();
        if silent
            && chain
                .try_execute(&chain.block_with(step, Vec::new(), Vec::new()))
                .is_ok_and(|e| e.writes.contains_key(&StateKey::Beacon))
        {
            let account = beacon.duty(&chain.rules).contributor.account();
            let account = model.accounts.get_mut(&account).unwrap();
            let penalty = account.balance.min(square(1).0 / 7);
            (account.balance, model.burned) = (account.balance - penalty, model.burned + penalty);
        }
        let (transactions, expected) = operations(&mut random, &chain, &mut model);
        let executed = chain.push(&chain.block_with(step, system, transactions));
        model.pay_unbondings();
        let codes: Vec<_> = executed
            .receipts
            .iter()
            .map(|receipt| {
                receipt
                    .failure
                    .as_ref()
                    .map(|failure| failure.code.as_str())
            })
            .collect();
        assert_eq!(codes, expected, "seed {seed} at {}", chain.tip.height);
        model.assert_equals(&chain);
        done += codes.len();
    }
    println!(
        "seed {seed}: {done} operations in {} blocks, {} burned",
        chain.tip.height,
        Amount(model.burned)
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_operations_follow_the_model_to_the_unit() {
    let seed = number("GRIDPROOF_SEED", 20_260_101);
    println!("seed {seed}");
    run(
        seed,
        usize::try_from(number("GRIDPROOF_MONEY_OPERATIONS", 20_000)).unwrap(),
    );
}
