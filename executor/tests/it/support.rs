//! Workloads, compiled programs and runs, for all tests here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use gridproof_executor::class::Compiler;
use gridproof_executor::{InputProblem, Inputs, NoResult, Program, TaskEngine, TaskRun, run_task};
use types::attestation::Exit;
use types::codec::Text;
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, Input, Output, TaskLimits, Workload};
use types::number::{Fuel, TaskIndex};
use types::testing;

/// 2001-09-09, a second that is easy to recognise in outputs.
pub const CLOCK_START_NS: u64 = 1_000_000_000_000_000_000;

/// A workload and the bytes that it names.
#[derive(Debug, Clone)]
pub struct Job {
    pub workload: Workload,
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
}

impl Job {
    /// One task of a module with roomy limits.
    pub fn new(module: &[u8]) -> Self {
        let workload = Workload {
            limits: TaskLimits {
                fuel: Fuel(20_000_000_000),
                memory_bytes: 256 << 20,
                output_bytes: 16 << 20,
            },
            clock_start_ns: CLOCK_START_NS,
            random_seed: Hash32([7; 32]),
            ..testing::workload(module, 1)
        };
        Self {
            workload,
            blobs: BTreeMap::from([(BlobId::of(module), module.to_vec())]),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> BlobId {
        self.blobs.insert(BlobId::of(bytes), bytes.to_vec());
        BlobId::of(bytes)
    }

    pub fn input(mut self, target: &str, bytes: &[u8]) -> Self {
        let input = Input {
            blob: self.keep(bytes),
            target: Text::new(target).unwrap(),
        };
        self.workload.inputs.push(input).unwrap();
        self
    }

    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.workload.stdin = Some(self.keep(bytes));
        self
    }

    pub fn output(mut self, name: &str, path: &str) -> Self {
        let output = Output {
            name: Text::new(name).unwrap(),
            path: Text::new(path).unwrap(),
        };
        self.workload.outputs.push(output).unwrap();
        self
    }

    pub fn argument(mut self, text: &str) -> Self {
        self.workload
            .arguments
            .push(Text::new(text).unwrap())
            .unwrap();
        self
    }

    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.workload
            .environment
            .insert(Text::new(key).unwrap(), Text::new(value).unwrap());
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Workload)) -> Self {
        change(&mut self.workload);
        self
    }

    pub fn inputs(&self) -> Inputs {
        Inputs::load(&self.workload, |blob| {
            self.blobs.get(&blob).cloned().ok_or(InputProblem::NotNamed)
        })
        .unwrap()
    }

    /// The module, compiled once for all tests.
    fn program_by(&self, compiler: Compiler) -> Program {
        static COMPILED: Mutex<CompiledPrograms> = Mutex::new(BTreeMap::new());
        let key = (self.workload.module, compiler == Compiler::Baseline);
        let slot = Arc::clone(COMPILED.lock().unwrap().entry(key).or_default());
        slot.get_or_init(|| {
            let engine = match compiler {
                Compiler::Optimizing => engine(),
                Compiler::Baseline => baseline(),
            };
            engine.compile(&self.blobs[&self.workload.module]).unwrap()
        })
        .clone()
    }

    /// The module, compiled by the optimising compiler.
    pub fn program(&self) -> Program {
        self.program_by(Compiler::Optimizing)
    }

    /// The module by each compiler.
    pub fn programs(&self) -> [Program; 2] {
        [Compiler::Optimizing, Compiler::Baseline].map(|compiler| self.program_by(compiler))
    }

    /// Runs one task in this process, by the code of each compiler: nothing that a program can see depends on it.
    pub fn try_run(&self, index: u32) -> Result<TaskRun, NoResult> {
        let inputs = self.inputs();
        let run = |compiler| {
            let program = self.program_by(compiler);
            run_task(&program, &self.workload, TaskIndex(index), &inputs)
        };
        let result = run(Compiler::Optimizing);
        let baseline = run(Compiler::Baseline);
        assert!(
            result == baseline,
            "the compilers differ: {:?} and {:?}",
            result.map(|run| run.outcome),
            baseline.map(|run| run.outcome)
        );
        result
    }

    pub fn run(&self) -> TaskRun {
        let run = self.try_run(0).unwrap();
        assert!(run.is_consistent());
        run
    }

    pub fn exit(&self) -> Exit {
        self.run().outcome.exit
    }
}

/// Programs by module, and by whether the baseline compiler made them.
type CompiledPrograms = BTreeMap<(BlobId, bool), Arc<OnceLock<Program>>>;

/// The engine of the class, made once.
pub fn engine() -> &'static TaskEngine {
    static ENGINE: OnceLock<TaskEngine> = OnceLock::new();
    ENGINE.get_or_init(|| TaskEngine::new(CLASS_WASM_V2).unwrap())
}

/// An engine of the class that compiles in one pass, made once.
fn baseline() -> &'static TaskEngine {
    static ENGINE: OnceLock<TaskEngine> = OnceLock::new();
    let make = || TaskEngine::with_compiler(CLASS_WASM_V2, Compiler::Baseline).unwrap();
    ENGINE.get_or_init(make)
}

/// The bytes of a compiled program of `tests/programs` or of the examples.
pub fn program(name: &str) -> Vec<u8> {
    let path = program_path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where a compiled program is.
pub fn program_path(name: &str) -> PathBuf {
    types::testing::program_path(env!("CARGO_TARGET_TMPDIR"), name)
}

/// Standard output as text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A thousand numbers, one per line, the same each time.
pub fn numbers() -> Vec<u8> {
    let mut state = 12345u64;
    let mut lines = String::new();
    for _ in 0..1_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        writeln!(
            lines,
            "{}.{:03}",
            (state >> 33) % 200,
            (state >> 20) % 1_000
        )
        .unwrap();
    }
    lines.into_bytes()
}
