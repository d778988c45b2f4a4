//! NULL-terminated pointer tables for `execve(2)`.

use core::ffi::c_char;
use std::{ffi::CString, os::unix::ffi::OsStrExt as _};

/// A text that was to become a C string has a NUL byte inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} contains a NUL byte")]
pub struct NulError {
    /// Which entry, counted from 0.
    pub index: usize,
}

/// Owned C strings and the table of pointers to them, as argv and envp want it.
#[derive(Debug)]
pub struct CStringArray {
    strings: Vec<CString>,
    table: Vec<*const c_char>,
}

impl CStringArray {
    /// Copies the texts and builds the table.
    ///
    /// # Errors
    /// [`NulError`] names the first text with a NUL byte: the kernel would silently cut it there.
    pub fn new<I>(texts: I) -> Result<Self, NulError>
    where
        I: IntoIterator,
        I::Item: AsRef<std::ffi::OsStr>,
    {
        let strings = texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                CString::new(text.as_ref().as_bytes()).map_err(|_| NulError { index })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let table = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([core::ptr::null()])
            .collect();
        Ok(Self { strings, table })
    }

    /// The NULL-terminated table; valid as long as `self` lives.
    #[must_use]
    pub fn as_ptr(&self) -> *const *const c_char {
        self.table.as_ptr()
    }

    /// The strings themselves.
    #[must_use]
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }
}

// SAFETY: the pointers aim at heap buffers that `strings` owns and nothing changes after `new`.
#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
unsafe impl Send for CStringArray {}
// SAFETY: as above; shared access only reads.
#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
unsafe impl Sync for CStringArray {}

#[cfg(test)]
mod tests {
    use super::{CStringArray, NulError};

    #[test]
    fn nul_is_refused_by_index() {
        assert_eq!(
            CStringArray::new(["a", "b\0c"]).unwrap_err(),
            NulError { index: 1 }
        );
    }

    #[test]
    #[expect(unsafe_code, reason = "reads the table as the kernel would")]
    fn the_table_ends_with_null() {
        let array = CStringArray::new(["a", "b"]).unwrap();
        // SAFETY: the table has two entries and a terminator.
        let end = unsafe { array.as_ptr().add(2) };
        // SAFETY: `end` is the third of three entries.
        assert!(unsafe { *end }.is_null());
        assert_eq!(array.strings().len(), 2);
    }
}
