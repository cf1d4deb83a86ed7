//! What a devnet is made of: keys, ports and the genesis that follows from them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use keys::folder;
use keys::keyfile::{self, KeyKind};
use types::codec::Text;
use types::committee::Validator;
use types::genesis::{Genesis, GenesisAccount, GenesisPartner};
use types::hash::Address;
use types::job::{CLASS_WASM_V2, Name, PartnerProfile};
use types::number::{Amount, SQUARE, Stake, Timestamp};
use types::params::Params;

/// The size of a devnet and its ports.
#[derive(Debug, Clone)]
pub struct DevnetOptions {
    /// Number of validators, 1 to 64.
    pub validators: u16,
    /// Number of grid partners, 0 to 64.
    pub partners: u16,
    /// First port, from 1,024 on: p2p and RPC of each validator in turn, then the metrics of each validator and partner.
    pub base_port: u16,
}

/// A validator of the plan.
#[derive(Debug, Clone)]
pub struct PlannedNode {
    /// The folder for its configuration, keys and data.
    pub dir: PathBuf,
    /// Name of the container that it runs in; none on loopback.
    pub host: Option<String>,
    /// Port of its p2p listener.
    pub p2p_port: u16,
    /// Port of its RPC listener.
    pub rpc_port: u16,
    /// Port of its metrics.
    pub metrics_port: u16,
}

/// A partner of the plan.
#[derive(Debug, Clone)]
pub struct PlannedPartner {
    /// The folder for its configuration, keys and data.
    pub dir: PathBuf,
    /// The address of its account.
    pub address: Address,
    /// Name of the container that it runs in; none on loopback.
    pub host: Option<String>,
    /// Port of its metrics.
    pub metrics_port: u16,
}

/// A devnet before its processes start: keys are on disk, genesis is fixed.
#[derive(Debug, Clone)]
pub struct DevnetPlan {
    /// The genesis of the chain.
    pub genesis: Genesis,
    /// The validators, in order of their names.
    pub nodes: Vec<PlannedNode>,
    /// The partners, in order of their names.
    pub partners: Vec<PlannedPartner>,
    /// The customer's key file.
    pub customer_key: PathBuf,
}

/// Port for p2p of every validator that has a container of its own.
pub const CONTAINER_P2P_PORT: u16 = 26_600;
/// Port for RPC of every validator that has a container of its own.
pub const CONTAINER_RPC_PORT: u16 = 26_601;

/// Port for metrics of every process that has a container of its own.
pub const CONTAINER_METRICS_PORT: u16 = 26_602;

/// The sites that devnet partners say they are at.
const SITES: [&str; 3] = ["sion", "basel", "nanterre"];

/// Stakes 4, 3, 3, 3, ...: unequal, and for four validators each at most F, so that any one may die.
fn stake(index: u16) -> Stake {
    Stake(if index == 0 { 4 } else { 3 })
}

/// The ports that a devnet takes: p2p and RPC of each validator in turn, then metrics of each validator and partner.
pub fn ports(options: &DevnetOptions) -> Result<Range<u16>> {
    ensure!(
        (1..=64).contains(&options.validators),
        "between 1 and 64 validators, not {}",
        options.validators
    );
    ensure!(
        options.partners <= 64,
        "at most 64 partners, not {}",
        options.partners
    );
    let taken = 3 * options.validators + options.partners;
    let end = options
        .base_port
        .checked_add(taken)
        .filter(|_| options.base_port >= 1_024);
    let end = end.with_context(|| {
        format!(
            "{taken} ports from {} on are not all between 1024 and 65534",
            options.base_port
        )
    })?;
    Ok(options.base_port..end)
}

impl DevnetPlan {
    /// Each process gets a host of its own, `validator-0` and so on, where all listen on the same ports.
    pub fn in_containers(&mut self) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            node.host = Some(format!("validator-{index}"));
            (node.p2p_port, node.rpc_port) = (CONTAINER_P2P_PORT, CONTAINER_RPC_PORT);
            node.metrics_port = CONTAINER_METRICS_PORT;
        }
        for (index, partner) in self.partners.iter_mut().enumerate() {
            partner.host = Some(format!("partner-{index}"));
            partner.metrics_port = CONTAINER_METRICS_PORT;
        }
    }
}

