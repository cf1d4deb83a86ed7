//! All functions of `wasi_snapshot_preview1`, by name and type. The types stand beside the linker, so that an import is judged
//! before anything is compiled.

use std::collections::BTreeMap;

use wasmparser::{FuncType, ValType};
use wasmtime::{Caller, Engine, Linker};

use super::{ProgramEnd, TaskHost, call, clock, directories, files, paths, process};

const MODULE: &str = "wasi_snapshot_preview1";

/// The functions that a program may import.
pub(crate) struct HostFunctions {
    /// Gives them to an instance.
    pub(crate) linker: Linker<TaskHost>,
    types: BTreeMap<&'static str, FuncType>,
}

impl HostFunctions {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut functions = Self {
            linker: Linker::new(engine),
            types: BTreeMap::new(),
        };
        link_process(&mut functions)?;
        link_files(&mut functions)?;
        link_paths(&mut functions)?;
        Ok(functions)
    }

    /// All of them, by name.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &FuncType)> {
        self.types.iter().map(|(name, kind)| (*name, kind))
    }

    /// The type of a function; nothing for one that is not there.
    pub(crate) fn function_type(&self, module: &str, name: &str) -> Option<&FuncType> {
        self.types.get(name).filter(|_| module == MODULE)
    }
}

/// What an argument is in WebAssembly.
trait HostArgument {
    const TYPE: ValType;
}

impl HostArgument for u32 {
    const TYPE: ValType = ValType::I32;
}

impl HostArgument for u64 {
    const TYPE: ValType = ValType::I64;
}

impl HostArgument for i64 {
    const TYPE: ValType = ValType::I64;
}

/// Defines functions that give an error number; each body sees the call and its arguments.
macro_rules! define {
    ($functions:ident, $($name:ident($($argument:ident: $type:ty),*) => $body:expr;)*) => {$(
        $functions.linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, TaskHost>, $($argument: $type),*| call(&mut caller, |c| $body(c, $($argument),*)),
        )?;
        let parameters: Vec<ValType> = vec![$(<$type as HostArgument>::TYPE),*];
        $functions.types.insert(stringify!($name), FuncType::new(parameters, [ValType::I32]));
    )*};
}

fn link_process(functions: &mut HostFunctions) -> wasmtime::Result<()> {
    define! { functions,
        args_get(pointers: u32, buffer: u32) => process::args_get;
        args_sizes_get(count: u32, bytes: u32) => process::args_sizes_get;
        environ_get(pointers: u32, buffer: u32) => process::environ_get;
        environ_sizes_get(count: u32, bytes: u32) => process::environ_sizes_get;
        clock_res_get(clock: u32, out: u32) => clock::clock_res_get;
        clock_time_get(clock: u32, precision: u64, out: u32) => clock::clock_time_get;
        poll_oneoff(subscriptions: u32, events: u32, count: u32, out: u32) => clock::poll_oneoff;
        proc_raise(signal: u32) => process::proc_raise;
        random_get(buffer: u32, bytes: u32) => process::random_get;
        sched_yield() => |_: &mut super::Call<'_>| Ok(());
        sock_accept(fd: u32, flags: u32, out: u32) => process::sock_accept;
        sock_recv(fd: u32, list: u32, count: u32, flags: u32, length: u32, out: u32) => process::sock_recv;
        sock_send(fd: u32, list: u32, count: u32, flags: u32, length: u32) => process::sock_send;
        sock_shutdown(fd: u32, how: u32) => process::sock_shutdown;
    }
    // The program's end is no answer, and is owed nothing.
    let name = "proc_exit";
    functions.linker.func_wrap(
        MODULE,
        name,
        |_: Caller<'_, TaskHost>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(ProgramEnd::Exit(code)))
        },
    )?;
    let exit = FuncType::new([<u32 as HostArgument>::TYPE], []);
    functions.types.insert(name, exit);
    Ok(())
}

