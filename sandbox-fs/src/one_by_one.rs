//! Sets the flags of mounts where the kernel has no `mount_setattr(2)`: one by one, when they are attached.
//!
//! The flags then come a moment after the mount, and not all at once. Nobody is there to use the moment: only init and the
//! payload are in this namespace, and no code of others runs before the gate.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

use core::ffi::{CStr, c_int, c_ulong};

use sandbox_core::Errno;

use crate::{
    mount_list::{self, Mount},
    sys::{file, mount},
};

/// How many mounts one bind may bring along.
const MAX_MOUNTS: usize = 512;

/// proc(5) as a place: lists the mounts, and names each by a descriptor, so that no path can lead to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proc(c_int);

impl Proc {
    /// The one of the host, from where init still sees it.
    pub(crate) fn open() -> Result<Self, Errno> {
        file::open_path(c"/proc").map(Self)
    }

    pub(crate) fn close(self) -> Result<(), Errno> {
        file::close(self.0)
    }

    /// Gives one mount, of a filesystem of ours, these attributes beside those that it has. Changes the working directory.
    pub(crate) fn restrict_one(self, mount: c_int, attributes: u64) -> Result<(), Errno> {
        let flags = flags_of(mount::mount_attributes(mount)? | attributes);
        self.set(mount, flags)
    }

    /// Gives every mount of an attached tree these attributes beside those that it has, and cuts it off from its peers. Changes
    /// the working directory.
    ///
    /// # Errors
    /// `EBUSY`: a mount of the tree is covered by another, so that nothing leads to it. `ENOSPC`: more than [`MAX_MOUNTS`].
    /// `EROFS`: a mount did not take the attributes.
    pub(crate) fn restrict_tree(self, tree: c_int, attributes: u64) -> Result<(), Errno> {
        file::fchdir(self.0)?;
        // First: from now on nothing comes to lie in the tree but by this process.
        mount::mount_make_private(name_of(&link_to(tree)?)?)?;
        let mut found = Tree {
            proc: self,
            root: tree,
            root_id: mount::mount_id(tree)?,
            root_point: 0,
            required: flags_of(attributes),
            ids: [0; MAX_MOUNTS],
            count: 0,
        };
        // The look that finds nothing new is the proof: all mounts of the tree were known, and had the attributes.
        loop {
            let before = found.count;
            let list = file::openat2(self.0, c"self/mountinfo", libc::O_RDONLY, 0)?;
            mount_list::each(list, |mount| found.see(mount))?;
            file::close(list)?;
            match found.count {
                // Not even the root of the tree is listed.
                0 => return Err(Errno::from_raw(libc::ENOENT)),
                count if count == before => return Ok(()),
                _ => {}
            }
        }
    }

    fn set(self, mount: c_int, flags: c_ulong) -> Result<(), Errno> {
        file::fchdir(self.0)?;
        mount::mount_set_flags(name_of(&link_to(mount)?)?, flags)
    }
}

/// What is known of a tree.
struct Tree {
    proc: Proc,
    root: c_int,
    root_id: u64,
    /// How long the path to its root is.
    root_point: usize,
    required: c_ulong,
    ids: [u64; MAX_MOUNTS],
    count: usize,
}

impl Tree {
    fn has(&self, id: u64) -> bool {
        self.ids.iter().take(self.count).any(|known| *known == id)
    }

    fn see(&mut self, mount: &Mount) -> Result<(), Errno> {
        if self.has(mount.id) {
            return if mount.flags & self.required == self.required {
                Ok(())
            } else {
                Err(Errno::from_raw(libc::EROFS))
            };
        }
        if mount.id != self.root_id && !self.has(mount.parent) {
            return Ok(());
        }
        *self
            .ids
            .get_mut(self.count)
            .ok_or(Errno::from_raw(libc::ENOSPC))? = mount.id;
        self.count = self.count.saturating_add(1);
        let flags = mount.flags | self.required;
        if mount.id == self.root_id {
            self.root_point = mount.point()?.len();
            return self.proc.set(self.root, flags);
        }
        let place = self.open(mount)?;
        self.proc.set(place, flags)?;
        file::close(place)
    }

    /// Opens a mount below the root of the tree.
    fn open(&self, mount: &Mount) -> Result<c_int, Errno> {
        let below = mount.point()?.get(self.root_point..).unwrap_or_default();
        let mut path = [0; 4096];
        for (place, byte) in path.iter_mut().zip(below.iter().skip(1)) {
            *place = *byte;
        }
        let path = name_of(&path)?;
        let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let place = file::openat2(self.root, path, flags, resolve)?;
        if mount::mount_id(place)? == mount.id {
            Ok(place)
        } else {
            Err(Errno::from_raw(libc::EBUSY))
        }
    }
}

/// `MOUNT_ATTR_*` as `MS_*`.
fn flags_of(attributes: u64) -> c_ulong {
    let mut flags = 0;
    for (attribute, flag) in [
        (libc::MOUNT_ATTR_RDONLY, libc::MS_RDONLY),
        (libc::MOUNT_ATTR_NOSUID, libc::MS_NOSUID),
        (libc::MOUNT_ATTR_NODEV, libc::MS_NODEV),
        (libc::MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC),
    ] {
        if attributes & attribute != 0 {
            flags |= flag;
        }
    }
    flags
}

fn name_of(bytes: &[u8]) -> Result<&CStr, Errno> {
    CStr::from_bytes_until_nul(bytes).map_err(|_| Errno::from_raw(libc::ENAMETOOLONG))
}

/// `self/fd/N`, with a NUL at the end.
fn link_to(fd: c_int) -> Result<[u8; 19], Errno> {
    let mut left = u32::try_from(fd).map_err(|_| Errno::from_raw(libc::EBADF))?;
    // The last digit first.
    let mut digits = [0_u8; 10];
    let mut count: usize = 0;
    for place in &mut digits {
        *place = b'0' | u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        count = count.saturating_add(1);
        if left == 0 {
            break;
        }
    }
    let mut link = *b"self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let places = link.iter_mut().skip(8);
    for (place, digit) in places.zip(digits.iter().take(count).rev()) {
        *place = *digit;
    }
    Ok(link)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    reason = "a test does not run after the clone"
)]
mod tests {
    use super::{link_to, name_of};

    #[test]
    fn a_descriptor_is_named_by_its_number() {
        for fd in [0, 7, 10, 4096, i32::MAX] {
            let link = link_to(fd).unwrap();
            let name = name_of(&link).unwrap().to_str().unwrap();
            assert_eq!(name, format!("self/fd/{fd}"));
        }
        assert!(link_to(-1).is_err());
    }
}
