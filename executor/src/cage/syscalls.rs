//! The filter of system calls: what compiling and running a module needs, and nothing that reaches another process, a
//! file by name, the network or the kernel's rarer parts. Everything else kills the process.
//!
//! Two filters lie on each other, and the stricter answer counts. The first answers two calls with "not there", because
//! their callers then do without: the C library starts threads with `clone`, whose flags a filter can read, and the
//! engine copies memory images instead of mapping them. The second is the list.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::{LayerGap, LayerState};

/// Calls that are answered with "not there" (`ENOSYS`).
const ABSENT: [c_long; 2] = [libc::SYS_clone3, libc::SYS_memfd_create];

/// Calls that are allowed with any arguments.
const ALLOWED: [c_long; 30] = [
    // The pipes, and the blobs that are open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    // Memory, also that which holds machine code.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Signals of the process itself: traps of the guest arrive as such.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Threads and their locks.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Where the kernel gives no clock without a call.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Seeds of hash tables.
    libc::SYS_getrandom,
    // Those two are answered by the first filter.
    ABSENT[0],
    ABSENT[1],
];

/// Flags of `clone` that make a thread of this process, all of them needed.
const THREAD: c_long = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM) as c_long;
/// Flags of `clone` that a thread may have beside them.
const THREAD_TOO: c_long = (libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_DETACHED) as c_long;

/// Flags of `mmap` that say whose memory it is and how it is counted.
const MAP_KINDS: i32 = libc::MAP_TYPE | libc::MAP_GROWSDOWN | libc::MAP_LOCKED | libc::MAP_HUGETLB;

/// A condition on an argument: of its bits outside `free`, exactly `value`.
fn argument(index: u8, free: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    let operator = if free == 0 {
        SeccompCmpOp::Eq
    } else {
        SeccompCmpOp::MaskedEq(!free)
    };
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)
}

fn wide(value: impl Into<i64>) -> u64 {
    value.into().cast_unsigned()
}

/// The list, with the calls that are allowed with some arguments only.
fn list() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    let own = u64::from(std::process::id());
    let some = [
        // Memory of its own that counts as such: none that is shared, that grows by itself or that is locked.
        (
            libc::SYS_mmap,
            vec![argument(3, !wide(MAP_KINDS), wide(libc::MAP_PRIVATE))?],
        ),
        // A thread, never a process or a namespace.
        (
            libc::SYS_clone,
            vec![argument(0, wide(THREAD_TOO), wide(THREAD))?],
        ),
        // A name for a thread.
        (
            libc::SYS_prctl,
            vec![argument(0, 0, wide(libc::PR_SET_NAME))?],
        ),
        // Reading a limit of its own.
        (
            libc::SYS_prlimit64,
            vec![argument(0, 0, 0)?, argument(2, 0, 0)?],
        ),
        // Aborting.
        (libc::SYS_tgkill, vec![argument(0, 0, own)?]),
        // The standard library's check that a descriptor is open.
        (libc::SYS_fcntl, vec![argument(1, 0, wide(libc::F_GETFD))?]),
    ];
    for (call, conditions) in some {
        rules.insert(call, vec![SeccompRule::new(conditions)?]);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?
    .try_into()
}

fn absent() -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        ABSENT.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::x86_64,
    )?
    .try_into()
}

/// Puts a filter over the calling thread and those that it starts.
fn apply(program: Result<BpfProgram, BackendError>) -> LayerState {
    if !cfg!(target_arch = "x86_64") {
        return LayerState::Missing(LayerGap::Processor);
    }
    let program = program.expect("the rules are constants, and a test compiles them");
    let errno = match seccompiler::apply_filter(&program) {
        Ok(()) => return LayerState::Held,
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error)) => {
            error.raw_os_error()
        }
        Err(_) => None,
    };
    LayerState::Missing(match errno {
        None | Some(libc::ENOSYS | libc::EINVAL) => LayerGap::NotBuilt,
        Some(errno) => LayerGap::Refused { errno },
    })
}

/// The first filter. Whether it holds shows whether this machine filters at all.
pub(super) fn answer_absent() -> LayerState {
    apply(absent())
}

/// The second filter: from here on only what is listed is done.
pub(super) fn allow_listed() -> LayerState {
    apply(list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_compile() {
        assert!(!absent().unwrap().is_empty());
        assert!(list().unwrap().len() > ALLOWED.len());
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut calls = ALLOWED.to_vec();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), ALLOWED.len());
    }
}
