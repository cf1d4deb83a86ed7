//! Folders of results: one task or several, and everything that may lie in them by mistake.

use std::path::PathBuf;

use light::{FileRef, JobFiles, Stream};
use types::codec::{Bounded, Text};
use types::job::Output;
use types::number::TaskIndex;

use super::*;
use crate::trust::{Trust, newer};

fn workload(tasks: u32, outputs: &[&str]) -> Workload {
    let output = |name: &&str| Output {
        name: Text::new(*name).unwrap(),
        path: Text::new(format!("/out/{name}")).unwrap(),
    };
    Workload {
        outputs: Bounded::new(outputs.iter().map(output).collect()).unwrap(),
        ..types::testing::workload(b"module", tasks)
    }
}

fn file(task: u32, stream: Stream) -> FileRef {
    FileRef {
        task: TaskIndex(task),
        stream,
    }
}

fn put(root: &Path, path: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "bytes").unwrap();
}

#[test]
fn a_single_task_lies_flat_and_several_have_folders() {
    let root = Path::new("out");
    let (single, several) = (workload(1, &["hist"]), workload(2, &["hist"]));
    let path = |workload: &Workload, file| Folder::new(root, workload).path(file);
    assert_eq!(
        path(&single, file(0, Stream::Output(0))),
        Some(PathBuf::from("out/hist"))
    );
    assert_eq!(
        path(&single, file(0, Stream::Stderr)),
        Some(PathBuf::from("out/stderr"))
    );
    assert_eq!(
        path(&several, file(1, Stream::Output(0))),
        Some(PathBuf::from("out/1/hist"))
    );
    assert_eq!(
        path(&several, file(1, Stream::Output(1))),
        None,
        "no such output"
    );
}

#[test]
fn outputs_named_like_the_receipt_do_not_replace_it() {
    let workload = workload(1, &["receipt.json"]);
    let folder = Folder::new(Path::new("out"), &workload);
    assert_eq!(
        folder.path(file(0, Stream::Output(0))),
        Some(PathBuf::from("out/0/receipt.json"))
    );
}

#[test]
fn names_that_lead_out_of_the_folder_are_not_followed() {
    for name in ["..", "../x", "a/b", ""] {
        let workload = workload(1, &[name]);
        assert_eq!(
            Folder::new(Path::new("out"), &workload).path(file(0, Stream::Output(0))),
            None,
            "{name:?}"
        );
    }
}

#[test]
fn files_are_listed_and_strangers_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let workload = workload(2, &["hist"]);
    for path in [
        "receipt.json",
        "outcomes.bin",
        "workload.bin",
        "0/stdout",
        "0/hist",
        "1/stderr",
    ] {
        put(root, path);
    }
    let folder = Folder::new(root, &workload);
    let listed: Vec<_> = folder.list().unwrap().into_iter().collect();
    assert_eq!(
        listed,
        [
            file(0, Stream::Stdout),
            file(0, Stream::Output(0)),
            file(1, Stream::Stderr)
        ]
    );
    assert_eq!(folder.stranger().unwrap(), None);
    for stranger in ["2/stdout", "1/notes.txt", "extra", "01/stdout"] {
        put(root, stranger);
        let found = folder.stranger().unwrap().expect(stranger);
        assert!(
            root.join(stranger).starts_with(&found),
            "{stranger}: {}",
            found.display()
        );
        if found.is_dir() {
            std::fs::remove_dir_all(found).unwrap();
        } else {
            std::fs::remove_file(found).unwrap();
        }
    }
}

#[test]
fn a_missing_file_is_an_input_error_and_a_bad_one_is_not_verified() {
    let dir = tempfile::tempdir().unwrap();
    let receipt = dir.path().join("receipt.json");
    let genesis = dir.path().join("genesis.bin");
    assert_eq!(
        Trust::of_file(&genesis).unwrap_err().kind,
        ExitKind::BadInput,
        "no genesis"
    );
    std::fs::write(&genesis, b"no genesis").unwrap();
    assert_eq!(
        Trust::of_file(&genesis).unwrap_err().kind,
        ExitKind::BadInput,
        "not a genesis"
    );
    let light = light_of_one_validator();
    let verify = || folder(&light, &receipt, dir.path()).unwrap_err().kind;
    assert_eq!(verify(), ExitKind::BadInput, "no receipt");
    std::fs::write(&receipt, "{}").unwrap();
    std::fs::write(dir.path().join(OUTCOMES), b"").unwrap();
    std::fs::write(dir.path().join(WORKLOAD), b"?").unwrap();
    assert_eq!(verify(), ExitKind::NotVerified, "no workload");
    std::fs::write(
        dir.path().join(WORKLOAD),
        types::codec::encode(&workload(1, &[])),
    )
    .unwrap();
    assert_eq!(verify(), ExitKind::NotVerified, "no document");
}

#[test]
fn a_newer_version_is_told_from_a_wrong_receipt_whatever_else_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("receipt.json");
    let proof = hex::encode(types::codec::encode(&newer::receipt_proof()));
    std::fs::write(&path, format!(r#"{{"proof":"{proof}"}}"#)).unwrap();
    let light = newer::light();
    newer::assert_too_old(receipt(&light, &path));
    let of_folder = |bytes: &[u8]| {
        std::fs::write(dir.path().join(OUTCOMES), b"").unwrap();
        std::fs::write(dir.path().join(WORKLOAD), bytes).unwrap();
        folder(&light, &path, dir.path())
    };
    newer::assert_too_old(of_folder(b"?"));
    newer::assert_too_old(of_folder(&types::codec::encode(&workload(1, &[]))));
    // Of a chain that this validator does not decide for nothing is told about versions.
    let stranger = receipt(&light_of_one_validator(), &path).unwrap_err();
    assert_eq!(stranger.kind, ExitKind::NotVerified, "{stranger}");
}

fn light_of_one_validator() -> Light {
    let key = types::key::SecretKey::from_bytes(&[1; 32]);
    let vrf_key = types::key::VrfSecretKey::from_bytes(&[5; 32])
        .unwrap()
        .public();
    let validator = types::committee::Validator {
        key: key.public(),
        vrf_key,
        node_key: types::key::SecretKey::from_bytes(&[2; 32]).public(),
        stake: types::number::Stake(1),
    };
    Light::new(&types::genesis::Genesis {
        name: Text::new("verify").unwrap(),
        time: types::number::Timestamp(1),
        params: types::params::Params::devnet(),
        accounts: Vec::new(),
        validators: vec![validator],
        partners: Vec::new(),
    })
    .unwrap()
}