fn link_files(functions: &mut HostFunctions) -> wasmtime::Result<()> {
    define! { functions,
        fd_advise(fd: u32, at: u64, length: u64, advice: u32) => files::fd_advise;
        fd_allocate(fd: u32, at: u64, length: u64) => files::fd_allocate;
        fd_close(fd: u32) => files::fd_close;
        fd_datasync(fd: u32) => files::fd_sync;
        fd_fdstat_get(fd: u32, out: u32) => files::fd_fdstat_get;
        fd_fdstat_set_flags(fd: u32, flags: u32) => files::fd_fdstat_set_flags;
        fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) => files::fd_fdstat_set_rights;
        fd_filestat_get(fd: u32, out: u32) => files::fd_filestat_get;
        fd_filestat_set_size(fd: u32, size: u64) => files::fd_filestat_set_size;
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) => files::fd_filestat_set_times;
        fd_pread(fd: u32, list: u32, count: u32, at: u64, out: u32) => files::fd_pread;
        fd_prestat_get(fd: u32, out: u32) => directories::fd_prestat_get;
        fd_prestat_dir_name(fd: u32, out: u32, length: u32) => directories::fd_prestat_dir_name;
        fd_pwrite(fd: u32, list: u32, count: u32, at: u64, out: u32) => files::fd_pwrite;
        fd_read(fd: u32, list: u32, count: u32, out: u32) => files::fd_read;
        fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, out: u32) => directories::fd_readdir;
        fd_renumber(from: u32, to: u32) => files::fd_renumber;
        fd_seek(fd: u32, by: i64, whence: u32, out: u32) => files::fd_seek;
        fd_sync(fd: u32) => files::fd_sync;
        fd_tell(fd: u32, out: u32) => files::fd_tell;
        fd_write(fd: u32, list: u32, count: u32, out: u32) => files::fd_write;
    }
    Ok(())
}

fn link_paths(functions: &mut HostFunctions) -> wasmtime::Result<()> {
    define! { functions,
        path_create_directory(fd: u32, path: u32, length: u32) => paths::path_create_directory;
        path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, out: u32) => paths::path_filestat_get;
        path_remove_directory(fd: u32, path: u32, length: u32) => paths::path_remove_directory;
        path_rename(fd: u32, path: u32, length: u32, to_fd: u32, to_path: u32, to_length: u32) => paths::path_rename;
        path_unlink_file(fd: u32, path: u32, length: u32) => paths::path_unlink_file;
        path_open(
            fd: u32, lookup: u32, path: u32, length: u32, flags: u32, rights: u64, inheriting: u64, fd_flags: u32,
            out: u32
        ) => |c: &mut super::Call<'_>, fd, _lookup: u32, path, length, flags, rights, inheriting, fd_flags, out| {
            paths::path_open(c, paths::Open { fd, path, length, flags, rights, inheriting, fd_flags, out })
        };
        path_filestat_set_times(
            fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, flags: u32
        ) => |c: &mut super::Call<'_>, fd, _lookup: u32, path, length, accessed, modified, flags| {
            paths::path_filestat_set_times(c, fd, (path, length), (accessed, modified), flags)
        };
        path_readlink(
            fd: u32, path: u32, length: u32, buffer: u32, room: u32, out: u32
        ) => |c: &mut super::Call<'_>, fd, path, length, _: u32, _: u32, _: u32| {
            paths::path_readlink(c, fd, path, length)
        };
        path_link(
            fd: u32, lookup: u32, path: u32, length: u32, to_fd: u32, to_path: u32, to_length: u32
        ) => |c: &mut super::Call<'_>, fd, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| paths::no_link(c, fd);
        path_symlink(
            target: u32, target_length: u32, fd: u32, path: u32, length: u32
        ) => |c: &mut super::Call<'_>, _: u32, _: u32, fd, _: u32, _: u32| paths::no_link(c, fd);
    }
    Ok(())
}
