//! The section `[keys]`: how a node comes by its keys.

use keys::passphrase::PassphraseSource;
use keys::signer::client::SignerAddress;
use serde::{Deserialize, Serialize};

/// How a node comes by its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Where the passphrase of encrypted key files is read from. Relative paths start at the node's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PassphraseSource>,
    /// Where the signer listens that holds the validator's key; `None` means `keys/validator.key`. Relative paths start at the
    /// node's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerAddress>,
}
