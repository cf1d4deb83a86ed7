//! The directories of a devnet's processes, made by the same code as `node init` and `partner init`.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use types::codec::encode;
use types::job::Name;

use super::plan::DevnetPlan;

/// RPC endpoints that a partner uses: enough that any one may die.
const ENDPOINTS_PER_PARTNER: usize = 3;

/// Writes the configuration of every process of a plan.
pub fn write(plan: &DevnetPlan) -> Result<()> {
    // The validators of a devnet share a machine, and what one of them would take of it.
    let alone = node::config::StoreConfig::default().memory_percent;
    let share = usize::from(alone) / plan.nodes.len().max(1);
    let memory_percent = u8::try_from(share).unwrap_or(alone).max(1);
    let address = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
    for node in &plan.nodes {
        let mut config = node::config::Config::default();
        if let Some(name) = node.dir.file_name() {
            config.p2p.name = Name::new(name.to_string_lossy())?;
        }
        config.p2p.listen = vec![address(node.p2p_port)];
        config.p2p.bootstrap = plan
            .nodes
            .iter()
            .filter(|other| other.p2p_port != node.p2p_port)
            .map(|other| address(other.p2p_port))
            .collect();
        config.store.memory_percent = memory_percent;
        config.rpc.listen = SocketAddr::from(([127, 0, 0, 1], node.rpc_port));
        config.metrics = node::config::MetricsConfig::on_loopback(node.metrics_port);
        node::init::init(&node.dir, &plan.genesis, &config)
            .with_context(|| format!("cannot make {}", node.dir.display()))?;
    }
    let genesis = encode(&plan.genesis);
    for (index, planned) in plan.partners.iter().enumerate() {
        let endpoints = (0..plan.nodes.len().min(ENDPOINTS_PER_PARTNER)).map(|offset| {
            let node = &plan.nodes[(index + offset) % plan.nodes.len()];
            format!("http://127.0.0.1:{}", node.rpc_port)
        });
        let registered = plan
            .genesis
            .partners
            .iter()
            .find(|partner| partner.address == planned.address);
        let registered = registered.context("every planned partner is in the genesis")?;
        let mut config = partner::config::Config::new(endpoints.collect());
        config.bond = registered.bond;
        config.metrics = node::config::MetricsConfig::on_loopback(planned.metrics_port);
        config.offer.name = registered.profile.name.to_string();
        config.offer.ask = registered.profile.ask;
        config.offer.places = registered.profile.places;
        config.offer.attributes = registered
            .profile
            .attributes
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        partner::init(&planned.dir, &config, &genesis)
            .with_context(|| format!("cannot make {}", planned.dir.display()))?;
    }
    Ok(())
}
