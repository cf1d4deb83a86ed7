//! The bytes of files: reading, growing, cutting and overwriting them, and the times of change.

use std::collections::BTreeMap;

use super::{NodeId, NodeKind, NodeTimes, Tree, TreeNode, size};
use crate::wasi::abi::Errno;

impl Tree {
    /// The bytes of a file.
    pub(crate) fn bytes(&self, id: NodeId) -> Result<&[u8], Errno> {
        match &self.node(id)?.kind {
            NodeKind::Directory(_) => Err(Errno::ISDIR),
            NodeKind::Input(bytes) => Ok(bytes),
            NodeKind::File(bytes) => Ok(bytes),
        }
    }

    /// By how many bytes a file grows if it is to reach up to `end`.
    pub(crate) fn growth(&self, id: NodeId, end: u64) -> Result<u64, Errno> {
        Ok(end.saturating_sub(size(self.bytes(id)?.len())))
    }

    /// Makes a file `length` bytes long; new bytes are zero. The caller has checked the growth against the limit. A file
    /// that is cut gives its memory back: what the tree holds follows what it counts.
    pub(crate) fn resize(&mut self, id: NodeId, length: u64, now_ns: u64) -> Result<(), Errno> {
        let length = usize::try_from(length).map_err(|_| Errno::NOSPC)?;
        let bytes = Self::writable_bytes(&mut self.nodes, id, now_ns)?;
        self.used = self.used - size(bytes.len()) + size(length);
        let is_cut = length < bytes.len();
        bytes.resize(length, 0);
        if is_cut {
            bytes.shrink_to_fit();
        }
        Ok(())
    }

    /// A file's bytes from `at` on, for overwriting; it reaches at least up to `at + length`.
    pub(crate) fn span_mut(
        &mut self,
        id: NodeId,
        at: u64,
        length: u64,
        now_ns: u64,
    ) -> Result<&mut [u8], Errno> {
        let end = at.checked_add(length).ok_or(Errno::NOSPC)?;
        if self.growth(id, end)? > 0 {
            self.resize(id, end, now_ns)?;
        }
        let range = usize::try_from(at).map_err(|_| Errno::NOSPC)?
            ..usize::try_from(end).map_err(|_| Errno::NOSPC)?;
        Self::writable_bytes(&mut self.nodes, id, now_ns)?
            .get_mut(range)
            .ok_or(Errno::INVAL)
    }

    fn writable_bytes(
        nodes: &mut BTreeMap<NodeId, TreeNode>,
        id: NodeId,
        now_ns: u64,
    ) -> Result<&mut Vec<u8>, Errno> {
        let node = nodes.get_mut(&id).ok_or(Errno::BADF)?;
        node.times.modify(now_ns);
        match &mut node.kind {
            NodeKind::Directory(_) => Err(Errno::ISDIR),
            NodeKind::Input(_) => Err(Errno::ROFS),
            NodeKind::File(bytes) => Ok(bytes),
        }
    }

    /// Sets when a node was read and when it was changed last, where something is given.
    pub(crate) fn touch(
        &mut self,
        id: NodeId,
        accessed_ns: Option<u64>,
        modified_ns: Option<u64>,
        now_ns: u64,
    ) -> Result<(), Errno> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::BADF)?;
        if !node.writable {
            return Err(Errno::ROFS);
        }
        node.times = NodeTimes {
            accessed: accessed_ns.unwrap_or(node.times.accessed),
            modified: modified_ns.unwrap_or(node.times.modified),
            changed: now_ns,
        };
        Ok(())
    }
}
