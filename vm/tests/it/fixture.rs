//! A chain in memory to test against: genesis, keys of everybody, and blocks executed one after the other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use state::Writes;
use types::block::{Block, Body, Header};
use types::codec::{Bounded, Text, encode};
use types::committee::Validator;
use types::gas::with_least_fee;
use types::genesis::{Genesis, GenesisAccount, GenesisPartner};
use types::hash::{Address, Hash32, ValidatorId};
use types::job::{CLASS_WASM_V2, PartnerProfile};
use types::key::{SecretKey, VrfProof, VrfSecretKey};
use types::number::{Amount, Epoch, Gas, Height, Nonce, SQUARE, Stake, Timestamp};
use types::params::Params;
use types::snapshot::{EpochPartner, PageVersion, PartnerIndex, PartnerPage, page_of};
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction, SystemTransaction, Transaction};
use vm::{Account, Beacon, BlockError, ChargeError, ExecutedBlock, Rules};

/// Accounts that genesis funds.
pub const FUNDED: u8 = 8;
/// Stakes of the validators.
pub const STAKES: [u64; 4] = [4, 3, 3, 3];

/// A chain and everybody's keys.
#[derive(Clone)]
pub struct Chain {
    pub genesis: Genesis,
    pub rules: Rules,
    pub state: Writes,
    pub tip: Header,
    pub executed: Option<ExecutedBlock>,
    charged: BTreeMap<Address, Amount>,
}

/// An amount of whole SQUARE, in base units.
pub fn square(whole: u128) -> Amount {
    Amount(whole * SQUARE.0)
}

/// The first number of the validators' accounts.
pub const REFEREES: u8 = 100;

/// Keys by account: deriving one costs as much as signing, and tests ask for them at every step.
type KeyTable<K> = [OnceLock<K>; 256];

/// The key of account `n`.
pub fn key(n: u8) -> SecretKey {
    static KEYS: KeyTable<SecretKey> = [const { OnceLock::new() }; 256];
    if let Some(at) = n.checked_sub(REFEREES) {
        return validator_keys()[usize::from(at)].0.clone();
    }
    let key = KEYS[usize::from(n)].get_or_init(|| SecretKey::from_bytes(&[n + 1; 32]));
    key.clone()
}

/// The address of account `n`.
pub fn address(n: u8) -> Address {
    static ADDRESSES: KeyTable<Address> = [const { OnceLock::new() }; 256];
    *ADDRESSES[usize::from(n)].get_or_init(|| key(n).public().address())
}

/// The VRF key of account `n`.
pub fn vrf_key(n: u8) -> VrfSecretKey {
    static KEYS: KeyTable<VrfSecretKey> = [const { OnceLock::new() }; 256];
    let bytes = [0x0f & (n + 1); 32].map(|byte| byte.max(1));
    let key = KEYS[usize::from(n)].get_or_init(|| VrfSecretKey::from_bytes(&bytes).unwrap());
    key.clone()
}

/// The VRF proof of account `n` for an input. The last ones are kept: worlds ask each partner for the same one at every step.
pub fn vrf_proof(n: u8, input: &Hash32) -> VrfProof {
    /// Proofs from which on the kept ones are dropped.
    const KEPT: usize = 4_096;
    thread_local! {
        static PROOFS: RefCell<BTreeMap<(u8, Hash32), VrfProof>> = const { RefCell::new(BTreeMap::new()) };
    }
    PROOFS.with_borrow_mut(|proofs| {
        if proofs.len() >= KEPT {
            proofs.clear();
        }
        let entry = proofs.entry((n, *input));
        *entry.or_insert_with(|| vrf_key(n).prove(input))
    })
}

/// The validators' keys in committee order.
pub fn validator_keys() -> &'static [(SecretKey, VrfSecretKey)] {
    static KEYS: LazyLock<Vec<(SecretKey, VrfSecretKey)>> = LazyLock::new(|| {
        let mut keys: Vec<_> = (0..4u8)
            .map(|n| {
                let mut vrf = [0x11; 32];
                (vrf[0], vrf[31]) = (n + 1, 0);
                (
                    SecretKey::from_bytes(&[0xa0 + n; 32]),
                    VrfSecretKey::from_bytes(&vrf).unwrap(),
                )
            })
            .collect();
        keys.sort_by_key(|(key, _)| key.public());
        keys
    });
    &KEYS
}

/// The id of the validator at a position of the committee; beyond it, that of a stranger.
pub fn validator_id(position: u16) -> ValidatorId {
    validator_keys()
        .get(usize::from(position))
        .map_or(ValidatorId(Address([0xee; 20])), |keys| {
            keys.0.public().validator_id()
        })
}

/// The position of a validator in the committee.
pub fn position_of(id: ValidatorId) -> usize {
    validator_keys()
        .iter()
        .position(|(key, _)| key.public().validator_id() == id)
        .unwrap()
}

