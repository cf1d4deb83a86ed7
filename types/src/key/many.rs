//! Verifying signatures of many accounts together, with the keys that were seen before at hand.
//!
//! The verdict on each signature is that of [`PublicKey::check_strong`] and [`PublicKey::verify`], under ZIP-215, up to
//! 2^-128. What is saved: the points of known keys are not decompressed again, a key with several signatures counts
//! once in a batch, and a batch that fails is halved until the forged ones are alone.
//!
//! The equation of a batch, with unpredictable 128-bit `z`: `8 (sum z s B - sum z R - sum z k A) = 0`.

use std::collections::BTreeMap;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use sha2::{Digest as _, Sha512};

use super::{KeyError, PublicKey, Signed};
use crate::hash::Hash32;

/// Points of strong keys, the latest used ones. A key that is in use stays; one that is not goes when as many others were
/// used since.
#[derive(Debug, Clone)]
pub struct KeyCache {
    half: usize,
    young: BTreeMap<PublicKey, EdwardsPoint>,
    old: BTreeMap<PublicKey, EdwardsPoint>,
}

impl KeyCache {
    /// An empty one that holds at most `keys` keys, each in about 250 bytes.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self {
            half: (keys / 2).max(1),
            young: BTreeMap::new(),
            old: BTreeMap::new(),
        }
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// True if it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// The point of a key, if the key is a strong one.
    fn point(&mut self, key: &PublicKey) -> Option<EdwardsPoint> {
        if let Some(point) = self.young.get(key) {
            return Some(*point);
        }
        let point = if let Some(point) = self.old.remove(key) {
            point
        } else {
            key.strong_point().ok()?
        };
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(*key, point);
        Some(point)
    }
}

/// A signature whose parts are well formed.
struct PreparedItem {
    position: usize,
    key: PublicKey,
    a: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
    z: Scalar,
}

/// Verifies each of `items`, whose keys must be strong ones. `secret` must be unpredictable to whoever made the items;
/// the coefficients come from it and the items, so the call is a function of its arguments.
pub fn verify_each(
    items: &[Signed],
    keys: &mut KeyCache,
    secret: &Hash32,
) -> Vec<Result<(), KeyError>> {
    let mut seed = blake3::Hasher::new_keyed(&secret.0);
    for item in items {
        seed.update(&item.key.0)
            .update(&item.message.0)
            .update(&item.signature.0);
    }
    let mut coefficients = seed.finalize_xof();
    let mut verdicts = vec![Ok(()); items.len()];
    let mut prepared = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        let mut z = [0; 16];
        coefficients.fill(&mut z);
        let z = Scalar::from(u128::from_le_bytes(z));
        match prepare(position, item, z, keys) {
            Ok(ready) => prepared.push(ready),
            Err(error) => verdicts[position] = Err(error),
        }
    }
    judge(&prepared, &mut verdicts);
    verdicts
}

fn prepare(
    position: usize,
    item: &Signed,
    z: Scalar,
    keys: &mut KeyCache,
) -> Result<PreparedItem, KeyError> {
    let a = keys.point(&item.key).ok_or(KeyError::WeakPublicKey)?;
    let (mut r_bytes, mut s_bytes) = ([0; 32], [0; 32]);
    r_bytes.copy_from_slice(&item.signature.0[..32]);
    s_bytes.copy_from_slice(&item.signature.0[32..]);
    let r = CompressedEdwardsY(r_bytes)
        .decompress()
        .ok_or(KeyError::BadSignature)?;
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes))
        .ok_or(KeyError::BadSignature)?;
    let hash = Sha512::new()
        .chain_update(r_bytes)
        .chain_update(item.key.0)
        .chain_update(item.message.0)
        .finalize();
    let mut wide = [0; 64];
    wide.copy_from_slice(&hash);
    Ok(PreparedItem {
        position,
        key: item.key,
        a,
        r,
        s,
        k: Scalar::from_bytes_mod_order_wide(&wide),
        z,
    })
}

