//! The files from which a genesis is composed: a network's and an owner's, both TOML.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use types::codec::Text;
use types::genesis::{EntryError, EntryOffice, Genesis, GenesisAccount, SignedEntry};
use types::key::PublicKey;
use types::limits::MAX_NAME_BYTES;
use types::number::Timestamp;
use types::params::Params;

use super::bad;
use crate::failure::{CommandFailure, ExitKind};

/// Longest file that is read, in bytes: a genesis at its limit takes less as TOML.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// What stands above a network's file.
const HEAD: &str = "# The file of a network, made by `gridproof genesis new`. Parameters may be edited until the first entry is in; entries are
# added with `gridproof genesis add` and signed, so that none can be changed. All owners check the same file.

";
/// What stands above an owner's entry.
const ENTRY_HEAD: &str = "# An entry of a genesis, signed by every key in it. It holds no secret: send it to who composes the genesis.

";

/// What a network agrees on before its first block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// Name of the network.
    pub name: Text<MAX_NAME_BYTES>,
    /// Timestamp of height 0, in milliseconds since the Unix epoch.
    pub time: Timestamp,
    /// Accounts with money beside those of the owners.
    #[serde(default)]
    pub accounts: Vec<GenesisAccount>,
    /// Rules that the network chose.
    pub params: Params,
    /// What the owners asked for.
    #[serde(default)]
    pub entries: Vec<SignedEntry>,
}

/// The file that one owner sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryFile(pub SignedEntry);

impl EntryFile {
    /// Reads an entry; whether it is signed is for [`NetworkFile::add`] to see.
    pub fn read(path: &Path) -> Result<Self, CommandFailure> {
        read_toml(path, "entry")
    }

    /// Writes an entry to a file that does not exist.
    pub fn create(&self, path: &Path) -> Result<(), CommandFailure> {
        create(path, (ENTRY_HEAD.to_owned() + &toml_text(self)?).as_bytes())
    }
}

impl NetworkFile {
    /// Reads a network's file.
    pub fn read(path: &Path) -> Result<Self, CommandFailure> {
        read_toml(path, "file of a network")
    }

    /// Writes a file that does not exist.
    pub fn create(&self, path: &Path) -> Result<(), CommandFailure> {
        create(path, self.text()?.as_bytes())
    }

    /// Writes the file in place of the one that is there, which stays whole until then.
    pub fn replace(&self, path: &Path) -> Result<(), CommandFailure> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let fresh = Path::new(&name);
        // What an interrupted command left.
        let _ = std::fs::remove_file(fresh);
        self.create(fresh)?;
        std::fs::rename(fresh, path).map_err(|error| not_written(path, &error))
    }

    fn text(&self) -> Result<String, CommandFailure> {
        Ok(HEAD.to_owned() + &toml_text(self)?)
    }

    /// Adds an entry that is signed, for this network, and of keys that no other entry has.
    pub fn add(&mut self, entry: SignedEntry) -> Result<(), EntryError> {
        let mut entries = self.entries.clone();
        entries.push(entry);
        match self.made_of(&entries) {
            // Only the whole of them must make a genesis: the first partner comes without a validator.
            Ok(_) | Err(EntryError::Genesis(_)) => {}
            Err(error) => return Err(error),
        }
        self.entries = entries;
        Ok(())
    }

    fn made_of(&self, entries: &[SignedEntry]) -> Result<Genesis, EntryError> {
        let (name, params) = (self.name.clone(), self.params.clone());
        Genesis::of_entries(name, self.time, params, self.accounts.clone(), entries)
    }

    /// The genesis that the file makes.
    pub fn genesis(&self) -> Result<Genesis, CommandFailure> {
        self.made_of(&self.entries).map_err(|error| {
            let hint = match &error {
                EntryError::Genesis(_) => {
                    "correct the file before entries are made, or ask the owner for another entry"
                }
                _ => "do not start this network: the file was changed, or an entry is not its owner's",
            };
            bad(error.to_string()).hint(hint)
        })
    }

    /// How the validator with a key meets the others.
    pub fn peer_addresses(&self, own: Option<PublicKey>) -> PeerAddresses {
        let mut found = PeerAddresses::default();
        for signed in &self.entries {
            match &signed.entry.office {
                EntryOffice::Validator { member, address } if Some(member.key) == own => {
                    (found.listen, found.external) = listens(address.as_str());
                }
                EntryOffice::Validator { address, .. } => {
                    found.bootstrap.push(address.to_string());
                }
                EntryOffice::Partner { .. } => {}
            }
        }
        found
    }
}

