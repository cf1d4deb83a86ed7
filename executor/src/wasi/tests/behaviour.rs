//! What the public test suite of preview 1 and real programs expect of files and descriptors, call by call.

use super::super::abi::{open_flags, rights, time_flags};
use super::super::descriptors::ROOT_DESCRIPTOR;
use super::super::paths::Open;
use super::*;

/// A host with an input, and a memory for what the calls are told and give.
struct Machine {
    host: TaskHost,
    memory: Vec<u8>,
}

const NAME_AT: u32 = 256;
const OUT: u32 = 0;

impl Machine {
    fn new() -> Self {
        let mut host = host();
        assert!(
            host.tree
                .add_input("/in/data", Arc::new(b"data".to_vec()), 0)
        );
        Self {
            host,
            memory: vec![0; 4_096],
        }
    }

    fn call<T>(
        &mut self,
        body: impl FnOnce(&mut Call<'_>) -> Result<T, CallFailure>,
    ) -> Result<T, CallFailure> {
        cost(&mut self.host, &mut self.memory, body).0
    }

    /// Lays a path into the memory and gives its length.
    fn path(&mut self, path: &str) -> u32 {
        let at = usize::try_from(NAME_AT).unwrap();
        self.memory[at..at + path.len()].copy_from_slice(path.as_bytes());
        u32::try_from(path.len()).unwrap()
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.memory[at..at + 8].try_into().unwrap())
    }

    fn open_with(&mut self, fd: u32, path: &str, open: Open) -> Result<u32, CallFailure> {
        let length = self.path(path);
        let open = Open {
            fd,
            path: NAME_AT,
            length,
            ..open
        };
        self.call(|call| paths::path_open(call, open))?;
        Ok(u32::try_from(self.word(0) & 0xffff_ffff).unwrap())
    }

    /// Opens with all rights that can be had.
    fn open(&mut self, fd: u32, path: &str, flags: u32) -> Result<u32, CallFailure> {
        let wanted = if flags & open_flags::CREATE == 0 {
            rights::ALL & !rights::CHANGES
        } else {
            rights::ALL
        };
        self.open_with(fd, path, open_for(flags, wanted))
    }

    fn make_directory(&mut self, fd: u32, path: &str) -> Result<(), CallFailure> {
        let length = self.path(path);
        self.call(|call| paths::path_create_directory(call, fd, NAME_AT, length))
    }

    /// Times of access, modification and change.
    fn times(&mut self, fd: u32) -> [u64; 3] {
        self.call(|call| files::fd_filestat_get(call, fd, OUT))
            .unwrap();
        [40, 48, 56].map(|at| self.word(at))
    }

    /// Rights of the descriptor and those it hands on.
    fn rights(&mut self, fd: u32) -> (u64, u64) {
        self.call(|call| files::fd_fdstat_get(call, fd, OUT))
            .unwrap();
        (self.word(8), self.word(16))
    }

    fn without(&mut self, fd: u32, right: u64) {
        let (base, inheriting) = self.rights(fd);
        assert_ne!(base & right, 0, "it had the right {right:#x}");
        self.call(|call| files::fd_fdstat_set_rights(call, fd, base & !right, inheriting))
            .unwrap();
    }
}

fn open_for(flags: u32, rights: u64) -> Open {
    Open {
        fd: 0,
        path: 0,
        length: 0,
        flags,
        rights,
        inheriting: rights::ALL,
        fd_flags: 0,
        out: OUT,
    }
}

#[test]
fn dots_do_not_leave_the_directory_that_is_open() {
    let mut machine = Machine::new();
    let tmp = machine
        .open(ROOT_DESCRIPTOR, "tmp", open_flags::DIRECTORY)
        .unwrap();
    machine.make_directory(tmp, "d").unwrap();
    for path in ["..", "../in", "../in/data", "d/../../in", "./..", "d/../.."] {
        assert_eq!(machine.open(tmp, path, 0), failure(Errno::PERM), "{path}");
    }
    for path in ["d/..", "d/../d", "."] {
        assert!(machine.open(tmp, path, 0).is_ok(), "{path}");
    }
    let from_root = machine.open(ROOT_DESCRIPTOR, "tmp/../in/data", 0);
    assert!(from_root.is_ok(), "{from_root:?}");
}

