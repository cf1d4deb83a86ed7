//! Runs a prepared module under wasmi, function by function.

use wasmi::{Engine, Error, Extern, Instance, Linker, Module, Store, TrapCode, Val, ValType};

use crate::{FUEL_EXPORT, STACK_EXPORT, START_EXPORT};

/// What a run may use, and the argument of all calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) fuel: i64,
    pub(super) stack: i64,
    pub(super) argument: i32,
}

impl Limits {
    /// So much fuel, and a stack that is used up before that of the engine.
    pub(super) fn fuel(fuel: i64) -> Self {
        Self {
            fuel,
            stack: 2_000,
            argument: 3,
        }
    }
}

/// How the last call of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    Trap,
    OutOfFuel,
    OutOfStack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) ended: Ended,
    /// Fuel that is left, below zero if more was charged than there was.
    pub(super) left: i64,
    /// For each call, its results, or the trap that ended it. Floats are their bits.
    pub(super) calls: Vec<Result<String, String>>,
}

/// Calls the function of the start section and each exported function, up to the first that uses up a counter. Nothing for a
/// module that cannot begin.
pub(super) fn run(bytes: &[u8], limits: Limits) -> Option<Run> {
    let engine = Engine::default();
    let module = Module::new(&engine, bytes).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .ok()?;
    let counter = |store: &Store<()>, name| {
        let global = instance.get_global(store, name);
        global.map_or(0, |global| global.get(store).i64().unwrap())
    };
    let mut set = |name, value| {
        let global = instance.get_global(&store, name);
        global.map(|global| global.set(&mut store, Val::I64(value)))
    };
    set(FUEL_EXPORT, limits.fuel).unwrap().unwrap();
    set(STACK_EXPORT, limits.stack);
    let mut run = Run {
        ended: Ended::Well,
        left: limits.fuel,
        calls: Vec::new(),
    };
    for name in names(&store, instance) {
        let called = call(&mut store, instance, &name, limits.argument);
        run.left = counter(&store, FUEL_EXPORT);
        run.ended = match &called {
            _ if run.left < 0 => Ended::OutOfFuel,
            Ok(_) => Ended::Well,
            Err(_) if counter(&store, STACK_EXPORT) < 0 => Ended::OutOfStack,
            Err(_) => Ended::Trap,
        };
        run.calls.push(called);
        if run.ended != Ended::Well {
            return Some(run);
        }
    }
    Some(run)
}

/// The start section's function first.
fn names(store: &Store<()>, instance: Instance) -> Vec<String> {
    let exports = instance.exports(store);
    let functions =
        exports.filter(|export| matches!(export.clone().into_extern(), Extern::Func(_)));
    let mut names: Vec<String> = functions.map(|export| export.name().to_owned()).collect();
    names.sort_by_key(|name| (name != START_EXPORT, name.clone()));
    names
}

fn call(
    store: &mut Store<()>,
    instance: Instance,
    name: &str,
    argument: i32,
) -> Result<String, String> {
    let function = instance.get_func(&*store, name).unwrap();
    let kind = function.ty(&*store);
    let value = |kind: &ValType| match kind {
        ValType::I32 => Val::I32(argument),
        ValType::I64 => Val::I64(argument.into()),
        ValType::F32 => Val::F32(1.5f32.into()),
        ValType::F64 => Val::F64(2.5f64.into()),
        other => Val::default_for_ty(*other),
    };
    let arguments: Vec<Val> = kind.params().iter().map(value).collect();
    let mut results: Vec<Val> = kind
        .results()
        .iter()
        .map(|kind| Val::default_for_ty(*kind))
        .collect();
    let called = function.call(&mut *store, &arguments, &mut results);
    called
        .map(|()| shown(&results))
        .map_err(|error| trap(&error))
}

fn shown(results: &[Val]) -> String {
    let one = |value: &Val| match value {
        Val::F32(value) => format!("{:08x}", value.to_bits()),
        Val::F64(value) => format!("{:016x}", value.to_bits()),
        Val::FuncRef(_) | Val::ExternRef(_) => "a reference".into(),
        other => format!("{other:?}"),
    };
    results.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn trap(error: &Error) -> String {
    let code: Option<TrapCode> = error.as_trap_code();
    code.map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}
