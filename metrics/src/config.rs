//! Where a process shows its metrics.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where a process shows its metrics: a listener of its own, on loopback unless the operator says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where Prometheus reads `/metrics`; none, written as an empty text, shows none.
    #[serde(with = "address")]
    pub listen: Option<SocketAddr>,
    /// Host names under which it may be addressed from elsewhere.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
}

impl MetricsConfig {
    /// On loopback at a port; port 0 takes a free one.
    #[must_use]
    pub fn on_loopback(port: u16) -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            allowed_hosts: Vec::new(),
        }
    }
}

/// An address as a text, none as an empty one.
mod address {
    use std::net::SocketAddr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = address.map(|address| address.to_string());
        serializer.serialize_str(&text.unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let address = text.parse().map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is no address such as 127.0.0.1:26660, nor empty"
            ))
        });
        address.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_address_means_none_and_another_text_is_refused() {
        let on = MetricsConfig::on_loopback(26_660);
        let off = MetricsConfig {
            listen: None,
            ..on.clone()
        };
        for (config, text) in [(on, "127.0.0.1:26660"), (off, "")] {
            let written = toml::to_string(&config).unwrap();
            assert!(written.contains(&format!("listen = {text:?}")), "{written}");
            assert_eq!(toml::from_str::<MetricsConfig>(&written).unwrap(), config);
        }
        let refused = toml::from_str::<MetricsConfig>("listen = \"nowhere\"").unwrap_err();
        assert!(refused.message().contains("nowhere"), "{refused}");
    }
}
