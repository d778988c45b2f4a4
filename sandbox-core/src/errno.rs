//! The kernel's error numbers.

use core::fmt;

/// A raw `errno`, as the kernel gave it.
///
/// `Display` prints the name and the text of errno(3): `ENOENT (No such file or directory)`.
///
/// # References
/// <https://man7.org/linux/man-pages/man3/errno.3.html>
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Errno(i32);

impl Errno {
    /// Wraps a number such as `libc::ENOENT`.
    #[must_use]
    pub const fn from_raw(n: i32) -> Self {
        Self(n)
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The errno of an I/O error; `EIO` where the error did not come from the kernel.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// By name: most errors are first seen as what `main` returned.
impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => write!(f, "Errno({})", self.0),
            known => write!(f, "Errno({known:?})"),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = nix::errno::Errno::from_raw(self.0);
        if known == nix::errno::Errno::UnknownErrno {
            write!(f, "errno {}", self.0)
        } else {
            write!(f, "{known:?} ({})", known.desc())
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn display_names_the_errno() {
        assert_eq!(
            Errno::from_raw(libc::ENOENT).to_string(),
            "ENOENT (No such file or directory)"
        );
        assert_eq!(Errno::from_raw(9999).to_string(), "errno 9999");
        assert_eq!(
            format!("{:?}", Errno::from_raw(libc::ENOENT)),
            "Errno(ENOENT)"
        );
        assert_eq!(format!("{:?}", Errno::from_raw(9999)), "Errno(9999)");
    }

    #[test]
    fn io_errors_keep_their_number() {
        let error = std::io::Error::from_raw_os_error(libc::EBUSY);
        assert_eq!(Errno::from_io(&error).raw(), libc::EBUSY);
        assert_eq!(
            Errno::from_io(&std::io::Error::other("no number")).raw(),
            libc::EIO
        );
    }
}
