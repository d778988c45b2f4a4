//! Makes an overlay: layers are mounted over the target for a moment, because overlayfs(5) takes only what this mount
//! namespace holds, and named by the working directory, because a path could be led elsewhere.

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

use core::ffi::{CStr, c_int};

use sandbox_core::Errno;

use crate::sys::{file, mount};

const HERE: &CStr = c".";

/// An overlay in the making, at a place.
pub(crate) struct Overlay {
    context: c_int,
    place: c_int,
    mounted: u32,
}

impl Overlay {
    pub(crate) fn at(place: c_int) -> Result<Self, Errno> {
        Ok(Self {
            context: mount::fsopen(c"overlay")?,
            place,
            mounted: 0,
        })
    }

    /// Adds a lower layer, a detached mount, below those that it has.
    pub(crate) fn lower(&mut self, layer: c_int) -> Result<(), Errno> {
        self.hold(layer)?;
        file::fchdir(layer)?;
        mount::fsconfig_string(self.context, c"lowerdir+", HERE)
    }

    /// Adds the upper layer, a detached mount with the directories `upper` and `work`.
    pub(crate) fn upper(&mut self, layer: c_int) -> Result<(), Errno> {
        self.hold(layer)?;
        let upper = self.directory(layer, c"upper", c"upperdir")?;
        // In a user namespace trusted attributes cannot be set, and without any a deleted directory cannot be made again.
        match file::set_attribute(upper, c"trusted.overlay.sandbox") {
            Err(errno) if errno.raw() == libc::EPERM => {
                mount::fsconfig_flag(self.context, c"userxattr")?;
            }
            other => {
                other?;
                file::remove_attribute(upper, c"trusted.overlay.sandbox")?;
            }
        }
        file::close(upper)?;
        let work = self.directory(layer, c"work", c"workdir")?;
        file::close(work)
    }

    fn directory(&self, layer: c_int, name: &CStr, key: &CStr) -> Result<c_int, Errno> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
        let directory = file::openat2(layer, name, flags, resolve)?;
        file::fchdir(directory)?;
        mount::fsconfig_string(self.context, key, HERE)?;
        Ok(directory)
    }

    fn hold(&mut self, layer: c_int) -> Result<(), Errno> {
        mount::move_mount(layer, self.place)?;
        self.mounted = self.mounted.saturating_add(1);
        Ok(())
    }

    /// The finished overlay, detached; the layers are taken off the place again.
    pub(crate) fn finish(self, attributes: u64) -> Result<c_int, Errno> {
        let mounted = mount::fsmount(self.context, attributes)?;
        file::close(self.context)?;
        file::fchdir(self.place)?;
        for _ in 0..self.mounted {
            mount::umount_detach_here()?;
        }
        Ok(mounted)
    }
}
