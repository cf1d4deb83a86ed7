//! A block in execution, step by step: what executing a given block and building a new one have in common.

use state::{Overlay, StateRead, Writes};
use types::block::Header;
use types::hash::ValidatorId;
use types::key::VrfOutput;
use types::number::{Amount, Gas, Height, Timestamp};
use types::quorum::CertificateError;
use types::state_key::StateKey;
use types::stored::StoredCertificate;
use types::transaction::{Failure, Transaction, TransactionReceipt};

use crate::beacon::{Beacon, BeaconError};
use crate::charge::{self, ChargeError};
use crate::context::{DrawWork, SeenPartners};
use crate::{Abort, ActionError, Context, Rules, action, compute, gas};

/// Why a system transaction cannot be in a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// A beacon output that is not the first system transaction: there is at most one, and it comes first.
    #[error("a beacon output must be the first system transaction, and the only one")]
    BeaconNotFirst,
    /// A beacon output that is not that of the next step's contributor.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// A certificate of a stored statement that is not a quorum's.
    #[error("a stored certificate proves nothing: {0}")]
    Certificate(#[from] CertificateError),
    /// A stored certificate that the job does not wait for.
    #[error("the stored certificate has no use: {0}")]
    Useless(Box<ActionError>),
}

/// Why a step of execution failed: a verdict on what was to be executed, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop<E> {
    /// What was to be executed is not valid here.
    Invalid(E),
    /// Execution cannot go on.
    Abort(Abort),
}

impl<E> From<Abort> for Stop<E> {
    fn from(abort: Abort) -> Self {
        Self::Abort(abort)
    }
}

/// What is known of a block before its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockStart {
    pub height: Height,
    pub timestamp: Timestamp,
    pub proposer: ValidatorId,
}

/// A block between its begin and its end.
pub(crate) struct Run<'a> {
    pub context: Context<'a>,
    pub gas: Gas,
    pub receipts: Vec<TransactionReceipt>,
    /// True if the block carries a transaction other than a beacon output.
    busy: bool,
    /// True if a hook changed an account or a job.
    hook_changed: bool,
}

/// What a block did.
pub(crate) struct Finished {
    pub writes: Writes,
    pub receipts: Vec<TransactionReceipt>,
    pub gas: Gas,
    pub urgent: bool,
}

impl<'a> Run<'a> {
    /// Begins a block: time moves on, then the beacon, by the output of its next step if the block carries it.
    pub fn begin(
        rules: &'a Rules,
        view: &'a dyn StateRead,
        parent: &Header,
        start: BlockStart,
        output: Option<VrfOutput>,
    ) -> Result<Self, Abort> {
        let mut chain = crate::chain_record(view)?;
        let step = start.timestamp.0.saturating_sub(parent.timestamp.0);
        // Rule C21: chain time.
        let max = rules.params.idle_target_ms.saturating_mul(2);
        chain.chain_time = chain.chain_time.saturating_add(step.min(max));
        chain.last_proposed.insert(start.proposer, start.height);
        let gas = output.map_or(Gas::ZERO, |_| gas::of_beacon_output());
        let mut context = Context {
            rules,
            overlay: Overlay::new(view),
            height: start.height,
            timestamp: start.timestamp,
            chain_time: chain.chain_time,
            beacon: Beacon::read(view)?,
            epoch: rules.epoch(start.height),
            chain,
            changed: false,
            freed_places: 0,
            seen: SeenPartners::default(),
            draw_work: DrawWork::default(),
        };
        context.move_beacon(output)?;
        let hook_changed = std::mem::take(&mut context.changed);
        Ok(Self {
            context,
            gas,
            receipts: Vec::new(),
            busy: false,
            hook_changed,
        })
    }

