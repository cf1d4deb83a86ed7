//! What a running node says: its version, health, VMs, and where the chain stands on it.

use serde_json::{Value, json};

use crate::avalanche::node_api::{NodeApi, NodeApiError};
use crate::avalanche::vm_id::VmId;
use crate::check::Check;

/// Every check of a node; what follows one that fails is left out where it would only repeat it.
pub async fn checks(
    api: &NodeApi,
    vm: VmId,
    protocol: Option<u32>,
    chain: Option<&str>,
) -> Vec<Check> {
    let version = match api.call("info", "info.getNodeVersion", json!({})).await {
        Ok(version) => version,
        Err(error) => {
            let hint = "start the node, or give its URL with --node (its flags --http-host and --http-port)";
            return vec![Check::wrong("node", error.to_string(), hint)];
        }
    };
    let mut checks = vec![running(&version, protocol), health(api.health().await)];
    checks.push(registered(
        api.call("info", "info.getVMs", json!({})).await,
        vm,
    ));
    let Some(chain) = chain else {
        checks.push(Check::skipped("chain", "no --chain is given"));
        return checks;
    };
    let arguments = json!({ "blockchainID": chain });
    let tracked = tracked(
        api.call("P", "platform.getBlockchainStatus", arguments)
            .await,
    );
    let arguments = json!({ "chain": chain });
    let bootstrapped = bootstrapped(api.call("info", "info.isBootstrapped", arguments).await);
    checks.extend([
        tracked,
        bootstrapped,
        reachable(&api.chain_url(chain)).await,
    ]);
    checks
}

/// Numbers of this interface are texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn running(version: &Value, installed: Option<u32>) -> Check {
    let shown = version["version"].as_str().unwrap_or("an unknown version");
    let speaks = number(&version["rpcProtocolVersion"]);
    let found = format!(
        "{shown} runs, plugin protocol {}",
        speaks.unwrap_or_default()
    );
    match installed {
        Some(installed) if speaks.is_some_and(|speaks| speaks != u64::from(installed)) => {
            Check::wrong(
                "node",
                format!("{found}, but --avalanchego is of protocol {installed}"),
                "restart the node with the new binary, or give the binary that runs with --avalanchego",
            )
        }
        _ => Check::fine("node", found),
    }
}

fn health(answer: Result<Value, NodeApiError>) -> Check {
    let name = "health";
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Check::wrong(name, error.to_string(), "look into the node's log"),
    };
    if answer["healthy"] == json!(true) {
        return Check::fine(name, "the node calls itself healthy");
    }
    let failing = answer["checks"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, check)| {
            let error = check["error"].as_str()?;
            Some(format!("{name}: {error}"))
        });
    let failing: Vec<_> = failing.collect();
    Check::wrong(
        name,
        if failing.is_empty() {
            "not healthy".to_owned()
        } else {
            failing.join("; ")
        },
        "a chain whose plugin has ended stays unhealthy until the node is restarted; its log is logs/CHAIN.log",
    )
}

fn registered(answer: Result<Value, NodeApiError>, vm: VmId) -> Check {
    match answer {
        Ok(answer) if answer["vms"].get(vm.to_string()).is_some() => {
            Check::fine("vm", format!("the node knows {vm}"))
        }
        Ok(_) => Check::wrong(
            "vm",
            format!("the node does not know {vm}"),
            "restart it; is --plugin-dir the folder that it was started with?",
        ),
        Err(error) => Check::skipped("vm", error.to_string()),
    }
}

fn tracked(answer: Result<Value, NodeApiError>) -> Check {
    let name = "chain";
    let status = match answer {
        Ok(answer) => answer["status"].as_str().unwrap_or_default().to_owned(),
        Err(error) => {
            return Check::wrong(
                name,
                error.to_string(),
                "is that the chain's id? it is not the subnet's",
            );
        }
    };
    match status.as_str() {
        "Validating" | "Syncing" => Check::fine(name, format!("the node runs it ({status})")),
        "Created" => Check::wrong(
            name,
            "the chain exists, the node does not follow its subnet",
            "start the node with --track-subnets=SUBNET",
        ),
        _ => Check::wrong(
            name,
            format!("the P-chain does not know it ({status})"),
            "was it created on this network, and has the node's P-chain caught up?",
        ),
    }
}

fn bootstrapped(answer: Result<Value, NodeApiError>) -> Check {
    match answer {
        Ok(answer) if answer["isBootstrapped"] == json!(true) => {
            Check::fine("bootstrapped", "the chain takes requests")
        }
        Ok(_) => Check::wrong(
            "bootstrapped",
            "the chain is still catching up",
            "wait; it needs most of the subnet's validators to be connected",
        ),
        Err(error) => Check::wrong(
            "bootstrapped",
            error.to_string(),
            "the node does not run the chain, see above",
        ),
    }
}

async fn reachable(url: &str) -> Check {
    let client = match rpc::Client::new(url) {
        Ok(client) => client,
        Err(error) => return Check::wrong("api", error.to_string(), error.hint()),
    };
    match client.status().await {
        Ok(status) => Check::fine("api", format!("height {} at --rpc {url}", status.height)),
        Err(error) => Check::wrong("api", error.to_string(), error.hint().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Finding;

    #[test]
    fn a_nodes_answers_are_told_apart() {
        let refused = || {
            let (method, message) = ("m".to_owned(), "no".to_owned());
            Err(NodeApiError::Refused { method, message })
        };
        let version = json!({ "version": "avalanchego/1.14.2", "rpcProtocolVersion": "45" });
        assert_eq!(running(&version, Some(45)).outcome, Finding::Fine);
        assert_eq!(running(&version, None).outcome, Finding::Fine);
        assert_eq!(running(&version, Some(46)).outcome, Finding::Wrong);
        let bad = json!({ "healthy": false, "checks": { "P": { "error": "gone" }, "X": {} } });
        assert!(health(Ok(bad)).found.contains("P: gone"));
        assert_eq!(
            health(Ok(json!({ "healthy": true }))).outcome,
            Finding::Fine
        );
        let vm = VmId::of_name("test").unwrap();
        let mut vms = serde_json::Map::new();
        vms.insert(vm.to_string(), json!([]));
        assert_eq!(
            registered(Ok(json!({ "vms": vms })), vm).outcome,
            Finding::Fine
        );
        assert_eq!(
            registered(Ok(json!({ "vms": {} })), vm).outcome,
            Finding::Wrong
        );
        for (status, expected) in [
            ("Validating", Finding::Fine),
            ("Syncing", Finding::Fine),
            ("Created", Finding::Wrong),
            ("UnknownChain", Finding::Wrong),
        ] {
            assert_eq!(tracked(Ok(json!({ "status": status }))).outcome, expected);
        }
        assert_eq!(
            bootstrapped(Ok(json!({ "isBootstrapped": true }))).outcome,
            Finding::Fine
        );
        assert_eq!(bootstrapped(refused()).outcome, Finding::Wrong);
        assert_eq!(tracked(refused()).outcome, Finding::Wrong);
    }

    #[tokio::test]
    async fn nobody_listens() {
        let api = NodeApi::new("http://127.0.0.1:1").unwrap();
        let checks = checks(
            &api,
            VmId::of_name("test").unwrap(),
            Some(45),
            Some("chain"),
        )
        .await;
        assert_eq!((checks.len(), checks[0].outcome), (1, Finding::Wrong));
        for url in ["", "127.0.0.1:9650", "http://127.0.0.1:9650/ext/info"] {
            NodeApi::new(url).unwrap_err();
        }
    }
}
