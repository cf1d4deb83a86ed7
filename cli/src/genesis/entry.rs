//! `gridproof genesis entry`: what one owner asks for, made and signed on its own machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use executor::class::KNOWN;
use keys::folder;
use keys::keyfile::{self, KeyKind};
use node::config::Layout;
use serde_json::{Value, json};
use types::codec::Text;
use types::committee::Validator;
use types::genesis::{EntryKeys, EntryOffice, Genesis, GenesisEntry};
use types::job::{Name, PartnerProfile};
use types::key::PublicKey;
use types::number::{Amount, Stake};

use super::bad;
use super::file::EntryFile;
use crate::failure::CommandFailure;
use crate::partner::attribute;
use crate::ui::Ui;

/// Whose entry it is.
#[derive(Debug, Subcommand)]
pub enum EntryCommand {
    /// That of a validator; its keys are made if they are not there.
    #[command(after_help = "Example:
  gridproof genesis entry validator --dir ~/validator --network grid --owner zurich --stake 10 --balance 1000 \\
      --address /ip4/192.0.2.7/tcp/26600 --out zurich.toml")]
    Validator {
        #[command(flatten)]
        common: CommonArgs,
        /// Voting stake that it asks for.
        #[arg(long)]
        stake: u64,
        /// Where the other validators find it.
        #[arg(long, value_name = "MULTIADDR")]
        address: String,
    },
    /// That of a grid partner; its keys are made if they are not there.
    #[command(after_help = "Example:
  gridproof genesis entry partner --dir ~/partner --network grid --owner sion --bond 10000 --balance 100 \\
      --ask 0.000001 --places 2 --attribute location=sion --out sion.toml")]
    Partner {
        #[command(flatten)]
        common: CommonArgs,
        /// Bond that it asks for, in SQUARE.
        #[arg(long)]
        bond: Amount,
        /// Minimum price per million units of fuel, in SQUARE.
        #[arg(long)]
        ask: Amount,
        /// Jobs to run as primary at the same time.
        #[arg(long, default_value_t = 2)]
        places: u16,
        /// An attribute that jobs may ask for, such as location=basel; may be given several times.
        #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String)>,
    },
}

/// What every entry says.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The directory whose keys sign.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Name of the network, as `genesis new` was given it.
    #[arg(long, value_name = "NAME")]
    network: String,
    /// What the owner is called.
    #[arg(long)]
    owner: String,
    /// What the account is to hold at the start, in SQUARE.
    #[arg(long)]
    balance: Amount,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes an entry.
pub fn run(command: EntryCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        EntryCommand::Validator {
            common,
            stake,
            address,
        } => validator(&common, Stake(stake), &address, ui),
        EntryCommand::Partner {
            common,
            bond,
            ask,
            places,
            attributes,
        } => {
            let offer = (ask, places, attributes);
            partner(&common, bond, offer, ui)
        }
    }
}

fn short<const MAX: usize>(name: &str, text: &str) -> Result<Text<MAX>, CommandFailure> {
    if text.is_empty() {
        return Err(bad(format!("{name} is empty")));
    }
    Text::new(text).map_err(|error| bad(format!("{name}: {error}")))
}

fn validator(
    common: &CommonArgs,
    stake: Stake,
    address: &str,
    ui: Ui,
) -> Result<(), CommandFailure> {
    if !address.starts_with('/') {
        let message = format!("--address: {address:?} is no multiaddress");
        return Err(bad(message).hint("give one such as /ip4/192.0.2.7/tcp/26600"));
    }
    let passphrases = ui.passphrases();
    let public = node::init::keys(&common.dir, &passphrases)
        .map_err(|error| crate::node::init_failure(&error))?;
    let layout = Layout::new(&common.dir);
    let signers = [
        keyfile::read_secret(&layout.validator_key(), KeyKind::Validator, &passphrases)?,
        keyfile::read_secret(&layout.node_key(), KeyKind::Node, &passphrases)?,
    ];
    let vrf = keyfile::read_vrf(&layout.vrf_key(), &passphrases)?;
    let office = EntryOffice::Validator {
        address: short("--address", address)?,
        member: Validator {
            key: public.validator,
            vrf_key: public.vrf,
            node_key: public.node,
            stake,
        },
    };
    let keys = EntryKeys {
        signers: &signers,
        vrf: &vrf,
    };
    write(common, office, keys, ui)
}

