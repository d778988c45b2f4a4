//! Reads the mounts of this namespace as proc(5) lists them, byte by byte, with no more memory than one of them needs.

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

use core::ffi::{c_int, c_ulong};

use sandbox_core::Errno;

use crate::sys::file;

/// Words of a mount's options and the flags that set them.
const WORDS: [(&[u8], c_ulong); 5] = [
    (b"ro", libc::MS_RDONLY),
    (b"nosuid", libc::MS_NOSUID),
    (b"nodev", libc::MS_NODEV),
    (b"noexec", libc::MS_NOEXEC),
    (b"nosymfollow", libc::MS_NOSYMFOLLOW),
];

const LONGEST_WORD: usize = 11;

/// `PATH_MAX`: the kernel shows no longer path.
const LONGEST_PATH: usize = 4096;

/// One mount.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    /// Of the mount that it lies on.
    pub(crate) parent: u64,
    /// Those of [`WORDS`] that it has.
    pub(crate) flags: c_ulong,
    point: Text<LONGEST_PATH>,
}

impl Mount {
    /// Where it begins, from this process' root. A path that is longer than any can be is `ENAMETOOLONG`.
    pub(crate) fn point(&self) -> Result<&[u8], Errno> {
        self.point.get().ok_or(Errno::from_raw(libc::ENAMETOOLONG))
    }
}

/// Shows every mount to `see`. `mountinfo` is `/proc/self/mountinfo`, opened for this.
pub(crate) fn each(
    mountinfo: c_int,
    mut see: impl FnMut(&Mount) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut parser = Parser::new();
    let mut buffer = [0; 4096];
    loop {
        let count = file::read(mountinfo, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        for byte in buffer.get(..count).unwrap_or_default() {
            if parser.take(*byte) {
                see(&parser.mount)?;
                parser = Parser::new();
            }
        }
    }
}

/// A line in the reading: `36 35 98:0 /root /point ro,nosuid shared:1 - ext4 /dev/x rw`.
pub(crate) struct Parser {
    pub(crate) mount: Mount,
    /// How many spaces there were.
    field: u8,
    word: Text<LONGEST_WORD>,
    /// Of an escape such as `\040`: how many digits are to come, and their value so far.
    escape: Option<(u8, u8)>,
}

impl Parser {
    pub(crate) const fn new() -> Self {
        Self {
            mount: Mount {
                id: 0,
                parent: 0,
                flags: 0,
                point: Text::new(),
            },
            field: 0,
            word: Text::new(),
            escape: None,
        }
    }

    /// Whether the line is complete.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match (self.field, byte) {
            (_, b'\n') => return true,
            (5, b' ' | b',') => {
                self.end_word();
                self.field = self.field.saturating_add(u8::from(byte == b' '));
            }
            (_, b' ') => self.field = self.field.saturating_add(1),
            (0, digit) => add_digit(&mut self.mount.id, digit),
            (1, digit) => add_digit(&mut self.mount.parent, digit),
            (4, byte) => self.path_byte(byte),
            (5, byte) => self.word.push(byte),
            _ => {}
        }
        false
    }

    fn end_word(&mut self) {
        let known = WORDS.iter().find(|(word, _)| self.word.get() == Some(word));
        self.mount.flags |= known.map_or(0, |(_, flag)| *flag);
        self.word = Text::new();
    }

    fn path_byte(&mut self, byte: u8) {
        match (self.escape, byte) {
            (None, b'\\') => self.escape = Some((3, 0)),
            (None, byte) => self.mount.point.push(byte),
            (Some((left, value)), digit) => {
                let value = value.wrapping_shl(3) | (digit & 7);
                self.escape = match left.saturating_sub(1) {
                    0 => {
                        self.mount.point.push(value);
                        None
                    }
                    left => Some((left, value)),
                };
            }
        }
    }
}

/// A number that does not fit is none that a mount has.
fn add_digit(number: &mut u64, digit: u8) {
    let digit = u64::from(digit & 15);
    *number = number.saturating_mul(10).saturating_add(digit);
}

/// A text of at most so many bytes.
#[derive(Debug)]
struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    /// More than `MAX` where it was cut.
    length: usize,
}

impl<const MAX: usize> Text<MAX> {
    const fn new() -> Self {
        Self {
            bytes: [0; MAX],
            length: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    /// `None` where it was cut.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::panic,
    reason = "a test does not run after the clone"
)]
mod tests {
    use super::{LONGEST_PATH, Mount, Parser};

    fn parse(text: &str) -> Vec<Mount> {
        let mut found = Vec::new();
        let mut parser = Parser::new();
        for byte in text.bytes() {
            if parser.take(byte) {
                found.push(core::mem::replace(&mut parser, Parser::new()).mount);
            }
        }
        found
    }

    #[test]
    fn a_line_is_numbers_a_point_and_flags() {
        let text = "36 35 98:0 /mnt1 /mnt/parent ro,nosuid,nodev,noexec,nosymfollow,relatime shared:1 - ext4 /dev/root rw\n\
                    1073741824 36 0:5 / / rw,noatime - tmpfs none ro,nosuid\n\
                    7 1 0:5 / /x rw,nosuidity,xro\n";
        let [first, second, third] = &parse(text)[..] else {
            panic!("three lines");
        };
        assert_eq!((first.id, first.parent), (36, 35));
        assert_eq!(first.point(), Ok(&b"/mnt/parent"[..]));
        let all = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        assert_eq!(first.flags, all | libc::MS_NOSYMFOLLOW);
        assert_eq!((second.id, second.parent), (1 << 30, 36));
        assert_eq!(second.point(), Ok(&b"/"[..]));
        assert_eq!(
            second.flags, 0,
            "the options of the superblock are not the mount's"
        );
        assert_eq!(third.flags, 0, "no word is taken for a part of it");
    }

    #[test]
    fn what_the_kernel_escapes_is_what_it_was() {
        let [mount] = &parse("1 2 0:1 / /a\\040b\\011\\012\\134\\377\\043 rw - x y z\n")[..] else {
            panic!("one line");
        };
        assert_eq!(mount.point(), Ok(&b"/a b\t\n\\\xff#"[..]));
    }

    #[test]
    fn a_path_that_is_cut_is_no_path() {
        for (length, fits) in [(LONGEST_PATH, true), (LONGEST_PATH + 1, false)] {
            let [mount] = &parse(&format!("1 2 0:1 / {} ro - x y z\n", "a".repeat(length)))[..]
            else {
                panic!("one line");
            };
            assert_eq!(mount.point().is_ok(), fits);
            assert_eq!(mount.flags, libc::MS_RDONLY, "what comes after it is read");
        }
    }
}
