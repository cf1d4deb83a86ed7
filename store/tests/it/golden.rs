//! The layout on disk is frozen: a change of it is another format.

use gridproof_store::layout::{
    FAMILIES, FORMAT, Head, Undo, height_key, height_of_key, job_key, job_of_key, old_key,
};
use state::tree;
use state::{KeptHeights, Tip, tree_changes};
use types::codec::encode;
use types::hash::{Address, BlockId, Domain, Hash32, JobId};
use types::number::Height;

use crate::fixture::{genesis_writes, key};

#[test]
fn keys_and_records_stay_as_they_are() {
    assert_eq!(FORMAT, 5);
    let families = "meta flat old undo nodes blocks heights receipts certificates proposers transactions jobs wanted";
    assert_eq!(FAMILIES.join(" "), families);
    assert_eq!(height_key(Height(258)), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(height_of_key(&height_key(Height(258))), Some(Height(258)));
    assert_eq!(height_of_key(&[1]), None);
    assert_eq!(old_key(&key(1).hash(), Height(258))[..32], key(1).hash().0);
    assert_eq!(
        old_key(&key(1).hash(), Height(258))[32..],
        height_key(Height(258))
    );
    let (customer, job) = (Address([5; 20]), JobId(Hash32([6; 32])));
    let row = job_key(&customer, Height(258), &job);
    assert_eq!(
        row,
        [&[5; 20][..], &[0, 0, 0, 0, 0, 0, 1, 2], &[6; 32]].concat()
    );
    assert_eq!(job_of_key(&customer, &row), Some((Height(258), job)));
    assert_eq!(job_of_key(&Address([4; 20]), &row), None);
    assert_eq!(job_of_key(&customer, &row[..59]), None);
    assert_eq!(key(1).to_bytes(), [&[0][..], &[1; 20]].concat());
    let tip = Tip {
        block: BlockId(Hash32([0xb1; 32])),
        height: Height(2),
        root: Hash32([0xc2; 32]),
    };
    let head = encode(&Head {
        tip,
        kept: KeptHeights {
            state: Height(1),
            blocks: Height(3),
            transactions: Height(4),
        },
    });
    assert_eq!(
        head,
        [
            &[0xb1; 32][..],
            &2u64.to_le_bytes(),
            &[0xc2; 32],
            &1u64.to_le_bytes(),
            &3u64.to_le_bytes(),
            &4u64.to_le_bytes(),
        ]
        .concat()
    );
    let tree = tree::update(&(), None, Height::ZERO, &tree_changes(&genesis_writes())).unwrap();
    let undo = Undo {
        previous: tip,
        keys: vec![key(1)],
        new: tree.new.into_keys().collect(),
        stale: Vec::new(),
    };
    assert_eq!(
        Hash32::of(Domain::LOG_RECORD, &undo).to_string(),
        "21f94460ee181640cb4cd7748a54d36b2b6423ede43c8b3a2c3b11888c309f91"
    );
}
