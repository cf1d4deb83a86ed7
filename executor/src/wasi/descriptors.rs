//! What a task has open. The lowest free number from 3 on is given; 3 is the root of the tree.
//!
//! 0 to 2 are the standard streams for as long as they are open, and nothing afterwards. POSIX would give their numbers to
//! the next files; a program that closes its output and then opens a file would print into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::abi::{Errno, rights};
use super::tree::{NodeId, ROOT};

/// Most descriptors at a time.
const MAX_DESCRIPTORS: usize = 256;
/// The number of the directory that a task is given.
pub(crate) const ROOT_DESCRIPTOR: u32 = 3;

/// What a descriptor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DescriptorTarget {
    Stdin,
    Stdout,
    Stderr,
    /// A file or directory of the tree.
    Node(NodeId),
}

/// The names in a directory and what they name, sorted.
pub(crate) type Listing = Arc<[(Arc<str>, NodeId)]>;

/// An open file, directory or standard stream of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) target: DescriptorTarget,
    pub(crate) position: u64,
    pub(crate) flags: u32,
    pub(crate) rights: u64,
    pub(crate) inheriting: u64,
    /// True for the directory that the task was given.
    pub(crate) is_preopened: bool,
    /// What a directory held when its listing began, so that removing entries meanwhile skips none.
    pub(crate) listing: Option<Listing>,
}

impl Descriptor {
    pub(crate) fn new(target: DescriptorTarget, rights: u64, inheriting: u64) -> Self {
        Self {
            target,
            position: 0,
            flags: 0,
            rights,
            inheriting,
            is_preopened: false,
            listing: None,
        }
    }
}

/// All descriptors of a task.
#[derive(Debug)]
pub(crate) struct Descriptors(BTreeMap<u32, Descriptor>);

impl Descriptors {
    /// Standard input, output, error and the root.
    pub(crate) fn new() -> Self {
        let stream = |target, rights| Descriptor::new(target, rights, 0);
        let root = Descriptor {
            is_preopened: true,
            ..Descriptor::new(DescriptorTarget::Node(ROOT), rights::DIRECTORY, rights::ALL)
        };
        Self(BTreeMap::from([
            (
                0,
                stream(DescriptorTarget::Stdin, rights::STREAM & !rights::CHANGES),
            ),
            (
                1,
                stream(DescriptorTarget::Stdout, rights::STREAM & !rights::FD_READ),
            ),
            (
                2,
                stream(DescriptorTarget::Stderr, rights::STREAM & !rights::FD_READ),
            ),
            (ROOT_DESCRIPTOR, root),
        ]))
    }

    pub(crate) fn find(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.0.get(&fd).ok_or(Errno::BADF)
    }

    pub(crate) fn find_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.0.get_mut(&fd).ok_or(Errno::BADF)
    }

    /// The descriptor, if it has the rights.
    pub(crate) fn with_rights(&self, fd: u32, rights: u64) -> Result<&Descriptor, Errno> {
        let descriptor = self.find(fd)?;
        if descriptor.rights & rights == rights {
            Ok(descriptor)
        } else {
            Err(Errno::NOTCAPABLE)
        }
    }

    /// The node that a descriptor stands for; streams have none.
    pub(crate) fn node(&self, fd: u32, for_stream: Errno) -> Result<NodeId, Errno> {
        match self.find(fd)?.target {
            DescriptorTarget::Node(node) => Ok(node),
            _ => Err(for_stream),
        }
    }

    /// Gives a descriptor the lowest free number that is no standard stream's.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        if self.0.len() >= MAX_DESCRIPTORS {
            return Err(Errno::MFILE);
        }
        let mut free = ROOT_DESCRIPTOR;
        for (taken, _) in self.0.range(ROOT_DESCRIPTOR..) {
            if *taken != free {
                break;
            }
            free += 1;
        }
        self.0.insert(free, descriptor);
        Ok(free)
    }

    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.remove(&fd).ok_or(Errno::BADF)
    }

    /// Entries that the listings of all descriptors but `fd` remember.
    pub(crate) fn listed(&self, fd: u32) -> usize {
        let others = self.0.iter().filter(|(number, _)| **number != fd);
        others
            .filter_map(|(_, descriptor)| descriptor.listing.as_ref())
            .map(|listing| listing.len())
            .sum()
    }

    /// Moves a descriptor to another number in use and gives the one that was there.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<Descriptor, Errno> {
        let (moved, replaced) = (self.find(from)?.clone(), self.find(to)?.clone());
        self.0.remove(&from);
        self.0.insert(to, moved);
        Ok(replaced)
    }
}
