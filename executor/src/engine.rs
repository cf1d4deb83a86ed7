//! The engine of a class, and programs compiled by it.

use std::sync::Arc;

use instrument::accept::{ClassRule, accept};
use instrument::{PrepareError, plan};
use types::hash::BlobId;
use types::job::{FUEL_PER_MODULE_BYTE, Workload};
use types::limits::MAX_MODULE_BYTES;
use types::number::{EngineClass, Fuel};
use wasmtime::{InstancePre, Module};

use crate::class::{self, Compiler};
use crate::code::ModuleCode;
use crate::flaw::{self, ModuleFlaw};
use crate::floats;
use crate::fuel;
use crate::no_result::{HostStep, NoResult, host_error};
use crate::wasi::{HostFunctions, TaskHost};

/// An engine: compiles and runs the programs of its class. Cheap to clone.
#[derive(Clone)]
pub struct TaskEngine {
    class: EngineClass,
    pub(crate) wasmtime: wasmtime::Engine,
    /// True if it prepares modules by the pass; false only for [`TaskEngine::unmetered`].
    pub(crate) prepares: bool,
    functions: Arc<HostFunctions>,
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
        /// What finding that out cost beside the price of its bytes: nothing, if its text said so, or what compiling it costs, if
        /// only the prepared module did.
        complexity_fuel: u64,
    },
    /// Not compiled: compiling it costs more than the job's fuel limit pays for, by at least this fuel beside the price
    /// of its bytes.
    Unaffordable { complexity_fuel: u64 },
}

/// A module after the pass: what is left is to compile it, if it is one of the class and paid for.
pub struct JudgedModule {
    blob: BlobId,
    judgement: Judgement,
}

enum Judgement {
    /// To be compiled: the bytes that the pass wrote, or those that were given where nothing is prepared.
    Compile {
        bytes: Vec<u8>,
        complexity_fuel: u64,
    },
    /// There is nothing to compile.
    Done(ProgramBody),
}

/// The smallest module: what every engine of a class compiles, if this machine is one of the class.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

impl TaskEngine {
    /// The engine of `class`, if this build and this machine have it.
    pub fn new(class: EngineClass) -> Result<Self, NoResult> {
        Self::with_compiler(class, Compiler::Optimizing)
    }

    /// The same with a compiler of one's choice.
    pub fn with_compiler(class: EngineClass, compiler: Compiler) -> Result<Self, NoResult> {
        let config = class::config(class, compiler).ok_or(NoResult::Class { class })?;
        Self::with_config(class, &config, true)
    }

