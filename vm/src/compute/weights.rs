//! Draw weights in a tree of partial sums, so that a turn of a draw costs the logarithm of their number and not all of them.

use ruint::aliases::U256;

/// Draw weights by position. A weight that was taken is 0.
pub(super) struct DrawWeights {
    weights: Vec<U256>,
    /// At i, counted from 1, the sum of as many weights up to the i-th as the lowest bit of i says.
    sums: Vec<U256>,
    left: U256,
}

impl DrawWeights {
    /// Weights of 129 bits, of which there are few, so that their sum fits.
    pub fn new(weights: Vec<U256>) -> Self {
        let mut all = Self {
            sums: vec![U256::ZERO; weights.len() + 1],
            left: U256::ZERO,
            weights: Vec::new(),
        };
        for (at, weight) in weights.iter().enumerate() {
            all.change(at, |sum| sum.saturating_add(*weight));
            all.left = all.left.saturating_add(*weight);
        }
        all.weights = weights;
        all
    }

    /// The sum of the weights that were not taken.
    pub fn left(&self) -> U256 {
        self.left
    }

    /// Takes the weight at the first position up to which the sum is above `point`; `None` if no sum is.
    pub fn take(&mut self, point: U256) -> Option<usize> {
        let (mut at, mut rest) = (0, point);
        let mut step = self.sums.len().checked_next_power_of_two()?;
        while step > 0 {
            let next = at + step;
            if let Some(sum) = self.sums.get(next).filter(|sum| **sum <= rest) {
                rest = rest.saturating_sub(*sum);
                at = next;
            }
            step /= 2;
        }
        let taken = std::mem::take(self.weights.get_mut(at)?);
        self.change(at, |sum| sum.saturating_sub(taken));
        self.left = self.left.saturating_sub(taken);
        Some(at)
    }

    fn change(&mut self, at: usize, change: impl Fn(U256) -> U256) {
        let mut node = at + 1;
        while let Some(sum) = self.sums.get_mut(node) {
            *sum = change(*sum);
            node += 1 << node.trailing_zeros();
        }
    }
}

#[cfg(test)]
mod tests {
    use types::testing::Random;

    use super::*;

    /// What the tree gives, by looking through all weights.
    fn naive(weights: &mut [U256], mut rest: U256) -> Option<usize> {
        let at = weights.iter().position(|weight| {
            let hit = rest < *weight;
            rest = rest.saturating_sub(*weight);
            hit
        })?;
        weights[at] = U256::ZERO;
        Some(at)
    }

    #[test]
    fn the_tree_takes_what_a_look_at_all_weights_takes() {
        let mut random = Random::new(0x7ee5);
        println!("seed {:#x}", 0x7ee5);
        for count in [0u64, 1, 2, 3, 7, 8, 9, 64, 100] {
            let weights = (0..count).map(|_| U256::from(random.below(4) * random.below(1_000)));
            let mut plain: Vec<_> = weights.collect();
            let mut tree = DrawWeights::new(plain.clone());
            for _ in 0..=count {
                let left = plain.iter().fold(U256::ZERO, |sum, weight| sum + weight);
                assert_eq!(tree.left(), left);
                let below = u64::try_from(left).unwrap() + 1;
                let point = U256::from(random.below(below));
                assert_eq!(tree.take(point), naive(&mut plain, point), "{count}");
            }
        }
    }
}
