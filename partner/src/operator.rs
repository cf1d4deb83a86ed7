//! What an operator decides while the daemon runs: to pause it and let it go on, and what of its configuration changes.

use std::path::{Path, PathBuf};

use types::key::VrfPublicKey;

use crate::config::{Config, PartnerConfigError};
use crate::core::{Event, PartnerSettings};

/// The file in a partner's directory that says that it is paused, whether the daemon runs or not.
#[derive(Debug, Clone)]
pub struct PauseMark(PathBuf);

impl PauseMark {
    /// That of a partner's directory.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self(dir.join("paused"))
    }

    /// True if the partner is to take no new duty.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.exists()
    }

    /// Pauses the partner, or lets it go on.
    pub fn set(&self, paused: bool) -> std::io::Result<()> {
        if paused {
            return std::fs::write(&self.0, "");
        }
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The operator's choices, from which the core's settings are made.
#[derive(Debug)]
pub(crate) struct OperatorSettings {
    pub(crate) config: Config,
    pub(crate) paused: bool,
    pub(crate) vrf_key: VrfPublicKey,
}

impl OperatorSettings {
    /// What the core is to keep to.
    pub(crate) fn settings(&self) -> Result<PartnerSettings, PartnerConfigError> {
        let config = &self.config;
        Ok(PartnerSettings {
            profile: config.profile(self.vrf_key)?,
            bond: config.bond,
            reserve: config.reserve,
            verification_places: config.verification_places,
            blob_quota_bytes: config.blob_quota_bytes,
            cores: config.cores,
            memory_bytes: config.memory_bytes,
            task_wall_ms: config.task_wall_ms,
            paused: self.paused,
        })
    }

    /// The operator paused the partner, or let it go on; gives what the core learns of it.
    pub(crate) fn pause(&mut self, paused: bool) -> Option<Event> {
        self.paused = paused;
        if paused {
            tracing::info!("paused: no new duty is taken");
        } else {
            tracing::info!("resumed");
        }
        self.event()
    }

    /// The configuration was read again; gives what the core learns of it. One that cannot work changes nothing.
    pub(crate) fn reload(&mut self, config: &Config) -> Option<Event> {
        if let Err(error) = config.check().and_then(|()| config.profile(self.vrf_key)) {
            tracing::error!(%error, "the configuration is not taken over");
            return None;
        }
        self.take_over(config);
        self.event()
    }

    fn event(&self) -> Option<Event> {
        let settings = self.settings().ok()?;
        Some(Event::Settings(Box::new(settings)))
    }

    /// Takes over what may change while it runs, and says what may not.
    fn take_over(&mut self, new: &Config) {
        let own = &mut self.config;
        own.bond = new.bond;
        own.reserve = new.reserve;
        own.verification_places = new.verification_places;
        own.task_wall_ms = new.task_wall_ms;
        own.offer = new.offer.clone();
        let (ask, places) = (own.offer.ask, own.offer.places);
        tracing::info!(%ask, places, bond = %own.bond, "the configuration is taken over");
        if own != new {
            tracing::warn!(
                "other keys of the configuration changed too: they count from the next start on"
            );
        }
    }
}
