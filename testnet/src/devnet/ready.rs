//! The progress of a devnet. A status counts only if it is of the devnet's own chain: another network may hold the
//! ports.

use std::time::Duration;

use anyhow::Result;
use rpc::client::Client;
use rpc::model::Status;
use types::hash::ChainId;
use types::number::Height;

use super::Manifest;

/// How long a validator has for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A node of another network answers at the address of a devnet's validator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} answers for the chain {found}, not for this devnet's chain {wanted}")]
pub struct OtherChain {
    /// The RPC address of the devnet's validator.
    pub url: String,
    /// The chain of the node that answered.
    pub found: ChainId,
    /// Chain id that every process must report.
    pub wanted: ChainId,
}

/// The status of the validator at an address; `None` if none answers. Fails with [`OtherChain`] if it is of another
/// chain.
pub async fn status(url: &str, chain: ChainId) -> Result<Option<Status>> {
    let Ok(status) = Client::with_timeout(url, TIMEOUT)?.status().await else {
        return Ok(None);
    };
    if status.chain_id != chain {
        return Err(OtherChain {
            url: url.to_owned(),
            found: status.chain_id,
            wanted: chain,
        }
        .into());
    }
    Ok(Some(status))
}

/// The final heights of a devnet's validators; `None` for one that does not answer.
pub async fn heights(manifest: &Manifest) -> Result<Vec<Option<Height>>> {
    let mut heights = Vec::new();
    for url in &manifest.rpc {
        heights.push(
            status(url, manifest.chain_id)
                .await?
                .map(|status| status.height),
        );
    }
    Ok(heights)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use types::hash::{BlockId, Hash32};
    use types::number::{Amount, ChainTime, Epoch, ProtocolVersion, Timestamp, View};

    use super::*;

    fn status_of(chain_id: ChainId) -> Status {
        Status {
            chain_id,
            network: "other".to_owned(),
            version: "1".to_owned(),
            protocol_version: ProtocolVersion(1),
            next_version: None,
            validator: None,
            committee_size: 4,
            peers: 3,
            height: Height(7),
            block_id: BlockId(Hash32([1; 32])),
            block_time: Timestamp(1),
            state_root: Hash32::ZERO,
            chain_time: ChainTime(1),
            epoch: Epoch(1),
            view: View(9),
            classes: Vec::new(),
            min_fee: Amount(1),
            mempool_transactions: 0,
            mempool_bytes: 0,
            catching_up: false,
            oldest_block: Height::ZERO,
            oldest_transaction: Height::ZERO,
            alarms: Vec::new(),
            stalled: None,
            clock_ahead_ms: None,
            cursor: 0,
        }
    }

    /// Answers one request with a status; gives its URL.
    fn endpoint(status: &Status) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = serde_json::to_string(status).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4_096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            write!(
                stream,
                "{head}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        });
        url
    }

    #[test]
    fn only_the_own_chain_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let [own, other] = [1, 2].map(|byte| ChainId(Hash32([byte; 32])));
        let found = runtime
            .block_on(status(&endpoint(&status_of(own)), own))
            .unwrap();
        assert_eq!(found.unwrap().height, Height(7));

        let (first, second) = (endpoint(&status_of(own)), endpoint(&status_of(other)));
        let manifest = Manifest {
            chain_id: own,
            rpc: vec![first, second.clone()],
            customer_key: "key".into(),
            processes: vec![],
        };
        let error = runtime.block_on(heights(&manifest)).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&OtherChain {
                url: second,
                found: other,
                wanted: own
            })
        );
    }

    #[test]
    fn an_endpoint_that_is_silent_has_no_height() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let nobody = runtime.block_on(status("http://127.0.0.1:9", ChainId(Hash32::ZERO)));
        assert_eq!(nobody.unwrap(), None);
    }
}
