//! The tree against its own rules: names, what may change, and the bytes it counts.

use proptest::prelude::*;

use super::*;

fn tree() -> Tree {
    let mut tree = Tree::new(5);
    assert!(tree.add_input("/in/data", Arc::new(b"data".to_vec()), 5));
    tree
}

fn at(tree: &Tree, path: &str) -> Result<ResolvedPath, Errno> {
    tree.resolve(ROOT, path)
}

#[test]
fn inputs_and_outputs_have_plain_paths_of_their_own() {
    let mut tree = tree();
    let input = |tree: &mut Tree, path: &str| tree.add_input(path, Arc::new(b"x".to_vec()), 0);
    for path in ["/in/a/b/c", "/share/deep/lib", "/top"] {
        assert!(input(&mut tree, path), "{path}");
    }
    for path in [
        "/in/data",
        "/in/data/x",
        "/share",
        "/share/deep/lib/x",
        "/top",
        "/tmp/x",
        "/in/a",
        "/in/",
        "/in",
        "in/x",
        "/out/x",
        "/in/../x",
        "/in/./x",
        "/in//x",
        "/in/x/",
    ] {
        assert!(!input(&mut tree, path), "{path}");
    }
    assert!(tree.prepare_output("/out/x/y", 0) && tree.prepare_output("/out/x/z", 0));
    for path in ["/out/", "/out", "/in/x", "/out/../in/x", "out/x", "/tmp/x"] {
        assert!(!tree.prepare_output(path, 0), "{path}");
    }
}

#[test]
fn paths_lead_where_they_say_and_never_out() {
    let tree = tree();
    let leads = |path: &str| {
        at(&tree, path).map(|resolved| {
            (
                resolved.name,
                resolved.node.is_some(),
                resolved.wants_directory,
            )
        })
    };
    assert_eq!(leads("in/data"), Ok(("data".into(), true, false)));
    assert_eq!(leads("./in/../in//data"), Ok(("data".into(), true, false)));
    assert_eq!(leads("in/"), Ok(("in".into(), true, true)));
    assert_eq!(leads("."), Ok((String::new(), true, true)));
    assert_eq!(leads("in/.."), Ok((String::new(), true, true)));
    assert_eq!(leads("out/new"), Ok(("new".into(), false, false)));
    assert_eq!(leads("out/new/"), Ok(("new".into(), false, true)));
    assert_eq!(leads("out/new/x"), Err(Errno::NOENT));
    assert_eq!(leads("in/data/x"), Err(Errno::NOTDIR));
    assert_eq!(leads("in/data/.."), Err(Errno::NOTDIR));
    assert_eq!(leads(".."), Err(Errno::PERM));
    assert_eq!(leads("in/../../x"), Err(Errno::PERM));
    assert_eq!(leads("/in"), Err(Errno::PERM));
    assert_eq!(leads(""), Err(Errno::NOENT));
    assert_eq!(leads(&"x".repeat(256)), Err(Errno::NAMETOOLONG));
    assert_eq!(leads(&"x/".repeat(3_000)), Err(Errno::NAMETOOLONG));
    assert_eq!(leads("out/a\0b"), Err(Errno::INVAL));
}

#[test]
fn there_is_a_most_of_files() {
    let mut tree = tree();
    let mut made = 0u32;
    let last = loop {
        let resolved = at(&tree, &format!("out/{made}")).unwrap();
        match tree.create(&resolved, made.is_multiple_of(2), 0) {
            Ok(_) => made += 1,
            Err(errno) => break errno,
        }
    };
    assert_eq!(last, Errno::NOSPC);
    assert!(usize::try_from(made).unwrap() < MAX_NODES);
    tree.remove(&at(&tree, "out/7").unwrap(), false, 0).unwrap();
    tree.create(&at(&tree, "out/again").unwrap(), false, 0)
        .unwrap();
}

#[test]
fn an_unlinked_file_lives_as_long_as_it_is_open() {
    let mut tree = tree();
    let node = tree.create(&at(&tree, "out/x").unwrap(), false, 0).unwrap();
    tree.hold(node);
    tree.span_mut(node, 10, 5, 0)
        .unwrap()
        .copy_from_slice(b"bytes");
    assert_eq!((tree.used(), tree.growth(node, 20)), (15, Ok(5)));
    tree.remove(&at(&tree, "out/x").unwrap(), false, 0).unwrap();
    assert_eq!(tree.bytes(node).unwrap(), b"\0\0\0\0\0\0\0\0\0\0bytes");
    assert_eq!((tree.used(), tree.node(node).unwrap().links()), (15, 0));
    tree.release(node);
    assert_eq!((tree.used(), tree.bytes(node)), (0, Err(Errno::BADF)));
}