/// How one validator of a network meets the others, as multiaddresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PeerAddresses {
    /// Where it listens; none for who is no validator of the network.
    pub listen: Option<String>,
    /// Where the others find it, if it listens elsewhere.
    pub external: Option<String>,
    /// Where it finds the others.
    pub bootstrap: Vec<String>,
}

impl PeerAddresses {
    /// The arguments of `gridproof node init`.
    pub fn arguments(&self) -> String {
        let listen = self.listen.iter().map(|one| ("listen", one));
        let external = self.external.iter().map(|one| ("external", one));
        let peers = self.bootstrap.iter().map(|one| ("bootstrap", one));
        let all = listen.chain(external).chain(peers);
        let all = all.map(|(name, address)| format!(" --{name} {address}"));
        all.collect::<Vec<_>>().concat()
    }
}

/// Where a validator listens that the others find at an address, and that address if it is another: its machine need not have the address that
/// the world knows, so that it listens at the port on all that it has. On this machine alone if the address is.
fn listens(address: &str) -> (Option<String>, Option<String>) {
    let parts: Vec<_> = address.split('/').collect();
    let all = match parts[..] {
        ["", "ip4", ip, "tcp", port] if !ip.starts_with("127.") => {
            format!("/ip4/0.0.0.0/tcp/{port}")
        }
        ["", "ip6", ip, "tcp", port] if ip != "::1" => format!("/ip6/::/tcp/{port}"),
        ["", "dns6", _, "tcp", port] => format!("/ip6/::/tcp/{port}"),
        ["", "dns" | "dns4", _, "tcp", port] => format!("/ip4/0.0.0.0/tcp/{port}"),
        _ => return (Some(address.to_owned()), None),
    };
    (Some(all), Some(address.to_owned()))
}

/// Reads a TOML file of some kind; a mistake is told with its line.
pub fn read_toml<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<T, CommandFailure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        bad(format!("cannot read {shown}: {error}")).hint(format!("give a path to the {kind}"))
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(0, |text| text.matches('\n').count() + 1);
        let why = error.message().replace('`', "");
        bad(format!("{shown}:{line}: {why}"))
            .hint(format!("this is no {kind}, or was changed by hand"))
    })
}

fn toml_text<T: Serialize>(value: &T) -> Result<String, CommandFailure> {
    toml::to_string(value).map_err(|error| bad(format!("it has no form as TOML: {error}")))
}

/// Writes a file that does not exist, and syncs it.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), CommandFailure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| not_written(path, &error))
}

fn not_written(path: &Path, error: &std::io::Error) -> CommandFailure {
    let message = format!("cannot write {}: {error}", path.display());
    let hint = if error.kind() == std::io::ErrorKind::AlreadyExists {
        "nothing that exists is overwritten: give another path, or move the file away"
    } else {
        "check the folder's permissions and free space"
    };
    CommandFailure::new(ExitKind::Storage, "genesis", message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_found_from_elsewhere_listens_at_the_port_on_every_address() {
        for (address, listen) in [
            ("/ip4/203.0.113.1/tcp/27701", "/ip4/0.0.0.0/tcp/27701"),
            ("/ip6/2001:db8::1/tcp/27701", "/ip6/::/tcp/27701"),
            ("/dns4/basel.example/tcp/27701", "/ip4/0.0.0.0/tcp/27701"),
        ] {
            let both = (Some(listen.to_owned()), Some(address.to_owned()));
            assert_eq!(listens(address), both);
        }
        let own = "/ip4/127.0.0.1/tcp/27701";
        assert_eq!(listens(own), (Some(own.to_owned()), None));
    }
}
