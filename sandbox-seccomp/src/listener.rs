//! The supervisor's side of a filter that reports.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use sandbox_core::{Abi, Errno, Syscall, SyscallName};

use crate::{Action, Filter, sys, table};

/// Where the kernel reports the calls of a [`Filter`]. As a descriptor it is readable while a call waits for an answer, and
/// hung up when no process under the filter is left.
///
/// Once all its copies are closed, calls that would be reported fail with `ENOSYS`, those that wait already too. So end the
/// processes first.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html>
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

/// A call that waits for an answer.
///
/// Its arguments are registers. What one points to must not be looked at for a decision: the program can change it until the
/// kernel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    id: u64,
    architecture: u32,
    /// The thread, by the number that the receiver's pid namespace has for it.
    pub thread: u32,
    /// The call.
    pub syscall: Syscall,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Notification {
    fn is(&self, number: i64) -> bool {
        let native = table::Architecture::native().map(|native| native.audit);
        native == Ok(self.architecture) && i64::from(self.syscall.number) == number
    }

    /// What the policy of the filter says about the call.
    #[must_use]
    pub fn action(&self, filter: &Filter) -> Action {
        filter.evaluate(self.architecture, self.syscall.number.into(), self.args)
    }

    /// Whether it is the call of [`Filter::greet`].
    #[must_use]
    pub fn is_greeting(&self) -> bool {
        let [operation, ..] = self.args;
        self.is(libc::SYS_seccomp) && operation == u64::from(sys::GREETING)
    }

    /// Whether it is `execve`, by which a start becomes the program, or a program another.
    #[must_use]
    pub fn is_start(&self) -> bool {
        self.is(libc::SYS_execve)
    }
}

/// What [`Filter::install_reporting`] gave, in the process that is to answer.
impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Listener {
    /// Takes one call; sleeps where the descriptor is not readable. `None` where its thread has just ended, or a signal came
    /// to either of both.
    ///
    /// # Errors
    /// `EINVAL`, `ENOTTY`: this is no listener, or one of a kernel whose messages are longer.
    pub fn receive(&self) -> Result<Option<Notification>, Errno> {
        let taken = match sys::notif_receive(self.fd.as_raw_fd()) {
            Err(errno) if matches!(errno.raw(), libc::ENOENT | libc::EINTR) => return Ok(None),
            other => other?,
        };
        let number = u32::from_ne_bytes(taken.data.nr.to_ne_bytes());
        Ok(Some(Notification {
            id: taken.id,
            architecture: taken.data.arch,
            thread: taken.pid,
            syscall: named(taken.data.arch, number),
            args: taken.data.args,
        }))
    }

    /// Lets a call fail. Nothing is wrong where its thread has ended in the meantime.
    ///
    /// # Errors
    /// `EINPROGRESS`: it was answered before.
    pub fn refuse(&self, call: &Notification, errno: Errno) -> Result<(), Errno> {
        self.answer(call, 0, -errno.raw(), 0).map(drop)
    }

    /// Answers [`Filter::greet`].
    ///
    /// # Errors
    /// As [`Listener::refuse`].
    pub fn greet_back(&self, call: &Notification) -> Result<(), Errno> {
        self.answer(call, sys::GREETED, 0, 0).map(drop)
    }

    /// Lets a start become the program: whether it was, and not gone or interrupted, after which it asks again.
    ///
    /// Only for an `execve` that is known to be code of one's own, in a process that no other shares its memory with. So the
    /// start has to say beforehand that it is about to, in a way that no program has: count that, and let through as many.
    ///
    /// # Errors
    /// `EINVAL`: it is no `execve`. `EINPROGRESS`: it was answered before.
    ///
    /// # Kernel
    /// Linux 5.5.
    pub fn let_start(&self, call: &Notification) -> Result<bool, Errno> {
        if !call.is_start() {
            return Err(Errno::from_raw(libc::EINVAL));
        }
        self.answer(call, 0, 0, sys::CONTINUE)
    }

    /// Lets a call be made, for a tool that watches a program it trusts. **Not a sandbox**: between this answer and the call,
    /// another thread can change what its pointers lead to.
    ///
    /// # Errors
    /// As [`Listener::refuse`].
    ///
    /// # Kernel
    /// Linux 5.5.
    pub fn dangerous_continue(&self, call: &Notification) -> Result<(), Errno> {
        self.answer(call, 0, 0, sys::CONTINUE).map(drop)
    }

    /// Whether the thread was there to get the answer.
    fn answer(&self, call: &Notification, val: i64, error: i32, flags: u32) -> Result<bool, Errno> {
        match sys::notif_send(self.fd.as_raw_fd(), call.id, val, error, flags) {
            Err(errno) if errno.raw() == libc::ENOENT => Ok(false),
            other => other.map(|()| true),
        }
    }
}

/// A call with its name, as far as the tables of this crate go.
fn named(architecture: u32, number: u32) -> Syscall {
    let name = table::reported_name(architecture, number);
    Syscall::new(
        Abi::from_audit(architecture, number),
        number,
        name.and_then(|name| SyscallName::new(name).ok()),
    )
}

#[cfg(test)]
mod tests {
    use super::named;
    use crate::{
        sys::{NOTIF_RECV, NOTIF_SEND},
        table::{ALL, names},
    };
    use sandbox_core::SyscallName;

    #[test]
    fn the_commands_have_the_sizes_of_their_messages() {
        let size = |command: u32| usize::try_from(command >> 16 & 0x3fff).unwrap();
        assert_eq!(size(NOTIF_RECV), size_of::<libc::seccomp_notif>());
        assert_eq!(size(NOTIF_SEND), size_of::<libc::seccomp_notif_resp>());
        assert_eq!(core::mem::offset_of!(libc::seccomp_notif, data), 16);
        assert_eq!(core::mem::offset_of!(libc::seccomp_notif_resp, error), 16);
    }

    #[test]
    fn every_name_fits() {
        for name in names() {
            assert_eq!(SyscallName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn calls_have_the_names_of_their_tables() {
        let text = |architecture, number| {
            let call = named(architecture, number);
            (call.abi.to_string(), call.name.map(String::from))
        };
        let ptrace = |abi: &str| (abi.to_owned(), Some("ptrace".to_owned()));
        let unknown = |abi: &str| (abi.to_owned(), None);
        assert_eq!(text(ALL[0].audit, 101), ptrace("x86_64"));
        assert_eq!(text(ALL[0].audit, 0x4000_0000 | 101), ptrace("x32"));
        assert_eq!(text(ALL[0].audit, 0x4000_0000 | 521), ptrace("x32"));
        assert_eq!(text(ALL[0].audit, 0x4001_0000 | 101), unknown("x32"));
        assert_eq!(text(ALL[1].audit, 117), ptrace("aarch64"));
        assert_eq!(text(0x4000_0003, 26), ptrace("i386"));
    }
}
