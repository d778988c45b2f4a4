//! Numbers that the kernel counts in a group's files.

use std::{fs::File, os::unix::fs::FileExt as _};

use sandbox_core::{Errno, Host, Reading, Unavailable};

use crate::{
    Error,
    node::{self, Node},
};

/// One number in one preopened file. Reading it allocates nothing.
#[derive(Debug)]
pub(crate) struct Counter {
    source: Result<File, Unavailable>,
    parse: fn(&[u8]) -> Option<u64>,
}

impl Counter {
    /// Opens `file` of the group. A kernel that lacks the file gives an unavailable reading, no error.
    pub(crate) fn open(
        node: &Node,
        file: &str,
        parse: fn(&[u8]) -> Option<u64>,
    ) -> Result<Self, Error> {
        let source = match node.open(file) {
            Ok(open) => Ok(open),
            Err(error) if error.errno() == Some(Errno::from_raw(libc::ENOENT)) => {
                Err(Unavailable::KernelTooOld)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { source, parse })
    }

    /// As [`Counter::open`], or absent as on a kernel that lacks the file.
    pub(crate) fn open_if(
        used: fn(&Host) -> bool,
        node: &Node,
        file: &str,
        parse: fn(&[u8]) -> Option<u64>,
    ) -> Result<Self, Error> {
        if node::is_used(used) {
            Self::open(node, file, parse)
        } else {
            Ok(Self::absent(Unavailable::KernelTooOld))
        }
    }

    /// A counter that never has a value.
    pub(crate) fn absent(why: Unavailable) -> Self {
        Self {
            source: Err(why),
            parse: |_| None,
        }
    }

    /// Whether the kernel has the file.
    pub(crate) fn is_open(&self) -> bool {
        self.source.is_ok()
    }

    pub(crate) fn read(&self) -> Reading<u64> {
        let file = match &self.source {
            Ok(file) => file,
            Err(why) => return Reading::Unavailable(*why),
        };
        // Longer than every key that is looked for: they all stand in the first lines.
        let mut buffer = [0; 1024];
        match file.read_at(&mut buffer, 0) {
            Ok(length) => buffer
                .get(..length)
                .and_then(self.parse)
                .map_or(Reading::Unavailable(Unavailable::Malformed), Reading::Value),
            Err(error) => Reading::Unavailable(Unavailable::Failed(Errno::from_io(&error))),
        }
    }
}

/// A file that is one number.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    // A text without its newline may have been cut in the middle of the number.
    let digits = text.strip_suffix(b"\n")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// The number after `key` in a file of `key number` lines.
pub(crate) fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    text.split_inclusive(|byte| *byte == b'\n')
        .find_map(|line| number(line.strip_prefix(key)?.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::{keyed, number};

    #[test]
    fn numbers_are_whole_and_complete() {
        assert_eq!(number(b"123\n"), Some(123));
        for bad in [
            "",
            "\n",
            "12",
            "-1\n",
            "+1\n",
            "max\n",
            "1 2\n",
            "99999999999999999999\n",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_a_whole_word_on_a_whole_line() {
        let text = b"oom_group_kill 1\noom 2\noom_kill 3\nmax 4";
        assert_eq!(keyed(text, b"oom"), Some(2));
        assert_eq!(keyed(text, b"oom_kill"), Some(3));
        assert_eq!(keyed(text, b"max"), None, "the last line may have been cut");
        assert_eq!(keyed(b"oom x\n", b"oom"), None);
    }
}
