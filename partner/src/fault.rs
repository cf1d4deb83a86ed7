//! What a partner can be told to do wrong, so that tests can show that the network catches it.
//!
//! Without the feature `planted-bugs` there is only [`Fault::None`] and nothing can ask for another.

/// A fault on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Honest.
    #[default]
    None,
    /// As primary it flips one byte of its first output and hashes the result as if it were right.
    #[cfg(feature = "planted-bugs")]
    FlipByte,
    /// It announces itself as verifier and then stays silent.
    #[cfg(feature = "planted-bugs")]
    SilentVerifier,
    /// It never opens what it sealed.
    #[cfg(feature = "planted-bugs")]
    NoOpen,
}

impl Fault {
    /// The fault that the environment asks for (`GRIDPROOF_PARTNER_FAULT`), in builds that have any.
    #[cfg(feature = "planted-bugs")]
    pub fn from_environment() -> anyhow::Result<Self> {
        match std::env::var("GRIDPROOF_PARTNER_FAULT").ok().as_deref() {
            None | Some("") => Ok(Self::None),
            Some("flip-byte") => Ok(Self::FlipByte),
            Some("silent-verifier") => Ok(Self::SilentVerifier),
            Some("no-open") => Ok(Self::NoOpen),
            Some(other) => anyhow::bail!(
                "unknown fault {other:?}: expected flip-byte, silent-verifier or no-open"
            ),
        }
    }

    /// Builds without the feature are honest; asking for a fault is an error rather than a silent nothing.
    #[cfg(not(feature = "planted-bugs"))]
    pub fn from_environment() -> anyhow::Result<Self> {
        match std::env::var_os("GRIDPROOF_PARTNER_FAULT") {
            None => Ok(Self::None),
            Some(_) => anyhow::bail!(
                "GRIDPROOF_PARTNER_FAULT is set, but this build has no faults to plant"
            ),
        }
    }

    /// True if it changes a primary's output.
    #[must_use]
    pub fn flips_byte(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Self::FlipByte;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }

    /// True if it keeps a verifier's claim back.
    #[must_use]
    pub fn is_silent_verifier(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Self::SilentVerifier;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }

    /// True if it keeps openings back.
    #[must_use]
    pub fn withholds_opening(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Self::NoOpen;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }
}
