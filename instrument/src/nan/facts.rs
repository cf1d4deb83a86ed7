//! What is known of a value when the same program runs twice: once with every NaN made canonical where it arises (*eager*),
//! once with the code that this pass inserts (*lazy*).
//!
//! Facts are about the pair of values. More facts are better; where two values meet, what holds for both remains.

/// A set of facts about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts(u8);

/// How the lanes of a value are read as floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lanes {
    /// As `f32`, one or four.
    F32,
    /// As `f64`, one or two.
    F64,
}

/// Type of a value that holds floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    /// One `f32`.
    F32,
    /// One `f64`.
    F64,
    /// A vector, of lanes of any kind.
    V128,
}

impl Float {
    /// The type in the parser's words; nothing for one that holds no floats.
    pub(crate) fn of(kind: wasmparser::ValType) -> Option<Self> {
        match kind {
            wasmparser::ValType::F32 => Some(Self::F32),
            wasmparser::ValType::F64 => Some(Self::F64),
            wasmparser::ValType::V128 => Some(Self::V128),
            wasmparser::ValType::I32 | wasmparser::ValType::I64 | wasmparser::ValType::Ref(_) => {
                None
            }
        }
    }
}

/// Both runs have the same bits.
const EQUAL: u8 = 1;
/// By lanes of `f32`: the eager value is the lazy one made canonical.
const CANONICAL_32: u8 = 2;
/// By lanes of `f64`: likewise.
const CANONICAL_64: u8 = 4;
/// By lanes of `f32`: the same bits, or NaN in both runs.
const NUMBERS_32: u8 = 8;
/// By lanes of `f64`: likewise.
const NUMBERS_64: u8 = 16;

impl Facts {
    /// A value whose bits stay: loads, reinterpretations, globals, results of functions that anybody calls.
    pub(crate) const RAW: Self = Self(EQUAL | NUMBERS_32 | NUMBERS_64);
    /// A value that is no NaN but the canonical one.
    pub(crate) const ANY: Self = Self(Self::RAW.0 | CANONICAL_32 | CANONICAL_64);

    /// Result of an operator that may choose a NaN's bits.
    pub(crate) const fn arithmetic(lanes: Lanes) -> Self {
        match lanes {
            Lanes::F32 => Self(CANONICAL_32 | NUMBERS_32),
            Lanes::F64 => Self(CANONICAL_64 | NUMBERS_64),
        }
    }

    /// A value whose lanes are never NaN, or are canonical ones: an arithmetic one after it was made canonical.
    pub(crate) const fn canonical(lanes: Lanes) -> Self {
        Self::RAW.or(Self::arithmetic(lanes))
    }

    /// What remains when whole lanes are moved or chosen.
    pub(crate) const fn by_lanes(lanes: Lanes) -> Self {
        Self(EQUAL | Self::arithmetic(lanes).0)
    }

    /// What remains when signs are changed: two NaNs stay two NaNs, but the eager one is no longer the canonical one.
    pub(crate) const fn by_sign(lanes: Lanes) -> Self {
        Self(EQUAL | Self::numbers(lanes).0)
    }

    const fn numbers(lanes: Lanes) -> Self {
        match lanes {
            Lanes::F32 => Self(NUMBERS_32),
            Lanes::F64 => Self(NUMBERS_64),
        }
    }

    /// What holds for both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What holds for either.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether both runs have the same bits.
    pub(crate) const fn are_bits(self) -> bool {
        self.0 & EQUAL != 0
    }

    /// Whether both runs have the same numbers or NaNs.
    pub(crate) const fn are_numbers(self, lanes: Lanes) -> bool {
        self.0 & (EQUAL | Self::numbers(lanes).0) != 0
    }

    /// By which lanes the lazy value can be made the eager one.
    pub(crate) const fn curable(self) -> Option<Lanes> {
        if self.0 & CANONICAL_32 != 0 {
            Some(Lanes::F32)
        } else if self.0 & CANONICAL_64 != 0 {
            Some(Lanes::F64)
        } else {
            None
        }
    }
}
