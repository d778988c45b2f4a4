//! A system call by table, number and name.

use core::fmt;

/// By which table of calls the kernel reads a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Abi {
    /// The table of `x86_64`.
    X86_64,
    /// The second table of `x86_64`, for 32-bit pointers.
    X32,
    /// The table of 32-bit x86, which 64-bit programs reach by `int 0x80`.
    I386,
    /// The table of 64-bit Arm.
    Aarch64,
    /// The table of 32-bit Arm.
    Arm,
    /// The table of 64-bit RISC-V.
    Riscv64,
    /// Another one, as an `AUDIT_ARCH_*` number of linux/audit.h.
    Other(u32),
}

/// The bit by which `x86_64` knows calls of the x32 table.
const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// From what seccomp(2) reports: an `AUDIT_ARCH_*` number and the number of the call.
    #[must_use]
    pub const fn from_audit(architecture: u32, number: u32) -> Self {
        match architecture {
            0xc000_003e if number & X32_BIT != 0 && number >> 31 == 0 => Self::X32,
            0xc000_003e => Self::X86_64,
            0x4000_0003 => Self::I386,
            0xc000_00b7 => Self::Aarch64,
            0x4000_0028 => Self::Arm,
            0xc000_00f3 => Self::Riscv64,
            other => Self::Other(other),
        }
    }

    /// Whether it is the table of this program's own architecture, by which policies name calls.
    #[must_use]
    pub const fn is_native(self) -> bool {
        match self {
            Self::X86_64 => cfg!(target_arch = "x86_64"),
            Self::Aarch64 => cfg!(target_arch = "aarch64"),
            Self::Riscv64 => cfg!(target_arch = "riscv64"),
            _ => false,
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::X32 => "x32",
            Self::I386 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
            Self::Other(audit) => return write!(f, "architecture {audit:#x}"),
        })
    }
}

/// The name of a system call, owned without an allocation, so that a verdict can be copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct SyscallName {
    /// Padded with zeros.
    bytes: [u8; Self::LONGEST],
}

/// Why a text is not the name of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a system call is 1 to 32 lower case letters, digits and underscores")]
pub struct SyscallNameError;

impl SyscallName {
    /// Longer than any name that Linux has. Units: bytes.
    pub const LONGEST: usize = 32;

    /// The name.
    ///
    /// # Errors
    /// [`SyscallNameError`].
    pub fn new(name: &str) -> Result<Self, SyscallNameError> {
        let valid = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let mut bytes = [0; Self::LONGEST];
        match bytes.get_mut(..name.len()) {
            Some(place) if !name.is_empty() && name.as_bytes().iter().all(valid) => {
                place.copy_from_slice(name.as_bytes());
                Ok(Self { bytes })
            }
            _ => Err(SyscallNameError),
        }
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let padding = self.bytes.iter().position(|byte| *byte == 0);
        let name = self.bytes.get(..padding.unwrap_or(Self::LONGEST));
        // It was made of ASCII.
        name.and_then(|name| core::str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for SyscallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SyscallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<SyscallName> for String {
    fn from(name: SyscallName) -> Self {
        name.as_str().to_owned()
    }
}

impl TryFrom<String> for SyscallName {
    type Error = SyscallNameError;

    fn try_from(name: String) -> Result<Self, SyscallNameError> {
        Self::new(&name)
    }
}

/// Which system call. `Display` prints its name, and its table where that is not the one of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Syscall {
    /// The table that the number is of.
    pub abi: Abi,
    /// The number, as the program gave it.
    pub number: u32,
    /// The name; `None` where the family has no table for the ABI, or no such number in it.
    pub name: Option<SyscallName>,
}

impl Syscall {
    /// A call of this table.
    #[must_use]
    pub const fn new(abi: Abi, number: u32, name: Option<SyscallName>) -> Self {
        Self { abi, number, name }
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "call {}", self.number)?,
        }
        if self.abi.is_native() {
            Ok(())
        } else {
            write!(f, " of {}", self.abi)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Abi, Syscall, SyscallName, SyscallNameError};

    #[test]
    fn names_are_names() {
        let name = SyscallName::new("set_mempolicy_home_node").unwrap();
        assert_eq!(name.as_str(), "set_mempolicy_home_node");
        assert_eq!(
            format!("{name:?} {name}"),
            format!("{0:?} {0}", name.as_str())
        );
        let longest = "x".repeat(SyscallName::LONGEST);
        assert_eq!(SyscallName::new(&longest).unwrap().as_str(), longest);
        for bad in ["", "a b", "A", "a\0", "é", &"x".repeat(33)] {
            assert_eq!(SyscallName::new(bad), Err(SyscallNameError), "{bad:?}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_call_of_another_table_says_so() {
        let call = |architecture, number, name: &str| {
            let abi = Abi::from_audit(architecture, number);
            Syscall::new(abi, number, SyscallName::new(name).ok()).to_string()
        };
        assert_eq!(call(0xc000_003e, 101, "ptrace"), "ptrace");
        assert_eq!(call(0xc000_003e, 999, ""), "call 999");
        assert_eq!(call(0x4000_0003, 20, ""), "call 20 of i386");
        assert_eq!(call(0xc000_003e, 0x4000_0027, "getpid"), "getpid of x32");
        assert_eq!(call(0xc000_003e, u32::MAX, ""), "call 4294967295");
        assert_eq!(call(7, 1, ""), "call 1 of architecture 0x7");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_call_survives_json() {
        let call = Syscall::new(Abi::I386, 26, SyscallName::new("ptrace").ok());
        let text = serde_json::to_string(&call).unwrap();
        assert_eq!(text, r#"{"abi":"i386","number":26,"name":"ptrace"}"#);
        assert_eq!(serde_json::from_str::<Syscall>(&text).unwrap(), call);
        assert!(serde_json::from_str::<Syscall>(&text.replace("pt", "P")).is_err());
    }
}
