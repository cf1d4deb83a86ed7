//! The engine.
use crate::config::Config;
use crate::effect::Effects;
use crate::input::{Event, Now, Restored, StartError};
use std::sync::Arc;
use types::number::View;

/// The state machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engine {
    config: Arc<Config>,
}
impl Engine {
    /// Restores.
    pub fn start(config: Arc<Config>, _now: Now, _restored: Restored) -> Result<(Self, Effects), StartError> {
        Ok((Self { config }, Effects::default()))
    }
    /// Steps.
    pub fn step(&mut self, _now: Now, _event: Event) -> Effects {
        Effects::default()
    }
    /// The current view.
    pub fn view(&self) -> View {
        View(1)
    }
    /// The highest final view.
    pub fn final_view(&self) -> View {
        View(0)
    }
}
