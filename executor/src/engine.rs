//! The engine of a class, and programs compiled by it.

use std::sync::Arc;

use types::hash::BlobId;
use types::job::Workload;
use types::limits::MAX_MODULE_BYTES;
use types::number::EngineClass;
use wasmtime::{ExternType, InstancePre, Linker, Module, OutOfMemory};

use crate::class::{self, MAX_TABLES};
use crate::fuel;
use crate::task::{NoResult, host_fault};
use crate::wasi::{self, Host};

/// Where every program begins: a function without parameters or results.
pub(crate) const ENTRY: &str = "_start";

/// An engine: compiles and runs the programs of its class. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    class: EngineClass,
    pub(crate) wasmtime: wasmtime::Engine,
    /// False only for [`Engine::unmetered`].
    pub(crate) metered: bool,
    linker: Arc<Linker<Host>>,
}

/// A module after compilation. One that the class cannot run is a program too: every task of it ends as `Invalid`.
#[derive(Clone)]
pub struct Program {
    pub(crate) engine: Engine,
    pub(crate) blob: BlobId,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    /// Compiled, its imports found.
    Ready(InstancePre<Host>),
    /// Not a module that the class can run, and why.
    Refused(String),
    /// Not looked at: its size alone is more than the job's fuel limit pays for.
    Unaffordable,
}

/// The smallest module: what every engine of a class compiles, if this machine is one of the class.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

impl Engine {
    /// The engine of `class`, if this build and this machine have it.
    pub fn new(class: EngineClass) -> Result<Self, NoResult> {
        let config = class::config(class).ok_or(NoResult::Class { class })?;
        Self::with_config(class, &config, true)
    }

    /// wasmtime as it comes: without metering, canonical NaNs or a named target. Only to compare speed with; what it
    /// gives is no outcome.
    pub fn unmetered() -> Result<Self, NoResult> {
        Self::with_config(EngineClass::ZERO, &class::plain(), false)
    }

    pub(crate) fn with_config(
        class: EngineClass,
        config: &wasmtime::Config,
        metered: bool,
    ) -> Result<Self, NoResult> {
        let engine = Self::unproven(class, config, metered)?;
        Module::new(&engine.wasmtime, EMPTY_MODULE).map_err(|error| host_fault(&error))?;
        Ok(engine)
    }

    /// An engine of which it is not known whether this machine can run what it compiles.
    fn unproven(
        class: EngineClass,
        config: &wasmtime::Config,
        metered: bool,
    ) -> Result<Self, NoResult> {
        let wasmtime = wasmtime::Engine::new(config).map_err(|error| host_fault(&error))?;
        let linker = Arc::new(wasi::linker(&wasmtime).map_err(|error| host_fault(&error))?);
        Ok(Self {
            class,
            wasmtime,
            metered,
            linker,
        })
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> EngineClass {
        self.class
    }

    /// Compiles a module.
    pub fn compile(&self, module: &[u8]) -> Result<Program, NoResult> {
        let body = match self.load(module)? {
            Ok(ready) => Body::Ready(ready),
            Err(why) => Body::Refused(why),
        };
        Ok(Program {
            engine: self.clone(),
            blob: BlobId::of(module),
            body,
        })
    }

    /// Compiles the module of a workload, unless its size alone passes the fuel limit: then nothing is worth doing.
    pub fn prepare(&self, workload: &Workload, module: &[u8]) -> Result<Program, NoResult> {
        if fuel::upfront(workload) > workload.limits.fuel.0 {
            return Ok(Program {
                engine: self.clone(),
                blob: BlobId::of(module),
                body: Body::Unaffordable,
            });
        }
        self.compile(module)
    }

    /// Whether a module is one of the class is decided by its validation, its entry, its tables and its imports. That it
    /// cannot be compiled in spite of it says nothing about it.
    fn load(&self, bytes: &[u8]) -> Result<Result<InstancePre<Host>, String>, NoResult> {
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_MODULE_BYTES) {
            return Ok(Err(format!("larger than {MAX_MODULE_BYTES} bytes")));
        }
        if let Err(error) = Module::validate(&self.wasmtime, bytes) {
            return Ok(Err(format!("{error:#}")));
        }
        let module = Module::new(&self.wasmtime, bytes).map_err(|error| host_fault(&error))?;
        match module.get_export(ENTRY) {
            Some(ExternType::Func(entry))
                if entry.params().len() == 0 && entry.results().len() == 0 => {}
            _ => {
                return Ok(Err(format!(
                    "no function {ENTRY:?} without parameters and results"
                )));
            }
        }
        let tables = module.resources_required().num_tables;
        if usize::try_from(tables).is_ok_and(|tables| tables > MAX_TABLES) {
            return Ok(Err(format!(
                "{tables} tables, at most {MAX_TABLES} are allowed"
            )));
        }
        match self.linker.instantiate_pre(&module) {
            Err(error) if error.downcast_ref::<OutOfMemory>().is_some() => Err(host_fault(&error)),
            linked => Ok(linked.map_err(|error| format!("{error:#}"))),
        }
    }
}

impl Program {
    /// Why the class cannot run the module, if it cannot.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match &self.body {
            Body::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The module.
    #[must_use]
    pub fn blob(&self) -> BlobId {
        self.blob
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("blob", &self.blob)
            .field("refusal", &self.refusal())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use types::job::CLASS_WASM_V1;

    use super::*;

    /// The class's settings for a machine that this one is not.
    fn of_another_machine() -> wasmtime::Config {
        let mut config = class::pinned();
        config.target("x86_64-unknown-freebsd").unwrap();
        config
    }

    #[test]
    fn an_engine_that_cannot_run_here_is_not_made() {
        let made = Engine::with_config(CLASS_WASM_V1, &of_another_machine(), true);
        assert!(matches!(made, Err(NoResult::Engine { .. })), "{made:?}");
    }

    #[test]
    fn a_valid_module_that_does_not_compile_is_no_result() {
        let engine = Engine::unproven(CLASS_WASM_V1, &of_another_machine(), true).unwrap();
        let compiled = engine.compile(EMPTY_MODULE);
        assert!(
            matches!(compiled, Err(NoResult::Engine { .. })),
            "{compiled:?}"
        );
        assert!(
            engine.compile(b"no module").unwrap().refusal().is_some(),
            "an invalid one is refused on any machine"
        );
    }
}
