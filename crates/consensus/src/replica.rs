//! A validator's half of the protocol: collector and engine together, driven by messages and events.

use std::sync::Arc;

use types::hash::Hash32;
use types::number::{ValidatorIndex, View};

use crate::collector::Collector;
use crate::config::Config;
use crate::effect::Effects;
use crate::engine::Engine;
use crate::input::{Event, Now, Restored, StartError};
use crate::message::Message;

/// Collector and engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    engine: Engine,
    collector: Collector,
    config: Arc<Config>,
}

impl Replica {
    /// Starts from what is on disk. `secret` must be unpredictable to other validators, for batches of signatures.
    pub fn start(config: Config, secret: Hash32, now: Now, restored: Restored) -> Result<(Self, Effects), StartError> {
        let config = Arc::new(config);
        let collector = Collector::new(&config, secret);
        let (engine, effects) = Engine::start(Arc::clone(&config), now, restored)?;
        Ok((Self { engine, collector, config }, effects))
    }

    /// Takes a message that came over the connection of validator `from`.
    pub fn receive(&mut self, _now: Now, _from: ValidatorIndex, _message: Message) -> Effects {
        Effects::default()
    }

    /// Takes an event of the application or a timer.
    pub fn step(&mut self, now: Now, event: Event) -> Effects {
        self.engine.step(now, event)
    }

    /// The current view.
    #[must_use]
    pub fn view(&self) -> View {
        self.engine.view()
    }

    /// The highest view that is final.
    #[must_use]
    pub fn final_view(&self) -> View {
        self.engine.final_view()
    }
}
