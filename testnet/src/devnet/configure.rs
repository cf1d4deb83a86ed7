//! The directories of a devnet's processes, made by the same code as `node init` and `partner init`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use keys::passphrase::Passphrases;
use node::config::MetricsConfig;
use types::codec::encode;
use types::job::Name;

use super::plan::{DevnetPlan, PlannedNode};

/// RPC endpoints that a partner uses: enough that any one may die.
const ENDPOINTS_PER_PARTNER: usize = 3;

/// Every address in a container, whose network is its own; loopback elsewhere.
fn listen(host: Option<&String>) -> Ipv4Addr {
    host.map_or(Ipv4Addr::LOCALHOST, |_| Ipv4Addr::UNSPECIFIED)
}

fn metrics(host: Option<&String>, port: u16) -> MetricsConfig {
    MetricsConfig {
        listen: Some(SocketAddr::from((listen(host), port))),
        allowed_hosts: host.into_iter().cloned().collect(),
    }
}

/// Where other validators dial a node.
fn p2p_address(node: &PlannedNode) -> String {
    node.host.as_ref().map_or_else(
        || format!("/ip4/127.0.0.1/tcp/{}", node.p2p_port),
        |host| format!("/dns4/{host}/tcp/{}", node.p2p_port),
    )
}

/// Writes the configuration of every process of a plan.
pub fn write(plan: &DevnetPlan) -> Result<()> {
    // The validators of a devnet share a machine, and what one of them would take of it.
    let alone = node::config::StoreConfig::default().memory_percent;
    let share = usize::from(alone) / plan.nodes.len().max(1);
    let memory_percent = u8::try_from(share).unwrap_or(alone).max(1);
    for node in &plan.nodes {
        let mut config = node::config::Config::default();
        if let Some(name) = node.dir.file_name() {
            config.p2p.name = Name::new(name.to_string_lossy())?;
        }
        let listen = listen(node.host.as_ref());
        config.p2p.listen = vec![format!("/ip4/{listen}/tcp/{}", node.p2p_port)];
        config.p2p.external = node.host.iter().map(|_| p2p_address(node)).collect();
        let others = plan.nodes.iter().filter(|other| other.dir != node.dir);
        config.p2p.bootstrap = others.map(p2p_address).collect();
        config.store.memory_percent = memory_percent;
        config.rpc.listen = SocketAddr::from((listen, node.rpc_port));
        config.rpc.allowed_hosts = node.host.iter().cloned().collect();
        config.metrics = metrics(node.host.as_ref(), node.metrics_port);
        node::init::init(&node.dir, &plan.genesis, &config, &Passphrases::none())
            .with_context(|| format!("cannot make {}", node.dir.display()))?;
    }
    let genesis = encode(&plan.genesis);
    for (index, planned) in plan.partners.iter().enumerate() {
        let endpoints = (0..plan.nodes.len().min(ENDPOINTS_PER_PARTNER)).map(|offset| {
            let node = &plan.nodes[(index + offset) % plan.nodes.len()];
            let host = node.host.as_deref().unwrap_or("127.0.0.1");
            format!("http://{host}:{}", node.rpc_port)
        });
        let registered = plan
            .genesis
            .partners
            .iter()
            .find(|partner| partner.address == planned.address);
        let registered = registered.context("every planned partner is in the genesis")?;
        let mut config = partner::config::Config::new(endpoints.collect());
        config.bond = registered.bond;
        config.metrics = metrics(planned.host.as_ref(), planned.metrics_port);
        config.offer.name = registered.profile.name.to_string();
        config.offer.ask = registered.profile.ask;
        config.offer.places = registered.profile.places;
        config.offer.attributes = registered
            .profile
            .attributes
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        partner::init(&planned.dir, &config, &genesis, &Passphrases::none())
            .with_context(|| format!("cannot make {}", planned.dir.display()))?;
    }
    Ok(())
}