/// Makes keys and genesis below `root`, which must not hold a devnet.
pub fn make(root: &Path, options: &DevnetOptions, now: Timestamp) -> Result<DevnetPlan> {
    let base_port = ports(options)?.start;
    let first_metrics_port = base_port + 2 * options.validators;
    let mut accounts = Vec::new();
    let mut validators = Vec::new();
    let mut nodes = Vec::new();
    for index in 0..options.validators {
        let dir = root.join(format!("validator-{index}"));
        let keys = dir.join("keys");
        folder::create(&keys)?;
        let key = keyfile::create(&keys.join("validator.key"), KeyKind::Validator)?.public();
        let node_key = keyfile::create(&keys.join("node.key"), KeyKind::Node)?.public();
        let vrf_key = keyfile::create_vrf(&keys.join("vrf.key"))?.public();
        accounts.push(GenesisAccount {
            address: key.address(),
            balance: Amount(1_000 * SQUARE.0),
        });
        validators.push(Validator {
            key,
            vrf_key,
            node_key,
            stake: stake(index),
        });
        let p2p_port = base_port + 2 * index;
        nodes.push(PlannedNode {
            dir,
            host: None,
            p2p_port,
            rpc_port: p2p_port + 1,
            metrics_port: first_metrics_port + index,
        });
    }
    let mut partners = Vec::new();
    let mut registered = Vec::new();
    for index in 0..options.partners {
        let (planned, account, partner) =
            plan_partner(root, index, first_metrics_port + options.validators + index)?;
        accounts.push(account);
        registered.push(partner);
        partners.push(planned);
    }
    let customer_key = root.join("customer.key");
    let customer = keyfile::create(&customer_key, KeyKind::Account)?
        .public()
        .address();
    accounts.push(GenesisAccount {
        address: customer,
        balance: Amount(1_000_000 * SQUARE.0),
    });
    accounts.sort_by_key(|account| account.address);
    validators.sort_by_key(|validator| validator.key);
    registered.sort_by_key(|partner| partner.address);
    let genesis = Genesis {
        name: Text::new("devnet").expect("short"),
        time: now,
        params: Params::devnet(),
        accounts,
        validators,
        partners: registered,
    };
    genesis
        .check()
        .context("the devnet's genesis is not valid")?;
    Ok(DevnetPlan {
        genesis,
        nodes,
        partners,
        customer_key,
    })
}

/// Makes the keys of a partner and gives its account and registration in the genesis.
fn plan_partner(
    root: &Path,
    index: u16,
    metrics_port: u16,
) -> Result<(PlannedPartner, GenesisAccount, GenesisPartner)> {
    let dir = root.join(format!("partner-{index}"));
    let keys = dir.join("keys");
    folder::create(&keys)?;
    let address = keyfile::create(&keys.join("account.key"), KeyKind::Account)?
        .public()
        .address();
    let vrf_key = keyfile::create_vrf(&keys.join("vrf.key"))?.public();
    let account = GenesisAccount {
        address,
        balance: Amount(1_000 * SQUARE.0),
    };
    let registered = GenesisPartner {
        address,
        bond: Amount(10_000 * SQUARE.0),
        profile: profile(index, vrf_key)?,
    };
    let planned = PlannedPartner {
        dir,
        address,
        host: None,
        metrics_port,
    };
    Ok((planned, account, registered))
}

fn profile(index: u16, vrf_key: types::key::VrfPublicKey) -> Result<PartnerProfile> {
    let site = SITES[usize::from(index) % SITES.len()];
    let attributes = BTreeMap::from([(Name::new("location")?, Name::new(site)?)]);
    Ok(PartnerProfile {
        name: Name::new(format!("partner-{index}"))?,
        classes: [CLASS_WASM_V2].into(),
        vrf_key,
        ask: Amount(SQUARE.0 / 1_000_000),
        places: 2,
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_of_four_validators_may_die() {
        let directory = tempfile::tempdir().unwrap();
        let options = DevnetOptions {
            validators: 4,
            partners: 2,
            base_port: 26_600,
        };
        let plan = make(directory.path(), &options, Timestamp(1)).unwrap();
        let committee = plan.genesis.committee().unwrap();
        assert!(
            committee
                .members()
                .iter()
                .all(|member| member.stake <= committee.thresholds().faulty)
        );
        assert_eq!(plan.partners.len(), 2);
        assert!(
            make(directory.path(), &options, Timestamp(1)).is_err(),
            "keys are never overwritten"
        );
    }

    #[test]
    fn ports_are_within_what_there_is() {
        let of = |validators, base_port| {
            ports(&DevnetOptions {
                validators,
                partners: 1,
                base_port,
            })
            .ok()
        };
        assert_eq!(of(4, 26_600), Some(26_600..26_613));
        assert_eq!(of(4, 1_024), Some(1_024..1_037));
        assert_eq!(of(1, 65_531), Some(65_531..65_535));
        for (validators, base_port) in [
            (1, 65_532),
            (4, 65_530),
            (4, 1_023),
            (4, 0),
            (0, 26_600),
            (65, 26_600),
        ] {
            assert_eq!(
                of(validators, base_port),
                None,
                "{validators} from {base_port} on"
            );
        }
    }
}
