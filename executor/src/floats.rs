//! Whether floats of this process are those of IEEE 754: a processor's control register may flush small numbers to zero or round
//! otherwise, and guest code runs with it as it is. A thread inherits it, so one look before an engine is made is enough.

use std::hint::black_box;

use crate::no_result::FloatProblem;

/// Finds what is wrong with the floats of this thread, if something is.
pub(crate) fn check() -> Result<(), FloatProblem> {
    check_with(
        |a, b| black_box(a) * black_box(b),
        |a, b| black_box(a) + black_box(b),
    )
}

/// The same with operations that are given, so that wrong ones can be tried.
fn check_with(
    product: impl Fn(f64, f64) -> f64,
    sum: impl Fn(f64, f64) -> f64,
) -> Result<(), FloatProblem> {
    let small = f64::from_bits(1);
    let bits = |value: f64| value.to_bits();
    // The least normal number halved is no normal number.
    if bits(product(f64::MIN_POSITIVE, 0.5)) != 1 << 51 {
        return Err(FloatProblem::ResultsFlushed);
    }
    if bits(product(small, 4_503_599_627_370_496.0)) != bits(f64::MIN_POSITIVE) {
        return Err(FloatProblem::OperandsFlushed);
    }
    // A quarter of the distance to the next number, above and below.
    let quarter = f64::EPSILON / 4.0;
    let nearest = [
        (1.0, quarter, 1.0),
        (-1.0, -quarter, -1.0),
        (1.0, f64::EPSILON * 0.75, 1.0 + f64::EPSILON),
    ];
    let is_nearest = |(a, b, expected): (f64, f64, f64)| bits(sum(a, b)) == bits(expected);
    if nearest.into_iter().all(is_nearest) {
        Ok(())
    } else {
        Err(FloatProblem::Rounding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_that_is_not_ieee_is_found() {
        assert_eq!(check(), Ok(()));
        let flush = |value: f64| if value.is_subnormal() { 0.0 } else { value };
        let found = check_with(|a, b| flush(a * b), |a, b| a + b);
        assert_eq!(found, Err(FloatProblem::ResultsFlushed));
        let found = check_with(|a, b| flush(a) * flush(b), |a, b| a + b);
        assert_eq!(found, Err(FloatProblem::OperandsFlushed));
        let up = |a: f64, b: f64| {
            if b.abs() < f64::EPSILON {
                (a + b).next_up()
            } else {
                a + b
            }
        };
        assert_eq!(check_with(|a, b| a * b, up), Err(FloatProblem::Rounding));
        let cut = |a: f64, b: f64| if b.abs() < f64::EPSILON { a } else { a + b };
        assert_eq!(check_with(|a, b| a * b, cut), Err(FloatProblem::Rounding));
    }
}