    /// The same, with compiled code of the one module that it is for: what is given there is not compiled, and what is
    /// compiled is noted there.
    pub fn with_code(class: EngineClass, code: Arc<ModuleCode>) -> Result<Self, NoResult> {
        let mut config =
            class::config(class, Compiler::Optimizing).ok_or(NoResult::Class { class })?;
        config
            .enable_incremental_compilation(code)
            .map_err(|error| host_error(HostStep::MakeEngine, &error))?;
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
        let functions = Arc::new(HostFunctions::new(&wasmtime).map_err(failed)?);
        Ok(Self {
            class,
            wasmtime,
            prepares,
            functions,
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

    /// Judges and compiles the module of a workload.
    pub fn prepare(&self, workload: &Workload, module: &[u8]) -> Result<Program, NoResult> {
        self.finish(self.judge(workload, module)?)
    }

    /// Reads the module of a workload and prepares it, unless its size and complexity alone pass the fuel limit: then nothing
    /// is worth doing.
    pub fn judge(&self, workload: &Workload, module: &[u8]) -> Result<JudgedModule, NoResult> {
        let upfront = fuel::upfront(workload);
        match workload.limits.fuel.0.checked_sub(upfront) {
            Some(left) => self.judge_within(module, left),
            None => Ok(JudgedModule {
                blob: BlobId::of(module),
                judgement: Judgement::Done(ProgramBody::Unaffordable { complexity_fuel: 0 }),
            }),
        }
    }

    /// Compiles a module of which no more than `left` units may be charged for its complexity.
    fn compile_within(&self, module: &[u8], left: u64) -> Result<Program, NoResult> {
        self.finish(self.judge_within(module, left)?)
    }

    fn judge_within(&self, module: &[u8], left: u64) -> Result<JudgedModule, NoResult> {
        let judgement = if self.prepares {
            self.judgement(module, left)?
        } else {
            Judgement::Compile {
                bytes: module.to_vec(),
                complexity_fuel: 0,
            }
        };
        let blob = BlobId::of(module);
        Ok(JudgedModule { blob, judgement })
    }

    /// Reads a module, and prepares it if it is one of the class and if it can be paid for. What its text says comes first, then the
    /// charge, so that whether a module is refused depends on nothing but the module.
    fn judgement(&self, module: &[u8], left: u64) -> Result<Judgement, NoResult> {
        let refused = |flaw, complexity_fuel| {
            Judgement::Done(ProgramBody::Refused {
                flaw,
                complexity_fuel,
            })
        };
        let unaffordable =
            |complexity_fuel| Judgement::Done(ProgramBody::Unaffordable { complexity_fuel });
        let class = self.class;
        let broken = |rule: ClassRule| ModuleFlaw::Rule { class, rule };
        let length = u64::try_from(module.len()).unwrap_or(u64::MAX);
        if length > MAX_MODULE_BYTES {
            return Ok(refused(ModuleFlaw::TooLarge { length }, 0));
        }
        let (parsed, complexity) = match accept(module) {
            Ok(accepted) => accepted,
            Err(rule) => return Ok(refused(broken(rule), 0)),
        };
        if let Some(flaw) = flaw::find(&parsed, &self.functions) {
            return Ok(refused(flaw, 0));
        }
        let complexity_fuel = complexity.fuel();
        if complexity_fuel > left {
            return Ok(unaffordable(complexity_fuel));
        }
        let fault = |message| NoResult::Engine {
            step: HostStep::Prepare,
            message,
        };
        let plan = plan(&parsed, complexity).map_err(|error| fault(error.to_string()))?;
        let complexity_fuel = plan.complexity().fuel();
        if complexity_fuel > left {
            return Ok(unaffordable(complexity_fuel));
        }
        match plan.write() {
            Ok(bytes) => Ok(Judgement::Compile {
                bytes,
                complexity_fuel,
            }),
            Err(PrepareError::Refused(rule)) => Ok(refused(broken(rule), complexity_fuel)),
            Err(error) => Err(fault(error.to_string())),
        }
    }

    /// Compiles what was judged, if there is something to compile.
    pub fn finish(&self, judged: JudgedModule) -> Result<Program, NoResult> {
        let body = match judged.judgement {
            Judgement::Compile {
                bytes,
                complexity_fuel,
            } => ProgramBody::Ready {
                instance: self.load(&bytes)?,
                complexity_fuel,
            },
            Judgement::Done(body) => body,
        };
        Ok(Program {
            engine: self.clone(),
            blob: judged.blob,
            body,
        })
    }

    /// Whether a module is one of the class was decided before. That it cannot be compiled and linked in spite of it says nothing
    /// about it.
    fn load(&self, bytes: &[u8]) -> Result<InstancePre<TaskHost>, NoResult> {
        let module = Module::new(&self.wasmtime, bytes);
        let linked = module.and_then(|module| self.functions.linker.instantiate_pre(&module));
        linked.map_err(|error| host_error(HostStep::Compile, &error))
    }
}

impl JudgedModule {
    /// What the job is charged for compiling it; nothing if there is nothing to compile.
    #[must_use]
    pub fn compile_charge(&self) -> Option<Fuel> {
        match &self.judgement {
            Judgement::Compile {
                complexity_fuel, ..
            } => {
                let by_length = self.blob.length.saturating_mul(FUEL_PER_MODULE_BYTE);
                Some(Fuel(complexity_fuel.saturating_add(by_length)))
            }
            Judgement::Done(_) => None,
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
mod tests;
