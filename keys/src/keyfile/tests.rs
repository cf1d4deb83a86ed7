//! Key files, plain and encrypted.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::passphrase::PassphraseSource;

#[test]
fn keys_come_back_and_wide_modes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("account.key");
    let key = create(&path, KeyKind::Account).unwrap();
    assert_eq!(
        read_secret(&path, KeyKind::Account, &Passphrases::none())
            .unwrap()
            .public(),
        key.public()
    );
    assert!(
        matches!(
            create(&path, KeyKind::Account),
            Err(KeyFileError::Io { .. })
        ),
        "never overwritten"
    );
    assert!(matches!(
        read_secret(&path, KeyKind::Node, &Passphrases::none()),
        Err(KeyFileError::Kind { .. })
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        read_secret(&path, KeyKind::Account, &Passphrases::none()),
        Err(KeyFileError::TooOpen { mode: 0o640, .. })
    ));
}

#[test]
fn a_damaged_file_is_named_without_showing_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vrf.key");
    create_vrf(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = text
        .split("secret = \"")
        .nth(1)
        .unwrap()
        .trim_end_matches("\"\n")
        .to_owned();
    std::fs::write(&path, text.replace("secret = ", "secret : ")).unwrap();
    let error = read_vrf(&path, &Passphrases::none())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("vrf.key") && !error.contains(&secret),
        "{error}"
    );
    let other = text.replace(&secret, &hex::encode([1; 32]));
    std::fs::write(&path, other).unwrap();
    assert!(matches!(
        read_vrf(&path, &Passphrases::none()),
        Err(KeyFileError::OtherPublicKey { .. })
    ));
    std::fs::write(&path, text.replace(&secret, "12")).unwrap();
    assert!(matches!(
        read_vrf(&path, &Passphrases::none()),
        Err(KeyFileError::BadSecret { .. })
    ));
}

#[test]
fn fuzz_key_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("validator.key");
    create(&path, KeyKind::Validator).unwrap();
    let seed = std::fs::read(&path).unwrap();
    types::testing::fuzz::fuzz("key file", vec![seed], |input| {
        std::fs::write(&path, input).unwrap();
        types::testing::fuzz::AnswerMark::of(&read_secret(
            &path,
            KeyKind::Validator,
            &Passphrases::none(),
        ))
    });
}

fn passphrases(folder: &Path, text: &str) -> Passphrases {
    let path = folder.join("passphrase");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Passphrases::new(Some(path.to_str().unwrap().parse().unwrap()), None)
}

#[test]
fn an_encrypted_file_gives_its_key_for_the_passphrase_and_its_public_half_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let known = passphrases(folder.path(), "horse");
    for kind in KeyKind::ALL {
        let path = folder.path().join(format!("{}.key", kind.name()));
        let key = KeyMaterial::generate(kind).unwrap();
        key.create(&path, Some(known.choosing().unwrap())).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(&key.secret[..])), "{text}");
        assert!(!format!("{key:?}").contains(&hex::encode(&key.secret[..])));
        let facts = look(&path).unwrap();
        assert_eq!((facts.kind, facts.public.as_str()), (kind, key.public()));
        assert!(facts.encrypted);
        let read = read_any(&path, &known).unwrap();
        assert_eq!(*read.secret, *key.secret);
        assert!(matches!(
            read_any(&path, &Passphrases::none()),
            Err(KeyFileError::Passphrase { .. })
        ));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let other = passphrases(folder.path(), "donkey");
    assert!(matches!(
        read_vrf(&folder.path().join("vrf.key"), &other),
        Err(KeyFileError::Sealed {
            source: SealError::Passphrase,
            ..
        })
    ));
}

#[test]
fn a_file_is_replaced_by_its_own_key_alone_and_what_a_kill_left_does_not_hinder() {
    let folder = tempfile::tempdir().unwrap();
    let known = passphrases(folder.path(), "horse");
    let path = folder.path().join("a.key");
    create(&path, KeyKind::Account).unwrap();
    let key = read_any(&path, &known).unwrap();
    std::fs::write(folder.path().join("a.key.new"), "half a k").unwrap();
    key.replace(&path, Some(known.choosing().unwrap())).unwrap();
    assert!(look(&path).unwrap().encrypted);
    let stranger = KeyMaterial::generate(KeyKind::Account).unwrap();
    assert!(matches!(
        stranger.replace(&path, None),
        Err(KeyFileError::OtherPublicKey { .. })
    ));
    assert!(matches!(
        stranger.create(&path, None),
        Err(KeyFileError::Io { .. })
    ));
    assert_eq!(*read_any(&path, &known).unwrap().secret, *key.secret);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 2, "the key and the passphrase");
}

/// A file of the first day, whose secret another program in another language found, too.
#[test]
fn an_encrypted_file_of_before_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let known = passphrases(folder.path(), "correct horse");
    let path = folder.path().join("node.key");
    let text = r#"kind = "node"
public = "4adb487698dcb339f7f3695eef7c8259a3c68b84497ad86defed46b452df56c2"

[encrypted]
scheme = "scrypt-xchacha20poly1305"
log_n = 17
salt = "7cfc59aee2833fab34b134ad4e0488a2"
nonce = "84c27c39f446b78d8ba213d6ca82a3c5ba88b769954d4ed0"
secret = "e3e318ea27c9c3f72422c62411e533a0183cbc6fdedb3138263a7d3e91d7f922c877bf0bdee90922f36b7d38e5dd422b"
checksum = "379d8b908e553fef"
"#;
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let key = read_secret(&path, KeyKind::Node, &known).unwrap();
    let expected = "504bf2a07f84a24057ee340987f548d07767057c30d2aafe45abe893e8879f57";
    assert_eq!(hex::encode(&key.to_bytes()[..]), expected);
}

#[test]
fn a_file_with_both_secrets_or_none_is_no_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let known = passphrases(folder.path(), "horse");
    let (plain, sealed) = (folder.path().join("p.key"), folder.path().join("s.key"));
    let key = KeyMaterial::generate(KeyKind::Node).unwrap();
    key.create(&plain, None).unwrap();
    key.create(&sealed, Some(known.choosing().unwrap()))
        .unwrap();
    let [plain, sealed] = [plain, sealed].map(|path| std::fs::read_to_string(path).unwrap());
    let table = sealed.find("\n[encrypted]").unwrap();
    let none = &sealed[..table];
    for text in [format!("{plain}{}", &sealed[table..]), none.to_owned()] {
        let path = folder.path().join("bad.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(look(&path), Err(KeyFileError::NotKeyFile { .. })));
    }
}

#[test]
fn a_new_key_is_encrypted_where_a_passphrase_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let given = Passphrases::new(Some(PassphraseSource::File(file)), None);
    for (kind, name) in [(KeyKind::Node, "node.key"), (KeyKind::Vrf, "vrf.key")] {
        let path = directory.path().join(name);
        create_new(&path, kind, &given).unwrap();
        assert!(look(&path).unwrap().encrypted, "{name}");
        assert!(
            create_new(&path, kind, &given).is_err(),
            "never overwritten"
        );
    }
    let plain = directory.path().join("plain.key");
    create_new(&plain, KeyKind::Account, &Passphrases::none()).unwrap();
    assert!(!look(&plain).unwrap().encrypted);
}
