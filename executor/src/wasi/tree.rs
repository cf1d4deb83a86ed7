//! The file tree of a task, in memory: a scratch, in which the inputs, `/in`, `/out` and `/tmp` have their fixed places.
//!
//! The task may change everything but `/in` and what was given to it: inputs, their folders and the three above are
//! neither changed nor moved. Of what it leaves only the declared outputs are kept. Entries are sorted by name. Nothing
//! outside the tree can be named; there are no links of any kind. All bytes of files that are not inputs count towards the
//! task's output limit, also those that are kept nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::job::{is_input_target, is_output_path};

use super::abi::{Errno, FileType};

mod content;
mod names;

/// Most files and directories of a task, inputs included.
pub(crate) const MAX_NODES: usize = 1 << 15;
/// Longest path in a call, in bytes.
const MAX_PATH: usize = 4_096;
/// Longest name of a file or directory, in bytes.
const MAX_NAME: usize = 255;

/// Names a file or directory; never used again within a task.
pub(crate) type NodeId = u64;

#[derive(Debug)]
enum NodeKind {
    Directory(BTreeMap<Arc<str>, NodeId>),
    Input(Arc<Vec<u8>>),
    File(Vec<u8>),
}

/// A file or directory.
#[derive(Debug)]
pub(crate) struct TreeNode {
    kind: NodeKind,
    parent: NodeId,
    writable: bool,
    /// It was given to the task: its name stays, and stays its own.
    fixed: bool,
    linked: bool,
    /// Descriptors that name it.
    open: u32,
    pub(crate) times: NodeTimes,
}

/// Times of a file or directory, each in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeTimes {
    /// When it was made, or what the task set; reading does not change it.
    pub(crate) accessed: u64,
    /// When its bytes or entries were changed last, or what the task set.
    pub(crate) modified: u64,
    /// When anything of it was changed last.
    pub(crate) changed: u64,
}

impl NodeTimes {
    /// All times are the same.
    pub(crate) fn all(now_ns: u64) -> Self {
        Self {
            accessed: now_ns,
            modified: now_ns,
            changed: now_ns,
        }
    }

    /// Its bytes or entries are changed.
    fn modify(&mut self, now_ns: u64) {
        (self.modified, self.changed) = (now_ns, now_ns);
    }
}

/// Where a path leads: its directory, its last name, and what is there.
#[derive(Debug)]
pub(crate) struct ResolvedPath {
    pub(crate) parent: NodeId,
    /// Empty where the path only has dots: it names `parent` itself.
    pub(crate) name: String,
    pub(crate) node: Option<NodeId>,
    /// The path ends in `/`: only a directory will do.
    pub(crate) wants_directory: bool,
}

/// All files and directories.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<NodeId, TreeNode>,
    next: NodeId,
    /// Bytes of all files that are not inputs.
    used: u64,
}

