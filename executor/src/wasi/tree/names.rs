//! Changes of names: making, removing and moving files and directories, and holding those that are open.

use std::collections::BTreeMap;

use super::{MAX_NODES, NodeId, NodeKind, ResolvedPath, Tree, TreeNode, size};
use crate::wasi::abi::Errno;

impl Tree {
    /// Makes a file or directory where a path leads to nothing.
    pub(crate) fn create(
        &mut self,
        resolved: &ResolvedPath,
        directory: bool,
        now_ns: u64,
    ) -> Result<NodeId, Errno> {
        if resolved.node.is_some() {
            return Err(Errno::EXIST);
        }
        let parent = self.node(resolved.parent)?;
        if !parent.writable {
            return Err(Errno::ROFS);
        }
        if !parent.linked {
            return Err(Errno::NOENT);
        }
        if resolved.wants_directory && !directory {
            return Err(Errno::ISDIR);
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(Errno::NOSPC);
        }
        let kind = if directory {
            NodeKind::Directory(BTreeMap::new())
        } else {
            NodeKind::File(Vec::new())
        };
        Ok(self.insert(resolved.parent, &resolved.name, kind, true, now_ns))
    }

    /// Removes a file, or an empty directory.
    pub(crate) fn remove(
        &mut self,
        resolved: &ResolvedPath,
        directory: bool,
        now_ns: u64,
    ) -> Result<(), Errno> {
        let id = resolved.node.ok_or(Errno::NOENT)?;
        let node = self.node(id)?;
        match &node.kind {
            NodeKind::Directory(_) if !directory => return Err(Errno::ISDIR),
            NodeKind::Directory(entries) if !entries.is_empty() => return Err(Errno::NOTEMPTY),
            NodeKind::Directory(_) => {}
            _ if directory || resolved.wants_directory => return Err(Errno::NOTDIR),
            _ => {}
        }
        if resolved.name.is_empty() {
            return Err(Errno::INVAL);
        }
        if self.node(id)?.fixed || !self.node(resolved.parent)?.writable {
            return Err(Errno::ROFS);
        }
        self.unlink(resolved, now_ns);
        self.forget_if_unused(id);
        Ok(())
    }

    /// Moves a file or directory; an existing file or empty directory of the same kind is replaced.
    pub(crate) fn rename(
        &mut self,
        from: &ResolvedPath,
        to: &ResolvedPath,
        now_ns: u64,
    ) -> Result<(), Errno> {
        let id = from.node.ok_or(Errno::NOENT)?;
        if from.name.is_empty() || to.name.is_empty() {
            return Err(Errno::INVAL);
        }
        if self.node(id)?.fixed
            || !self.node(from.parent)?.writable
            || !self.node(to.parent)?.writable
        {
            return Err(Errno::ROFS);
        }
        if !self.node(to.parent)?.linked {
            return Err(Errno::NOENT);
        }
        let is_directory = self.entries(id).is_ok();
        if !is_directory && (from.wants_directory || to.wants_directory) {
            return Err(Errno::NOTDIR);
        }
        if to.node == Some(id) {
            return Ok(());
        }
        if self.ancestors(to.parent).any(|above| above == id) {
            return Err(Errno::INVAL);
        }
        if let Some(replaced) = to.node {
            match (self.entries(replaced), is_directory) {
                (Ok(_), false) => return Err(Errno::ISDIR),
                (Err(_), true) => return Err(Errno::NOTDIR),
                _ => self.remove(to, is_directory, now_ns)?,
            }
        }
        self.unlink(from, now_ns);
        if let Some(node) = self.nodes.get_mut(&id) {
            (node.parent, node.linked) = (to.parent, true);
        }
        if let Some(TreeNode {
            kind: NodeKind::Directory(entries),
            times,
            ..
        }) = self.nodes.get_mut(&to.parent)
        {
            entries.insert(to.name.as_str().into(), id);
            times.modify(now_ns);
        }
        Ok(())
    }

    fn unlink(&mut self, resolved: &ResolvedPath, now_ns: u64) {
        if let Some(TreeNode {
            kind: NodeKind::Directory(entries),
            times,
            ..
        }) = self.nodes.get_mut(&resolved.parent)
        {
            entries.remove(resolved.name.as_str());
            times.modify(now_ns);
        }
        if let Some(node) = resolved.node.and_then(|id| self.nodes.get_mut(&id)) {
            node.linked = false;
        }
    }

    /// Drops a node that neither a directory nor a descriptor names, and its bytes.
    fn forget_if_unused(&mut self, id: NodeId) {
        if self
            .nodes
            .get(&id)
            .is_some_and(|node| !node.linked && node.open == 0)
            && let Some(TreeNode {
                kind: NodeKind::File(bytes),
                ..
            }) = self.nodes.remove(&id)
        {
            self.used -= size(bytes.len());
        }
    }

    /// A descriptor names the node from now on.
    pub(crate) fn hold(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.open += 1;
        }
    }

    /// A descriptor names the node no longer.
    pub(crate) fn release(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.open = node.open.saturating_sub(1);
        }
        self.forget_if_unused(id);
    }
}
