//! Calls without a program: what they cost, and what they make the host remember.

use super::descriptors::{Descriptor, DescriptorTarget};
use super::tree::ROOT;
use super::*;
use crate::task::tests::{LIMIT, workload};

mod behaviour;

fn host() -> TaskHost {
    TaskHost::new(&workload(&[]), TaskIndex::ZERO, &Inputs::default()).unwrap()
}

/// What a call gives and costs.
fn cost<T>(
    host: &mut TaskHost,
    memory: &mut [u8],
    body: impl FnOnce(&mut Call<'_>) -> Result<T, CallFailure>,
) -> (Result<T, CallFailure>, u64) {
    let mut call = Call {
        guest: Guest(memory),
        host,
        left: LIMIT,
    };
    let result = body(&mut call);
    (result, LIMIT - call.left)
}

fn failure<T>(errno: Errno) -> Result<T, CallFailure> {
    Err(errno.into())
}

/// Costs of making a directory of this path, relative to the root.
fn cost_of_path(host: &mut TaskHost, path: &str) -> u64 {
    let mut memory = path.as_bytes().to_vec();
    let length = u32::try_from(path.len()).unwrap();
    let (result, cost) = cost(host, &mut memory, |call| {
        paths::path_create_directory(call, 3, 0, length)
    });
    assert_eq!(result, Ok(()), "{path}");
    cost
}

#[test]
fn each_name_of_a_path_is_paid_for() {
    let mut host = host();
    let (short, long) = (
        cost_of_path(&mut host, "out/a"),
        cost_of_path(&mut host, "out/a/../b"),
    );
    assert_eq!(long - short, 2 * 64 + 5 * 4);
    let (plain, dotted) = (
        cost_of_path(&mut host, "out/c"),
        cost_of_path(&mut host, &format!("out/{}d", "./".repeat(1_000))),
    );
    assert_eq!(dotted - plain, 1_000 * (64 + 2 * 4));
}

#[test]
fn each_directory_above_the_target_of_a_rename_is_paid_for() {
    let rename = |depth: usize| {
        let mut host = host();
        let mut to = "out".to_owned();
        for _ in 0..depth {
            to.push_str("/d");
            cost_of_path(&mut host, &to);
        }
        cost_of_path(&mut host, "tmp/x");
        // The target is open, so that its path is short.
        let node = host.tree.resolve(ROOT, &to).unwrap().node.unwrap();
        let target = Descriptor::new(DescriptorTarget::Node(node), abi::rights::DIRECTORY, 0);
        let fd = host.descriptors.insert(target).unwrap();
        let mut memory = b"tmp/xy".to_vec();
        let (result, cost) = cost(&mut host, &mut memory, |call| {
            paths::path_rename(call, 3, 0, 5, fd, 5, 1)
        });
        assert_eq!(result, Ok(()));
        cost
    };
    assert_eq!(rename(101) - rename(1), 100 * 64);
}

#[test]
fn a_scatter_list_is_paid_for_before_it_is_read() {
    let mut host = host();
    let mut memory = vec![0; 16];
    let mut write = |count: u32| {
        cost(&mut host, &mut memory, |call| {
            files::fd_write(call, 1, 0, count, 0)
        })
    };
    assert_eq!(write(2), (Ok(()), 16));
    assert_eq!(write(1_024), (failure(Errno::FAULT), 8 * 1_024));
    assert_eq!(write(1_025), (failure(Errno::INVAL), 0));
}

#[test]
fn cutting_a_file_costs_what_stays() {
    let mut host = host();
    let node = host
        .tree
        .resolve(ROOT, "out/x")
        .and_then(|resolved| host.tree.create(&resolved, false, 0))
        .unwrap();
    let fd = host
        .descriptors
        .insert(Descriptor::new(
            DescriptorTarget::Node(node),
            abi::rights::ALL,
            0,
        ))
        .unwrap();
    for (size, fuel) in [(1_000, 1_000), (1_000, 0), (600, 600), (0, 0)] {
        let cut = cost(&mut host, &mut [], |call| {
            files::fd_filestat_set_size(call, fd, size)
        });
        assert_eq!(cut, (Ok(()), fuel), "{size}");
    }
}

#[test]
fn listings_remember_so_many_names_in_all() {
    let mut host = host();
    let out = host.tree.resolve(ROOT, "out").unwrap().node.unwrap();
    for name in 0..30_000 {
        let resolved = host.tree.resolve(out, &name.to_string()).unwrap();
        host.tree.create(&resolved, true, 0).unwrap();
    }
    let mut memory = vec![0; 64];
    let mut list = |host: &mut TaskHost, fd: u32| {
        cost(host, &mut memory, |call| {
            directories::fd_readdir(call, fd, 0, 16, 0, 32)
        })
        .0
    };
    let open = |host: &mut TaskHost| {
        host.descriptors
            .insert(Descriptor::new(
                DescriptorTarget::Node(out),
                abi::rights::ALL,
                0,
            ))
            .unwrap()
    };
    let opened: Vec<u32> = (0..5).map(|_| open(&mut host)).collect();
    for fd in &opened[..4] {
        assert_eq!(list(&mut host, *fd), Ok(()));
        assert_eq!(
            list(&mut host, *fd),
            Ok(()),
            "a listing begun anew replaces the old one"
        );
    }
    assert_eq!(list(&mut host, opened[4]), failure(Errno::NOMEM));
    host.descriptors.remove(opened[0]).unwrap();
    assert_eq!(list(&mut host, opened[4]), Ok(()));
}
