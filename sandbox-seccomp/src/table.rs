//! System call names and numbers per architecture.

use sandbox_core::Abi;

use crate::Error;

mod aarch64;
#[cfg(feature = "serde")]
mod elsewhere;
mod i386;
mod riscv64;
mod x32;
mod x86_64;

/// What a filter must know of an architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Architecture {
    /// As profiles of containers have it in `includes`: Go's name.
    #[cfg(feature = "serde")]
    pub(crate) go: &'static str,
    /// As libseccomp has it.
    #[cfg(feature = "serde")]
    pub(crate) scmp: &'static str,
    /// `AUDIT_ARCH_*`: the ELF machine, 64 bits, little-endian.
    pub(crate) audit: u32,
    /// Numbers that lead to other calls than the table says, with first and last; they kill.
    pub(crate) traps: &'static [(u32, u32)],
    /// Sorted by name.
    pub(crate) calls: &'static [(&'static str, u32)],
}

const AUDIT_64BIT_LE: u32 = 0xc000_0000;

/// Every call with bit 30 set goes to the x32 table. 512 to 547 are the x32 calls themselves, which kernels before 5.7
/// with x32 also made without the bit: 521 was `ptrace`. Linux does not give them to anything else.
const X32: &[(u32, u32)] = &[(512, 547), (0x4000_0000, 0x7fff_ffff)];

pub(crate) static X86_64: Architecture = Architecture {
    #[cfg(feature = "serde")]
    go: "amd64",
    #[cfg(feature = "serde")]
    scmp: "SCMP_ARCH_X86_64",
    audit: 62 | AUDIT_64BIT_LE,
    traps: X32,
    calls: x86_64::CALLS,
};
static AARCH64: Architecture = Architecture {
    #[cfg(feature = "serde")]
    go: "arm64",
    #[cfg(feature = "serde")]
    scmp: "SCMP_ARCH_AARCH64",
    audit: 183 | AUDIT_64BIT_LE,
    traps: &[],
    calls: aarch64::CALLS,
};
static RISCV64: Architecture = Architecture {
    #[cfg(feature = "serde")]
    go: "riscv64",
    #[cfg(feature = "serde")]
    scmp: "SCMP_ARCH_RISCV64",
    audit: 243 | AUDIT_64BIT_LE,
    traps: &[],
    calls: riscv64::CALLS,
};

/// Every architecture of this crate.
pub(crate) static ALL: [&Architecture; 3] = [&X86_64, &AARCH64, &RISCV64];

impl Architecture {
    /// The architecture that this program was built for.
    pub(crate) fn native() -> Result<&'static Self, Error> {
        let architecture = std::env::consts::ARCH;
        // x32 and ilp32 programs are x86_64 and aarch64 with other calls.
        match architecture {
            "x86_64" if cfg!(target_pointer_width = "64") => Ok(&X86_64),
            "aarch64" if cfg!(all(target_pointer_width = "64", target_endian = "little")) => {
                Ok(&AARCH64)
            }
            "riscv64" => Ok(&RISCV64),
            _ => Err(Error::Architecture { architecture }),
        }
    }

    /// The number of a call, `None` where only another architecture has it.
    ///
    /// # Errors
    /// [`Error::UnknownSyscall`] where none has it.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, Error> {
        if let Some(number) = self.find(name) {
            return Ok(Some(number));
        }
        if ALL.iter().any(|other| other.find(name).is_some()) {
            return Ok(None);
        }
        Err(Error::UnknownSyscall {
            name: name.to_owned(),
            nearest: alike(name, names()),
        })
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u32) -> Option<&'static str> {
        let mut calls = self.calls.iter();
        calls
            .find(|&&(_, known)| known == number)
            .map(|&(name, _)| name)
    }

    fn find(&self, name: &str) -> Option<u32> {
        let index = self
            .calls
            .binary_search_by_key(&name, |&(known, _)| known)
            .ok()?;
        self.calls.get(index).map(|&(_, number)| number)
    }
}

/// The bit of x32 calls.
const X32_BIT: u32 = 0x4000_0000;

/// The name that reports have for a call: also of tables for which there are no policies.
pub(crate) fn reported_name(architecture: u32, number: u32) -> Option<&'static str> {
    match Abi::from_audit(architecture, number) {
        Abi::I386 => of_number(i386::NAMES, number),
        // Below its own calls, the x32 table has the numbers of x86_64.
        Abi::X32 => {
            let number = number ^ X32_BIT;
            of_number(x32::NAMES, number).or_else(|| X86_64.name(number))
        }
        _ => ALL
            .iter()
            .find(|table| table.audit == architecture)?
            .name(number),
    }
}

