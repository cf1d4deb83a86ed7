//! A receipt's state root against the validators of the subnet that runs the chain: signatures from the endpoints, weights
//! and keys from a P-chain that the customer trusts.
//!
//! Endpoints are trusted with nothing: each may withhold signatures and add garbage, neither makes a quorum. What all of
//! them give is taken together.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use rpc::{Client, ClientError};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::block::Header;
use types::number::Height;
use types::words::counted;
use warp::{Aggregate, AvalancheId, AvalancheNodeId, QuorumError, SIGNATURE_BYTES, StateClaim};

use crate::avalanche::node_api::NodeApi;
use crate::avalanche::p_chain::{self, PChainError, SubnetValidators};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::ui::Ui;

/// How long a quorum may take to sign: validators accept a block within seconds of each other.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before the endpoints are asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether the subnet's validators must have signed too.
#[derive(Debug, Clone, Args)]
pub struct SubnetArgs {
    /// An AvalancheGo node whose P-chain you trust, best your own. With it, validators of the chain's subnet with 67 % of the
    /// weight must sign the state that shows the receipt.
    #[arg(long, value_name = "URL", requires = "chain")]
    avalanche: Option<String>,
    /// The chain's id at Avalanche, from a source that you trust.
    #[arg(long, value_name = "ID", requires = "avalanche")]
    chain: Option<String>,
    /// Endpoints that gather the signatures, trusted with nothing; without them the chain behind --avalanche is asked.
    #[arg(
        long = "rpc",
        value_name = "URL",
        value_delimiter = ',',
        requires = "avalanche"
    )]
    endpoints: Vec<String>,
}

/// What the subnet's validators signed.
#[derive(Debug)]
pub struct SubnetProof {
    /// The validators and where they are from.
    set: SubnetValidators,
    /// Their signature.
    aggregate: Aggregate,
}

impl SubnetArgs {
    /// Has the subnet's validators sign the state that a header names, if that is asked for.
    pub async fn check(
        &self,
        header: &Header,
        ui: Ui,
    ) -> Result<Option<SubnetProof>, CommandFailure> {
        let (Some(url), Some(chain)) = (&self.avalanche, &self.chain) else {
            return Ok(None);
        };
        let usage = |message: String, hint: &str| {
            CommandFailure::new(ExitKind::Usage, "usage", message).hint(hint)
        };
        let api = NodeApi::new(url).map_err(|error| {
            usage(
                error.to_string(),
                "give a URL such as http://127.0.0.1:9650",
            )
        })?;
        let chain = AvalancheId::parse(chain).ok_or_else(|| {
            let message = format!("{chain:?} is no id of a chain");
            usage(message, "give the id that the chain's creation returned")
        })?;
        let endpoints = if self.endpoints.is_empty() {
            vec![api.chain_url(&chain.to_string())]
        } else {
            self.endpoints.clone()
        };
        let clients: Result<Vec<_>, _> = endpoints.iter().map(|url| Client::new(url)).collect();
        let clients = clients.map_err(failure)?;
        let set = p_chain::validators_of(&api, chain).await;
        let set = set.map_err(|error| no_validators(&error))?;
        // The header of a receipt is never that of height 0: its state has a root.
        let height = header.height.checked_sub(1).unwrap_or_default();
        let claim = StateClaim {
            network: set.network,
            chain,
            height,
            state_root: header.parent_state_root,
        };
        let progress = ui.spinner("waiting for the subnet's validators to sign");
        let aggregate = quorum(&clients, &set, &claim, PATIENCE).await;
        progress.finish();
        let aggregate = aggregate?;
        Ok(Some(SubnetProof { set, aggregate }))
    }
}

impl SubnetProof {
    /// As `--json` shows it.
    pub fn object(&self) -> Value {
        let message = self.aggregate.message.to_bytes();
        json!({
            "subnet": self.set.subnet.to_string(), "p_chain_height": self.set.height,
            "height": self.aggregate.message.claim.height, "signers": self.aggregate.signers,
            "signed_weight": self.aggregate.signed, "total_weight": self.aggregate.total,
            "warp_message": hex::encode(message),
        })
    }

    /// As people read it.
    pub fn line(&self) -> String {
        let Aggregate {
            signers,
            signed,
            total,
            ..
        } = &self.aggregate;
        format!(
            " subnet     {} with {signed} of {total} of the weight signed the state after height {}",
            counted(*signers, "validator"),
            self.aggregate.message.claim.height
        )
    }
}

fn no_validators(error: &PChainError) -> CommandFailure {
    let kind = match error {
        PChainError::Node(_) => ExitKind::NoConnection,
        PChainError::Field { .. } | PChainError::Validators(_) => ExitKind::NotVerified,
    };
    CommandFailure::new(kind, "p_chain", error.to_string())
        .hint("is --avalanche a node that has bootstrapped its P-chain, and --chain a chain of that network?")
}

