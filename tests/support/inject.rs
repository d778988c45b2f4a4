//! Makes one system call fail, in this process and in every box that it starts: a seccomp filter that answers with an errno.
//!
//! By this nearly every stage can be made to fail on a healthy machine. A filter cannot be taken off again, so it is
//! installed in a forked copy ([`in_child`](crate::in_child())), after the box is prepared.

#![expect(unsafe_code, reason = "installs a seccomp filter")]

use core::ffi::c_long;
use std::{
    os::fd::{FromRawFd as _, OwnedFd},
    sync::OnceLock,
};

use crate::sys;

/// The filter that [`install_armed`] installs; compiled before the clone, after which nothing may be allocated.
static ARMED: OnceLock<Vec<libc::sock_filter>> = OnceLock::new();

/// A call that is to fail.
#[derive(Debug, Clone)]
pub struct Injection {
    /// Its number.
    pub call: c_long,
    /// Values of arguments that must all match (position, lower 32 bits); none for every call.
    pub arguments: Vec<(u32, u32)>,
    /// What it answers.
    pub errno: i32,
}

impl Injection {
    /// The call fails whatever its arguments are.
    #[must_use]
    pub fn new(call: c_long, errno: i32) -> Self {
        Self {
            call,
            arguments: Vec::new(),
            errno,
        }
    }

    /// Only where argument `position` is `value`.
    #[must_use]
    pub fn when(mut self, position: u32, value: u32) -> Self {
        self.arguments.push((position, value));
        self
    }

    /// Installs the filter, for good.
    pub fn install(&self) {
        sys::check("seccomp", install(&self.program()));
    }

    /// Makes it the one that [`install_armed`] installs; once per process.
    pub fn arm(&self) {
        ARMED.set(self.program()).expect("armed once");
    }

    fn program(&self) -> Vec<libc::sock_filter> {
        const NUMBER: u32 = 0;
        const ARGUMENTS: u32 = 16;
        let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
        let answer = |value| statement(libc::BPF_RET | libc::BPF_K, value);
        let number = u32::try_from(self.call).expect("a small number");
        let mut conditions = vec![(NUMBER, number)];
        let lower = |position: u32| ARGUMENTS + position * 8;
        conditions.extend(
            self.arguments
                .iter()
                .map(|(at, value)| (lower(*at), *value)),
        );
        let mut program = Vec::new();
        for (offset, value) in conditions {
            program.push(load(offset));
            program.push(libc::sock_filter {
                code: code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
                jt: 1,
                jf: 0,
                k: value,
            });
            program.push(answer(libc::SECCOMP_RET_ALLOW));
        }
        let errno = u32::try_from(self.errno).expect("positive");
        program.push(answer(libc::SECCOMP_RET_ERRNO | errno));
        program
    }
}

/// Installs the armed filter in init or in the payload alone, from a chain; async-signal-safe. Ends the process where it
/// cannot, which the supervisor sees as a box without a report.
pub fn install_armed() {
    let installed = ARMED.get().map_or(-1, |program| install(program));
    if installed != 0 {
        sys::exit_now(1);
    }
}

/// Puts this process under a filter that allows everything and has a listener, as some containers are.
#[must_use]
pub fn install_listener() -> OwnedFd {
    let allow = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let fd = sys::check(
        "seccomp",
        install_with(&[allow], libc::SECCOMP_FILTER_FLAG_NEW_LISTENER),
    );
    // SAFETY: a fresh descriptor, owned by nobody.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor is an int")) }
}

fn install(program: &[libc::sock_filter]) -> c_long {
    install_with(program, 0)
}

fn install_with(program: &[libc::sock_filter], flags: libc::c_ulong) -> c_long {
    let filter = libc::sock_fprog {
        // Conditions are few; a program that is too long the kernel refuses.
        len: u16::try_from(program.len()).unwrap_or(u16::MAX),
        filter: program.as_ptr().cast_mut(),
    };
    // Without CAP_SYS_ADMIN the kernel wants no_new_privs, which is one of the things under test: these tests are root's.
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program is live and as long as it says; the kernel copies it.
    unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const filter) }
}

fn code(bits: u32) -> u16 {
    u16::try_from(bits).expect("BPF codes are short")
}

fn statement(bits: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code(bits),
        jt: 0,
        jf: 0,
        k,
    }
}
