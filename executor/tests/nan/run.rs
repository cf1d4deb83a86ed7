//! Runs a module under an engine and notes all that can be seen of it.

use anyhow::{Context, Result, anyhow};

use crate::program::{HOST, REFUEL};
use crate::random::Random;

/// What a module left. Values are bits; references are only there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// For each call, its results, or the name of its trap.
    pub calls: Vec<(String, Result<Vec<u128>, String>)>,
    pub globals: Vec<(String, u128)>,
    pub memories: Vec<blake3::Hash>,
}

impl Seen {
    /// Whether the engine's stack ended a call: the depth is its own.
    pub fn overflowed(&self) -> bool {
        self.calls
            .iter()
            .any(|(_, end)| end.as_ref().is_err_and(|trap| trap == "StackOverflow"))
    }
}

/// How often each exported function is called.
const ROUNDS: usize = 2;

/// Calls of a module: all its functions by name, the one that gives fuel before each.
fn plan(mut functions: Vec<String>) -> Vec<String> {
    functions.sort();
    let refuel = functions.iter().any(|name| name == REFUEL);
    functions.retain(|name| name != REFUEL);
    let mut calls = Vec::new();
    for _ in 0..ROUNDS {
        for function in &functions {
            calls.extend(refuel.then(|| REFUEL.to_owned()));
            calls.push(function.clone());
        }
    }
    calls
}