/// Marks those that do not verify.
fn judge(items: &[PreparedItem], verdicts: &mut [Result<(), KeyError>]) {
    match items {
        [] => {}
        [one] => {
            let minus_a = -one.a;
            let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&one.k, &minus_a, &one.s);
            if !(one.r - r).mul_by_cofactor().is_identity() {
                verdicts[one.position] = Err(KeyError::BadSignature);
            }
        }
        many if holds(many) => {}
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            judge(left, verdicts);
            judge(right, verdicts);
        }
    }
}

/// The equation of a batch.
fn holds(items: &[PreparedItem]) -> bool {
    let mut base = Scalar::ZERO;
    let mut keys: BTreeMap<PublicKey, (EdwardsPoint, Scalar)> = BTreeMap::new();
    for item in items {
        base -= item.z * item.s;
        let (_, sum) = keys.entry(item.key).or_insert((item.a, Scalar::ZERO));
        *sum += item.z * item.k;
    }
    let scalars = items.iter().map(|item| item.z);
    let points = items.iter().map(|item| item.r);
    let check = EdwardsPoint::vartime_multiscalar_mul(
        scalars
            .chain(keys.values().map(|(_, sum)| *sum))
            .chain([base]),
        points
            .chain(keys.values().map(|(point, _)| *point))
            .chain([ED25519_BASEPOINT_POINT]),
    );
    check.mul_by_cofactor().is_identity()
}

#[cfg(test)]
mod tests {
    use super::super::{SecretKey, Signature};
    use super::*;

    const SECRET: Hash32 = Hash32([7; 32]);

    fn signed(number: u16) -> Signed {
        let mut seed = [0; 32];
        // Some keys sign more than once.
        seed[0] = u8::try_from(number % 40).unwrap();
        let key = SecretKey::from_bytes(&seed);
        let mut message = [0; 32];
        message[..2].copy_from_slice(&number.to_le_bytes());
        let message = Hash32(message);
        Signed {
            key: key.public(),
            message,
            signature: key.sign(&message),
        }
    }

    fn alone(item: &Signed) -> Result<(), KeyError> {
        item.key.check_strong()?;
        item.key.verify(&item.message, &item.signature)
    }

    /// Points of small order, in encodings that ZIP-215 takes: 1, -1 and 0 as `y`, the last two also not reduced.
    fn small_orders() -> Vec<[u8; 32]> {
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        let mut one_not_reduced = [0xff; 32];
        (one_not_reduced[0], one_not_reduced[31]) = (0xee, 0x7f);
        vec![one, minus_one, [0; 32], one_not_reduced]
    }

    #[test]
    fn every_verdict_is_that_of_one_alone() {
        let mut items: Vec<_> = (0..150).map(signed).collect();
        for at in [0, 7, 8, 77, 149] {
            items[at].signature.0[40] ^= 1;
        }
        items[20].message.0[9] ^= 1;
        items[21].signature.0[3] ^= 1;
        items[22].signature.0[63] = 0xff;
        items[23].key = items[24].key;
        for (at, point) in small_orders().into_iter().enumerate() {
            items[30 + at].key = PublicKey(point);
            // R of small order and s = 0: valid under a weak key, and nowhere else.
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&point);
            items[30 + at].signature = Signature(signature);
            items[40 + at].signature.0[..32].copy_from_slice(&point);
        }
        let expected: Vec<_> = items.iter().map(alone).collect();
        assert!(expected.iter().filter(|verdict| verdict.is_ok()).count() > 100);
        for cache in [1, 16, 1_000] {
            let mut keys = KeyCache::new(cache);
            for _ in 0..2 {
                assert_eq!(verify_each(&items, &mut keys, &SECRET), expected);
                assert!(keys.len() <= cache.max(2), "{} keys of {cache}", keys.len());
            }
        }
        let mut keys = KeyCache::new(16);
        for (item, expected) in items.iter().zip(&expected) {
            assert_eq!(verify_each(&[*item], &mut keys, &SECRET), [*expected]);
        }
        assert!(verify_each(&[], &mut keys, &SECRET).is_empty());
    }

    #[test]
    fn a_key_in_use_stays_while_others_come_and_go() {
        let (mut keys, used) = (KeyCache::new(8), signed(0).key);
        for number in 0..40 {
            assert!(keys.point(&used).is_some());
            assert!(keys.point(&signed(number).key).is_some());
            assert!(keys.young.contains_key(&used) || keys.old.contains_key(&used));
        }
    }
}
