//! `Action::RegisterPartner`: a new profile, or another one. Draws see it from the next epoch on.

use types::codec::encode;
use types::hash::Address;
use types::job::PartnerProfile;
use types::limits::{MAX_ATTRIBUTES, MAX_PROFILE_BYTES};
use types::number::{Amount, EngineClass};
use types::params::ClassParams;

use super::new_partner;
use crate::{ActionError, Context, Partner};

impl Context<'_> {
    /// Registers the sender or replaces its profile; bond, locks and unbondings stay.
    pub(crate) fn register_partner(
        &mut self,
        address: &Address,
        profile: &PartnerProfile,
    ) -> Result<(), ActionError> {
        check_profile(&self.rules.params.compute.classes, profile)?;
        let partner = match self.partner(address)? {
            Some(partner) => Partner {
                profile: profile.clone(),
                ..partner
            },
            None => new_partner(profile.clone(), Amount::ZERO),
        };
        self.put_partner(address, &partner);
        Ok(self.renew_place(address, &partner)?)
    }
}

/// Refuses a profile that breaks a limit or names what the network does not have.
pub fn check_profile(known: &[ClassParams], profile: &PartnerProfile) -> Result<(), ActionError> {
    if !profile.is_bounded() {
        return Err(ActionError::TooManyAttributes {
            found: profile.attributes.len(),
            limit: MAX_ATTRIBUTES,
        });
    }
    let found = encode(profile).len();
    if found > MAX_PROFILE_BYTES {
        return Err(ActionError::ProfileTooLong {
            found,
            limit: MAX_PROFILE_BYTES,
        });
    }
    if profile.classes.is_empty() {
        return Err(ActionError::NoClass);
    }
    // A class may be offered before its first height, so that it has partners there.
    let unknown = |class: &&EngineClass| !known.iter().any(|known| known.class == **class);
    if let Some(class) = profile.classes.iter().find(unknown) {
        return Err(ActionError::UnknownClass(*class));
    }
    profile.vrf_key.check().map_err(|_| ActionError::BadVrfKey)
}
