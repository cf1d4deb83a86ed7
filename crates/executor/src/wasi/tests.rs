//! Calls without a program: what they cost, and what they make the host remember.

use types::codec::Bounded;
use types::hash::BlobId;
use types::job::{CLASS_WASM_V1, TaskLimits};
use types::number::Weight;

use super::descriptors::{Descriptor, Target};
use super::tree::ROOT;
use super::*;

const LIMIT: u64 = 1 << 40;

fn host() -> Host {
    let workload = Workload {
        class: CLASS_WASM_V1,
        module: BlobId::of(&[]),
        arguments: Bounded::default(),
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks: 1,
        limits: TaskLimits { weight: Weight(LIMIT), memory_bytes: 1 << 20, output_bytes: 1 << 20 },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    };
    Host::new(&workload, TaskIndex::ZERO, &Inputs::default()).unwrap()
}

/// What a call gives and costs.
fn cost<T>(
    host: &mut Host,
    memory: &mut [u8],
    body: impl FnOnce(&mut Call<'_>) -> Result<T, Failure>,
) -> (Result<T, Failure>, u64) {
    let mut call = Call { guest: Guest(memory), host, left: LIMIT };
    let result = body(&mut call);
    (result, LIMIT - call.left)
}

fn failure<T>(errno: Errno) -> Result<T, Failure> {
    Err(errno.into())
}

/// Costs of making a directory of this path, relative to the root.
fn cost_of_path(host: &mut Host, path: &str) -> u64 {
    let mut memory = path.as_bytes().to_vec();
    let length = u32::try_from(path.len()).unwrap();
    let (result, cost) = cost(host, &mut memory, |call| paths::path_create_directory(call, 3, 0, length));
    assert_eq!(result, Ok(()), "{path}");
    cost
}

#[test]
fn each_name_of_a_path_is_paid_for() {
    let mut host = host();
    let (short, long) = (cost_of_path(&mut host, "out/a"), cost_of_path(&mut host, "out/a/../b"));
    assert_eq!(long - short, 2 * 64 + 5 * 4);
    let (plain, dotted) =
        (cost_of_path(&mut host, "out/c"), cost_of_path(&mut host, &format!("out/{}d", "./".repeat(1_000))));
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
        let target = Descriptor::new(Target::Node(node), 0, 0);
        let fd = host.descriptors.insert(target).unwrap();
        let mut memory = b"tmp/xy".to_vec();
        let (result, cost) = cost(&mut host, &mut memory, |call| paths::path_rename(call, 3, 0, 5, fd, 5, 1));
        assert_eq!(result, Ok(()));
        cost
    };
    assert_eq!(rename(101) - rename(1), 100 * 64);
}

#[test]
fn a_scatter_list_is_paid_for_before_it_is_read() {
    let mut host = host();
    let mut memory = vec![0; 16];
    let mut write = |count: u32| cost(&mut host, &mut memory, |call| files::fd_write(call, 1, 0, count, 0));
    assert_eq!(write(2), (Ok(()), 16));
    assert_eq!(write(1_024), (failure(Errno::FAULT), 8 * 1_024));
    assert_eq!(write(1_025), (failure(Errno::INVAL), 0));
}
