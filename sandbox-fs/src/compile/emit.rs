//! The operations that an item becomes, and what they take of a tmpfs.

use core::fmt::Display;
use std::{ffi::CString, path::Path};

use sandbox_core::Bytes;

use super::{Compiler, Tmpfs};
use crate::{
    Error, FileMode, MountFlags, Quota, Rule, Upper,
    op::{At, Bind, MAX_TMPFS, Op, UpperOp},
    source::Source,
    target::Target,
};

impl Compiler<'_> {
    pub(super) fn imply_parents(&mut self, target: &Target, tmpfs: usize) -> Result<(), Error> {
        let missing: Vec<_> = target
            .parents()
            .take_while(|parent| {
                !self.ground.contains_key(*parent) && !self.implied.contains(*parent)
            })
            .map(Path::to_owned)
            .collect();
        for parent in missing.into_iter().rev() {
            self.make_dir(tmpfs, &parent)?;
            self.implied.insert(parent);
        }
        Ok(())
    }

    pub(super) fn make_dir(&mut self, tmpfs: usize, path: &Path) -> Result<(), Error> {
        // Never made twice: items come parents first, so none asks for a directory that was already implied.
        let at = self.at(tmpfs, path, true)?;
        self.spend(tmpfs, 0);
        self.op(
            Op::Directory(at),
            format_args!("make the directory {}", path.display()),
        );
        Ok(())
    }

    pub(super) fn make_file(
        &mut self,
        tmpfs: usize,
        path: &Path,
        contents: &[u8],
        mode: FileMode,
        name: impl Display,
    ) -> Result<(), Error> {
        let at = self.at(tmpfs, path, true)?;
        self.spend(tmpfs, contents.len());
        let contents = contents.into();
        self.op(Op::File { at, contents, mode }, name);
        Ok(())
    }

    /// One inode and these many bytes, in whole pages as the kernel counts.
    pub(super) fn spend(&mut self, tmpfs: usize, bytes: usize) {
        const PAGE: u64 = 4096;
        let pages = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(PAGE);
        if let Some(Tmpfs { used, .. }) = self.tmpfs.get_mut(tmpfs) {
            used.inodes = used.inodes.saturating_add(1);
            let total = used.bytes.get().saturating_add(pages.saturating_mul(PAGE));
            used.bytes = Bytes::new(total);
        }
    }

    pub(super) fn mount_tmpfs(
        &mut self,
        path: &Path,
        quota: Quota,
        flags: MountFlags,
        at: Option<At>,
    ) -> Result<usize, Error> {
        let number = self.tmpfs.len();
        if number == MAX_TMPFS {
            return Err(Error::TooMany {
                what: "tmpfs in one tree, the root among them",
                limit: MAX_TMPFS,
            });
        }
        let read_only = !flags.contains(MountFlags::WRITABLE);
        let name = format!(
            "tmpfs on /{} ({}, {} inodes, {flags})",
            path.display(),
            quota.bytes,
            quota.inodes
        );
        let op = Op::Tmpfs {
            at,
            tmpfs: number,
            size: digits(quota.bytes.get()),
            inodes: digits(quota.inodes),
            mode: if read_only { c"0755" } else { c"1777" }.to_owned(),
            // Sealed when everything on it is made.
            attributes: (flags | MountFlags::WRITABLE).attributes(),
        };
        self.op(op, name);
        self.tmpfs.push(Tmpfs {
            target: path.to_owned(),
            quota,
            used: Quota {
                bytes: Bytes::new(0),
                inodes: 1,
            },
            read_only,
            late: self.is_late,
        });
        Ok(number)
    }

    pub(super) fn mount_overlay(
        &mut self,
        at: At,
        sources: Vec<Source>,
        upper: Option<&Upper>,
        flags: MountFlags,
        name: &Rule,
    ) {
        let changes_on_host = matches!(upper, Some(Upper::Directory(_)));
        let first = self.binds.len();
        let lowers = sources.len() - usize::from(changes_on_host);
        for (number, source) in sources.into_iter().enumerate() {
            let layer = if number < lowers {
                MountFlags::empty()
            } else {
                MountFlags::WRITABLE
            };
            self.binds.push(Bind {
                source,
                attributes: layer.attributes(),
                // Overlayfs takes the one mount of a layer and nothing below.
                recursive: false,
                ids: None,
            });
        }
        let op = Op::Overlay {
            at,
            lowers: first..first + lowers,
            upper: upper.map(|upper| match upper {
                Upper::Memory(quota) => UpperOp::Memory {
                    size: digits(quota.bytes.get()),
                    inodes: digits(quota.inodes),
                },
                Upper::Directory(_) => UpperOp::Bind(first + lowers),
            }),
            attributes: match upper {
                Some(_) => flags | MountFlags::WRITABLE,
                None => flags,
            }
            .attributes(),
        };
        self.op(op, name);
    }
}

/// A number as the kernel parses it.
pub(super) fn digits(number: u64) -> CString {
    // Decimal digits hold no NUL; the default, an empty text, is EINVAL to the kernel.
    CString::new(number.to_string()).unwrap_or_default()
}
