//! Fixed-point arithmetic in 64.64: a fraction is an integer number of 2^-64.
//!
//! The only function that is not exact integer arithmetic is [`exp_neg_up`], which errs upwards only, by at most two
//! units of 2^-64. Products are taken in 256 bits, so nothing here overflows; results beyond 128 bits saturate.

use ruint::aliases::U256;

/// One, in 64.64.
pub const ONE: u128 = 1 << 64;

/// The natural logarithm of 2 with 128 fractional bits, rounded up.
const LN_2: U256 = U256::from_limbs([0xc9e3_b398_03f2_f6b0, 0xb172_17f7_d1cf_79ab, 0, 0]);

/// a * b / c, rounded down; `c` must be above zero, else the result is the largest number.
// Rule C46.
#[must_use]
pub fn ratio_down(a: u128, b: u128, c: u128) -> u128 {
    let product = U256::from(a) * U256::from(b);
    product
        .checked_div(U256::from(c))
        .map_or(u128::MAX, |ratio| ratio.saturating_to())
}

/// a * b / c, rounded up; `c` must be above zero, else the result is the largest number.
// Rule C46.
#[must_use]
pub fn ratio_up(a: u128, b: u128, c: u128) -> u128 {
    if c == 0 {
        return u128::MAX;
    }
    let product = U256::from(a) * U256::from(b);
    product.div_ceil(U256::from(c)).saturating_to()
}

/// The product of two fractions, rounded down.
// Rule C46.
#[must_use]
pub fn mul_down(a: u128, b: u128) -> u128 {
    ratio_down(a, b, ONE)
}

/// The product of two fractions, rounded up.
// Rule C46.
#[must_use]
pub fn mul_up(a: u128, b: u128) -> u128 {
    ratio_up(a, b, ONE)
}

/// exp(-y), rounded up: the result is at least exp(-y) and at most 2 * 2^-64 above it.
///
/// With y = n ln 2 + r, exp(-y) = 2^-n / exp(r). exp(r) for 0 <= r < ln 2 is summed with 128 fractional bits, every
/// term cut, so that the sum is below exp(r) by less than 2^-121; ln 2 is rounded up, which lowers r by at most
/// n 2^-128. Both make the quotient too large by less than one unit, and its own rounding adds less than one.
// Rule C46.
#[must_use]
pub fn exp_neg_up(y: u128) -> u128 {
    let y: U256 = U256::from(y) << 64;
    let (halvings, rest) = y.div_rem(LN_2);
    let one: U256 = U256::from(1u8) << 128;
    let (mut sum, mut term) = (one, one);
    for k in 1u64.. {
        // The term is at most 2^128 and the rest below 2^128: their product fits 256 bits.
        term = ((term * rest) >> 128) / U256::from(k);
        if term.is_zero() {
            break;
        }
        sum += term;
    }
    let scale: U256 = one << 64;
    let quotient = scale.div_ceil(sum);
    let halvings: usize = halvings.saturating_to();
    if halvings >= 128 {
        return 1;
    }
    let halves: U256 = U256::from(1u8) << halvings;
    quotient.div_ceil(halves).saturating_to()
}

/// C(n - j, k) / C(n, k) in 64.64, rounded up: the chance that k of n tasks, drawn without repeats, miss all of j.
// Rules C43, C46.
#[must_use]
pub fn miss_up(tasks: u32, wrong: u32, drawn: u32) -> u128 {
    if wrong >= tasks || drawn >= tasks || u64::from(wrong) + u64::from(drawn) > u64::from(tasks) {
        return if wrong == 0 || drawn == 0 { ONE } else { 0 };
    }
    // The fraction is symmetric in j and k: the product over the smaller of both has fewer terms.
    let (few, many) = (wrong.min(drawn), wrong.max(drawn));
    (0..few).fold(ONE, |product, i| {
        ratio_up(product, u128::from(tasks - many - i), u128::from(tasks - i))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_of_zero_is_one_and_of_much_is_the_least_unit() {
        assert_eq!(exp_neg_up(0), ONE);
        assert_eq!(exp_neg_up(u128::MAX), 1);
        assert_eq!(exp_neg_up(100 * ONE), 1);
    }

    #[test]
    fn exp_turns_sums_into_products_within_its_error() {
        // Each factor is at most two units too large, so the product is at most four and a rounding too large.
        for i in 0..400u128 {
            let (a, b) = (i * ONE / 37, i * i * ONE / 9_973);
            let (sum, product) = (exp_neg_up(a + b), mul_up(exp_neg_up(a), exp_neg_up(b)));
            assert!(
                product + 2 >= sum && sum + 6 >= product,
                "i = {i}: {sum} {product}"
            );
        }
    }

    #[test]
    fn exp_falls() {
        let mut last = ONE + 1;
        for i in 0..2_000u128 {
            let now = exp_neg_up(i * ONE / 50);
            assert!(now < last || now <= 2, "i = {i}");
            last = now;
        }
    }

    #[test]
    fn misses_are_the_hypergeometric_ones() {
        // C(8,3)/C(10,3) = 56/120, either way round.
        let expected = ratio_up(56, ONE, 120);
        for (wrong, drawn) in [(2, 3), (3, 2)] {
            let found = miss_up(10, wrong, drawn);
            assert!(
                found >= expected && found - expected <= 4,
                "{found} {expected}"
            );
        }
        assert_eq!(miss_up(10, 8, 3), 0);
        assert_eq!(miss_up(10, 7, 3), miss_up(10, 3, 7));
        assert_eq!(miss_up(10, 10, 1), 0);
        assert_eq!(miss_up(10, 0, 3), ONE);
        assert_eq!(miss_up(1, 1, 1), 0);
    }

    #[test]
    fn ratios_round_as_they_say_and_never_panic() {
        assert_eq!((ratio_down(7, 3, 2), ratio_up(7, 3, 2)), (10, 11));
        assert_eq!((ratio_down(8, 3, 2), ratio_up(8, 3, 2)), (12, 12));
        assert_eq!(
            (ratio_down(1, 1, 0), ratio_up(1, 1, 0)),
            (u128::MAX, u128::MAX)
        );
        assert_eq!(ratio_down(u128::MAX, u128::MAX, 1), u128::MAX);
        assert_eq!((mul_down(ONE / 2, 3), mul_up(ONE / 2, 3)), (1, 2));
    }
}
