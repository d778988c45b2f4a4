//! Filesystems that init makes: tmpfs, proc, sysfs, devpts, and the masks over parts of them.

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

use crate::{
    ProcView,
    sys::{file, mount, tree},
};

/// What nothing in a box needs to do with files of the kernel.
pub(crate) const CLOSED: u64 = libc::MOUNT_ATTR_RDONLY
    | libc::MOUNT_ATTR_NOSUID
    | libc::MOUNT_ATTR_NODEV
    | libc::MOUNT_ATTR_NOEXEC;

/// A new filesystem and a detached mount of it.
fn make(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> Result<c_int, Errno> {
    let context = mount::fsopen(kind)?;
    for (key, value) in options {
        mount::fsconfig_string(context, key, value)?;
    }
    let mounted = mount::fsmount(context, attributes)?;
    file::close(context)?;
    Ok(mounted)
}

pub(crate) fn tmpfs(
    size: &CStr,
    inodes: &CStr,
    mode: &CStr,
    attributes: u64,
) -> Result<c_int, Errno> {
    let options = [(c"size", size), (c"nr_inodes", inodes), (c"mode", mode)];
    make(c"tmpfs", &options, attributes)
}

pub(crate) fn proc(view: ProcView) -> Result<c_int, Errno> {
    // 2 would still show every process to a payload whose gid is 0; 4 asks ptrace rights of the reader.
    let options = [(c"hidepid", c"4"), (c"subset", c"pid")];
    let count = match view {
        ProcView::Processes => 2,
        ProcView::Full => 1,
    };
    make(c"proc", options.get(..count).unwrap_or(&options), CLOSED)
}

pub(crate) fn sysfs() -> Result<c_int, Errno> {
    make(c"sysfs", &[], CLOSED)
}

/// Writable, since its files are the terminals; without nodev, for the same reason.
pub(crate) fn devpts(max: &CStr) -> Result<c_int, Errno> {
    let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"max", max)];
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
    make(c"devpts", &options, attributes)
}

/// Name of the empty file that lies under a mask, between [`mask`] and [`forget_mask`].
const MASK: &CStr = c".sandbox-mask";

/// A detached mount to put over `place`: an empty directory over a directory, an empty file of the tmpfs `root` over
/// anything else, which is closed already where the kernel can do that `at_once`.
///
/// # Errors
/// `ELOOP`: a symbolic link is there. `EEXIST`: a rule put something of that name on the root.
pub(crate) fn mask(place: c_int, root: c_int, at_once: bool) -> Result<c_int, Errno> {
    match file::fstat(place)?.st_mode & libc::S_IFMT {
        libc::S_IFLNK => Err(Errno::from_raw(libc::ELOOP)),
        libc::S_IFDIR => tmpfs(c"4096", c"1", c"0555", CLOSED),
        _ => {
            let empty = file::create(root, MASK, 0o444)?;
            let mounted = mount::open_tree_clone(empty, 0)?;
            if at_once {
                mount::mount_restrict(mounted, CLOSED, 0)?;
            }
            file::close(empty)?;
            Ok(mounted)
        }
    }
}

/// Takes the name of the empty file away, which then is reachable through the mask alone.
pub(crate) fn forget_mask(root: c_int) -> Result<(), Errno> {
    match tree::unlink(root, MASK) {
        // A directory was masked.
        Err(errno) if errno.raw() != libc::ENOENT => Err(errno),
        _ => Ok(()),
    }
}
