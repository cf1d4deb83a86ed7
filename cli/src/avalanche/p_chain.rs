//! A subnet's validators, as a node's P-chain gives them. The node is believed: whoever asks has chosen it.

use serde_json::{Value, json};
use warp::{
    AvalancheId, AvalancheNodeId, PUBLIC_KEY_BYTES, ValidatorsError, WarpValidators, WeighedNode,
};

use super::node_api::{NodeApi, NodeApiError};

/// The validators of a chain's subnet now.
#[derive(Debug, Clone)]
pub struct SubnetValidators {
    /// Number of the network.
    pub network: u32,
    /// Id of the subnet.
    pub subnet: AvalancheId,
    /// Height of the P-chain at which it is true.
    pub height: u64,
    /// The validators.
    pub validators: WarpValidators,
}

/// Why a P-chain gives no validators.
#[derive(Debug, thiserror::Error)]
pub enum PChainError {
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] NodeApiError),
    /// An answer lacks something, or it is of another form.
    #[error("the answer to {method} has no valid {field}")]
    Field {
        /// The call.
        method: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// The validators are none.
    #[error(transparent)]
    Validators(#[from] ValidatorsError),
}

/// Asks for the validators of the subnet that runs a chain, at the newest height of the P-chain: old validators may have
/// sold their stake since.
pub async fn validators_of(
    api: &NodeApi,
    chain: AvalancheId,
) -> Result<SubnetValidators, PChainError> {
    let method = "info.getNetworkID";
    let answer = api.call("info", method, json!({})).await?;
    let network = number(&answer["networkID"]).and_then(|network| u32::try_from(network).ok());
    let field = "networkID";
    let network = network.ok_or(PChainError::Field { method, field })?;

    let method = "platform.validatedBy";
    let question = json!({ "blockchainID": chain.to_string() });
    let answer = api.call("bc/P", method, question).await?;
    let subnet = answer["subnetID"].as_str().and_then(AvalancheId::parse);
    let field = "subnetID";
    let subnet = subnet.ok_or(PChainError::Field { method, field })?;

    let method = "platform.getHeight";
    let answer = api.call("bc/P", method, json!({})).await?;
    let field = "height";
    let height = number(&answer[field]).ok_or(PChainError::Field { method, field })?;

    let question = json!({ "height": height.to_string(), "subnetID": subnet.to_string() });
    let answer = api
        .call("bc/P", "platform.getValidatorsAt", question)
        .await?;
    Ok(SubnetValidators {
        network,
        subnet,
        height,
        validators: WarpValidators::new(&nodes(&answer)?)?,
    })
}

/// Numbers of this interface are texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn nodes(answer: &Value) -> Result<Vec<WeighedNode>, PChainError> {
    let method = "platform.getValidatorsAt";
    let lacks = |field| PChainError::Field { method, field };
    let all = answer.as_object().ok_or(lacks("validators"))?;
    let node = |(id, shown): (&String, &Value)| {
        let key = match &shown["publicKey"] {
            Value::Null => None,
            key => Some(key.as_str().and_then(key_of).ok_or(lacks("publicKey"))?),
        };
        Ok(WeighedNode {
            node: AvalancheNodeId::parse(id).ok_or(lacks("node"))?,
            weight: number(&shown["weight"]).ok_or(lacks("weight"))?,
            key,
        })
    };
    all.iter().map(node).collect()
}

fn key_of(text: &str) -> Option<[u8; PUBLIC_KEY_BYTES]> {
    let mut key = [0; PUBLIC_KEY_BYTES];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use warp::testing::BlsKey;

    use super::*;

    #[test]
    fn validators_are_read_as_the_p_chain_writes_them() {
        let (id, key) = (AvalancheNodeId([7; 20]), BlsKey::of(1).public());
        let digits = hex::encode(key);
        let entry = |shown: Value| {
            let mut all = serde_json::Map::new();
            all.insert(id.to_string(), shown);
            nodes(&Value::Object(all))
        };
        let good = json!({ "publicKey": format!("0x{digits}"), "weight": "49463" });
        let found = entry(good).unwrap();
        assert_eq!((found[0].node, found[0].weight), (id, 49_463));
        assert_eq!(found[0].key, Some(key));
        let keyless = entry(json!({ "publicKey": null, "weight": 5 })).unwrap();
        assert_eq!((keyless[0].key, keyless[0].weight), (None, 5));
        for bad in [
            json!({ "publicKey": digits, "weight": "1" }),
            json!({ "publicKey": format!("0x{}", &digits[2..]), "weight": "1" }),
            json!({ "publicKey": format!("0x{}", "+1".repeat(48)), "weight": "1" }),
            json!({ "publicKey": format!("0x{digits}"), "weight": "-1" }),
            json!({ "publicKey": format!("0x{digits}") }),
            json!({ "publicKey": format!("0x{}", "é".repeat(48)), "weight": "1" }),
        ] {
            entry(bad.clone()).expect_err(&bad.to_string());
        }
        nodes(&json!([])).unwrap_err();
        nodes(&json!({ "NodeID-x": { "weight": "1" } })).unwrap_err();
    }
}
