//! The decided state at one height, and what of it the interface shows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rpc::limits::{MAX_LISTED_JOBS, MAX_LISTED_PARTNERS};
use rpc::model::{
    BlockSelector, DutyView, EscrowView, EstimateView, ExclusionCode, ExclusionView, FailureView,
    JobList, JobSummary, JobView, LockView, NextVersionView, PartnerList, PartnerView, PolicyView,
    TransactionStatus,
};
use rpc_server::{ApiError, ErrorKind, FinalBlock};
use state::{ChainStore, DecidedState, StateError, StateRead, read_as};
use store::Store;
use types::block::Block;
use types::hash::{Address, JobId, TransactionId};
use types::job::{Awaited, JobRecord};
use types::number::{Amount, Height};
use types::params::{NEWEST_PROTOCOL_VERSION, VersionStart};
use types::proof::ValueProof;
use types::snapshot::{PartnerPage, page_of};
use types::state_key::StateKey;
use types::versions::VersionSchedule;
use vm::compute::market::Exclusion;
use vm::compute::penalty::{Breach, penalty};
use vm::{ChainRecord, Partner, Rules};

/// The state after one height; blocks that are committed meanwhile do not show.
#[derive(Debug, Clone)]
pub struct At {
    /// Where it is read.
    pub store: Store,
    /// Height whose state is read.
    pub height: Height,
}

impl StateRead for At {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.store.read_at(self.height, key)
    }
}

/// The bond by which a partner counts in the epoch of a page, if it does.
fn epoch_bond(page: &PartnerPage, address: &Address) -> Option<Amount> {
    let counted = page.partner(address).filter(|entry| entry.counts());
    counted.map(|entry| entry.bond)
}

/// The node's own failure: nothing that whoever asks could do about it.
pub fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(format!("the node cannot read its state: {error}"))
}

impl At {
    /// The newest decided state.
    pub fn tip(store: Store) -> Self {
        let height = store.tip().height;
        Self { store, height }
    }

    /// The bookkeeping of the chain.
    pub fn chain(&self) -> Result<ChainRecord, ApiError> {
        let record = read_as(self, &StateKey::Chain).map_err(internal)?;
        record.ok_or_else(|| internal("the chain's record is missing"))
    }

    /// The block of this height.
    pub fn block(&self) -> Result<Block, ApiError> {
        self.store
            .block_at(self.height)
            .map_err(internal)?
            .ok_or_else(|| internal("the block is missing"))
    }

    /// A height whose block was dropped.
    fn pruned(&self, what: impl std::fmt::Display) -> ApiError {
        let lowest = self.store.kept().blocks;
        ApiError::new(
            ErrorKind::Gone,
            "pruned",
            format!("{what} is no longer kept here: the lowest block is that of height {lowest}"),
            "ask a node that keeps more, one with store.history = \"full\" or \"archive\"",
        )
    }

    /// The lowest kept height, as an addition to a hint; nothing if everything is kept.
    fn kept_from(lowest: Height, what: &str) -> String {
        if lowest == Height::ZERO {
            return String::new();
        }
        format!("; this node keeps {what} from height {lowest} on")
    }

    /// A block that somebody asks for.
    pub fn final_block(&self, selector: BlockSelector) -> Result<FinalBlock, ApiError> {
        let missing = || {
            let kept = Self::kept_from(self.store.kept().blocks, "blocks");
            let hint = format!("the newest final block has height {}{kept}", self.height);
            ApiError::not_found("block", format!("there is no final block {selector}"), hint)
        };
        let height = match selector {
            BlockSelector::Latest => self.height,
            BlockSelector::Height(height) => height,
            BlockSelector::Id(id) => self
                .store
                .height_of(&id)
                .map_err(internal)?
                .ok_or_else(missing)?,
        };
        let block = self.store.block_at(height).map_err(internal)?;
        let receipts = self.store.receipts_at(height).map_err(internal)?;
        match block.zip(receipts) {
            Some((block, receipts)) => Ok(FinalBlock { block, receipts }),
            None if height < self.store.kept().blocks => {
                Err(self.pruned(format_args!("block {height}")))
            }
            None => Err(missing()),
        }
    }

    /// Where a transaction stands if it is in a final block.
    pub fn included(&self, id: TransactionId) -> Result<Option<TransactionStatus>, ApiError> {
        let Some((height, position)) = self.store.transaction(&id).map_err(internal)? else {
            return Ok(None);
        };
        let block = self.store.block_at(height).map_err(internal)?;
        let receipts = self.store.receipts_at(height).map_err(internal)?;
        let Some((block, receipts)) = block.zip(receipts) else {
            if height < self.store.kept().blocks {
                return Err(self.pruned(format_args!("block {height} of transaction {id}")));
            }
            return Err(internal("a block is missing"));
        };
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let receipt = receipts
            .into_iter()
            .nth(at)
            .ok_or_else(|| internal("a receipt is missing"))?;
        Ok(Some(TransactionStatus::Included {
            id,
            height,
            block: block.id(),
            position,
            receipt: (&receipt).into(),
        }))
    }

