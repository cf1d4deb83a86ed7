//! What a backup holds, and what is taken for one.

use std::fs;
use std::path::Path;

use consensus::log::{FileStorage, Log, Record};
use keys::passphrase::Passphrases;
use node::backup::{BackupError, backup, restore};
use node::config::{Config, Layout};
use node::init;
use tempfile::TempDir;
use types::codec::Text;
use types::committee::Validator;
use types::genesis::Genesis;
use types::number::{Epoch, Stake, Timestamp};
use types::params::Params;

/// A validator's directory in a folder of its own.
fn validator() -> (TempDir, Genesis) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("validator");
    let keys = init::keys(&dir, &Passphrases::none()).unwrap();
    let own = Validator {
        key: keys.validator,
        vrf_key: keys.vrf,
        node_key: keys.node,
        stake: Stake(1),
    };
    let genesis = Genesis {
        name: Text::new("backup").unwrap(),
        time: Timestamp(1),
        params: Params::devnet(),
        accounts: Vec::new(),
        validators: vec![own],
        partners: Vec::new(),
    };
    init::init(&dir, &genesis, &Config::default(), &Passphrases::none()).unwrap();
    fs::write(
        dir.join("node.toml"),
        "# of the operator\n[p2p]\nlisten = []\n[rpc]\n",
    )
    .unwrap();
    fs::create_dir_all(dir.join("evidence")).unwrap();
    fs::write(dir.join("evidence").join("0"), b"proof").unwrap();
    (folder, genesis)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_restored_validator_has_its_files_and_a_log_that_says_that_it_is_lost() {
    let (folder, genesis) = validator();
    let (dir, archive) = (folder.path().join("validator"), folder.path().join("a.tar"));
    let written = backup(&dir, &archive).unwrap();
    assert!(written.files.keys().all(|name| !name.starts_with("log")));
    let again = backup(&dir, &archive).unwrap_err();
    assert!(matches!(again, BackupError::Exists(_)), "{again}");

    let anew = folder.path().join("anew");
    assert_eq!(restore(&archive, &anew).unwrap(), written);
    assert_eq!(
        names(&anew),
        ["evidence", "genesis.bin", "keys", "log", "node.toml"]
    );
    for file in [
        "node.toml",
        "keys/validator.key",
        "keys/vrf.key",
        "evidence/0",
    ] {
        assert_eq!(
            fs::read(anew.join(file)).unwrap(),
            fs::read(dir.join(file)).unwrap(),
            "{file}"
        );
    }
    let identity = consensus::log::Identity {
        chain: genesis.chain_id(),
        validator: genesis.validators[0].key,
        epoch: Epoch::FIRST,
    };
    let files = FileStorage::new(&Layout::new(&anew).log()).unwrap();
    let (_, records) = Log::open(files, identity).unwrap();
    assert_eq!(records, [Record::Lost]);
    let occupied = restore(&archive, &anew).unwrap_err();
    assert!(matches!(occupied, BackupError::Exists(_)), "{occupied}");
}

/// An archive with an entry more.
fn with_entry(archive: &Path, name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut old = tar::Archive::new(fs::File::open(archive).unwrap());
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let path = entry.path().unwrap().into_owned();
        builder.append_data(&mut header, path, &mut entry).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    // Written as it is: the library would refuse to.
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn what_is_no_backup_is_refused_and_nothing_is_written() {
    let (folder, _) = validator();
    let (dir, archive) = (folder.path().join("validator"), folder.path().join("a.tar"));
    backup(&dir, &archive).unwrap();
    let good = fs::read(&archive).unwrap();
    let mut changed = good.clone();
    let at = good
        .windows(11)
        .position(|part| part == b"of the oper")
        .unwrap();
    changed[at] ^= 1;
    let cases: [(&str, Vec<u8>); 9] = [
        ("vote log", with_entry(&archive, "log/0")),
        ("does not belong", with_entry(&archive, "../outside")),
        (
            "does not belong",
            with_entry(&archive, "keys/../../outside"),
        ),
        ("does not belong", with_entry(&archive, "/etc/outside")),
        (
            "does not belong",
            with_entry(&archive, "keys/validator.key.signed"),
        ),
        (
            "not those of its backup.json",
            with_entry(&archive, "evidence/more"),
        ),
        ("not those of its backup.json", changed),
        ("is no backup", good[..good.len() / 2].to_vec()),
        ("is no backup", b"nothing of the kind".repeat(100)),
    ];
    for (why, bytes) in cases {
        let path = folder.path().join("b.tar");
        fs::write(&path, bytes).unwrap();
        let anew = folder.path().join("anew");
        let refused = restore(&path, &anew).unwrap_err();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
        assert!(!anew.exists() && !folder.path().join("outside").exists());
    }
}

#[test]
fn what_a_signer_signed_is_in_no_backup() {
    let (folder, _) = validator();
    let (dir, archive) = (folder.path().join("validator"), folder.path().join("a.tar"));
    fs::write(dir.join("keys/validator.key.signed"), b"past").unwrap();
    let written = backup(&dir, &archive).unwrap();
    let keys = ["keys/node.key", "keys/validator.key", "keys/vrf.key"];
    let held = written
        .files
        .keys()
        .filter(|name| name.starts_with("keys/"));
    assert_eq!(held.collect::<Vec<_>>(), keys);
}

#[test]
fn a_validator_whose_key_is_with_a_signer_is_backed_up_without_it() {
    let (folder, _) = validator();
    let (dir, archive) = (folder.path().join("validator"), folder.path().join("a.tar"));
    let away = folder.path().join("validator.key");
    fs::rename(dir.join("keys/validator.key"), &away).unwrap();
    let written = backup(&dir, &archive).unwrap();
    assert!(!written.files.contains_key("keys/validator.key"));
    let anew = folder.path().join("anew");
    assert_eq!(restore(&archive, &anew).unwrap(), written);
    assert_eq!(names(&anew.join("keys")), ["node.key", "vrf.key"]);

    fs::remove_file(dir.join("keys/vrf.key")).unwrap();
    let refused = backup(&dir, &folder.path().join("b.tar")).unwrap_err();
    assert!(matches!(refused, BackupError::NoValidator(_)), "{refused}");
}
