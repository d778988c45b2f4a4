//! From the limits a user asks for to the sixteen resource limits of a process.

use caps::{CapSet, Capability};
use core::{ffi::c_int, time::Duration};
use std::fs;

use sandbox_core::{Bytes, Limits};

use crate::{
    Error,
    process::rlimits::{RESOURCES, Rlimits},
    sys::process::getrlimit,
};

/// Size of a core dump: 1, not 0. The kernel still runs a piped `core_pattern` at 0, and at 1 it makes no dump at all. Where
/// the hard limit is 0 and cannot be raised, dumps to files are impossible and piped ones an error.
const CORE: u64 = 1;

/// Descriptors, where the user asks for no other number.
const OPEN_FILES: u64 = 1024;

/// Stack of the main thread, where the user asks for no other size: the kernel's own default.
const STACK: Bytes = Bytes::mib(8);

/// Locked memory: enough for a program that locks a key, too little to pin what a cgroup cannot reclaim.
const LOCKED: u64 = 64 << 10;

/// Bytes in POSIX message queues: the kernel's own default.
const MESSAGE_QUEUES: u64 = 819_200;

/// The back stop of the kernel, `RLIMIT_CPU`, in whole seconds. The supervisor comes first by far; this is for an embedder
/// that never waits. It has a wide margin, because the kernel counts it in ticks, which on a busy machine run up to 15 %
/// ahead of the time really used.
fn cpu_back_stop(limit: Duration) -> u64 {
    limit.as_secs().saturating_mul(2).saturating_add(2)
}

impl Rlimits {
    /// Compiles the limits. What is not asked for gets the value above, or what the embedder has as its hard limit; in no case
    /// more than that hard limit.
    pub(crate) fn compile(limits: &Limits) -> Result<Self, Error> {
        // A failed look at the own capabilities counts as none: then the hard limits bind, and nothing gets weaker.
        let may_raise =
            caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_RESOURCE).unwrap_or(false);
        let mut values = [0; 16];
        for (value, (resource, name)) in values.iter_mut().zip(RESOURCES) {
            let (_, hard) = getrlimit(resource).map_err(Error::call("getrlimit"))?;
            *value = match asked(limits, resource) {
                Some((field, asked)) if asked > hard && !may_raise => {
                    return Err(Error::AboveHardLimit {
                        field,
                        resource: name,
                        asked,
                        hard,
                    });
                }
                Some((_, asked)) => asked,
                None if may_raise => default(limits, resource).unwrap_or(hard),
                None => default(limits, resource).unwrap_or(hard).min(hard),
            };
            if constant(resource) == libc::RLIMIT_CORE && *value != CORE && dumps_are_piped() {
                return Err(Error::CoreDumps);
            }
        }
        Ok(Self { values })
    }
}

/// Whether a crash would start a program of the host. Unknown counts as yes.
fn dumps_are_piped() -> bool {
    fs::read_to_string("/proc/sys/kernel/core_pattern").map_or(true, |text| text.starts_with('|'))
}

/// The value that the user asks for, with the field of [`Limits`] that says so.
fn asked(limits: &Limits, resource: c_int) -> Option<(&'static str, u64)> {
    let bytes = |field, limit: Option<Bytes>| limit.map(|bytes| (field, bytes.get()));
    match constant(resource) {
        libc::RLIMIT_AS => bytes("address_space", limits.address_space),
        libc::RLIMIT_FSIZE => bytes("file_size", limits.file_size),
        libc::RLIMIT_STACK => bytes("stack", limits.stack),
        libc::RLIMIT_NOFILE => limits.open_files.map(|n| ("open_files", n.into())),
        _ => None,
    }
}

fn default(limits: &Limits, resource: c_int) -> Option<u64> {
    match constant(resource) {
        libc::RLIMIT_CORE => Some(CORE),
        libc::RLIMIT_CPU => limits.cpu_time.map(cpu_back_stop),
        libc::RLIMIT_MEMLOCK => Some(LOCKED),
        libc::RLIMIT_MSGQUEUE => Some(MESSAGE_QUEUES),
        libc::RLIMIT_NICE | libc::RLIMIT_RTPRIO => Some(0),
        libc::RLIMIT_NOFILE => Some(OPEN_FILES),
        libc::RLIMIT_STACK => Some(STACK.get()),
        _ => None,
    }
}

/// The number with libc's type of the constants, for matching.
#[expect(clippy::cast_sign_loss, reason = "the numbers are 0 to 15")]
fn constant(resource: c_int) -> libc::__rlimit_resource_t {
    resource as libc::__rlimit_resource_t
}

#[cfg(test)]
mod tests {
    use super::{CORE, OPEN_FILES};
    use crate::{
        Error,
        process::rlimits::{RESOURCES, Rlimits},
    };
    use core::time::Duration;
    use sandbox_core::{Bytes, Limits};

    fn value(limits: &Limits, name: &str) -> u64 {
        let at = RESOURCES
            .iter()
            .position(|(_, known)| *known == name)
            .unwrap();
        Rlimits::compile(limits).unwrap().values[at]
    }

    #[test]
    fn what_is_asked_for_is_compiled() {
        let limits = Limits::default()
            .open_files(20)
            .stack(Bytes::mib(1))
            .file_size(Bytes::kib(4))
            .address_space(Bytes::mib(512))
            .cpu_time(Duration::from_millis(1500));
        assert_eq!(value(&limits, "RLIMIT_NOFILE"), 20);
        assert_eq!(value(&limits, "RLIMIT_STACK"), 1 << 20);
        assert_eq!(value(&limits, "RLIMIT_FSIZE"), 4096);
        assert_eq!(value(&limits, "RLIMIT_AS"), 512 << 20);
        assert_eq!(value(&limits, "RLIMIT_CPU"), 4);
    }

    #[test]
    fn nothing_dangerous_is_inherited() {
        let none = Limits::default();
        let core = value(&none, "RLIMIT_CORE");
        assert!(core == CORE || core == 0, "a dump of {core} bytes");
        assert!(value(&none, "RLIMIT_NOFILE") <= OPEN_FILES);
        assert_eq!(value(&none, "RLIMIT_RTPRIO"), 0);
    }

    #[test]
    fn more_than_the_hard_limit_is_an_error_or_a_right() {
        let limits = Limits::default().open_files(1 << 20);
        match Rlimits::compile(&limits) {
            Err(Error::AboveHardLimit {
                field: "open_files",
                asked,
                ..
            }) => {
                assert_eq!(asked, 1 << 20);
            }
            Ok(rlimits) => {
                let at = RESOURCES
                    .iter()
                    .position(|(_, name)| *name == "RLIMIT_NOFILE")
                    .unwrap();
                assert_eq!(rlimits.values[at], 1 << 20);
            }
            Err(other) => panic!("{other}"),
        }
    }
}
