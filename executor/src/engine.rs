//! The engine of a class, and programs compiled by it.

use std::borrow::Cow;
use std::sync::Arc;

use instrument::PrepareError;
use instrument::accept::ClassRule;
use types::hash::BlobId;
use types::job::Workload;
use types::limits::MAX_MODULE_BYTES;
use types::number::EngineClass;
use wasmtime::{ExternType, InstancePre, Linker, Module, OutOfMemory};

use crate::class::{self, MAX_TABLES};
use crate::floats;
use crate::fuel;
use crate::no_result::{HostStep, NoResult, host_error};
use crate::wasi::{self, TaskHost};

/// Where every program begins: a function without parameters or results.
pub(crate) const ENTRY: &str = "_start";

/// An engine: compiles and runs the programs of its class. Cheap to clone.
#[derive(Clone)]
pub struct TaskEngine {
    class: EngineClass,
    pub(crate) wasmtime: wasmtime::Engine,
    /// True if it prepares modules by the pass; false only for [`TaskEngine::unmetered`].
    pub(crate) prepares: bool,
    linker: Arc<Linker<TaskHost>>,
}

/// A module after compilation. One that the class cannot run is a program too: every task of it ends as `Invalid`.
#[derive(Clone)]
pub struct Program {
    pub(crate) engine: TaskEngine,
    pub(crate) blob: BlobId,
    pub(crate) body: ProgramBody,
}

#[derive(Clone)]
pub(crate) enum ProgramBody {
    /// Compiled, its imports found.
    Ready {
        instance: InstancePre<TaskHost>,
        /// What compiling it cost beside the price of its bytes.
        complexity_fuel: u64,
    },
    /// Not a module that the class can run, and why.
    Refused {
        flaw: ModuleFlaw,
        /// What finding that out cost beside the price of its bytes: nothing, or that of compiling it.
        complexity_fuel: u64,
    },
    /// Not compiled: compiling it costs more than the job's fuel limit pays for, by at least this fuel beside the price
    /// of its bytes.
    Unaffordable { complexity_fuel: u64 },
}

/// Why a class cannot run a module: every task of it ends as `Invalid`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFlaw {
    /// Larger than [`MAX_MODULE_BYTES`].
    #[error("larger than {MAX_MODULE_BYTES} bytes: it has {length}")]
    TooLarge {
        /// Length of the module, in bytes.
        length: u64,
    },
    /// A rule of the class.
    #[error("not a module of engine class {class}: {rule}")]
    Rule {
        /// Engine class of the rule.
        class: EngineClass,
        /// The rule that it breaks.
        rule: ClassRule,
    },
    /// No exported function `_start` without parameters and results.
    #[error("no function {ENTRY:?} without parameters and results")]
    NoEntry,
    /// More tables than [`MAX_TABLES`].
    #[error("{found} tables, at most {MAX_TABLES} are allowed")]
    TooManyTables {
        /// Tables that the module defines.
        found: u32,
    },
    /// An import that is not a function of WASI preview 1 by name and type.
    #[error("an import that the class does not have: {message}")]
    Import {
        /// The module, the name and the type, in the linker's words.
        message: String,
    },
}

/// What an engine compiles of a module, and the units that its complexity costs.
type PreparedBytes<'a> = (Cow<'a, [u8]>, u64);

/// The smallest module: what every engine of a class compiles, if this machine is one of the class.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

