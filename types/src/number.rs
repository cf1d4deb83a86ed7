//! Numbers with a meaning: heights, views, stake, time, gas, fuel and money. None of them mixes with another.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, BorshSerialize, BorshDeserialize, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number zero.
            pub const ZERO: Self = Self(0);
            /// The sum, or nothing on overflow.
            #[must_use]
            pub fn checked_add(self, more: $inner) -> Option<Self> {
                self.0.checked_add(more).map(Self)
            }
            /// The difference, or nothing below zero.
            #[must_use]
            pub fn checked_sub(self, less: $inner) -> Option<Self> {
                self.0.checked_sub(less).map(Self)
            }
            /// The sum, held at the largest value.
            #[must_use]
            pub fn saturating_add(self, more: $inner) -> Self {
                Self(self.0.saturating_add(more))
            }
            /// The difference, held at zero.
            #[must_use]
            pub fn saturating_sub(self, less: $inner) -> Self {
                Self(self.0.saturating_sub(less))
            }
            /// The next one. Saturates: no chain lives long enough to reach the end.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

number! {
    /// Number of blocks below this one; genesis has 0.
    Height(u64);
    /// A round of consensus; the first is 1, genesis counts as final in 0.
    View(u64);
    /// A span of `epoch_length` blocks in which committee, parameters, bonds, keys and asks stand still. The first is
    /// [`Epoch::FIRST`], and genesis counts to it. A committee's term of office is named by its first epoch: votes,
    /// logs and the state key of the committee hold that number.
    Epoch(u64);
    /// Voting power of a validator or of a set of validators.
    Stake(u64);
    /// Milliseconds since the Unix epoch, as written in a header.
    Timestamp(u64);
    /// Milliseconds of chain time: the sum over blocks of min(timestamp step, 2 x idle target).
    ChainTime(u64);
    /// Cost of a transaction in a block; one unit is about 10 ns of one core. See [`crate::gas`].
    Gas(u64);
    /// Work of a task; about one unit per executed instruction. See `executor::fuel`.
    Fuel(u64);
    /// Number of transactions an account has sent.
    Nonce(u64);
    /// A step of the random beacon.
    BeaconStep(u64);
    /// Position of a validator in one committee, sorted by key: the bit that stands for it in that committee's
    /// certificates. Everywhere else a validator is its [`crate::hash::ValidatorId`].
    ValidatorIndex(u16);
    /// Position of a task in its job.
    TaskIndex(u32);
    /// Number of times a job was handed to a primary before this one.
    Attempt(u16);
    /// A version of the protocol's rules.
    ProtocolVersion(u16);
    /// A pinned engine build and profile.
    EngineClass(u16);
}

impl Epoch {
    /// The epoch that begins with genesis; 0 is no epoch.
    pub const FIRST: Self = Self(1);
}

/// The decimals of SQUARE.
pub const DECIMALS: u32 = 18;
/// One SQUARE in units.
pub const SQUARE: Amount = Amount(1_000_000_000_000_000_000);

/// An amount of SQUARE, in units of 10^-18. Arithmetic is checked; text and JSON are decimal strings of SQUARE.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Amount(pub u128);

impl Amount {
    /// An amount of no base unit.
    pub const ZERO: Self = Self(0);

    /// The sum, or nothing on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing below zero.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, or nothing on overflow.
    #[must_use]
    pub fn checked_mul(self, factor: u128) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }

    /// The difference, held at zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum of many, or nothing on overflow.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / SQUARE.0, self.0 % SQUARE.0);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{part:018}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an amount of SQUARE: expected digits, at most one point and at most 18 decimals, such as 12 or 0.25"
)]
pub struct AmountError(String);

impl std::str::FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let fail = || AmountError(text.to_owned());
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 18 {
            return Err(fail());
        }
        let whole: u128 = whole.parse().map_err(|_| fail())?;
        let part: u128 = format!("{part:0<18}").parse().map_err(|_| fail())?;
        whole
            .checked_mul(SQUARE.0)
            .and_then(|units| units.checked_add(part))
            .map(Self)
            .ok_or_else(fail)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A fraction at or above zero in 64.64 fixed point: a whole number of 2^-64. In JSON it is that whole number as a text,
/// since readers of JSON keep 53 bits of a number.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Fixed64(pub u128);

/// Why a text is not a 64.64 number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a whole number of 2^-64: expected digits without leading zeros, below 2^128")]
pub struct Fixed64Error(String);

impl std::str::FromStr for Fixed64 {
    type Err = Fixed64Error;

    fn from_str(text: &str) -> Result<Self, Fixed64Error> {
        // One number has one text: what the parser of integers takes beside it (a sign, zeros) is refused.
        let number = text
            .parse()
            .ok()
            .filter(|number: &u128| number.to_string() == text);
        number
            .map(Self)
            .ok_or_else(|| Fixed64Error(text.to_owned()))
    }
}

impl Serialize for Fixed64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fixed64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_they_print() {
        for text in [
            "0",
            "1",
            "0.25",
            "12.000000000000000001",
            "340282366920938463463.374607431768211455",
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "1.0000000000000000001",
            "340282366920938463464",
            "1_0",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_fraction_has_one_text() {
        for text in ["0", "7", "340282366920938463463374607431768211455"] {
            assert_eq!(text.parse::<Fixed64>().unwrap().0.to_string(), text);
        }
        for text in [
            "",
            "+7",
            "007",
            "-0",
            " 7",
            "7.0",
            "340282366920938463463374607431768211456",
        ] {
            assert!(text.parse::<Fixed64>().is_err(), "{text:?}");
        }
    }
}
