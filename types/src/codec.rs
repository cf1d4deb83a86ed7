//! Canonical encoding: borsh, with every length bounded before anything is allocated.
//!
//! One value has exactly one encoding and one encoding exactly one value: trailing bytes are refused, ordered
//! collections must be strictly ordered (borsh's `de_strict_order`), and lengths above their bound fail at the
//! length, before the items are read.

use std::io::{Error, ErrorKind, Read, Write};
use std::ops::Deref;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why bytes are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the type may ever take.
    #[error("{found} bytes where at most {limit} are allowed")]
    TooLong {
        /// Number of bytes given.
        found: usize,
        /// Maximum number of bytes of such a value.
        limit: usize,
    },
    /// Not an encoding of the type, or not the canonical one.
    #[error("not a canonical encoding, at byte {at} of {length}: {rule}")]
    NotCanonical {
        /// Bytes that were read before the rule broke.
        at: usize,
        /// Number of bytes given.
        length: usize,
        /// The rule, as the decoder of the type says it; nothing is decided by it.
        rule: String,
    },
    /// Bytes follow the value.
    #[error("the value ends at byte {end}, {length} bytes are given")]
    TrailingBytes {
        /// Bytes that the value takes.
        end: usize,
        /// Number of bytes given.
        length: usize,
    },
    /// A text holds a character that it may not hold.
    #[error("the character at byte {at} of the text is a control character")]
    ControlCharacter {
        /// Position of the character in the text, in bytes.
        at: usize,
    },
    /// Not the hex digits of so many bytes.
    #[error("expected {digits} lower-case hex digits")]
    NotHex {
        /// The number of digits that are expected.
        digits: usize,
    },
}

/// More than a transfer or a vote takes.
const TYPICAL_BYTES: usize = 256;

/// Encodes a value into its canonical bytes.
#[must_use]
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    // Room for what is encoded most often, so that it does not grow byte by byte.
    let mut out = Vec::with_capacity(TYPICAL_BYTES);
    value
        .serialize(&mut out)
        .expect("writing to a vector cannot fail, and every length fits its u32");
    out
}

/// Decodes exactly one value from all of `bytes`, at most `limit` of them.
pub fn decode<T: BorshDeserialize>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            found: bytes.len(),
            limit,
        });
    }
    let mut rest = bytes;
    let value = T::deserialize(&mut rest);
    let (at, length) = (bytes.len() - rest.len(), bytes.len());
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(CodecError::TrailingBytes { end: at, length }),
        Err(error) => Err(CodecError::NotCanonical {
            at,
            length,
            rule: error.to_string(),
        }),
    }
}

/// A vector of at most `MAX` items; the bound holds from construction and is checked while decoding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// Takes the items if there are at most `MAX`.
    pub fn new(items: Vec<T>) -> Result<Self, CodecError> {
        if items.len() > MAX {
            return Err(CodecError::TooLong {
                found: items.len(),
                limit: MAX,
            });
        }
        Ok(Self(items))
    }

    /// Adds an item, or gives it back if there is no room.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.0.len() >= MAX {
            return Err(item);
        }
        self.0.push(item);
        Ok(())
    }

    /// The items, unbounded again.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }

    /// Keeps the items for which `keep` holds, in order.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// The items for change in place; their number stays.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a Bounded<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for Bounded<T, MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        BorshSerialize::serialize(&self.0, writer)
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for Bounded<T, MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let length = read_length(reader, MAX)?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(items))
    }
}

/// UTF-8 text of at most `MAX` bytes without control characters; with `LINES`, only without zero bytes, as a program's
/// arguments are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const MAX: usize, const LINES: bool = false>(String);

impl<const MAX: usize, const LINES: bool> Text<MAX, LINES> {
    /// Takes the text if it is short enough and holds no character that it may not hold.
    pub fn new(text: impl Into<String>) -> Result<Self, CodecError> {
        let text = text.into();
        if text.len() > MAX {
            return Err(CodecError::TooLong {
                found: text.len(),
                limit: MAX,
            });
        }
        let refused = |c: char| c == '\0' || (!LINES && c.is_control());
        match text.find(refused) {
            Some(at) => Err(CodecError::ControlCharacter { at }),
            None => Ok(Self(text)),
        }
    }

    /// The text, at most as many bytes as the type allows.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize, const LINES: bool> std::fmt::Display for Text<MAX, LINES> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize, const LINES: bool> BorshSerialize for Text<MAX, LINES> {
    fn serialize<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        BorshSerialize::serialize(&self.0, writer)
    }
}

impl<const MAX: usize, const LINES: bool> BorshDeserialize for Text<MAX, LINES> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let length = read_length(reader, MAX)?;
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| invalid("text is not UTF-8"))?;
        Self::new(text).map_err(|error| invalid(&error.to_string()))
    }
}

impl<const MAX: usize, const LINES: bool> Serialize for Text<MAX, LINES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize, const LINES: bool> Deserialize<'de> for Text<MAX, LINES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(<String as Deserialize>::deserialize(deserializer)?)
            .map_err(serde::de::Error::custom)
    }
}

fn read_length<R: Read>(reader: &mut R, max: usize) -> std::io::Result<usize> {
    let length =
        usize::try_from(u32::deserialize_reader(reader)?).map_err(|_| invalid("length"))?;
    if length > max {
        return Err(invalid(&format!(
            "{length} items where at most {max} are allowed"
        )));
    }
    Ok(length)
}

pub(crate) fn invalid(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_trailing_bytes() {
        let mut bytes = encode(&7u32);
        assert_eq!(decode::<u32>(&bytes, 8), Ok(7));
        bytes.push(0);
        assert_eq!(
            decode::<u32>(&bytes, 8),
            Err(CodecError::TrailingBytes { end: 4, length: 5 })
        );
        assert!(matches!(
            decode::<u32>(&bytes[..3], 8),
            Err(CodecError::NotCanonical { length: 3, .. })
        ));
    }

    #[test]
    fn refuses_a_length_above_its_bound_before_reading_items() {
        let bytes = encode(&u32::MAX);
        assert!(decode::<Bounded<u64, 4>>(&bytes, 64).is_err());
        assert!(decode::<Text<4>>(&bytes, 64).is_err());
    }

    #[test]
    fn bounded_round_trips_at_its_bound() {
        let value = Bounded::<u8, 3>::new(vec![1, 2, 3]).unwrap();
        assert_eq!(decode::<Bounded<u8, 3>>(&encode(&value), 7).unwrap(), value);
        assert!(Bounded::<u8, 3>::new(vec![0; 4]).is_err());
    }

    #[test]
    fn names_hold_no_control_characters_and_arguments_no_zero_bytes() {
        for bad in ["a\0", "a\nb", "\u{1b}[31mred", "tab\t", "\u{7f}", "\u{85}"] {
            assert!(Text::<64>::new(bad).is_err(), "{bad:?}");
            assert!(decode::<Text<64>>(&encode(bad), 99).is_err(), "{bad:?}");
            assert_eq!(
                Text::<64, true>::new(bad).is_err(),
                bad.contains('\0'),
                "{bad:?}"
            );
        }
        assert!(Text::<64>::new("Zürich, été – 東京").is_ok());
    }
}
