//! Entries of several owners: what makes a genesis, and what nobody can do to another's entry.

use super::*;
use crate::number::{SQUARE, Stake};
use crate::spec::{CLASS_WASM_V2, Name};
use crate::testing::numbered::{key, vrf_key};

fn name(text: &str) -> Text<MAX_NAME_BYTES> {
    Text::new(text).unwrap()
}

/// The entry of validator `n`, whose keys are those of the numbers `n` and `n + 100`.
fn validator(n: u8) -> SignedEntry {
    let member = Validator {
        key: key(n).public(),
        vrf_key: vrf_key(n).public(),
        node_key: key(n + 100).public(),
        stake: Stake(u64::from(n)),
    };
    let entry = GenesisEntry {
        network: name("several"),
        owner: name(&format!("owner-{n}")),
        balance: SQUARE,
        office: EntryOffice::Validator {
            member,
            address: Text::new("/ip4/127.0.0.1/tcp/26600").unwrap(),
        },
    };
    entry.sign(EntryKeys {
        signers: &[key(n), key(n + 100)],
        vrf: &vrf_key(n),
    })
}

fn partner(n: u8) -> SignedEntry {
    let profile = PartnerProfile {
        name: Name::new("partner").unwrap(),
        classes: [CLASS_WASM_V2].into(),
        vrf_key: vrf_key(n).public(),
        ask: SQUARE,
        places: 2,
        attributes: std::collections::BTreeMap::new(),
    };
    let entry = GenesisEntry {
        network: name("several"),
        owner: name("partner"),
        balance: SQUARE,
        office: EntryOffice::Partner {
            account: key(n).public(),
            bond: Amount(1_000 * SQUARE.0),
            profile,
        },
    };
    entry.sign(EntryKeys {
        signers: &[key(n)],
        vrf: &vrf_key(n),
    })
}

fn made(entries: &[SignedEntry]) -> Result<Genesis, EntryError> {
    let (time, params) = (Timestamp(7), Params::devnet());
    Genesis::of_entries(name("several"), time, params, Vec::new(), entries)
}

#[test]
fn entries_make_the_same_genesis_in_any_order() {
    let entries = [validator(1), partner(9), validator(2)];
    let genesis = made(&entries).unwrap();
    assert_eq!((genesis.validators.len(), genesis.partners.len()), (2, 1));
    assert_eq!(genesis.accounts.len(), 3);
    let [first, second, third] = entries;
    assert_eq!(made(&[third, first, second]).unwrap(), genesis);
}

#[test]
fn an_entry_that_was_changed_or_lacks_a_key_is_refused() {
    let not_signed = |signed: SignedEntry| {
        assert!(
            matches!(signed.verify(), Err(EntryError::NotSigned { .. })),
            "{signed:?}"
        );
    };
    let mut changed = validator(1);
    changed.entry.balance = Amount(2 * SQUARE.0);
    not_signed(changed);
    let signed_with = |signers: &[SecretKey], vrf: u8| {
        let vrf = &vrf_key(vrf);
        validator(1).entry.sign(EntryKeys { signers, vrf })
    };
    not_signed(signed_with(&[key(1)], 1));
    not_signed(signed_with(&[key(1), key(1)], 1));
    not_signed(signed_with(&[key(1), key(101), key(101)], 1));
    not_signed(signed_with(&[key(1), key(101)], 2));
    signed_with(&[key(1), key(101)], 1).verify().unwrap();
}

#[test]
fn an_entry_counts_once_and_for_its_own_network() {
    let twice = made(&[validator(1), validator(1)]).unwrap_err();
    assert!(matches!(twice, EntryError::KeyTwice { .. }), "{twice}");
    let (time, params) = (Timestamp(7), Params::devnet());
    let other = Genesis::of_entries(name("other"), time, params, Vec::new(), &[validator(1)]);
    assert!(matches!(other, Err(EntryError::OtherNetwork { .. })));
    let empty = made(&[partner(1)]).unwrap_err();
    assert!(matches!(empty, EntryError::Genesis(_)), "{empty}");
}
