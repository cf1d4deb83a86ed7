//! A validator's backup: one archive (tar) of what no other validator can give back, and never the vote log.
//!
//! An old vote log makes a validator sign twice, so that none is ever copied: whoever restores gets a new one, whose first
//! record says that the one before is lost. Its validator votes only above a view that the others confirm (rule 14 of
//! docs/spec/consensus.md). Blocks, state and blobs come from the others.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use consensus::log::{Identity, Log};
use keys::folder::{sync_above, unfinished};
use keys::keyfile::{self, KeyKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use types::genesis::{Genesis, GenesisError};
use types::hash::ChainId;
use types::key::PublicKey;
use types::number::Epoch;

use crate::config::Layout;
use crate::init::{self, InitError};

/// First entry of the archive: what follows, with checksums.
const MANIFEST: &str = "backup.json";
/// The format of the archive.
const FORMAT: u32 = 1;
/// Most bytes of one file.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Maximum number of files.
const MAX_FILES: usize = 1_024;
/// Files of the directory that a backup holds, where they are there.
const FILES: [&str; 3] = ["genesis.bin", "node.toml", "quarantine"];
/// Key files that a backup holds, where they are there. Not what a signer signed, which may lie beside its key: an old one makes it
/// sign twice, as an old vote log does.
const KEYS: [&str; 3] = ["keys/validator.key", "keys/node.key", "keys/vrf.key"];
/// The folder all of whose files a backup holds.
const EVIDENCE: &str = "evidence";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// The format of the archive.
    pub format: u32,
    /// The chain of the validator.
    pub chain: ChainId,
    /// SHA-256 of each file, in hexadecimal, by its path in the directory.
    pub files: BTreeMap<String, String>,
}

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The directory is no validator's.
    #[error("{0} holds no keys and genesis of a validator")]
    NoValidator(PathBuf),
    /// What is to be written is there already.
    #[error("{0} exists: nothing that exists is overwritten")]
    Exists(PathBuf),
    /// The archive is not one that a backup makes.
    #[error("{path} is no backup of a validator: {why}")]
    Refused {
        /// Path of the archive.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The genesis breaks a rule or does not decode.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The directory cannot be completed.
    #[error(transparent)]
    Init(#[from] InitError),
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + '_ {
    |source| BackupError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// Writes the backup of a validator's directory to a file of mode 0600; the validator may run meanwhile. The file appears
/// whole and synced under its name.
pub fn backup(directory: &Path, to: &Path) -> Result<BackupManifest, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let files = contents(directory)?;
    let Some(genesis) = files.get("genesis.bin") else {
        return Err(BackupError::NoValidator(directory.to_owned()));
    };
    let genesis = Genesis::from_bytes(genesis)?;
    if own_key(directory, &genesis)?.is_none() {
        return Err(BackupError::NoValidator(directory.to_owned()));
    }
    let sums = files.iter().map(|(name, bytes)| (name.clone(), sum(bytes)));
    let manifest = BackupManifest {
        format: FORMAT,
        chain: genesis.chain_id(),
        files: sums.collect(),
    };
    let fresh = unfinished(to);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(io(&fresh))?;
    write_archive(file, &manifest, &files)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&fresh, to))
        .and_then(|()| sync_above(to))
        .map_err(io(to))?;
    Ok(manifest)
}

fn sum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Everything that belongs into a backup, by its path in the directory.
fn contents(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, BackupError> {
    let mut names: Vec<String> = FILES.iter().chain(&KEYS).map(ToString::to_string).collect();
    let path = directory.join(EVIDENCE);
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries.map_err(io(&path))?),
    };
    for entry in entries.into_iter().flatten() {
        let name = entry.map_err(io(&path))?.file_name();
        names.push(format!("{EVIDENCE}/{}", name.to_string_lossy()));
    }
    let mut files = BTreeMap::new();
    for name in names {
        let path = directory.join(&name);
        match std::fs::read(&path) {
            Ok(bytes) => drop(files.insert(name, bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io(&path)(error)),
        }
    }
    Ok(files)
}

fn write_archive(
    file: File,
    manifest: &BackupManifest,
    files: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<File> {
    let mut archive = Builder::new(file);
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        archive.append_data(&mut header, name, bytes)
    };
    add(MANIFEST, &serde_json::to_vec_pretty(manifest)?)?;
    for (name, bytes) in files {
        add(name, bytes)?;
    }
    archive.into_inner()
}