/// A valid profile with the VRF key of account `n`.
pub fn profile(n: u8) -> PartnerProfile {
    PartnerProfile {
        name: Text::new(format!("partner {n}")).unwrap(),
        classes: [CLASS_WASM_V2].into(),
        vrf_key: vrf_key(n).public(),
        ask: Amount(1_000),
        places: 2,
        attributes: BTreeMap::new(),
    }
}

/// The devnet's genesis with `FUNDED` accounts of 10,000 SQUARE; accounts 0 and 1 are partners.
pub fn genesis(change: impl FnOnce(&mut Params)) -> Genesis {
    let mut params = Params::devnet();
    // Epochs of few blocks are long enough then.
    params.pace_ms = params.idle_target_ms;
    change(&mut params);
    let mut accounts: Vec<_> = (0..FUNDED)
        .map(|n| GenesisAccount {
            address: address(n),
            balance: square(10_000),
        })
        .collect();
    accounts.extend(validator_keys().iter().map(|(key, _)| GenesisAccount {
        address: key.public().address(),
        balance: square(1),
    }));
    accounts.sort_by_key(|account| account.address);
    let mut partners: Vec<_> = (0..2)
        .map(|n| GenesisPartner {
            address: address(n),
            bond: square(500),
            profile: profile(n),
        })
        .collect();
    partners.sort_by_key(|partner| partner.address);
    let validators = validator_keys()
        .iter()
        .zip(STAKES)
        .map(|((key, vrf), stake)| Validator {
            key: key.public(),
            vrf_key: vrf.public(),
            node_key: key.public(),
            stake: Stake(stake),
        })
        .collect();
    Genesis {
        name: Text::new("test").unwrap(),
        time: Timestamp(1_000_000),
        params,
        accounts,
        validators,
        partners,
    }
}

impl Chain {
    /// A chain at height 0.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A chain at height 0 with other parameters.
    pub fn with(change: impl FnOnce(&mut Params)) -> Self {
        Self::of(genesis(change))
    }

    /// The chain of a genesis at height 0.
    pub fn of(genesis: Genesis) -> Self {
        let rules = Rules::new(&genesis)
            .unwrap()
            .with_batch_secret(Hash32([0x5a; 32]));
        let state = vm::genesis_writes(&genesis).unwrap();
        let tip = genesis.header();
        Self {
            genesis,
            rules,
            state,
            tip,
            executed: None,
            charged: BTreeMap::new(),
        }
    }

    /// A block on the tip, with the header that its body asks for.
    pub fn block_with(
        &self,
        step_ms: u64,
        system: Vec<SystemTransaction>,
        transactions: Vec<SignedTransaction>,
    ) -> Block {
        let body = Body {
            system: Bounded::new(system).unwrap(),
            transactions: Bounded::new(transactions).unwrap(),
        };
        let height = self.tip.height.next();
        let executed = self.executed.as_ref();
        let header = Header {
            protocol_version: self.rules.versions.version(height),
            chain_id: self.rules.chain_id,
            height,
            parent: self.tip.id(),
            timestamp: Timestamp(self.tip.timestamp.0 + step_ms),
            proposer: self.proposer(),
            transaction_root: body.root(),
            base_fee: self.genesis.params.min_fee,
            next_committee: self.rules.next_committee(height),
            parent_state_root: Hash32::ZERO,
            parent_receipt_root: executed.map_or(Hash32::ZERO, |executed| executed.receipt_root),
            parent_gas_used: executed.map_or(Gas::ZERO, |executed| executed.gas),
        };
        Block { header, body }
    }

    /// Who proposes the next block: everybody in turn.
    pub fn proposer(&self) -> ValidatorId {
        validator_id(u16::try_from(self.tip.height.next().0 % 4).unwrap())
    }

    /// A block with the beacon output that is due and these transactions.
    pub fn block(&self, transactions: Vec<SignedTransaction>) -> Block {
        self.block_with(100, vec![self.output()], transactions)
    }

    /// The beacon output that is due.
    pub fn output(&self) -> SystemTransaction {
        let duty = Beacon::read(&self.state).unwrap().duty(&self.rules);
        let vrf = &validator_keys()[position_of(duty.contributor)].1;
        SystemTransaction::Beacon {
            step: duty.step,
            proof: vrf.prove(&duty.input),
        }
    }

    /// Executes a block without keeping the result.
    pub fn try_execute(&self, block: &Block) -> Result<ExecutedBlock, BlockError> {
        vm::execute(&self.rules, &self.state, &self.tip, block)
    }

