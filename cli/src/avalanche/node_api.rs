//! AvalancheGo's own JSON-RPC interfaces, as far as `doctor` asks them. Answers are bounded and believed.

use std::time::Duration;

use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

/// How long a node has for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read: the health of a node with many chains is some hundred kilobytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Why a node's answer is none.
#[derive(Debug, thiserror::Error)]
pub enum NodeApiError {
    /// The text is no URL of a node.
    #[error("{0:?} is not the URL of a node")]
    Url(String),
    /// No HTTP exchange.
    #[error("{url} does not answer: {source}")]
    Http {
        /// What was asked.
        url: Url,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// More than an answer may have.
    #[error("{url} answers with more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge {
        /// What was asked.
        url: Url,
    },
    /// The answer is no JSON.
    #[error("{url} answers with something else than JSON")]
    NoJson {
        /// What was asked.
        url: Url,
    },
    /// The node refuses the call.
    #[error("{method} is refused: {message}")]
    Refused {
        /// The call.
        method: String,
        /// What the node says.
        message: String,
    },
}

/// A node's interfaces below one URL.
#[derive(Debug, Clone)]
pub struct NodeApi {
    base: Url,
    http: Client,
}

impl NodeApi {
    /// The interfaces of the node at such as `http://127.0.0.1:9650`. Does not connect yet.
    pub fn new(url: &str) -> Result<Self, NodeApiError> {
        let bad = || NodeApiError::Url(url.to_owned());
        let base: Url = url.parse().map_err(|_| bad())?;
        if !matches!(base.scheme(), "http" | "https") || base.path() != "/" {
            return Err(bad());
        }
        let http = Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|_| bad())?;
        Ok(Self { base, http })
    }

    /// URL of the chain's own interface, as partners and customers use it.
    pub fn chain_url(&self, chain: &str) -> String {
        format!("{}ext/bc/{chain}", self.base)
    }

    /// Calls `service.method` at `/ext/PATH`, and gives the result.
    pub async fn call(
        &self,
        path: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value, NodeApiError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": arguments });
        let mut answer = self.ask(Method::POST, path, Some(body)).await?;
        if let Some(message) = answer.pointer("/error/message").and_then(Value::as_str) {
            let (method, message) = (method.to_owned(), message.to_owned());
            return Err(NodeApiError::Refused { method, message });
        }
        Ok(answer["result"].take())
    }

    /// The node's health, which answers with an error status and the same shape when it is bad.
    pub async fn health(&self) -> Result<Value, NodeApiError> {
        self.ask(Method::GET, "health", None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, NodeApiError> {
        let mut url = self.base.clone();
        url.set_path(&format!("ext/{path}"));
        let failed = |source| NodeApiError::Http {
            url: url.clone(),
            source,
        };
        let mut request = self.http.request(method, url.clone());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let mut all = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if all.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(NodeApiError::TooLarge { url });
            }
            all.extend_from_slice(&part);
        }
        serde_json::from_slice(&all).map_err(|_| NodeApiError::NoJson { url })
    }
}