fn of_number(names: &[(u32, &'static str)], number: u32) -> Option<&'static str> {
    let index = names.binary_search_by_key(&number, |&(known, _)| known);
    names.get(index.ok()?).map(|&(_, name)| name)
}

/// Every name of every architecture, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    let calls = ALL.iter().flat_map(|architecture| architecture.calls);
    let mut names: Vec<_> = calls.map(|&(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether this is a call of an architecture for which there are no policies.
#[cfg(feature = "serde")]
pub(crate) fn is_elsewhere(name: &str) -> bool {
    i386::NAMES.iter().any(|&(_, known)| known == name)
        || elsewhere::NAMES.binary_search(&name).is_ok()
}

/// The name with the fewest edits, at most two.
pub(crate) fn alike<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name in a stranger's file may be of any length.
    if name.len() > LONGEST_NAME {
        return None;
    }
    known
        .into_iter()
        .map(|known| (edits(name, known), known))
        .min()
        .filter(|&(distance, _)| distance <= 2)
        .map(|(_, known)| known)
}

/// Longer than any name by more than two edits.
const LONGEST_NAME: usize = 64;

/// Levenshtein's distance in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut previous = row.clone();
        core::mem::swap(&mut previous, &mut row);
        let mut left = i + 1;
        row.clear();
        row.push(left);
        for (y, pair) in b.bytes().zip(previous.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(x != y)).min(above.min(left) + 1);
            row.push(left);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Architecture, edits, i386, reported_name, x32};
    use crate::Error;
    use sandbox_core::SyscallName;

    #[test]
    fn tables_are_sorted_and_without_doubles() {
        for architecture in ALL {
            assert!(architecture.calls.is_sorted_by(|a, b| a.0 < b.0));
            let mut numbers: Vec<_> = architecture.calls.iter().map(|c| c.1).collect();
            numbers.sort_unstable();
            assert!(numbers.is_sorted_by(|a, b| a < b));
            assert!(numbers.iter().all(|&n| n < 512));
        }
    }

    #[test]
    fn tables_of_names_are_sorted_and_of_names() {
        for names in [i386::NAMES, x32::NAMES] {
            assert!(names.is_sorted_by(|a, b| a.0 < b.0));
            for (_, name) in names {
                assert_eq!(SyscallName::new(name).unwrap().as_str(), *name);
            }
        }
        // Those that are closed to x86_64.
        let (first, last) = super::X32[0];
        let own: Vec<u32> = x32::NAMES.iter().map(|&(number, _)| number).collect();
        assert_eq!(own, Vec::from_iter(first..=last));
    }

    #[test]
    fn reports_name_the_calls_of_every_table_of_a_kernel() {
        const X86_64: u32 = 0xc000_003e;
        const I386: u32 = 0x4000_0003;
        const X32: u32 = 0x4000_0000;
        for (architecture, number, name) in [
            (X86_64, 101, Some("ptrace")),
            (X86_64, 336, Some("uprobe")),
            // What kernels before 5.7 made of it is no call of this table.
            (X86_64, 521, None),
            (X86_64, X32 | 101, Some("ptrace")),
            (X86_64, X32 | 512, Some("rt_sigaction")),
            (X86_64, X32 | 521, Some("ptrace")),
            (X86_64, X32 | 547, Some("pwritev2")),
            (X86_64, X32 | 548, None),
            (X86_64, X32 | 0x1_0000 | 101, None),
            (I386, 0, Some("restart_syscall")),
            (I386, 20, Some("getpid")),
            (I386, 26, Some("ptrace")),
            (I386, 102, Some("socketcall")),
            (I386, 451, Some("cachestat")),
            (I386, X32 | 20, None),
            (0xc000_00b7, 117, Some("ptrace")),
            (0xc000_00f3, 117, Some("ptrace")),
            (0x4000_0028, 26, None),
        ] {
            assert_eq!(
                reported_name(architecture, number),
                name,
                "{architecture:#x} {number}"
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn calls_of_other_architectures_are_known_as_theirs() {
        for (name, known) in [
            ("socketcall", true),
            ("sys_debug_setcontext", true),
            ("ptrase", false),
        ] {
            assert_eq!(super::is_elsewhere(name), known, "{name}");
        }
    }

    #[test]
    fn the_native_table_agrees_with_libc() {
        let native = Architecture::native().unwrap();
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("mmap", libc::SYS_mmap),
            ("newfstatat", libc::SYS_newfstatat),
            ("seccomp", libc::SYS_seccomp),
            ("clone3", libc::SYS_clone3),
        ] {
            let number = u32::try_from(number).unwrap();
            assert_eq!(native.number(name).unwrap(), Some(number), "{name}");
        }
    }

    #[test]
    fn foreign_names_are_known_and_unknown_ones_get_a_hint() {
        assert_eq!(super::AARCH64.number("open").unwrap(), None);
        assert_eq!(super::X86_64.number("riscv_hwprobe").unwrap(), None);
        let error = super::X86_64.number("opneat").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown system call \"opneat\", did you mean \"openat\"?"
        );
        assert!(matches!(
            super::X86_64.number("not_a_call_at_all"),
            Err(Error::UnknownSyscall { nearest: None, .. })
        ));
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(a, b), n);
        }
    }
}
