//! Every function of WASI with extreme values in all its arguments: whatever a program passes, a task ends with a result,
//! and with the same one on every machine. As in the corpus, a frozen hash that changes means that the class has changed.

use types::attestation::Exit;
use types::codec::encode;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, InstructionSink, MemArg, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};

use crate::support::Job;

/// Hash over the outcomes of all calls, in order.
const FROZEN: &str = "995de2b7e553f30081bfab1d49bc66453ea1037ab7e155c7b7bfaa001c2de8e5";

const LONG: MemArg = MemArg {
    offset: 0,
    align: 3,
    memory_index: 0,
};
const HALF: MemArg = MemArg {
    offset: 0,
    align: 2,
    memory_index: 0,
};
/// What the module reads from standard input: arguments of the call, a scatter list of two entries, a subscription.
const ARGUMENTS: i64 = 4_096;
const LIST: i64 = ARGUMENTS + 72;
const SUBSCRIPTION: i64 = LIST + 16;
const READ_BYTES: usize = 72 + 16 + 48;
/// A path, and room to write to.
const PATH: i64 = 128;
const ROOM: i64 = 8_192;

/// An open directory with an entry, an open file with bytes; what the module opens first.
const DIRECTORY: i64 = 4;
const FILE: i64 = 5;

/// Descriptors, the end of memory, and the ends of what fits, with and without a sign.
const NARROW: [i64; 8] = [
    0,
    FILE,
    65_528,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
];
const WIDE: [i64; 8] = [0, 1, 1 << 32, i64::MAX - 1, i64::MAX, i64::MIN, -2, -1];

/// Name, type (`l` for 64 bits, `i` for 32), and arguments with which the function does something.
#[rustfmt::skip]
const FUNCTIONS: [(&str, &str, &[i64]); 46] = [
    ("args_get", "ii", &[ROOM, ROOM + 64]),
    ("args_sizes_get", "ii", &[ROOM, ROOM + 8]),
    ("environ_get", "ii", &[ROOM, ROOM + 64]),
    ("environ_sizes_get", "ii", &[ROOM, ROOM + 8]),
    ("clock_res_get", "ii", &[0, ROOM]),
    ("clock_time_get", "ili", &[1, 0, ROOM]),
    ("poll_oneoff", "iiii", &[SUBSCRIPTION, ROOM, 1, ROOM + 512]),
    ("proc_raise", "i", &[9]),
    ("random_get", "ii", &[ROOM, 16]),
    ("sched_yield", "", &[]),
    ("sock_accept", "iii", &[0, 0, ROOM]),
    ("sock_recv", "iiiiii", &[0, LIST, 2, 0, ROOM, ROOM + 8]),
    ("sock_send", "iiiii", &[0, LIST, 2, 0, ROOM]),
    ("sock_shutdown", "ii", &[0, 0]),
    ("fd_advise", "illi", &[FILE, 0, 0, 0]),
    ("fd_allocate", "ill", &[FILE, 0, 16]),
    ("fd_close", "i", &[FILE]),
    ("fd_datasync", "i", &[FILE]),
    ("fd_fdstat_get", "ii", &[FILE, ROOM]),
    ("fd_fdstat_set_flags", "ii", &[FILE, 1]),
    ("fd_fdstat_set_rights", "ill", &[FILE, 0, 0]),
    ("fd_filestat_get", "ii", &[FILE, ROOM]),
    ("fd_filestat_set_size", "il", &[FILE, 3]),
    ("fd_filestat_set_times", "illi", &[FILE, 1, 1, 5]),
    ("fd_pread", "iiili", &[FILE, LIST, 2, 0, ROOM]),
    ("fd_prestat_get", "ii", &[3, ROOM]),
    ("fd_prestat_dir_name", "iii", &[3, ROOM, 1]),
    ("fd_pwrite", "iiili", &[FILE, LIST, 2, 0, ROOM]),
    ("fd_read", "iiii", &[FILE, LIST, 2, ROOM]),
    ("fd_readdir", "iiili", &[DIRECTORY, ROOM, 512, 0, ROOM + 1_024]),
    ("fd_renumber", "ii", &[FILE, DIRECTORY]),
    ("fd_seek", "ilii", &[FILE, 1, 1, ROOM]),
    ("fd_sync", "i", &[FILE]),
    ("fd_tell", "ii", &[FILE, ROOM]),
    ("fd_write", "iiii", &[FILE, LIST, 2, ROOM]),
    ("path_create_directory", "iii", &[3, PATH, 4]),
    ("path_filestat_get", "iiiii", &[3, 0, PATH, 3, ROOM]),
    ("path_filestat_set_times", "iiiilli", &[3, 0, PATH, 3, 1, 1, 5]),
    ("path_link", "iiiiiii", &[3, 0, PATH, 3, 3, PATH, 4]),
    ("path_open", "iiiiillii", &[3, 0, PATH, 5, 1, -1, -1, 0, ROOM]),
    ("path_readlink", "iiiiii", &[3, PATH, 3, ROOM, 64, ROOM + 64]),
    ("path_remove_directory", "iii", &[3, PATH, 3]),
    ("path_rename", "iiiiii", &[3, PATH, 5, 3, PATH, 6]),
    ("path_symlink", "iiiii", &[PATH, 3, 3, PATH, 4]),
    ("path_unlink_file", "iii", &[3, PATH, 5]),
    ("proc_exit", "i", &[7]),
];

