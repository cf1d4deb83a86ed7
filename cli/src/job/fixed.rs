//! Fixed-point numbers for people.

/// Thousandths of a 64.64 fixed-point number, rounded down.
fn thousandths(fixed: u128) -> u128 {
    (fixed >> 32).saturating_mul(1_000) >> 32
}

/// A 64.64 fixed-point number with three decimals.
pub fn decimal(fixed: u128) -> String {
    let thousandths = thousandths(fixed);
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_numbers_are_rounded_down() {
        assert_eq!(decimal(1 << 64), "1.000");
        assert_eq!(decimal((1 << 63) | (1 << 62)), "0.750");
        assert_eq!(
            decimal(u128::MAX),
            "18446744073709551615.999",
            "the largest does not overflow the arithmetic"
        );
    }
}
