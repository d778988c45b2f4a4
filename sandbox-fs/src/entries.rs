//! Reads directories whose names an attacker chose, a buffer at a time.

use std::{
    ffi::{CStr, CString},
    os::fd::RawFd,
};

use sandbox_core::Errno;

use crate::{
    keep::KeptKind,
    sys::{file, tree},
};

/// One name of a directory.
pub(crate) struct Entry {
    pub(crate) name: CString,
    pub(crate) kind: KeptKind,
    /// Where to go on after this entry.
    pub(crate) next: i64,
}

/// The entries of an open directory from a position on; holds one buffer, however many there are.
pub(crate) struct Entries {
    dir: RawFd,
    buffer: Vec<u8>,
    used: usize,
    at: usize,
}

impl Entries {
    /// From `cookie` on; 0 is the start.
    pub(crate) fn from(dir: RawFd, cookie: i64, buffer_bytes: usize) -> Result<Self, Errno> {
        tree::seek(dir, cookie)?;
        Ok(Self {
            dir,
            buffer: vec![0; buffer_bytes],
            used: 0,
            at: 0,
        })
    }

    /// The next one, without `.` and `..`.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Errno> {
        loop {
            if self.at == self.used {
                self.used = file::getdents(self.dir, &mut self.buffer)?;
                self.at = 0;
                if self.used == 0 {
                    return Ok(None);
                }
            }
            let rest = self.buffer.get(self.at..self.used).unwrap_or_default();
            let (entry, length) = parse(rest).ok_or(Errno::from_raw(libc::EIO))?;
            self.at += length;
            if !matches!(entry.name.as_bytes(), b"." | b"..") {
                return Ok(Some(entry));
            }
        }
    }
}

/// The first record of getdents64(2): `ino u64 | off i64 | reclen u16 | type u8 | name, NUL-terminated`; and its length.
fn parse(records: &[u8]) -> Option<(Entry, usize)> {
    const NEXT: usize = 8;
    const RECLEN: usize = 16;
    const TYPE: usize = 18;
    const NAME: usize = 19;
    let length = [*records.get(RECLEN)?, *records.get(RECLEN + 1)?];
    let length = usize::from(u16::from_ne_bytes(length));
    let (record, _) = records.split_at_checked(length)?;
    let next = i64::from_ne_bytes(record.get(NEXT..RECLEN)?.try_into().ok()?);
    let kind = match *record.get(TYPE)? {
        libc::DT_REG => KeptKind::File,
        libc::DT_DIR => KeptKind::Directory,
        libc::DT_LNK => KeptKind::Symlink,
        _ => KeptKind::Other,
    };
    let name = CStr::from_bytes_until_nul(record.get(NAME..)?).ok()?;
    let name = name.to_owned();
    Some((Entry { name, kind, next }, length))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_broken_record_is_refused_not_looped_over() {
        assert!(parse(&[0; 10]).is_none());
        assert!(
            parse(&[0; 24]).is_none(),
            "a record of length 0 has no type"
        );
        let mut long = [0; 24];
        long[16] = 200;
        assert!(parse(&long).is_none());
        let mut endless = [1; 24];
        endless[16..18].copy_from_slice(&24_u16.to_ne_bytes());
        assert!(parse(&endless).is_none(), "a name without an end");
    }
}