#[test]
fn nothing_is_made_in_a_directory_that_was_removed() {
    let mut tree = tree();
    let gone = tree.create(&at(&tree, "out/d").unwrap(), true, 0).unwrap();
    tree.hold(gone);
    let inside = tree.resolve(gone, "file").unwrap();
    tree.remove(&at(&tree, "out/d").unwrap(), true, 0).unwrap();
    assert_eq!(tree.create(&inside, false, 0), Err(Errno::NOENT));
}

/// Bytes that the tree's files hold, whatever they count.
fn held(tree: &Tree) -> u64 {
    let capacity = |node: &TreeNode| {
        if let NodeKind::File(bytes) = &node.kind {
            size(bytes.capacity())
        } else {
            0
        }
    };
    tree.nodes.values().map(capacity).sum()
}

#[test]
fn a_file_that_is_cut_gives_its_memory_back() {
    let mut tree = tree();
    for name in 0..8 {
        let node = tree
            .create(&at(&tree, &format!("out/{name}")).unwrap(), false, 0)
            .unwrap();
        tree.resize(node, 1 << 20, 0).unwrap();
        tree.resize(node, name, 0).unwrap();
    }
    assert_eq!(tree.used(), 28);
    assert!(held(&tree) < 1 << 10, "{} bytes held", held(&tree));
}

#[derive(Debug, Clone)]
enum Step {
    Create(usize, bool),
    Remove(usize, bool),
    Rename(usize, usize),
    Write(usize, u64, u64),
    Resize(usize, u64),
}

const PATHS: [&str; 9] = [
    "out/a",
    "out/b",
    "out/d",
    "out/d/a",
    "out/d/e",
    "out/d/e/f",
    "tmp/a",
    "in/data",
    "in/new",
];

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        (path.clone(), any::<bool>()).prop_map(|(path, directory)| Step::Create(path, directory)),
        (path.clone(), any::<bool>()).prop_map(|(path, directory)| Step::Remove(path, directory)),
        (path.clone(), path.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        (path.clone(), 0..50u64, 0..50u64)
            .prop_map(|(path, at, length)| Step::Write(path, at, length)),
        (path, 0..80u64).prop_map(|(path, length)| Step::Resize(path, length)),
    ]
}

fn apply(tree: &mut Tree, step: &Step) -> Result<(), Errno> {
    let file = |tree: &Tree, path: usize| at(tree, PATHS[path])?.node.ok_or(Errno::NOENT);
    match step {
        Step::Create(path, directory) => tree
            .create(&at(tree, PATHS[*path])?, *directory, 1)
            .map(drop),
        Step::Remove(path, directory) => tree.remove(&at(tree, PATHS[*path])?, *directory, 1),
        Step::Rename(from, to) => tree.rename(&at(tree, PATHS[*from])?, &at(tree, PATHS[*to])?, 1),
        Step::Write(path, from, length) => tree
            .span_mut(file(tree, *path)?, *from, *length, 1)
            .map(drop),
        Step::Resize(path, length) => tree.resize(file(tree, *path)?, *length, 1),
    }
}

proptest! {
    #[test]
    fn the_tree_counts_its_bytes_and_keeps_its_inputs(steps in proptest::collection::vec(step(), 0..60)) {
        let mut tree = tree();
        for step in &steps {
            let before = tree.used();
            if apply(&mut tree, step).is_err() {
                prop_assert_eq!(tree.used(), before, "a step that fails changes nothing: {:?}", step);
            }
            let files = tree.nodes.values().map(|node| if let NodeKind::File(bytes) = &node.kind { size(bytes.len()) } else { 0 });
            prop_assert_eq!(tree.used(), files.sum::<u64>());
            prop_assert!(held(&tree) <= 2 * tree.used() + 8 * size(tree.nodes.len()), "{} held for {}", held(&tree), tree.used());
            // Every node has one name, below a directory that leads to the root.
            for (id, node) in &tree.nodes {
                let named = tree.nodes.values().filter_map(|above| match &above.kind {
                    NodeKind::Directory(entries) => Some(entries.values().filter(|entry| *entry == id).count()),
                    _ => None,
                });
                prop_assert_eq!(named.sum::<usize>(), usize::from(*id != ROOT));
                prop_assert_eq!(tree.ancestors(*id).last(), Some(ROOT));
                prop_assert!(*id == ROOT || tree.entries(node.parent).unwrap().values().any(|entry| entry == id));
            }
        }
        prop_assert_eq!(tree.bytes(at(&tree, "in/data").unwrap().node.unwrap()).unwrap(), b"data");
    }
}
