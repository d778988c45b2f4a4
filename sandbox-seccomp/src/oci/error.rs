//! Why a profile did not become a policy, or a policy no profile.

use sandbox_core::Errno;

/// A profile that cannot be imported as it is meant, or a policy that a profile cannot express.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An entry has both `name` and `names`, or neither.
    #[error("entry {entry} must have either `name` or `names`")]
    Names {
        /// Its place in `syscalls`, from 0.
        entry: usize,
    },
    /// The profile has both `architectures` and `archMap`.
    #[error("the profile has both `architectures` and `archMap`")]
    Architectures,
    /// A kernel version is not `major.minor`.
    #[error("entry {entry}: minKernel {version:?} is not a version such as 4.8")]
    MinKernel {
        /// Its place in `syscalls`, from 0.
        entry: usize,
        /// What it says.
        version: String,
    },
    /// An `errno` is neither a name nor a number, or not one that a call can return (1 to 4095).
    #[error("{place}: no system call returns the errno {errno}")]
    Errno {
        /// The entry, or the default.
        place: String,
        /// What it says.
        errno: String,
    },
    /// An argument's index is above 5.
    #[error("entry {entry}: no system call has an argument {index}")]
    Argument {
        /// Its place in `syscalls`, from 0.
        entry: usize,
        /// The index.
        index: u32,
    },
    /// `SCMP_ACT_TRACE` and `SCMP_ACT_NOTIFY` need somebody who answers, and the box has nobody.
    #[error("{place}: the action needs a tracer or listener, which the box does not have")]
    NoListener {
        /// The entry, or the default.
        place: String,
    },
    /// A call is to be refused while the default allows, and its name is unknown: it may be a call of this kernel.
    #[error("entry {entry} refuses {name:?}, which is unknown here and so would be allowed")]
    CannotRefuse {
        /// Its place in `syscalls`, from 0.
        entry: usize,
        /// The name.
        name: String,
    },
    /// Two entries say different things about one call and the same arguments.
    #[error("entries {first} and {second} overlap at {syscall} with different actions")]
    Conflict {
        /// The call.
        syscall: String,
        /// The place of the one in `syscalls`.
        first: usize,
        /// The place of the other.
        second: usize,
    },
    /// More conditional entries about one call than a filter can hold.
    #[error("{syscall} has {entries} conditional entries")]
    TooMany {
        /// The call.
        syscall: String,
        /// How many.
        entries: usize,
    },
    /// The conditions on a call, which a profile has as alternatives without order, would need too many of them.
    #[error("the conditions on {syscall} need more than {most} entries of a profile")]
    NotExpressible {
        /// The call.
        syscall: String,
        /// The bound.
        most: usize,
    },
    /// The policy reports calls, and who answers in a container is not the profile's to say.
    #[error("the policy reports calls: export what `Policy::without_reports` makes of it")]
    Reports,
    /// This kernel's release cannot be read.
    #[error("cannot read /proc/sys/kernel/osrelease")]
    KernelRelease {
        /// Why; `EIO` where it is no text.
        source: Errno,
    },
    /// This kernel's release does not begin with two numbers.
    #[error("the kernel's release {release:?} does not begin with a version")]
    KernelVersion {
        /// What the kernel says.
        release: String,
    },
    /// The policy itself.
    #[error(transparent)]
    Policy(#[from] crate::Error),
}