pub(crate) const ROOT: NodeId = 0;

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Tree {
    /// A tree with `/in`, `/out` and `/tmp`.
    pub(crate) fn new(now_ns: u64) -> Self {
        let root = TreeNode {
            kind: NodeKind::Directory(BTreeMap::new()),
            parent: ROOT,
            writable: true,
            fixed: true,
            linked: true,
            open: 0,
            times: NodeTimes::all(now_ns),
        };
        let mut tree = Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            used: 0,
        };
        for (name, writable) in [("in", false), ("out", true), ("tmp", true)] {
            let kind = NodeKind::Directory(BTreeMap::new());
            let id = tree.insert(ROOT, name, kind, writable, now_ns);
            tree.fix(id);
        }
        tree
    }

    fn insert(
        &mut self,
        parent: NodeId,
        name: &str,
        kind: NodeKind,
        writable: bool,
        now_ns: u64,
    ) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(
            id,
            TreeNode {
                kind,
                parent,
                writable,
                fixed: false,
                linked: true,
                open: 0,
                times: NodeTimes::all(now_ns),
            },
        );
        if let Some(TreeNode {
            kind: NodeKind::Directory(entries),
            times,
            ..
        }) = self.nodes.get_mut(&parent)
        {
            entries.insert(name.into(), id);
            times.modify(now_ns);
        }
        id
    }

    /// A node and the directories above it are given to the task: their names stay.
    fn fix(&mut self, id: NodeId) {
        let above: Vec<NodeId> = self.ancestors(id).collect();
        for id in above {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.fixed = true;
            }
        }
    }

    /// Makes the directories above `path` and gives the last of them and the remaining name, if the path is a plain
    /// absolute one whose parents are not files.
    fn make_parents<'a>(&mut self, path: &'a str, now_ns: u64) -> Option<(NodeId, &'a str)> {
        let names = path.strip_prefix('/')?;
        let (parents, name) = names.rsplit_once('/').unwrap_or(("", names));
        let mut at = ROOT;
        for part in parents.split('/').filter(|_| !parents.is_empty()) {
            if !is_plain(part) {
                return None;
            }
            let writable = self.nodes.get(&at)?.writable;
            at = match self.entries(at).ok()?.get(part) {
                Some(node) => *node,
                None => self.insert(
                    at,
                    part,
                    NodeKind::Directory(BTreeMap::new()),
                    writable,
                    now_ns,
                ),
            };
        }
        (is_plain(name) && self.entries(at).is_ok()).then_some((at, name))
    }

    /// Adds an input file at an absolute path. False if no input may be there, or the path is taken.
    pub(crate) fn add_input(&mut self, path: &str, bytes: Arc<Vec<u8>>, now_ns: u64) -> bool {
        if !is_input_target(path) {
            return false;
        }
        match self.make_parents(path, now_ns) {
            Some((parent, name))
                if self
                    .entries(parent)
                    .is_ok_and(|entries| !entries.contains_key(name)) =>
            {
                let id = self.insert(parent, name, NodeKind::Input(bytes), false, now_ns);
                self.fix(id);
                true
            }
            _ => false,
        }
    }

    /// Makes the directories above an output's absolute path. False if no output may be there.
    pub(crate) fn prepare_output(&mut self, path: &str, now_ns: u64) -> bool {
        is_output_path(path) && self.make_parents(path, now_ns).is_some()
    }

    fn file_at(&self, path: &str) -> Option<NodeId> {
        self.resolve(ROOT, path.strip_prefix('/')?).ok()?.node
    }

    /// The bytes of the file at an absolute path, taken out of the tree.
    pub(crate) fn take_file(&mut self, path: &str) -> Option<Vec<u8>> {
        let node = self.file_at(path)?;
        match &mut self.nodes.get_mut(&node)?.kind {
            NodeKind::File(bytes) => Some(std::mem::take(bytes)),
            _ => None,
        }
    }

    /// The length of the file at an absolute path; 0 where there is none.
    pub(crate) fn file_bytes(&self, path: &str) -> u64 {
        self.file_at(path)
            .and_then(|node| self.bytes(node).ok())
            .map_or(0, |bytes| size(bytes.len()))
    }

    /// Bytes of all files that are not inputs.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// A node; descriptors keep theirs alive.
    pub(crate) fn node(&self, id: NodeId) -> Result<&TreeNode, Errno> {
        self.nodes.get(&id).ok_or(Errno::BADF)
    }

    /// The entries of a directory, by name.
    pub(crate) fn entries(&self, id: NodeId) -> Result<&BTreeMap<Arc<str>, NodeId>, Errno> {
        match &self.node(id)?.kind {
            NodeKind::Directory(entries) => Ok(entries),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// Follows a relative path from a directory. The path may not leave it: a `..` that would is refused.
    pub(crate) fn resolve(&self, from: NodeId, path: &str) -> Result<ResolvedPath, Errno> {
        if path.len() > MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.starts_with('/') {
            return Err(Errno::PERM);
        }
        let mut current = from;
        let mut depth = 0u32;
        let mut parts = path
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .peekable();
        while let Some(part) = parts.next() {
            let entries = self.entries(current)?;
            if part == ".." {
                depth = depth.checked_sub(1).ok_or(Errno::PERM)?;
                current = self.node(current)?.parent;
                continue;
            }
            if part.len() > MAX_NAME {
                return Err(Errno::NAMETOOLONG);
            }
            if part.contains('\0') {
                return Err(Errno::INVAL);
            }
            let node = entries.get(part).copied();
            if parts.peek().is_none() {
                let wants_directory = path.ends_with('/') || path.ends_with("/.");
                return Ok(ResolvedPath {
                    parent: current,
                    name: part.to_owned(),
                    node,
                    wants_directory,
                });
            }
            current = node.ok_or(Errno::NOENT)?;
            depth += 1;
        }
        self.entries(current)?;
        Ok(ResolvedPath {
            parent: current,
            name: String::new(),
            node: Some(current),
            wants_directory: true,
        })
    }

    /// A directory and all that are above it.
    pub(crate) fn ancestors(&self, from: NodeId) -> impl Iterator<Item = NodeId> {
        let above = |id: &NodeId| {
            self.nodes
                .get(id)
                .map(|node| node.parent)
                .filter(|parent| parent != id)
        };
        std::iter::successors(Some(from), above)
    }
}

impl TreeNode {
    /// WASI's type of the node: directory or regular file.
    pub(crate) fn file_type(&self) -> FileType {
        match self.kind {
            NodeKind::Directory(_) => FileType::DIRECTORY,
            _ => FileType::REGULAR_FILE,
        }
    }

    /// True if the task may change it.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Its length in bytes; a directory's is its number of entries.
    pub(crate) fn size(&self) -> u64 {
        match &self.kind {
            NodeKind::Directory(entries) => size(entries.len()),
            NodeKind::Input(bytes) => size(bytes.len()),
            NodeKind::File(bytes) => size(bytes.len()),
        }
    }

    /// How many names it has.
    pub(crate) fn links(&self) -> u64 {
        u64::from(self.linked)
    }
}

/// True for a name that means itself.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME
}

#[cfg(test)]
mod tests;