#[test]
fn opening_cuts_a_file_only_with_the_right_to() {
    let mut machine = Machine::new();
    let tmp = machine
        .open(ROOT_DESCRIPTOR, "tmp", open_flags::DIRECTORY)
        .unwrap();
    let file = machine.open(tmp, "file", open_flags::CREATE).unwrap();
    machine
        .call(|call| files::fd_filestat_set_size(call, file, 9))
        .unwrap();
    machine.without(tmp, 1 << 19);
    let cut = machine.open_with(tmp, "file", open_for(open_flags::TRUNCATE, 0));
    assert_eq!(cut, failure(Errno::NOTCAPABLE));
    assert_eq!(machine.host.tree.file_bytes("/tmp/file"), 9);
    let kept = machine.open(ROOT_DESCRIPTOR, "tmp/file", open_flags::TRUNCATE);
    assert!(kept.is_ok(), "the root still has the right: {kept:?}");
    assert_eq!(machine.host.tree.file_bytes("/tmp/file"), 0);
}

#[test]
fn what_would_change_the_tree_needs_its_right() {
    let mut machine = Machine::new();
    let tmp = machine
        .open(ROOT_DESCRIPTOR, "tmp", open_flags::DIRECTORY)
        .unwrap();
    machine.make_directory(tmp, "d").unwrap();
    machine.open(tmp, "f", open_flags::CREATE).unwrap();
    for right in [9, 10, 16, 17, 20, 25, 26] {
        machine.without(tmp, 1 << right);
    }
    assert_eq!(
        machine.open(tmp, "new", open_flags::CREATE),
        failure(Errno::NOTCAPABLE)
    );
    assert!(
        machine.open(tmp, "f", open_flags::CREATE).is_ok(),
        "nothing is created"
    );
    assert_eq!(machine.make_directory(tmp, "e"), failure(Errno::NOTCAPABLE));
    let length = machine.path("d");
    let removed = machine.call(|call| paths::path_remove_directory(call, tmp, NAME_AT, length));
    assert_eq!(removed, failure(Errno::NOTCAPABLE));
    let length = machine.path("f");
    let removed = machine.call(|call| paths::path_unlink_file(call, tmp, NAME_AT, length));
    assert_eq!(removed, failure(Errno::NOTCAPABLE));
    let moved = machine.call(|call| {
        paths::path_rename(call, tmp, NAME_AT, length, ROOT_DESCRIPTOR, NAME_AT, length)
    });
    assert_eq!(moved, failure(Errno::NOTCAPABLE));
    let moved = machine.call(|call| {
        paths::path_rename(call, ROOT_DESCRIPTOR, NAME_AT, length, tmp, NAME_AT, length)
    });
    assert_eq!(moved, failure(Errno::NOTCAPABLE));
    let touched = machine.call(|call| {
        paths::path_filestat_set_times(call, tmp, (NAME_AT, length), (1, 2), time_flags::MODIFY)
    });
    assert_eq!(touched, failure(Errno::NOTCAPABLE));
}

#[test]
fn a_directory_has_no_position() {
    let mut machine = Machine::new();
    let position = rights::FD_SEEK | rights::FD_TELL;
    let opened = machine
        .open_with(
            ROOT_DESCRIPTOR,
            "tmp",
            open_for(open_flags::DIRECTORY, rights::FD_SEEK),
        )
        .unwrap();
    for fd in [ROOT_DESCRIPTOR, opened] {
        assert_eq!(machine.rights(fd).0 & position, 0, "{fd}");
        for whence in 0..3 {
            let sought = machine.call(|call| files::fd_seek(call, fd, 0, whence, OUT));
            assert!(
                matches!(sought, Err(CallFailure::Errno(Errno::NOTCAPABLE))),
                "{sought:?}"
            );
        }
        let told = machine.call(|call| files::fd_tell(call, fd, OUT));
        assert_eq!(told, failure(Errno::NOTCAPABLE));
    }
    let file = machine.open(ROOT_DESCRIPTOR, "in/data", 0).unwrap();
    assert_eq!(machine.rights(file).0 & position, position);
    assert_eq!(machine.call(|call| files::fd_tell(call, file, OUT)), Ok(()));
}

#[test]
fn each_time_of_a_file_is_set_by_itself() {
    let mut machine = Machine::new();
    let file = machine
        .open(ROOT_DESCRIPTOR, "tmp/file", open_flags::CREATE)
        .unwrap();
    let [accessed, ..] = machine.times(file);
    let mut set = |flags: u32| {
        machine
            .call(|call| files::fd_filestat_set_times(call, file, 3, 4, flags))
            .unwrap();
        let [accessed, modified, changed] = machine.times(file);
        assert_ne!(
            changed, 3,
            "when it was changed is not for the program to say"
        );
        [accessed, modified]
    };
    assert_eq!(set(time_flags::MODIFY), [accessed, 4]);
    assert_eq!(set(time_flags::ACCESS), [3, 4]);
    assert_eq!(set(0), [3, 4]);
    assert_ne!(set(time_flags::MODIFY_NOW), [3, 4]);
    assert_eq!(set(time_flags::MODIFY | time_flags::ACCESS_NOW)[1], 4);
    let length = machine.path("tmp/file");
    let path = (NAME_AT, length);
    machine
        .call(|call| {
            paths::path_filestat_set_times(call, ROOT_DESCRIPTOR, path, (7, 8), time_flags::ACCESS)
        })
        .unwrap();
    assert_eq!(machine.times(file)[..2], [7, 4]);
}

