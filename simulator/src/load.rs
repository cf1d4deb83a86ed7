//! Customers that send transfers to random hosts until they are final.

use types::block::Block;
use types::hash::{ChainId, TransactionId};
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce};
use types::transaction::{Action, SignedTransaction, Transaction};

use crate::random::SeededRandom;

/// Maximum number of transfers of one customer that are not final at a time.
const WAITING: usize = 3;

#[derive(Debug)]
struct Customer {
    key: SecretKey,
    next: u64,
    waiting: Vec<(TransactionId, SignedTransaction)>,
}

/// The customers and the number of transfers still to be made.
#[derive(Debug)]
pub struct Load {
    chain: ChainId,
    fee: Amount,
    customers: Vec<Customer>,
    left: usize,
}

impl Load {
    /// Customers who will send `transfers` transfers together.
    #[must_use]
    pub fn new(chain: ChainId, fee: Amount, keys: Vec<SecretKey>, transfers: usize) -> Self {
        let customers = keys
            .into_iter()
            .map(|key| Customer {
                key,
                next: 0,
                waiting: Vec::new(),
            })
            .collect();
        Self {
            chain,
            fee,
            customers,
            left: transfers,
        }
    }

    /// The transactions that a random customer sends now: perhaps a new one, and again all that are not final.
    pub fn send(&mut self, random: &mut SeededRandom) -> Vec<SignedTransaction> {
        let at = random.index(self.customers.len());
        let to = self.customers[(at + 1) % self.customers.len()]
            .key
            .public()
            .address();
        let customer = &mut self.customers[at];
        if self.left > 0 && customer.waiting.len() < WAITING {
            self.left -= 1;
            let transaction = Transaction {
                chain_id: self.chain,
                sender: customer.key.public(),
                nonce: Nonce(customer.next),
                valid_until: Height(5_000),
                fee: self.fee,
                action: Action::Transfer {
                    to,
                    amount: Amount(1 + u128::from(customer.next)),
                },
            };
            customer.next += 1;
            let signed = transaction.sign(&customer.key);
            customer.waiting.push((signed.id(), signed));
        }
        customer
            .waiting
            .iter()
            .map(|(_, signed)| signed.clone())
            .collect()
    }

    /// Takes the transfers of a final block off the list.
    pub fn decided(&mut self, block: &Block) {
        for signed in &block.body.transactions {
            let id = signed.id();
            for customer in &mut self.customers {
                customer.waiting.retain(|(waiting, _)| *waiting != id);
            }
        }
    }

    /// Number of transfers that are not final yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.left
            + self
                .customers
                .iter()
                .map(|customer| customer.waiting.len())
                .sum::<usize>()
    }
}