type Signatures = BTreeMap<AvalancheNodeId, [u8; SIGNATURE_BYTES]>;

/// Asks until a quorum has signed, or patience ends.
async fn quorum(
    clients: &[Client],
    set: &SubnetValidators,
    claim: &StateClaim,
    patience: Duration,
) -> Result<Aggregate, CommandFailure> {
    let until = Instant::now() + patience;
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (mut all, mut trouble) = (Vec::new(), None);
        for client in clients {
            match signatures(client, claim.height).await {
                Ok(signatures) => all.extend(signatures),
                Err(error) => trouble = Some(error),
            }
        }
        match set.validators.aggregate(claim, &all) {
            Ok(aggregate) => return Ok(aggregate),
            Err(error) if Instant::now() >= until || error == QuorumError::NoValidators => {
                let nothing = all.is_empty() && error != QuorumError::NoValidators;
                return Err(match trouble.filter(|_| nothing) {
                    Some(trouble) => failure(trouble),
                    None => no_quorum(&error),
                });
            }
            Err(_) => {}
        }
    }
}

fn no_quorum(error: &QuorumError) -> CommandFailure {
    let hint = match error {
        QuorumError::NoValidators => "a network without sybil protection has none",
        _ => {
            "give endpoints of other nodes with --rpc; if it stays, the subnet's validators do not know this state: do not use these results"
        }
    };
    let message = format!("not signed by the subnet: {error}");
    CommandFailure::new(ExitKind::NotVerified, "no_quorum", message).hint(hint)
}

/// What one endpoint gathered: at most one signature of a node.
async fn signatures(client: &Client, height: Height) -> Result<Signatures, ClientError> {
    let all = client.state_signatures(height).await?.signatures;
    let pair = |signed: rpc::model::NodeSignature| (AvalancheNodeId(signed.node), signed.signature);
    Ok(all.into_iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use rpc::model::{NodeSignature, StateSignatures};
    use types::hash::Hash32;
    use warp::testing::BlsKey;
    use warp::{WarpValidators, WeighedNode};

    use super::*;
    use crate::job::fake;

    const HEIGHT: Height = Height(41);

    fn set(nodes: u8) -> SubnetValidators {
        let node = |number| WeighedNode {
            node: AvalancheNodeId([number; 20]),
            weight: 10,
            key: Some(BlsKey::of(number).public()),
        };
        let nodes: Vec<_> = (1..=nodes).map(node).collect();
        SubnetValidators {
            network: 12_345,
            subnet: AvalancheId([4; 32]),
            height: 7,
            validators: WarpValidators::new(&nodes).unwrap(),
        }
    }

    fn claim(root: u8) -> StateClaim {
        StateClaim {
            network: 12_345,
            chain: AvalancheId([5; 32]),
            height: HEIGHT,
            state_root: Hash32([root; 32]),
        }
    }

    /// What an endpoint says that these nodes signed of a state.
    fn said(nodes: &[u8], root: u8) -> StateSignatures {
        let message = claim(root).to_bytes();
        let signature = |number: &u8| NodeSignature {
            node: [*number; 20],
            signature: BlsKey::of(*number).sign(&message),
        };
        StateSignatures {
            height: HEIGHT,
            state_root: Hash32([root; 32]),
            network_id: 12_345,
            source_chain: Hash32([5; 32]),
            signatures: nodes.iter().map(signature).collect(),
        }
    }

    #[tokio::test]
    async fn endpoints_together_show_a_quorum_and_none_of_them_can_spoil_it() {
        let (one, two) = (fake::start().await, fake::start().await);
        let mut first = said(&[1, 2], 1);
        // A garbage signature under the name of a validator whose own comes from elsewhere.
        first.signatures.push(NodeSignature {
            node: [3; 20],
            signature: [7; 96],
        });
        *one.fake.signatures.lock().unwrap() = Some(first);
        *two.fake.signatures.lock().unwrap() = Some(said(&[3, 4], 1));
        let clients = [one.client.clone(), two.client.clone()];
        let found = quorum(&clients, &set(5), &claim(1), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!((found.signers, found.signed, found.total), (4, 40, 50));
    }

    #[tokio::test]
    async fn a_forged_state_is_signed_by_nobody() {
        let lying = fake::start().await;
        *lying.fake.signatures.lock().unwrap() = Some(said(&[1, 2, 3, 4, 5], 1));
        let refused = quorum(from_ref(&lying.client), &set(5), &claim(2), Duration::ZERO).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind, refused.code.as_str()),
            (ExitKind::NotVerified, "no_quorum")
        );
    }

    #[tokio::test]
    async fn a_subnet_without_validators_is_said_at_once() {
        let one = fake::start().await;
        let refused = quorum(from_ref(&one.client), &set(0), &claim(1), Duration::ZERO).await;
        let refused = refused.unwrap_err();
        assert!(
            refused.message.contains("no validators"),
            "{}",
            refused.message
        );
    }
}