    /// The answer about a transaction that is neither included nor waiting.
    pub fn unknown_transaction(&self, id: TransactionId) -> ApiError {
        let kept = Self::kept_from(self.store.kept().transactions, "transactions");
        let hint = format!("it was never sent here, or it expired: send it again{kept}");
        let message = format!("transaction {id} is not known");
        ApiError::not_found("transaction", message, hint)
    }

    /// The first of these jobs that the state holds, oldest first; all, or those that are live or ended.
    pub fn job_list(
        &self,
        ids: impl IntoIterator<Item = JobId>,
        live: Option<bool>,
    ) -> Result<JobList, ApiError> {
        let mut jobs = Vec::new();
        for id in ids.into_iter().take(MAX_LISTED_JOBS) {
            let record = vm::query::job(self, &id).map_err(internal)?;
            let fits = |record: &JobRecord| live.is_none_or(|live| record.stage.is_final() != live);
            jobs.extend(record.filter(fits).map(|record| JobSummary::of(&record)));
        }
        jobs.sort_by_key(|job| (job.submitted, job.id));
        Ok(JobList {
            height: self.height,
            jobs,
        })
    }

    /// A partner as it is shown.
    pub fn partner_view(
        &self,
        rules: &Rules,
        address: Address,
        partner: &Partner,
    ) -> Result<PartnerView, ApiError> {
        let page = self.epoch_page(rules, &address)?;
        let now = self.chain()?.chain_time;
        let (bond, height) = (epoch_bond(&page, &address), self.height);
        Ok(PartnerView::new(address, partner, bond, now, height))
    }

    /// The active partners above an address, as many as a list holds.
    pub fn partner_list(
        &self,
        rules: &Rules,
        after: Option<Address>,
    ) -> Result<PartnerList, ApiError> {
        let all = vm::query::partners_after(self, after.as_ref(), MAX_LISTED_PARTNERS + 1);
        let mut all = all.map_err(internal)?;
        let more = all.len() > MAX_LISTED_PARTNERS;
        all.truncate(MAX_LISTED_PARTNERS);
        let (now, height) = (self.chain()?.chain_time, self.height);
        let mut pages = BTreeMap::new();
        let mut partners = Vec::with_capacity(all.len());
        for (address, partner) in &all {
            let page = match pages.entry(page_of(address)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.epoch_page(rules, address)?),
            };
            let bond = epoch_bond(page, address);
            partners.push(PartnerView::new(*address, partner, bond, now, height));
        }
        let last = all.last().map(|(address, _)| *address);
        let next = last.filter(|_| more);
        Ok(PartnerList {
            height,
            partners,
            next,
        })
    }

    /// The page of an address as this epoch sees it.
    fn epoch_page(&self, rules: &Rules, address: &Address) -> Result<PartnerPage, ApiError> {
        let page = vm::query::page(self, rules.epoch(self.height), address);
        Ok(page.map_err(internal)?.unwrap_or_default())
    }

    /// The same with what its jobs await of it: a read for each lock.
    pub fn partner_with_duties(
        &self,
        rules: &Rules,
        address: Address,
        partner: &Partner,
    ) -> Result<PartnerView, ApiError> {
        let mut view = self.partner_view(rules, address, partner)?;
        for lock in &mut view.locks {
            let Some(job) = lock.job else { continue };
            if let Some(record) = vm::query::job(self, &job).map_err(internal)? {
                lock.duty = Some(duty_view(rules, &record, &address, lock));
            }
        }
        Ok(view)
    }

    /// A job as it is shown.
    pub fn job_view(&self, id: JobId) -> Result<JobView, ApiError> {
        let record = vm::query::job(self, &id).map_err(internal)?;
        let record = record.ok_or_else(|| {
            let hint = "a job exists once its transaction is final, and for a while after its end; check the id";
            ApiError::not_found("job", format!("there is no job {id}"), hint)
        })?;
        let spec = vm::query::spec(self, &id).map_err(internal)?;
        let receipt = vm::query::receipt(self, &id).map_err(internal)?;
        let now = self.chain()?.chain_time;
        Ok(JobView::new(
            &record,
            &spec,
            receipt.as_ref(),
            now,
            self.height,
        ))
    }

    /// A value with its proof at the newest height for which there is one.
    pub fn proof(&self, key: &StateKey) -> Result<ValueProof, ApiError> {
        match self.store.value_proof(key) {
            Err(StateError::NotFinal(_)) => Err(no_block_yet()),
            result => result.map_err(internal),
        }
    }
}