fn partner(
    common: &CommonArgs,
    bond: Amount,
    (ask, places, attributes): (Amount, u16, Vec<(String, String)>),
    ui: Ui,
) -> Result<(), CommandFailure> {
    let folder = common.dir.join("keys");
    for path in [&common.dir, &folder] {
        folder::create(path).map_err(|error| CommandFailure::of_folder(&error))?;
    }
    let (account, vrf) = (folder.join("account.key"), folder.join("vrf.key"));
    let passphrases = ui.passphrases();
    if !account.exists() {
        keyfile::create_new(&account, KeyKind::Account, &passphrases)?;
    }
    if !vrf.exists() {
        keyfile::create_new(&vrf, KeyKind::Vrf, &passphrases)?;
    }
    let signers = [keyfile::read_secret(
        &account,
        KeyKind::Account,
        &passphrases,
    )?];
    let vrf = keyfile::read_vrf(&vrf, &passphrases)?;
    let attributes = attributes
        .iter()
        .map(|(name, value)| Ok((short("--attribute", name)?, short("--attribute", value)?)))
        .collect::<Result<BTreeMap<Name, Name>, CommandFailure>>()?;
    let office = EntryOffice::Partner {
        account: signers[0].public(),
        bond,
        profile: PartnerProfile {
            name: short("--owner", &common.owner)?,
            classes: KNOWN.iter().copied().collect(),
            vrf_key: vrf.public(),
            ask,
            places,
            attributes,
        },
    };
    let keys = EntryKeys {
        signers: &signers,
        vrf: &vrf,
    };
    write(common, office, keys, ui)
}

fn write(
    common: &CommonArgs,
    office: EntryOffice,
    keys: EntryKeys<'_>,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let entry = GenesisEntry {
        network: short("--network", &common.network)?,
        owner: short("--owner", &common.owner)?,
        balance: common.balance,
        office,
    };
    let account = entry.account();
    let signed = entry.sign(keys);
    signed.verify().map_err(|error| bad(error.to_string()))?;
    EntryFile(signed).create(&common.out)?;
    let out = common.out.display();
    let text = format!(
        "{out} holds the signed entry of account {account} and no secret: send it to who composes the genesis\n\
         keep {} to yourself, with a copy of its keys",
        common.dir.display()
    );
    ui.result(&json!({ "entry": common.out, "account": account }), &text);
    Ok(())
}

/// The validator's key of a directory, if it has one.
pub fn own_validator_key(dir: &Path) -> Result<Option<PublicKey>, CommandFailure> {
    let path = Layout::new(dir).validator_key();
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(keyfile::read_public(&path, KeyKind::Validator)?))
}

/// What a genesis says of the keys of a directory, which must be in it with all of them.
pub fn own(dir: &Path, genesis: &Genesis) -> Result<(Value, String), CommandFailure> {
    let missing = |what: &str| {
        let message = format!("the genesis does not have the {what} of {}", dir.display());
        bad(message)
            .hint("the entry was left out, or is of other keys: do not start with this genesis")
    };
    if let Some(key) = own_validator_key(dir)? {
        let layout = Layout::new(dir);
        let member = genesis.validators.iter().find(|member| member.key == key);
        let member = member.ok_or_else(|| missing("validator key"))?;
        let node = keyfile::read_public(&layout.node_key(), KeyKind::Node)?;
        let vrf = keyfile::read_vrf_public(&layout.vrf_key())?;
        if (member.node_key, member.vrf_key) != (node, vrf) {
            return Err(missing("node or VRF key"));
        }
        let words = format!("validator {} with a stake of {}", member.id(), member.stake);
        let object = json!({ "validator": member.id(), "stake": member.stake });
        return Ok((object, words));
    }
    let account = keyfile::read_public(&dir.join("keys/account.key"), KeyKind::Account)?.address();
    let found = genesis
        .partners
        .iter()
        .find(|found| found.address == account);
    let found = found.ok_or_else(|| missing("account key"))?;
    if found.profile.vrf_key != keyfile::read_vrf_public(&dir.join("keys/vrf.key"))? {
        return Err(missing("VRF key"));
    }
    let words = format!("partner {account} with a bond of {} SQUARE", found.bond);
    Ok((json!({ "partner": account, "bond": found.bond }), words))
}