impl TaskEngine {
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
        prepares: bool,
    ) -> Result<Self, NoResult> {
        floats::check().map_err(|problem| NoResult::Floats { problem })?;
        let engine = Self::unproven(class, config, prepares)?;
        Module::new(&engine.wasmtime, EMPTY_MODULE)
            .map_err(|error| host_error(HostStep::MakeEngine, &error))?;
        Ok(engine)
    }

    /// An engine of which it is not known whether this machine can run what it compiles.
    fn unproven(
        class: EngineClass,
        config: &wasmtime::Config,
        prepares: bool,
    ) -> Result<Self, NoResult> {
        let failed = |error| host_error(HostStep::MakeEngine, &error);
        let wasmtime = wasmtime::Engine::new(config).map_err(failed)?;
        let linker = Arc::new(wasi::linker(&wasmtime).map_err(failed)?);
        Ok(Self {
            class,
            wasmtime,
            prepares,
            linker,
        })
    }

    /// The engine class whose programs it runs; 0 for [`TaskEngine::unmetered`].
    #[must_use]
    pub fn class(&self) -> EngineClass {
        self.class
    }

    /// Prepares and compiles a module. One that breaks a rule of the class is no error: it gives a program that refuses
    /// every task.
    pub fn compile(&self, module: &[u8]) -> Result<Program, NoResult> {
        self.compile_within(module, u64::MAX)
    }

    /// Compiles the module of a workload, unless its size and complexity alone pass the fuel limit: then nothing is worth
    /// doing.
    pub fn prepare(&self, workload: &Workload, module: &[u8]) -> Result<Program, NoResult> {
        let upfront = fuel::upfront(workload);
        match workload.limits.fuel.0.checked_sub(upfront) {
            Some(left) => self.compile_within(module, left),
            None => Ok(self.program(module, ProgramBody::Unaffordable { complexity_fuel: 0 })),
        }
    }

    fn program(&self, module: &[u8], body: ProgramBody) -> Program {
        Program {
            engine: self.clone(),
            blob: BlobId::of(module),
            body,
        }
    }

    /// A module that was refused before anything was compiled.
    fn refused(&self, module: &[u8], flaw: ModuleFlaw) -> Program {
        let complexity_fuel = 0;
        let body = ProgramBody::Refused {
            flaw,
            complexity_fuel,
        };
        self.program(module, body)
    }

    /// Compiles a module of which no more than `left` units may be charged for its complexity.
    fn compile_within(&self, module: &[u8], left: u64) -> Result<Program, NoResult> {
        let length = u64::try_from(module.len()).unwrap_or(u64::MAX);
        if length > MAX_MODULE_BYTES {
            let flaw = ModuleFlaw::TooLarge { length };
            return Ok(self.refused(module, flaw));
        }
        let (bytes, complexity_fuel) = match self.prepared(module)? {
            Ok(prepared) => prepared,
            Err(flaw) => return Ok(self.refused(module, flaw)),
        };
        let body = if complexity_fuel > left {
            ProgramBody::Unaffordable { complexity_fuel }
        } else {
            match self.load(&bytes)? {
                Ok(instance) => ProgramBody::Ready {
                    instance,
                    complexity_fuel,
                },
                Err(flaw) => ProgramBody::Refused {
                    flaw,
                    complexity_fuel,
                },
            }
        };
        Ok(self.program(module, body))
    }

    /// What the engine compiles of a module, and what its complexity costs.
    fn prepared<'a>(
        &self,
        module: &'a [u8],
    ) -> Result<Result<PreparedBytes<'a>, ModuleFlaw>, NoResult> {
        if !self.prepares {
            return Ok(Ok((Cow::Borrowed(module), 0)));
        }
        match instrument::prepare(module) {
            Ok(prepared) => Ok(Ok((Cow::Owned(prepared.bytes), prepared.complexity.fuel()))),
            Err(PrepareError::Refused(rule)) => Ok(Err(ModuleFlaw::Rule {
                class: self.class,
                rule,
            })),
            Err(fault @ (PrepareError::Output { .. } | PrepareError::Nan(_))) => {
                Err(NoResult::Engine {
                    step: HostStep::Prepare,
                    message: fault.to_string(),
                })
            }
        }
    }

    /// Whether a module is one of the class is decided by its rules, its entry, its tables and its imports. That it
    /// cannot be compiled in spite of it says nothing about it.
    fn load(&self, bytes: &[u8]) -> Result<Result<InstancePre<TaskHost>, ModuleFlaw>, NoResult> {
        let failed = |error| host_error(HostStep::Compile, &error);
        let module = Module::new(&self.wasmtime, bytes).map_err(failed)?;
        match module.get_export(ENTRY) {
            Some(ExternType::Func(entry))
                if entry.params().len() == 0 && entry.results().len() == 0 => {}
            _ => return Ok(Err(ModuleFlaw::NoEntry)),
        }
        let found = module.resources_required().num_tables;
        if usize::try_from(found).is_ok_and(|tables| tables > MAX_TABLES) {
            return Ok(Err(ModuleFlaw::TooManyTables { found }));
        }
        match self.linker.instantiate_pre(&module) {
            Err(error) if error.downcast_ref::<OutOfMemory>().is_some() => Err(failed(error)),
            linked => Ok(linked.map_err(|error| ModuleFlaw::Import {
                message: format!("{error:#}"),
            })),
        }
    }
}

impl Program {
    /// Why the class cannot run the module, if it cannot.
    #[must_use]
    pub fn refusal(&self) -> Option<&ModuleFlaw> {
        match &self.body {
            ProgramBody::Refused { flaw, .. } => Some(flaw),
            _ => None,
        }
    }

    /// Name of the module's bytes.
    #[must_use]
    pub fn blob(&self) -> BlobId {
        self.blob
    }
}

impl std::fmt::Debug for TaskEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskEngine")
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
    use types::job::CLASS_WASM_V2;

    use super::*;

    /// The class's settings for a machine that this one is not.
    fn of_another_machine() -> wasmtime::Config {
        let mut config = class::pinned();
        config.target("x86_64-unknown-freebsd").unwrap();
        config
    }

    #[test]
    fn an_engine_that_cannot_run_here_is_not_made() {
        let made = TaskEngine::with_config(CLASS_WASM_V2, &of_another_machine(), true);
        assert!(matches!(made, Err(NoResult::Engine { .. })), "{made:?}");
    }

    #[test]
    fn a_valid_module_that_does_not_compile_is_no_result() {
        let engine = TaskEngine::unproven(CLASS_WASM_V2, &of_another_machine(), true).unwrap();
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