/// A place in what the module reads: where, how wide, and what is there unless something else is tried.
#[derive(Debug, Clone, Copy)]
struct Slot {
    at: i64,
    bytes: usize,
    usual: i64,
}

impl Slot {
    fn extremes(self) -> &'static [i64] {
        if self.bytes == 8 { &WIDE } else { &NARROW }
    }

    fn put(self, read: &mut [u8], value: i64) {
        let at = usize::try_from(self.at - ARGUMENTS).unwrap();
        read[at..at + self.bytes].copy_from_slice(&value.to_le_bytes()[..self.bytes]);
    }
}

/// The arguments, and what is behind those that point to a list or a subscription.
fn slots(types: &str, usual: &[i64]) -> Vec<Slot> {
    let arguments = types.bytes().zip(usual).zip(0..);
    let mut all: Vec<_> = arguments
        .map(|((kind, usual), n)| Slot {
            at: ARGUMENTS + 8 * n,
            bytes: if kind == b'l' { 8 } else { 4 },
            usual: *usual,
        })
        .collect();
    if usual.contains(&LIST) {
        all.extend(
            [(0, 300), (4, 1), (8, 301), (12, 1)].map(|(at, usual)| Slot {
                at: LIST + at,
                bytes: 4,
                usual,
            }),
        );
    }
    if usual.contains(&SUBSCRIPTION) {
        all.extend([(8, 1), (16, 4), (24, 8), (40, 4)].map(|(at, bytes)| Slot {
            at: SUBSCRIPTION + at,
            bytes,
            usual: 0,
        }));
    }
    all
}

