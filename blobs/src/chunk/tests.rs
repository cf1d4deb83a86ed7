//! Chunks: every place of every shape of tree, wrong lengths, and every way to be wrong.

use proptest::prelude::*;
use types::testing::fuzz::{AnswerMark, fuzz};

use super::*;

const CHUNK: usize = 256 << 10;

fn bytes(length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new()
        .update(&length.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

/// Lengths around every border of the first trees.
const LENGTHS: [usize; 12] = [
    0,
    1,
    1_023,
    1_024,
    1_025,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK,
    2 * CHUNK + 5_000,
    3 * CHUNK,
    5 * CHUNK + 77,
];

#[test]
fn every_chunk_of_every_tree_verifies_and_has_the_length_that_its_id_says() {
    for length in LENGTHS {
        let blob = bytes(length);
        let (tree, id) = (Encoder::of(&blob), BlobId::of(&blob));
        assert_eq!(tree.id(), id, "the tree's root is the plain hash");
        let mut whole = Vec::new();
        for n in 0..chunk_count(id) {
            let encoded = tree.encode(blob.as_slice(), n).unwrap();
            assert_eq!(
                u64::try_from(encoded.len()).unwrap(),
                encoded_length(id, n).unwrap(),
                "{length} {n}"
            );
            assert!(encoded.len() <= MAX_ENCODED_CHUNK_BYTES);
            whole.extend(verify_chunk(id, n, &encoded).unwrap());
        }
        assert_eq!(whole, blob);
    }
}

#[test]
fn the_largest_blob_has_the_largest_encoding() {
    let largest = BlobId {
        hash: Hash32::ZERO,
        length: MAX_BLOB_BYTES,
    };
    assert_eq!(
        encoded_length(largest, 0),
        Some(u64::try_from(MAX_ENCODED_CHUNK_BYTES).unwrap())
    );
    assert_eq!(chunk_count(largest), 4_096);
    let larger = BlobId {
        length: MAX_BLOB_BYTES + 1,
        ..largest
    };
    assert_eq!(
        verify_chunk(larger, 0, &[]),
        Err(ChunkError::TooLarge {
            length: larger.length
        })
    );
    assert_eq!(
        chunk_count(BlobId {
            length: u64::MAX,
            ..largest
        }),
        u32::MAX
    );
}

#[test]
fn a_chunk_that_does_not_exist_is_refused() {
    let blob = bytes(CHUNK + 1);
    let tree = Encoder::of(&blob);
    let encoded = tree.encode(blob.as_slice(), 1).unwrap();
    let missing = ChunkError::NoSuchChunk { n: 2, count: 2 };
    assert_eq!(verify_chunk(tree.id(), 2, &encoded), Err(missing.clone()));
    assert_eq!(tree.encode(blob.as_slice(), 2), Err(missing));
    assert_eq!(encoded_length(tree.id(), 2), None);
}

#[test]
fn any_flipped_bit_is_found() {
    let blob = bytes(2 * CHUNK + 3);
    let (tree, id) = (Encoder::of(&blob), BlobId::of(&blob));
    for n in 0..3 {
        let encoded = tree.encode(blob.as_slice(), n).unwrap();
        let step = (encoded.len() / 300).max(1);
        for at in (0..encoded.len()).step_by(step) {
            let mut wrong = encoded.clone();
            wrong[at] ^= 1 << (at % 8);
            assert_eq!(
                verify_chunk(id, n, &wrong),
                Err(ChunkError::WrongHash { n, hash: id.hash }),
                "{n} {at}"
            );
        }
        let mut longer = encoded.clone();
        longer.push(0);
        assert!(matches!(
            verify_chunk(id, n, &longer),
            Err(ChunkError::WrongLength { .. })
        ));
        assert!(matches!(
            verify_chunk(id, n, &encoded[..encoded.len() - 1]),
            Err(ChunkError::WrongLength { .. })
        ));
        assert!(matches!(
            verify_chunk(id, n, &[]),
            Err(ChunkError::WrongLength { .. })
        ));
    }
    let first = tree.encode(blob.as_slice(), 0).unwrap();
    assert_eq!(
        verify_chunk(id, 1, &first),
        Err(ChunkError::WrongHash {
            n: 1,
            hash: id.hash
        }),
        "another place"
    );
}

/// Why a blob is named by its length too, and why all chunks and the whole are checked: proofs of chunks other than
/// the last hold under lengths that are wrong.
#[test]
fn only_the_last_chunk_shows_the_length() {
    let blob = bytes(2 * CHUNK + 5_000);
    let (tree, id) = (Encoder::of(&blob), BlobId::of(&blob));
    let first = tree.encode(blob.as_slice(), 0).unwrap();
    let last = tree.encode(blob.as_slice(), 2).unwrap();
    let mut held = 0;
    let wrong = (1..=700_000u64).step_by(997).chain([
        id.length - 1,
        id.length + 1,
        3 * 262_144,
        2 * 262_144 + 1,
    ]);
    for length in wrong.filter(|length| *length != id.length) {
        let wrong = BlobId { length, ..id };
        held += u32::from(verify_chunk(wrong, 0, &first).is_ok());
        for n in 0..chunk_count(wrong) {
            let is_last = n + 1 == chunk_count(wrong);
            assert!(
                !is_last || verify_chunk(wrong, n, &last).is_err(),
                "length {length}"
            );
        }
    }
    assert!(
        held > 10,
        "the first chunk's proof holds under {held} wrong lengths"
    );
}

#[test]
fn an_assembler_gives_the_blob_or_nothing() {
    let blob = bytes(2 * CHUNK + 9);
    let (tree, id) = (Encoder::of(&blob), BlobId::of(&blob));
    let mut assembler = Assembler::new(id).unwrap();
    while let Some(n) = assembler.wanted() {
        let encoded = tree.encode(blob.as_slice(), n).unwrap();
        assert!(assembler.push(&encoded[1..]).is_err());
        assembler.push(&encoded).unwrap();
    }
    assert!(assembler.push(&[]).is_err());
    assert_eq!(assembler.finish().unwrap(), blob);

    let mut cut = Assembler::new(id).unwrap();
    cut.push(&tree.encode(blob.as_slice(), 0).unwrap()).unwrap();
    assert_eq!(
        cut.finish(),
        Err(ChunkError::WrongWhole {
            hash: id.hash,
            length: id.length
        })
    );
    assert!(
        Assembler::new(BlobId {
            length: u64::MAX,
            ..id
        })
        .is_err()
    );
}

#[test]
fn an_encoder_notices_that_its_bytes_changed() {
    let blob = bytes(CHUNK + 100);
    let tree = Encoder::of(&blob);
    let mut changed = blob.clone();
    changed[CHUNK + 50] ^= 1;
    assert!(tree.encode(changed.as_slice(), 0).is_ok());
    assert!(matches!(
        tree.encode(changed.as_slice(), 1),
        Err(ChunkError::WrongHash { n: 1, .. })
    ));
    assert!(
        matches!(
            tree.encode(&blob[..CHUNK], 1),
            Err(ChunkError::WrongHash { n: 1, .. })
        ),
        "cut short"
    );
    assert!(Encoder::from_pairs(tree.id(), vec![0; 63]).is_none());
    let wrong = Encoder::from_pairs(tree.id(), vec![0; 64]).unwrap();
    assert!(matches!(
        wrong.encode(blob.as_slice(), 0),
        Err(ChunkError::WrongHash { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_of_any_length_are_judged_without_panic(
        hash in any::<[u8; 32]>(),
        length in prop_oneof![0..3_000_000u64, any::<u64>()],
        n in prop_oneof![0..16u32, any::<u32>()],
        encoded in proptest::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let id = BlobId { hash: Hash32(hash), length };
        prop_assert!(verify_chunk(id, n, &encoded).is_err());
    }

    /// Bytes of the only length that a chunk's encoding can have are what the decoder sees.
    #[test]
    fn any_bytes_are_judged_without_panic(
        hash in any::<[u8; 32]>(),
        length in prop_oneof![0..3_000u64, 0..3_000_000u64, Just(MAX_BLOB_BYTES)],
        pick in any::<u32>(),
        pattern in proptest::collection::vec(any::<u8>(), 1..2_000),
    ) {
        let id = BlobId { hash: Hash32(hash), length };
        let n = pick % chunk_count(id);
        let wanted = usize::try_from(encoded_length(id, n).unwrap()).unwrap();
        let encoded: Vec<u8> = pattern.iter().copied().cycle().take(wanted).collect();
        let judged = verify_chunk(id, n, &encoded);
        prop_assert!(matches!(judged, Err(ChunkError::WrongHash { .. })), "{judged:?}");
    }

    /// A true encoding of which some bytes are others gets furthest: up to the place that was changed.
    #[test]
    fn a_changed_encoding_is_judged_without_panic(
        length in prop_oneof![1..3_000usize, 1..3_000_000usize],
        pick in any::<u32>(),
        at in any::<prop::sample::Index>(),
        other in 1..=255u8,
    ) {
        let blob = bytes(length);
        let tree = Encoder::of(&blob);
        let n = pick % chunk_count(tree.id());
        let mut encoded = tree.encode(blob.as_slice(), n).unwrap();
        prop_assert!(verify_chunk(tree.id(), n, &encoded).is_ok());
        let at = at.index(encoded.len());
        encoded[at] ^= other;
        let judged = verify_chunk(tree.id(), n, &encoded);
        prop_assert!(matches!(judged, Err(ChunkError::WrongHash { .. })), "{judged:?}");
    }

    #[test]
    fn the_length_of_an_encoding_is_known_beforehand(length in 0..3_000_000usize, pick in any::<u32>()) {
        let blob = vec![7; length];
        let tree = Encoder::of(&blob);
        let n = pick % chunk_count(tree.id());
        let encoded = tree.encode(blob.as_slice(), n).unwrap();
        prop_assert_eq!(Some(u64::try_from(encoded.len()).unwrap()), encoded_length(tree.id(), n));
    }
}

#[test]
fn fuzz_chunks() {
    for (length, n) in [(1_025, 0), (CHUNK + 1, 0), (2 * CHUNK + 5_000, 2)] {
        let data = bytes(length);
        let encoder = Encoder::of(&data);
        let id = encoder.id();
        let seed = encoder.encode(&data[..], n).unwrap();
        fuzz(
            &format!("chunk {n} of {length}"),
            vec![seed.clone()],
            |input| {
                let answer = verify_chunk(id, n, input);
                assert_eq!(answer.is_ok(), input == seed, "another encoding is taken");
                AnswerMark::of(&answer)
            },
        );
    }
}
