//! Entries for the fuzz targets, which are compiled with `cfg(fuzzing)` only.

use crate::{mount_list::Parser, quota};

/// A mount of proc(5)'s list.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, and that of the mount it lies on.
    pub ids: (u64, u64),
    /// Its `MS_*` flags.
    pub flags: u64,
    /// Where it begins, where no path is too long.
    pub point: Option<Vec<u8>>,
}

/// The mounts of a list.
#[must_use]
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    let mut mounts = Vec::new();
    let mut parser = Parser::new();
    for byte in text {
        if parser.take(*byte) {
            let Parser { mount, .. } = core::mem::replace(&mut parser, Parser::new());
            mounts.push(Mount {
                ids: (mount.id, mount.parent),
                flags: mount.flags,
                point: mount.point().ok().map(<[u8]>::to_vec),
            });
        }
    }
    mounts
}

/// What a list says is mounted from the device with this number.
#[must_use]
pub fn source_of(text: &[u8], device: &str) -> Option<std::ffi::CString> {
    quota::source_of(text, device)
}