    /// Executes a block and makes it the tip.
    pub fn push(&mut self, block: &Block) -> ExecutedBlock {
        let executed = self.try_execute(block).unwrap();
        for (key, value) in &executed.writes {
            match value {
                Some(_) => self.state.insert(*key, value.clone()),
                None => self.state.remove(key),
            };
        }
        for (signed, receipt) in block.body.transactions.iter().zip(&executed.receipts) {
            let transaction = signed.transaction();
            if !transaction.action.is_step() {
                let address = transaction.sender.address();
                self.charged.entry(address).or_default().0 += receipt.fee.0;
            }
        }
        self.tip = block.header.clone();
        self.executed = Some(executed.clone());
        executed
    }

    /// A block with these transactions, executed.
    pub fn next(&mut self, transactions: Vec<SignedTransaction>) -> ExecutedBlock {
        let block = self.block(transactions);
        self.push(&block)
    }

    /// Makes money that a test put into records by hand part of the supply.
    pub fn mint(&mut self, amount: Amount) {
        let mut record = vm::chain_record(&self.state).unwrap();
        self.rules.supply.0 += amount.0;
        record.supply.0 += amount.0;
        self.state.insert(StateKey::Chain, Some(encode(&record)));
    }

    /// Blocks without transactions up to a height.
    pub fn run_to(&mut self, height: u64) {
        while self.tip.height < Height(height) {
            self.next(Vec::new());
        }
    }

    /// The account of `n`.
    pub fn account(&self, n: u8) -> Account {
        vm::query::account(&self.state, &address(n)).unwrap()
    }

    /// What account `n` paid in fees so far, those for steps of jobs not counted.
    pub fn charged(&self, n: u8) -> Amount {
        self.charged.get(&address(n)).copied().unwrap_or_default()
    }

    /// A transaction of account `n` at its next nonce for the least fee, valid for 100 blocks. A step has neither.
    pub fn unsigned(&self, n: u8, action: Action) -> Transaction {
        let nonce = if action.is_step() {
            Nonce::ZERO
        } else {
            self.account(n).nonce
        };
        let fee = Amount::ZERO;
        let transaction = Transaction {
            chain_id: self.rules.chain_id,
            sender: key(n).public(),
            nonce,
            valid_until: Height(self.tip.height.0 + 100),
            fee,
            action,
        };
        with_least_fee(transaction, self.rules.params.min_fee)
    }

    /// The transaction of [`Self::transaction`], signed by the account's key.
    pub fn sign(&self, n: u8, action: Action) -> SignedTransaction {
        self.unsigned(n, action).sign(&key(n))
    }

    /// The same, so many nonces later.
    pub fn sign_later(&self, n: u8, later: u64, action: Action) -> SignedTransaction {
        let mut transaction = self.unsigned(n, action);
        if !transaction.action.is_step() {
            transaction.nonce = Nonce(transaction.nonce.0 + later);
        }
        transaction.sign(&key(n))
    }

    /// Executes one action of account `n` in a block of its own; gives the failure's code. A step that fails leaves the block
    /// without it.
    pub fn act(&mut self, n: u8, action: Action) -> Option<String> {
        let signed = self.sign(n, action);
        let executed = match self.try_execute(&self.block(vec![signed.clone()])) {
            Err(BlockError::Transaction {
                error: ChargeError::Step(error),
                ..
            }) => {
                self.next(Vec::new());
                return Some(error.code().to_owned());
            }
            _ => self.next(vec![signed]),
        };
        executed.receipts[0]
            .failure
            .clone()
            .map(|failure| failure.code)
    }
}

/// A transfer to account `n`.
pub fn transfer(n: u8, amount: Amount) -> Action {
    Action::Transfer {
        to: address(n),
        amount,
    }
}

/// An address of a page: `n` makes it one of 65,536 there.
pub fn address_in(page: u8, n: u16) -> Address {
    let mut bytes = [0xee; 20];
    bytes[0] = page * 4;
    bytes[1..3].copy_from_slice(&n.to_be_bytes());
    Address(bytes)
}

/// Makes these the active partners, now and for each epoch whose snapshot a state holds. Their records are the caller's.
pub fn put_pages(state: &mut Writes, entries: impl IntoIterator<Item = EpochPartner>) {
    let mut pages = BTreeMap::<u8, Vec<EpochPartner>>::new();
    for entry in entries {
        pages
            .entry(page_of(&entry.address))
            .or_default()
            .push(entry);
    }
    state.retain(|key, _| !matches!(key, StateKey::PartnerPage(..)));
    let mut index = PartnerIndex::default();
    for (number, mut page) in pages {
        page.sort_by_key(|entry| entry.address);
        let page = PartnerPage(Bounded::new(page).unwrap());
        index.0[usize::from(number)] = PageVersion::new(Epoch::FIRST, &page);
        let key = StateKey::PartnerPage(number, Epoch::FIRST);
        state.insert(key, Some(encode(&page)));
    }
    for (key, value) in state.iter_mut() {
        if matches!(key, StateKey::PartnerIndex | StateKey::PartnerSnapshot(_)) {
            *value = Some(encode(&index));
        }
    }
}
