//! The part of the world in which partners run jobs and hosts exchange blobs.

use chain::{BlobRequest, Event, RefereeTask, Submission, Ticket};
use types::attestation::RefereeFinding;
use types::codec::decode;
use types::hash::{BlobId, Domain, Hash32, TransactionId, ValidatorId};
use types::limits::{MAX_OUTCOMES_BYTES, MAX_STATES_BYTES};

use super::{Happening, World};
use crate::grid::Wish;
use crate::judge::Violation;
use crate::scenario::HostId;

impl World {
    fn is_calm(&self) -> bool {
        self.now_ms > self.scenario.calm_at_ms
    }

    /// A random host, if it runs.
    fn some_host(&mut self) -> Option<HostId> {
        let host = self.random.index(self.hosts.len());
        self.hosts[host].is_up().then_some(host)
    }

    /// The host that a transaction is sent to: any one at first, and after each that did not help an honest one in turn.
    /// Nothing settles in its window whose author speaks to liars alone.
    fn next_server(&mut self, transaction: TransactionId) -> Option<HostId> {
        let any = self.random.index(self.hosts.len());
        let tries = self.tries.entry(transaction).or_default();
        let honest: Vec<HostId> = (0..self.hosts.len())
            .filter(|host| self.hosts[*host].is_honest())
            .collect();
        let server = if tries.is_multiple_of(2) {
            any
        } else {
            honest[*tries / 2 % honest.len()]
        };
        *tries += 1;
        self.hosts[server].is_up().then_some(server)
    }

    /// The turn of the customer and of one partner.
    pub(super) fn grid_turn(&mut self) -> Result<(), Violation> {
        let (calm, Some(host)) = (self.is_calm(), self.some_host()) else {
            return Ok(());
        };
        let Some(grid) = &mut self.grid else {
            return Ok(());
        };
        let store = &self.hosts[host].store;
        let mut wishes = grid.customer_turn(store, calm, &mut self.random);
        wishes.extend(grid.partner_turn(store, calm, &mut self.random));
        self.fulfil(wishes)
    }

    /// Does what partners and customer ask for.
    pub(super) fn fulfil(&mut self, wishes: Vec<Wish>) -> Result<(), Violation> {
        for wish in wishes {
            match wish {
                Wish::Submit(transaction) => {
                    let Some(host) = self.next_server(transaction.id()) else {
                        continue;
                    };
                    self.note("submit", host, &transaction.id().0.0);
                    self.chain_event(
                        host,
                        Event::Submit(vec![Submission {
                            ticket: Ticket(0),
                            transactions: vec![*transaction],
                        }]),
                    )?;
                }
                Wish::Bring(blobs) => {
                    let Some(host) = self.some_host() else {
                        continue;
                    };
                    for (id, bytes) in blobs {
                        if self.hosts[host].blobs.insert(id, bytes).is_none() {
                            self.note("blob", host, &id.hash.0);
                            self.chain_event(host, Event::BlobStored(id))?;
                        }
                    }
                }
                Wish::Run {
                    partner,
                    life,
                    execution,
                } => {
                    let at = self.now_ms + self.random.range(50, 1_500);
                    self.later(
                        at,
                        Happening::Ran {
                            partner,
                            life,
                            execution,
                        },
                    );
                }
            }
        }
        Ok(())
    }

    /// Does what a host's node asks about blobs. A request and its answer are frames that may be lost.
    pub(super) fn blob(&mut self, host: HostId, request: BlobRequest) {
        let life = self.hosts[host].life;
        match request {
            BlobRequest::Fetch { blob, from } => {
                let at = self.now_ms
                    + 2 * self
                        .random
                        .range(self.scenario.delay_ms.0, self.scenario.delay_ms.1);
                self.later(
                    at,
                    Happening::Asked {
                        host,
                        life,
                        blob,
                        from,
                    },
                );
            }
            list @ (BlobRequest::ReadStates { .. } | BlobRequest::ReadOutcomes { .. }) => {
                self.later(self.now_ms, Happening::Read { host, life, list });
            }
            BlobRequest::Drop(blobs) => {
                for blob in blobs {
                    self.hosts[host].blobs.remove(&blob);
                }
            }
        }
    }

    /// A host's node runs a task in dispute.
    pub(super) fn referee(&mut self, host: HostId, task: &RefereeTask) -> Result<(), Violation> {
        let leaf = self.grid.as_mut().map(|grid| grid.leaf(task));
        let (job, witness_draw) = (task.job, task.witness_draw);
        // Who runs the task has this.
        let found = leaf.map(|leaf| RefereeFinding {
            leaf,
            witness: Hash32::of(Domain::WITNESS, &(leaf, witness_draw)),
        });
        self.chain_event(
            host,
            Event::Refereed {
                job,
                draw: witness_draw,
                found,
            },
        )
    }

    /// The answer to a request for a blob, or the end of the wait for one.
    pub(super) fn asked(
        &mut self,
        host: HostId,
        life: u32,
        blob: BlobId,
        from: ValidatorId,
    ) -> Result<(), Violation> {
        if self.hosts[host].life != life {
            return Ok(());
        }
        let asked = self.route(host, self.member_of(from));
        let asked = asked.filter(|asked| self.hosts[*asked].is_up());
        let found = asked.and_then(|asked| {
            let bytes = self.hosts[asked].blobs.get(&blob)?.clone();
            Some((asked, bytes))
        });
        let now_ms = self.now_ms;
        let bytes = found.filter(|(asked, bytes)| {
            let delays = self.network.carry(now_ms, *asked, host, bytes.len());
            !delays.is_empty()
        });
        let bytes = bytes.map(|(_, bytes)| bytes);
        match bytes {
            Some(bytes) => {
                self.hosts[host].blobs.insert(blob, bytes);
                self.note("fetched", host, &blob.hash.0);
                self.chain_event(host, Event::BlobStored(blob))
            }
            None => self.chain_event(host, Event::BlobMissing { blob, from }),
        }
    }

    /// A host's node reads a list of outcomes, or of a chain's states.
    pub(super) fn read(
        &mut self,
        host: HostId,
        life: u32,
        request: &BlobRequest,
    ) -> Result<(), Violation> {
        if self.hosts[host].life != life {
            return Ok(());
        }
        let bytes = |blob| self.hosts[host].blobs.get(blob);
        let event = match request {
            BlobRequest::ReadStates { blob } => {
                let states = bytes(blob).and_then(|bytes| decode(bytes, MAX_STATES_BYTES).ok());
                Event::StatesRead {
                    blob: *blob,
                    states: states.map(Box::new),
                }
            }
            BlobRequest::ReadOutcomes { blob } => {
                let outcomes = bytes(blob).and_then(|bytes| decode(bytes, MAX_OUTCOMES_BYTES).ok());
                Event::OutcomesRead {
                    blob: *blob,
                    outcomes: outcomes.map(Box::new),
                }
            }
            BlobRequest::Fetch { .. } | BlobRequest::Drop(_) => return Ok(()),
        };
        self.chain_event(host, event)
    }
}