    /// Executes a stored certificate: signed by a quorum, on what the job waits for.
    // Rule C61.
    pub fn stored(&mut self, certificate: &StoredCertificate) -> Result<(), Stop<SystemError>> {
        let rules = self.context.rules;
        certificate
            .verify(&rules.committee, rules.chain_id, rules.batch_secret())
            .map_err(|error| Stop::Invalid(error.into()))?;
        match self
            .context
            .attempt(|context| compute::stored(context, &certificate.statement))
        {
            Ok(()) => {}
            Err(ActionError::Abort(abort)) => return Err(Stop::Abort(abort)),
            Err(error) => return Err(Stop::Invalid(SystemError::Useless(Box::new(error)))),
        }
        self.gas = self.gas.saturating_add(gas::of_certificate(certificate).0);
        self.busy = true;
        Ok(())
    }

    /// Charges a transaction whose form and signature were checked, then lets it act; an action that fails is taken
    /// back, its receipt says why.
    /// A party's step is not charged; it must succeed.
    pub fn transaction(&mut self, item: &Item<'_>) -> Result<(), Stop<ChargeError>> {
        let transaction = item.transaction;
        let context = &mut self.context;
        charge::check_terms(context.rules, transaction, item.bytes, context.height)
            .map_err(Stop::Invalid)?;
        let sender = transaction.sender.address();
        if let Some(step) = action::job_action(&transaction.action) {
            let burned = match context.attempt(|context| action::step(context, &sender, step)) {
                Ok(burned) => burned,
                Err(ActionError::Abort(abort)) => return Err(Stop::Abort(abort)),
                Err(error) => return Err(Stop::Invalid(ChargeError::Step(Box::new(error)))),
            };
            self.note(item, burned, None);
            return Ok(());
        }
        let account =
            charge::charged(&context.account(&sender)?, transaction).map_err(Stop::Invalid)?;
        context.charge(&sender, &account, transaction.fee)?;
        let failure =
            match context.attempt(|context| action::perform(context, transaction, &sender)) {
                Ok(()) => None,
                Err(ActionError::Abort(abort)) => return Err(Stop::Abort(abort)),
                Err(error) => Some(Failure {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                }),
            };
        self.note(item, transaction.fee, failure);
        Ok(())
    }

    fn note(&mut self, item: &Item<'_>, fee: Amount, failure: Option<Failure>) {
        self.gas = self.gas.saturating_add(item.gas.0);
        self.receipts.push(TransactionReceipt {
            id: item.transaction.id(),
            fee,
            failure,
        });
        self.busy = true;
    }

    /// As [`Run::transaction`], but changes nothing where the transaction is not valid here; gives whether it is.
    pub fn try_transaction(&mut self, item: &Item<'_>) -> Result<bool, Abort> {
        let chain = self.context.chain.clone();
        self.context.overlay.checkpoint();
        match self.transaction(item) {
            Ok(()) => {
                self.context.overlay.commit();
                Ok(true)
            }
            Err(Stop::Invalid(_)) => {
                self.context.overlay.revert();
                self.context.chain = chain;
                Ok(false)
            }
            Err(Stop::Abort(abort)) => Err(abort),
        }
    }

    /// Ends the block: jobs move on, unbondings are paid, on an epoch's last block the next snapshot is written.
    // Rule C23: after all transactions.
    pub fn end(mut self) -> Result<Finished, Abort> {
        let context = &mut self.context;
        context.changed = false;
        compute::end_block(context)?;
        context.end_locks()?;
        context.pay_unbondings()?;
        if context.rules.is_boundary(context.height) {
            compute::turnout::fade(context);
            context.write_snapshot()?;
            context.write_seed();
        }
        let urgent = self.busy || self.hook_changed || context.changed;
        context.chain.urgent = urgent;
        context.check_supply()?;
        self.context
            .overlay
            .put(StateKey::Chain, &self.context.chain);
        let writes = self.context.overlay.into_writes();
        Ok(Finished {
            writes,
            receipts: self.receipts,
            gas: self.gas,
            urgent,
        })
    }
}

/// A transaction with its encoded length and its gas.
pub(crate) struct Item<'t> {
    pub transaction: &'t Transaction,
    pub bytes: usize,
    pub gas: Gas,
}

impl<'t> Item<'t> {
    /// A transaction that takes so many bytes, its envelope included.
    pub fn new(transaction: &'t Transaction, bytes: usize) -> Self {
        Self {
            transaction,
            bytes,
            gas: gas::of_transaction(bytes, &transaction.action),
        }
    }
}