/// Opens a directory and a file with two bytes, reads the arguments, calls the function with them and ends with what
/// that gave.
fn body(code: &mut InstructionSink<'_>, types: &str, gives: bool) {
    let word = |code: &mut InstructionSink<'_>, at: i32, value: i64| {
        code.i32_const(at)
            .i32_const(i32::try_from(value).unwrap())
            .i32_store(HALF);
    };
    word(code, 0, ARGUMENTS);
    word(code, 4, READ_BYTES.try_into().unwrap());
    code.i32_const(0)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(0)
        .drop();
    let path = i32::try_from(PATH).unwrap();
    // FD_READ and FD_READDIR of `out`, which becomes number 4; everything of `out/f`, which is made and becomes 5.
    for (length, flags, rights) in [(3, 2, 1 << 1 | 1 << 14), (5, 1, -1)] {
        code.i32_const(3)
            .i32_const(0)
            .i32_const(path)
            .i32_const(length)
            .i32_const(flags);
        code.i64_const(rights)
            .i64_const(rights)
            .i32_const(0)
            .i32_const(8)
            .call(1)
            .drop();
    }
    word(code, 0, PATH);
    word(code, 4, 2);
    code.i32_const(5)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(2)
        .drop();
    for (kind, n) in types.bytes().zip(0..) {
        code.i32_const(i32::try_from(ARGUMENTS).unwrap() + 8 * n);
        if kind == b'l' {
            code.i64_load(LONG)
        } else {
            code.i32_load(HALF)
        };
    }
    code.call(4);
    if gives {
        code.call(3);
    }
}

fn caller(name: &str, kinds: &str) -> Vec<u8> {
    use ValType::{I32, I64};
    let gives = name != "proc_exit";
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([I32; 4], [I32]);
    types
        .ty()
        .function([I32, I32, I32, I32, I32, I64, I64, I32, I32], [I32]);
    types.ty().function([I32], []);
    types.ty().function(
        kinds
            .bytes()
            .map(|kind| if kind == b'l' { I64 } else { I32 }),
        gives.then_some(I32),
    );
    let mut imports = ImportSection::new();
    for (name, kind) in [
        ("fd_read", 1),
        ("path_open", 2),
        ("fd_write", 1),
        ("proc_exit", 3),
        (name, 4),
    ] {
        imports.import("wasi_snapshot_preview1", name, EntityType::Function(kind));
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports
        .export("_start", ExportKind::Func, 5)
        .export("memory", ExportKind::Memory, 0);
    let mut start = Function::new([]);
    body(&mut start.instructions(), kinds, gives);
    start.instructions().end();
    let mut code = CodeSection::new();
    code.function(&start);
    let mut data = DataSection::new();
    data.active(
        0,
        &ConstExpr::i32_const(i32::try_from(PATH).unwrap()),
        *b"out/file",
    );
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports);
    module.section(&code).section(&data);
    module.finish()
}

/// The usual values but for one or two places, which take every extreme.
fn cases(slots: &[Slot]) -> Vec<Vec<i64>> {
    let usual: Vec<_> = slots.iter().map(|slot| slot.usual).collect();
    let mut all = vec![usual.clone()];
    for (first, one) in slots.iter().enumerate() {
        for value in one.extremes() {
            let mut case = usual.clone();
            case[first] = *value;
            all.push(case.clone());
            for (second, other) in slots.iter().enumerate().skip(first + 1) {
                all.extend(other.extremes().iter().map(|value| {
                    let mut case = case.clone();
                    case[second] = *value;
                    case
                }));
            }
        }
    }
    all
}

#[test]
fn every_argument_is_answered_as_it_always_was() {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0;
    for (name, kinds, usual) in FUNCTIONS {
        assert_eq!(kinds.len(), usual.len(), "{name}");
        let job = Job::new(&caller(name, kinds));
        let slots = slots(kinds, usual);
        for case in cases(&slots) {
            let mut read = [0; READ_BYTES];
            slots
                .iter()
                .zip(&case)
                .for_each(|(slot, value)| slot.put(&mut read, *value));
            let ended = job.clone().stdin(&read).try_run(0).map(|run| run.outcome);
            let outcome = ended.unwrap_or_else(|error| panic!("{name}{case:?}: {error}"));
            assert!(
                !matches!(outcome.exit, Exit::Invalid | Exit::Trap { .. }),
                "{name}{case:?}: {:?}",
                outcome.exit
            );
            hasher.update(&encode(&outcome));
            count += 1;
        }
    }
    assert_eq!(
        hasher.finalize().to_hex().as_str(),
        FROZEN,
        "over {count} calls"
    );
}
