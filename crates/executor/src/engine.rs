//! The engine of a class, and programs compiled by it.

use types::number::EngineClass;

use crate::class;
use crate::task::NoResult;

/// An engine: compiles and runs the programs of its class. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    class: EngineClass,
    pub(crate) wasmtime: wasmtime::Engine,
}

/// A module after compilation. One that the class cannot run is a program too: every task of it ends as `Invalid`.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) engine: Engine,
    /// The module's length in bytes.
    pub(crate) length: u64,
    /// The compiled module, or why the class cannot run it.
    pub(crate) module: Result<wasmtime::Module, String>,
}

impl Engine {
    /// The engine of `class`, if this build and this machine have it.
    pub fn new(class: EngineClass) -> Result<Self, NoResult> {
        let config = class::config(class).ok_or(NoResult::Class { class })?;
        let wasmtime =
            wasmtime::Engine::new(&config).map_err(|error| NoResult::Engine { error: format!("{error:#}") })?;
        Ok(Self { class, wasmtime })
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> EngineClass {
        self.class
    }

    /// Compiles a module.
    pub fn compile(&self, _module: &[u8]) -> Result<Program, NoResult> {
        Err(NoResult::Engine { error: String::new() })
    }
}

impl Program {
    /// Why the class cannot run the module, if it cannot.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.module.as_ref().err().map(String::as_str)
    }
}