#[test]
fn a_standard_stream_that_was_closed_gives_its_number_to_no_file() {
    let mut machine = Machine::new();
    for stream in 0..3 {
        machine.call(|call| files::fd_close(call, stream)).unwrap();
    }
    let first = machine.open(ROOT_DESCRIPTOR, "tmp/file", open_flags::CREATE);
    let second = machine.open(ROOT_DESCRIPTOR, "in/data", 0);
    assert_eq!([first, second], [Ok(4), Ok(5)]);
    machine.call(|call| files::fd_close(call, 4)).unwrap();
    assert_eq!(
        machine.open(ROOT_DESCRIPTOR, "in/data", 0),
        Ok(4),
        "the lowest that is free"
    );
}

#[test]
fn the_current_directory_is_a_scratch_of_the_task() {
    let mut machine = Machine::new();
    let file = machine
        .open(ROOT_DESCRIPTOR, "file", open_flags::CREATE)
        .unwrap();
    machine
        .call(|call| files::fd_filestat_set_size(call, file, 7))
        .unwrap();
    assert_eq!(machine.host.tree.used(), 7, "its bytes count as output");
    machine.make_directory(ROOT_DESCRIPTOR, "d").unwrap();
    let length = machine.path("d");
    machine
        .call(|call| paths::path_remove_directory(call, ROOT_DESCRIPTOR, NAME_AT, length))
        .unwrap();
    for name in ["in", "out", "tmp"] {
        let length = machine.path(name);
        let removed = machine
            .call(|call| paths::path_remove_directory(call, ROOT_DESCRIPTOR, NAME_AT, length));
        assert!(
            matches!(
                removed,
                Err(CallFailure::Errno(Errno::ROFS | Errno::NOTEMPTY))
            ),
            "{name}: {removed:?}"
        );
        let to = u32::try_from(name.len()).unwrap();
        machine.memory[300..301].copy_from_slice(b"x");
        let moved = machine.call(|call| {
            paths::path_rename(call, ROOT_DESCRIPTOR, NAME_AT, to, ROOT_DESCRIPTOR, 300, 1)
        });
        assert_eq!(moved, failure(Errno::ROFS), "{name}");
    }
}

#[test]
fn inputs_stay_where_they_were_put() {
    let mut machine = Machine::new();
    let share = Arc::new(b"library".to_vec());
    assert!(machine.host.tree.add_input("/share/deep/lib", share, 0));
    let writing = machine.open(ROOT_DESCRIPTOR, "share/deep/lib", open_flags::CREATE);
    assert_eq!(writing, failure(Errno::ROFS));
    for (path, directory) in [
        ("share/deep/lib", false),
        ("share/deep", true),
        ("share", true),
    ] {
        let length = machine.path(path);
        machine.memory[300..301].copy_from_slice(b"x");
        let moved = machine.call(|call| {
            paths::path_rename(
                call,
                ROOT_DESCRIPTOR,
                NAME_AT,
                length,
                ROOT_DESCRIPTOR,
                300,
                1,
            )
        });
        assert_eq!(moved, failure(Errno::ROFS), "{path}");
        if !directory {
            let removed = machine
                .call(|call| paths::path_unlink_file(call, ROOT_DESCRIPTOR, NAME_AT, length));
            assert_eq!(removed, failure(Errno::ROFS), "{path}");
        }
    }
    let beside = machine.open(ROOT_DESCRIPTOR, "share/deep/new", open_flags::CREATE);
    assert!(beside.is_ok(), "the scratch reaches here: {beside:?}");
    let over = machine.path("share/deep/new");
    machine.memory[600..614].copy_from_slice(b"share/deep/lib");
    let replaced = machine.call(|call| {
        paths::path_rename(
            call,
            ROOT_DESCRIPTOR,
            NAME_AT,
            over,
            ROOT_DESCRIPTOR,
            600,
            14,
        )
    });
    assert_eq!(replaced, failure(Errno::ROFS));
    let in_in = machine.open(ROOT_DESCRIPTOR, "in/new", open_flags::CREATE);
    assert_eq!(in_in, failure(Errno::ROFS));
}