/// The bits that the host's function returns for those that it is given.
fn mixed(wide: u64, narrow: u32) -> u64 {
    let mixed = (wide ^ u64::from(narrow).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match mixed >> 62 {
        0 => wide,
        1 => mixed | 0x7ff0_0000_0000_0000,
        _ => mixed,
    }
}

/// wasmtime.
pub mod first {
    use wasmtime::{
        Config, Engine, Extern, Func, Instance, Linker, Module, Store, Trap, V128, Val, ValType,
    };

    use super::{Context, HOST, Random, Result, Seen, anyhow, mixed, plan};

    /// An engine, with its own canonical NaNs or without, for the named machine or for this one.
    pub fn engine(canonical: bool, named: bool) -> Engine {
        let mut config = Config::new();
        config
            .cranelift_opt_level(wasmtime::OptLevel::Speed)
            .cranelift_nan_canonicalization(canonical)
            .memory_reservation(1 << 20)
            .memory_guard_size(0)
            .max_wasm_stack(2 << 20);
        if named {
            config.target(gridproof_executor::class::TARGET).unwrap();
        }
        Engine::new(&config).unwrap()
    }

    /// An engine whose compiler makes one pass over the text.
    pub fn baseline() -> Engine {
        let mut config = Config::new();
        config
            .strategy(wasmtime::Strategy::Winch)
            .memory_reservation(1 << 20)
            .memory_guard_size(0)
            .max_wasm_stack(2 << 20)
            .wasm_features(wasmtime::WasmFeatures::all(), false)
            .wasm_features(instrument::accept::features(), true);
        Engine::new(&config).unwrap()
    }

    fn argument(kind: &ValType, random: &mut Random) -> Val {
        match kind {
            ValType::I32 => Val::I32(random.narrow().cast_signed()),
            ValType::I64 => Val::I64(random.wide().cast_signed()),
            ValType::F32 => Val::F32(random.narrow()),
            ValType::F64 => Val::F64(random.wide()),
            ValType::V128 => Val::V128(V128::from(random.vector())),
            ValType::Ref(_) => Val::FuncRef(None),
        }
    }

    fn bits(value: &Val) -> u128 {
        match value {
            Val::I32(value) => value.cast_unsigned().into(),
            Val::I64(value) => value.cast_unsigned().into(),
            Val::F32(bits) => (*bits).into(),
            Val::F64(bits) => (*bits).into(),
            Val::V128(value) => value.as_u128(),
            other => u128::from(other.unwrap_funcref().is_some()),
        }
    }

    fn trap(error: &wasmtime::Error) -> String {
        error
            .downcast_ref::<Trap>()
            .map_or_else(|| format!("{error:#}"), |trap| format!("{trap:?}"))
    }

    fn call(
        store: &mut Store<()>,
        function: Func,
        random: &mut Random,
    ) -> Result<Vec<u128>, String> {
        let kind = function.ty(&mut *store);
        let arguments: Vec<Val> = kind.params().map(|kind| argument(&kind, random)).collect();
        let mut results = vec![Val::I32(0); kind.results().len()];
        function
            .call(store, &arguments, &mut results)
            .map_err(|error| trap(&error))?;
        Ok(results.iter().map(bits).collect())
    }

    fn linker(engine: &Engine) -> Linker<()> {
        let mut linker = Linker::new(engine);
        let kind = wasmtime::FuncType::new(engine, [ValType::F64, ValType::F32], [ValType::F64]);
        linker
            .func_new(HOST, HOST, kind, |_caller, arguments, results| {
                let (wide, narrow) = (bits(&arguments[0]), bits(&arguments[1]));
                let bits = mixed(u64::try_from(wide).unwrap(), u32::try_from(narrow).unwrap());
                results[0] = Val::F64(bits);
                Ok(())
            })
            .unwrap();
        linker
    }

    /// Names of what the module itself exports of one kind, sorted.
    fn names(kind: fn(&Extern) -> bool, store: &mut Store<()>, instance: Instance) -> Vec<String> {
        let mut names: Vec<String> = instance
            .exports(&mut *store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .filter(|(_, export)| kind(export))
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with(instrument::accept::RESERVED))
            .collect();
        names.sort();
        names
    }

    /// Runs a module; nothing if it cannot begin.
    pub fn run(engine: &Engine, module: &[u8], seed: u64) -> Result<Option<Seen>> {
        let module = Module::new(engine, module).map_err(|error| anyhow!("{error:#}"))?;
        let mut store = Store::new(engine, ());
        let Ok(instance) = linker(engine).instantiate(&mut store, &module) else {
            return Ok(None);
        };
        if let Some(fuel) = instance.get_global(&mut store, instrument::FUEL_EXPORT) {
            let plenty = Val::I64(i64::MAX);
            fuel.set(&mut store, plenty)
                .map_err(|error| anyhow!("{error:#}"))?;
        }
        if let Some(start) = instance.get_func(&mut store, instrument::START_EXPORT)
            && call(&mut store, start, &mut Random::new(0)).is_err()
        {
            return Ok(None);
        }
        let random = &mut Random::new(seed);
        let functions = names(
            |export| matches!(export, Extern::Func(_)),
            &mut store,
            instance,
        );
        let mut calls = Vec::new();
        for name in plan(functions) {
            let function = instance.get_func(&mut store, &name).context("an export")?;
            let end = call(&mut store, function, random);
            calls.push((name, end));
        }
        let mut globals = Vec::new();
        let kind = |export: &Extern| matches!(export, Extern::Global(_));
        for name in names(kind, &mut store, instance) {
            let global = instance
                .get_global(&mut store, &name)
                .context("an export")?;
            globals.push((name, bits(&global.get(&mut store))));
        }
        let mut memories = Vec::new();
        let kind = |export: &Extern| matches!(export, Extern::Memory(_));
        for name in names(kind, &mut store, instance) {
            let memory = instance
                .get_memory(&mut store, &name)
                .context("an export")?;
            memories.push(blake3::hash(memory.data(&store)));
        }
        Ok(Some(Seen {
            calls,
            globals,
            memories,
        }))
    }
}

/// wasmi, an interpreter of other people.
pub mod second {
    use wasmi::{Engine, Extern, Func, Linker, Module, Store, Val, ValType};

    use super::{Context, HOST, Random, Result, Seen, mixed, plan};

    pub fn engine() -> Engine {
        let mut config = wasmi::Config::default();
        config
            .wasm_simd(true)
            .wasm_extended_const(true)
            .set_max_recursion_depth(100_000)
            .set_max_stack_height(256 << 20);
        Engine::new(&config)
    }

    fn argument(kind: ValType, random: &mut Random) -> Val {
        match kind {
            ValType::I32 => Val::I32(random.narrow().cast_signed()),
            ValType::I64 => Val::I64(random.wide().cast_signed()),
            ValType::F32 => Val::F32(wasmi::F32::from_bits(random.narrow())),
            ValType::F64 => Val::F64(wasmi::F64::from_bits(random.wide())),
            ValType::V128 => Val::V128(wasmi::V128::from(random.vector())),
            other => Val::default_for_ty(other),
        }
    }

    fn bits(value: &Val) -> u128 {
        match value {
            Val::I32(value) => value.cast_unsigned().into(),
            Val::I64(value) => value.cast_unsigned().into(),
            Val::F32(value) => value.to_bits().into(),
            Val::F64(value) => value.to_bits().into(),
            Val::V128(value) => value.as_u128(),
            Val::FuncRef(value) => u128::from(!value.is_null()),
            Val::ExternRef(value) => u128::from(!value.is_null()),
        }
    }

    fn call(
        store: &mut Store<()>,
        function: Func,
        random: &mut Random,
    ) -> Result<Vec<u128>, String> {
        let kind = function.ty(&*store);
        let arguments: Vec<Val> = kind
            .params()
            .iter()
            .map(|kind| argument(*kind, random))
            .collect();
        let mut results: Vec<Val> = kind
            .results()
            .iter()
            .map(|kind| Val::default_for_ty(*kind))
            .collect();
        function
            .call(store, &arguments, &mut results)
            .map_err(|error| {
                let code = error.as_trap_code();
                code.map_or_else(|| error.to_string(), |code| format!("{code:?}"))
            })?;
        Ok(results.iter().map(bits).collect())
    }

    /// Runs a module; nothing if it cannot begin.
    pub fn run(engine: &Engine, module: &[u8], seed: u64) -> Result<Option<Seen>> {
        let module = Module::new(engine, module)?;
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let kind = wasmi::FuncType::new([ValType::F64, ValType::F32], [ValType::F64]);
        linker.func_new(HOST, HOST, kind, |_, arguments, results| {
            let (wide, narrow) = (bits(&arguments[0]), bits(&arguments[1]));
            let bits = mixed(u64::try_from(wide).unwrap(), u32::try_from(narrow).unwrap());
            results[0] = Val::F64(wasmi::F64::from_bits(bits));
            Ok(())
        })?;
        let Ok(instance) = linker.instantiate_and_start(&mut store, &module) else {
            return Ok(None);
        };
        if let Some(start) = instance.get_func(&store, instrument::START_EXPORT)
            && call(&mut store, start, &mut Random::new(0)).is_err()
        {
            return Ok(None);
        }
        let random = &mut Random::new(seed);
        let names = |kind: fn(&Extern) -> bool, store: &Store<()>| {
            let mut names: Vec<String> = instance
                .exports(store)
                .map(|export| (export.name().to_owned(), export.into_extern()))
                .filter(|(_, export)| kind(export))
                .map(|(name, _)| name)
                .filter(|name| !name.starts_with(instrument::accept::RESERVED))
                .collect();
            names.sort();
            names
        };
        let mut calls = Vec::new();
        for name in plan(names(|export| matches!(export, Extern::Func(_)), &store)) {
            let function = instance.get_func(&store, &name).context("an export")?;
            let end = call(&mut store, function, random);
            calls.push((name, end));
        }
        let mut globals = Vec::new();
        for name in names(|export| matches!(export, Extern::Global(_)), &store) {
            let global = instance.get_global(&store, &name).context("an export")?;
            globals.push((name, bits(&global.get(&store))));
        }
        let mut memories = Vec::new();
        for name in names(|export| matches!(export, Extern::Memory(_)), &store) {
            let memory = instance.get_memory(&store, &name).context("an export")?;
            memories.push(blake3::hash(memory.data(&store)));
        }
        Ok(Some(Seen {
            calls,
            globals,
            memories,
        }))
    }
}
