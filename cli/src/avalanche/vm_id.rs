//! The id of a VM: the bytes of its name, as Avalanche writes ids.

use std::fmt;

use warp::AvalancheId;

/// Bytes of an id.
const ID_BYTES: usize = 32;

/// The id of a VM: the bytes of its name, then zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VmId([u8; ID_BYTES]);

/// A name from which no id follows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VmNameError {
    /// An id has 32 bytes, and an empty name is the id of another chain.
    #[error("a VM's name has 1 to {ID_BYTES} bytes, not {found}")]
    Length {
        /// Bytes of the name.
        found: usize,
    },
    /// Only such names can be read back from an id.
    #[error("a VM's name is letters, digits, `-` and `_`; {found:?} is none of them")]
    Character {
        /// The first one that is not allowed.
        found: char,
    },
}

impl VmId {
    /// The id of a name.
    pub fn of_name(name: &str) -> Result<Self, VmNameError> {
        let found = name.len();
        if found == 0 || found > ID_BYTES {
            return Err(VmNameError::Length { found });
        }
        let allowed =
            |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
        if let Some(found) = name.chars().find(|character| !allowed(character)) {
            return Err(VmNameError::Character { found });
        }
        let mut id = [0; ID_BYTES];
        id[..found].copy_from_slice(name.as_bytes());
        Ok(Self(id))
    }

    /// The id of a text as [`fmt::Display`] writes it; none if it is no id.
    pub fn parse(text: &str) -> Option<Self> {
        AvalancheId::parse(text).map(|id| Self(id.0))
    }

    /// The name, if the id is that of one.
    pub fn name(&self) -> Option<&str> {
        let end = self.0.iter().rposition(|byte| *byte != 0)? + 1;
        let name = std::str::from_utf8(&self.0[..end]).ok()?;
        (Self::of_name(name).as_ref() == Ok(self)).then_some(name)
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AvalancheId(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What AvalancheGo's own package `ids` writes for these names (`avalanche-harness vm-id --name NAME`).
    const KNOWN: [(&str, &str); 3] = [
        ("xsvm", "v3m4wPxaHpvGr8qfMeyK6PRW3idZrPHmYcMTt7oXdK47yurVH"),
        (
            "gridproof",
            "nZQwV3miLvV5yrxh1DDexREx2qYCeQyd7JkxAjiSf86Kcp6bm",
        ),
        (
            "an-id-of-a-name-has-32-bytes-all",
            "jujF1adYZK8dNXMzx5NLNpgjsAmJnWPqUmDno6nspc4tMrZfv",
        ),
    ];

    #[test]
    fn ids_are_those_of_avalanchego() {
        for (name, text) in KNOWN {
            let id = VmId::of_name(name).unwrap();
            assert_eq!(id.to_string(), text, "{name}");
            assert_eq!(VmId::parse(text), Some(id));
            assert_eq!(id.name(), Some(name));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        let good = VmId::of_name("gridproof").unwrap().to_string();
        let mut swapped: Vec<char> = good.chars().collect();
        swapped.swap(3, 4);
        let long = "2".repeat(65);
        let wrong: String = swapped.into_iter().collect();
        for text in [
            "",
            "gridproof",
            "0OIl",
            &good[1..],
            &format!("{good}2"),
            &wrong,
            &long,
        ] {
            assert_eq!(VmId::parse(text), None, "{text}");
        }
        for name in ["", "a name", "größe", &"n".repeat(33)] {
            VmId::of_name(name).unwrap_err();
        }
        assert_eq!(VmId([0; ID_BYTES]).name(), None);
        assert_eq!(VmId([7; ID_BYTES]).name(), None);
    }
}