/// Makes a validator's directory from a backup, with a new vote log: the validator votes only above a view that the others
/// confirm. The directory must be empty or not there. Nothing is written before the whole archive was checked.
pub fn restore(from: &Path, directory: &Path) -> Result<BackupManifest, BackupError> {
    let occupied = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    if occupied {
        return Err(BackupError::Exists(directory.to_owned()));
    }
    let (manifest, files) = read_archive(from)?;
    let refused = |why: String| BackupError::Refused {
        path: from.to_owned(),
        why,
    };
    let genesis = files.get("genesis.bin");
    let genesis = genesis.ok_or_else(|| refused("it holds no genesis.bin".to_owned()))?;
    let genesis = Genesis::from_bytes(genesis)?;
    if genesis.chain_id() != manifest.chain {
        return Err(refused("its genesis is another chain's".to_owned()));
    }
    let make = |folder: &Path| {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(io(folder))
    };
    make(directory)?;
    let folders = ["keys", EVIDENCE].map(|folder| directory.join(folder));
    for folder in &folders {
        make(folder)?;
    }
    for (name, bytes) in &files {
        let path = directory.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        file.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(io(&path))?;
    }
    for path in &folders {
        let synced = File::open(path).and_then(|folder| folder.sync_all());
        synced.map_err(io(path))?;
    }
    let Some(validator) = own_key(directory, &genesis)? else {
        return Err(refused(
            "its keys are of no validator of its genesis".to_owned(),
        ));
    };
    let identity = Identity {
        chain: manifest.chain,
        validator,
        epoch: Epoch::FIRST,
    };
    init::make_log(directory, |files| Log::init_lost(files, identity))?;
    Ok(manifest)
}

/// The validator of a genesis whose VRF key is in the directory, if there is one. Its own key may be with a signer; where it is not, it is the
/// one of the genesis.
fn own_key(directory: &Path, genesis: &Genesis) -> Result<Option<PublicKey>, BackupError> {
    let layout = Layout::new(directory);
    if !layout.vrf_key().exists() {
        return Err(BackupError::NoValidator(directory.to_owned()));
    }
    let vrf = keyfile::read_vrf_public(&layout.vrf_key()).map_err(InitError::Key)?;
    let mut members = genesis.validators.iter();
    let Some(member) = members.find(|member| member.vrf_key == vrf) else {
        return Ok(None);
    };
    let key = layout.validator_key();
    if key.exists() {
        let key = keyfile::read_public(&key, KeyKind::Validator).map_err(InitError::Key)?;
        return Ok((key == member.key).then_some(key));
    }
    Ok(Some(member.key))
}

type ArchiveContents = (BackupManifest, BTreeMap<String, Vec<u8>>);

/// Reads an archive whole; refuses what no backup holds, above all a vote log.
fn read_archive(from: &Path) -> Result<ArchiveContents, BackupError> {
    let refused = |why: String| BackupError::Refused {
        path: from.to_owned(),
        why,
    };
    let unread = |error: std::io::Error| refused(format!("no tar archive ({error})"));
    let mut archive = Archive::new(File::open(from).map_err(io(from))?);
    let mut files = BTreeMap::new();
    let mut manifest = None;
    for entry in archive.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        let name = entry.path().map_err(unread)?;
        let name = name.to_string_lossy().into_owned();
        if name == "log" || name.starts_with("log/") {
            return Err(refused(
                "it holds a vote log, and whoever starts from an old one signs twice".to_owned(),
            ));
        }
        let is_file = entry.header().entry_type() == EntryType::Regular;
        if !is_file || entry.size() > MAX_FILE_BYTES || files.len() == MAX_FILES {
            return Err(refused(format!("{name:?} does not belong there")));
        }
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(MAX_FILE_BYTES);
        { read }.read_to_end(&mut bytes).map_err(unread)?;
        if manifest.is_none() {
            manifest = Some(read_manifest(&name, &bytes).map_err(refused)?);
        } else if is_expected(&name) {
            files.insert(name, bytes);
        } else {
            return Err(refused(format!("{name:?} does not belong there")));
        }
    }
    let manifest = manifest.ok_or_else(|| refused("it is empty".to_owned()))?;
    let sums = files.iter().map(|(name, bytes)| (name.clone(), sum(bytes)));
    if sums.collect::<BTreeMap<_, _>>() != manifest.files {
        return Err(refused(
            "its files are not those of its backup.json".to_owned(),
        ));
    }
    Ok((manifest, files))
}

fn read_manifest(name: &str, bytes: &[u8]) -> Result<BackupManifest, String> {
    if name != MANIFEST {
        return Err(format!("it begins with {name:?} in place of {MANIFEST}"));
    }
    let manifest: BackupManifest =
        serde_json::from_slice(bytes).map_err(|error| format!("{MANIFEST}: {error}"))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        other => Err(format!(
            "it has format {other}, this program knows {FORMAT}"
        )),
    }
}

/// True for the paths that a backup may hold: nothing outside of the directory, nothing deeper.
fn is_expected(name: &str) -> bool {
    let is_plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('/');
    FILES.contains(&name)
        || KEYS.contains(&name)
        || name
            .split_once('/')
            .is_some_and(|(folder, file)| folder == EVIDENCE && is_plain(file))
}
