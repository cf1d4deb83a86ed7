//! Numbers and layouts of WASI preview 1, as far as they are used (WebAssembly/WASI, `wasi_snapshot_preview1.witx`).

/// An error number that a call gives to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) u32);

macro_rules! errnos {
    ($($name:ident = $number:literal,)*) => {
        impl Errno {
            $(pub(crate) const $name: Self = Self($number);)*
        }
    };
}

errnos! {
    BADF = 8,
    EXIST = 20,
    FAULT = 21,
    ILSEQ = 25,
    INVAL = 28,
    ISDIR = 31,
    MFILE = 33,
    NAMETOOLONG = 37,
    NOENT = 44,
    NOMEM = 48,
    NOSPC = 51,
    NOSYS = 52,
    NOTDIR = 54,
    NOTEMPTY = 55,
    NOTSOCK = 57,
    NOTSUP = 58,
    PERM = 63,
    ROFS = 69,
    SPIPE = 70,
    NOTCAPABLE = 76,
}

/// What kind of thing a descriptor or a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileType(pub(crate) u8);

impl FileType {
    /// A stream: not a terminal, not a file.
    pub(crate) const UNKNOWN: Self = Self(0);
    pub(crate) const DIRECTORY: Self = Self(3);
    pub(crate) const REGULAR_FILE: Self = Self(4);
}

/// Rights of a descriptor, a set of bits.
pub(crate) mod rights {
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_SEEK: u64 = 1 << 2;
    pub(crate) const FD_TELL: u64 = 1 << 5;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    pub(crate) const FD_ALLOCATE: u64 = 1 << 8;
    pub(crate) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(crate) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(crate) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(crate) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(crate) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(crate) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(crate) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(crate) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(crate) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(crate) const PATH_UNLINK_FILE: u64 = 1 << 26;
    /// All that preview 1 defines.
    pub(crate) const ALL: u64 = (1 << 30) - 1;
    /// Those that would change a file.
    pub(crate) const CHANGES: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
    /// Those on a position, which only files have.
    pub(crate) const POSITION: u64 = FD_SEEK | FD_TELL;
    /// Those of a stream: everything but its position.
    pub(crate) const STREAM: u64 = ALL & !POSITION;
    /// Those of a directory: it has no bytes and no position.
    pub(crate) const DIRECTORY: u64 = ALL & !CHANGES & !POSITION;
}

/// Flags of `path_open`.
pub(crate) mod open_flags {
    pub(crate) const CREATE: u32 = 1;
    pub(crate) const DIRECTORY: u32 = 2;
    pub(crate) const EXCLUSIVE: u32 = 4;
    pub(crate) const TRUNCATE: u32 = 8;
    pub(crate) const ALL: u32 = 15;
}

/// Flags of a descriptor.
pub(crate) mod fd_flags {
    pub(crate) const APPEND: u32 = 1;
    /// Append, data sync, no blocking, read sync, sync; all but the first mean nothing to a tree in memory.
    pub(crate) const ALL: u32 = 31;
}

/// Flags of `*_filestat_set_times`.
pub(crate) mod time_flags {
    pub(crate) const ACCESS: u32 = 1;
    pub(crate) const ACCESS_NOW: u32 = 2;
    pub(crate) const MODIFY: u32 = 4;
    pub(crate) const MODIFY_NOW: u32 = 8;
    pub(crate) const ALL: u32 = 15;
}

/// Numbers of the clocks that a guest may ask for.
pub(crate) mod clocks {
    pub(crate) const REALTIME: u32 = 0;
    pub(crate) const MONOTONIC: u32 = 1;
    pub(crate) const PROCESS: u32 = 2;
    pub(crate) const THREAD: u32 = 3;
}

/// Tags of subscriptions and events.
pub(crate) mod event_types {
    pub(crate) const CLOCK: u8 = 0;
    pub(crate) const FD_READ: u8 = 1;
    pub(crate) const FD_WRITE: u8 = 2;
}

/// Set in a clock subscription's flags when its time is absolute.
pub(crate) const SUBSCRIPTION_ABSOLUTE: u16 = 1;
pub(crate) const SUBSCRIPTION_BYTES: u32 = 48;
pub(crate) const EVENT_BYTES: u32 = 32;
pub(crate) const DIRENT_BYTES: usize = 24;
