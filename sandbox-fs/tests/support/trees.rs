//! A directory that a box could write to, and one of the host that it must not reach.

use std::{
    ffi::CString,
    fs,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::Path,
};

use sandbox_fs::{KeptDir, Owner};

use super::check;

pub(crate) const BOX: u32 = 60_042;
pub(crate) const JUDGE: Owner = Owner {
    uid: 4_000,
    gid: 4_001,
};

pub(crate) fn kept(path: &Path) -> KeptDir {
    KeptDir::from(OwnedFd::from(fs::File::open(path).unwrap()))
}

pub(crate) fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

#[expect(unsafe_code, reason = "mknod")]
pub(crate) fn special(path: &Path, kind: u32, device: u64) {
    let path = c(path);
    // SAFETY: the path is a live C string.
    let made = unsafe { libc::mknod(path.as_ptr(), kind | 0o666, device) };
    check("mknod", made.into());
}

pub(crate) fn victim() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    dir
}

pub(crate) fn intact(victim: &tempfile::TempDir) {
    let secret = victim.path().join("secret");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::metadata(&secret).unwrap().uid(), 0);
    assert_eq!(fs::metadata(victim.path()).unwrap().uid(), 0);
    assert!(victim.path().join("sub").exists());
}
