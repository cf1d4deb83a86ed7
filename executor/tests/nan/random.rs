//! Numbers drawn from a seed, equal on every machine.

/// A generator (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).unwrap()
    }

    /// True in so many of a hundred cases.
    pub fn in_hundred(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Bits of an `f64`: mostly such that arithmetic on them gives a NaN, or that are one.
    pub fn wide(&mut self) -> u64 {
        const EDGES: [u64; 14] = [
            0x0000_0000_0000_0000,
            0x8000_0000_0000_0000,
            0x3ff0_0000_0000_0000,
            0xbff8_0000_0000_0000,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x7ff8_0000_0000_0000, // the canonical NaN
            0xfff8_0000_0000_0000, // what x86-64 makes
            0x7ff4_0000_dead_beef, // signalling
            0xfffa_bcde_f012_3456,
            0x7ff8_0000_0000_0001,
            0x7fef_ffff_ffff_ffff,
            0x0000_0000_0000_0001,
            0x7fc0_0001_ffa0_beef, // two NaNs of 32 bits
        ];
        match self.below(10) {
            0 => self.bits(),
            1 => 0x7ff0_0000_0000_0000 | self.bits(),
            _ => *self.pick(&EDGES),
        }
    }

    /// Bits of an `f32`, likewise.
    pub fn narrow(&mut self) -> u32 {
        const EDGES: [u32; 11] = [
            0x0000_0000,
            0x8000_0000,
            0x3f80_0000,
            0xbfc0_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0xffc0_0000,
            0xffa0_beef,
            0x7fc0_0001,
            0x7f7f_ffff,
        ];
        match self.below(10) {
            0 => u32::try_from(self.bits() >> 32).unwrap(),
            1 => 0x7f80_0000 | u32::try_from(self.bits() >> 32).unwrap(),
            _ => *self.pick(&EDGES),
        }
    }

    /// Bits of a vector, likewise.
    pub fn vector(&mut self) -> u128 {
        let half = |random: &mut Self| {
            if random.in_hundred(50) {
                return random.wide();
            }
            u64::from(random.narrow()) << 32 | u64::from(random.narrow())
        };
        u128::from(half(self)) << 64 | u128::from(half(self))
    }
}