/// What a job awaits of a partner that has a lock for it.
fn duty_view(rules: &Rules, record: &JobRecord, own: &Address, lock: &LockView) -> DutyView {
    let (attempt, awaited) = if lock.is_of_earlier_verifier() {
        (record.earlier.attempt, record.awaits_earlier(own))
    } else {
        (record.attempt, record.stage.awaits(own))
    };
    let words = awaited.map(|awaited| match awaited {
        Awaited::Acknowledgement => ("acknowledgement", Breach::Ignored),
        Awaited::PrimaryCommitment => ("commitment", Breach::Uncommitted),
        Awaited::VerifierCommitment => ("commitment", Breach::VerifierSilent),
        Awaited::PrimaryOpening => ("opening", Breach::PrimaryUnopened),
        Awaited::VerifierOpening => ("opening", Breach::VerifierUnopened),
    });
    let lasts = record.stage.duties().map(|duties| duties.until);
    let costs = |breach| penalty(&rules.params.compute, breach, lock.amount);
    DutyView {
        attempt,
        stage: record.stage.name().to_owned(),
        awaits: words.map(|(word, _)| word.to_owned()),
        deadline: lasts.or(record.deadline),
        miss_costs: words.map(|(_, breach)| costs(breach)),
    }
}

/// The version that comes after a height, if one is scheduled.
pub fn next_version(versions: &VersionSchedule, height: Height) -> Option<NextVersionView> {
    let VersionStart { height, version } = versions.next_after(height)?;
    Some(NextVersionView {
        height,
        version,
        known: version <= NEWEST_PROTOCOL_VERSION,
    })
}

fn no_block_yet() -> ApiError {
    ApiError::unavailable(
        "no_final_block",
        "no block is final yet, so nothing can be proven",
        "try again in a moment",
    )
}

fn exclusion_code(why: Exclusion) -> ExclusionCode {
    match why {
        Exclusion::Class => ExclusionCode::Class,
        Exclusion::Attributes => ExclusionCode::Attributes,
        Exclusion::Price => ExclusionCode::Price,
        Exclusion::Bond => ExclusionCode::Bond,
        Exclusion::Paused => ExclusionCode::Paused,
        Exclusion::Places => ExclusionCode::Places,
        Exclusion::Locked => ExclusionCode::Locked,
    }
}

/// An estimate as it is shown.
pub fn estimate_view(height: Height, estimate: vm::compute::JobEstimate) -> EstimateView {
    let exclusions = estimate
        .exclusions
        .into_iter()
        .map(|(why, partners)| ExclusionView {
            code: exclusion_code(why),
            reason: why.reason().to_owned(),
            partners,
        });
    let refusal = estimate.refusal.map(|error| FailureView {
        code: error.code().to_owned(),
        message: error.to_string(),
    });
    EstimateView {
        height,
        policy: estimate.policy.as_ref().map(PolicyView::from),
        escrow: estimate.escrow.as_ref().map(EscrowView::from),
        total: estimate.total,
        lowest_price: estimate.lowest_price,
        opening_fee: estimate.opening_fee,
        longest_ms: estimate.longest_ms,
        eligible: estimate.eligible.len(),
        exclusions: exclusions.collect(),
        refusal,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use types::genesis::GenesisPartner;
    use types::job::{CLASS_WASM_V2, PartnerProfile};
    use types::testing::numbered::{genesis, vrf_key};
    use types::testing::square;

    use super::*;

    #[test]
    fn a_list_of_partners_goes_on_where_the_one_before_ended() {
        let mut genesis = genesis(1);
        let profile = PartnerProfile {
            name: types::codec::Text::new("grid").unwrap(),
            classes: BTreeSet::from([CLASS_WASM_V2]),
            vrf_key: vrf_key(1).public(),
            ask: Amount(1),
            places: 1,
            attributes: BTreeMap::new(),
        };
        let partners = (0..=MAX_LISTED_PARTNERS).map(|n| {
            // 32 of each page, so that a list ends within one.
            let mut address = Address([7; 20]);
            address.0[0] = u8::try_from(n / 8).unwrap();
            address.0[1] = u8::try_from(n % 8).unwrap();
            GenesisPartner {
                address,
                bond: square(1_000),
                profile: profile.clone(),
            }
        });
        genesis.partners = partners.collect();
        let folder = tempfile::tempdir().unwrap();
        let writes = vm::genesis_writes(&genesis).unwrap();
        let at = At::tip(Store::open(folder.path(), &genesis, writes).unwrap());
        let rules = Rules::new(&genesis).unwrap();
        let first = at.partner_list(&rules, None).unwrap();
        assert_eq!(first.partners.len(), MAX_LISTED_PARTNERS);
        let last = first.partners.last().map(|view| view.address);
        assert!(last.is_some() && first.next == last);
        let rest = at.partner_list(&rules, first.next).unwrap();
        assert_eq!((rest.partners.len(), rest.next), (1, None));
        let listed = first.partners.iter().chain(&rest.partners);
        assert!(listed.clone().is_sorted_by_key(|view| view.address));
        assert!(
            listed
                .clone()
                .all(|view| view.epoch_bond == Some(square(1_000)))
        );
        let address = rest.partners[0].address;
        let record = vm::query::partner(&at, &address).unwrap().unwrap();
        let alone = at.partner_view(&rules, address, &record).unwrap();
        assert_eq!(rest.partners, [alone]);
    }
}
