//! The compiled policy.

use core::fmt;
use std::sync::Arc;

use sandbox_core::Explain;

use crate::{
    Action,
    child::{GREET, INSTALL, INSTALL_REPORTING},
    evaluate::{self, Call},
    instruction::{Instruction, RETURN},
};

/// A compiled policy: cheap to clone, installed by the child as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    program: Arc<[Instruction]>,
    reports: bool,
    kills: bool,
    pub(crate) reports_start: bool,
}

impl Filter {
    pub(crate) fn new(program: Vec<Instruction>) -> Self {
        let returns = program.iter().filter(|one| one.code == RETURN);
        let actions = returns.map(|one| Action::decode(one.k));
        let kills = |action| matches!(action, Action::Kill | Action::KillThread | Action::Trap);
        Self {
            reports: actions.clone().any(Action::reports),
            kills: actions.clone().any(kills),
            program: program.into(),
            reports_start: false,
        }
    }

    pub(crate) fn program(&self) -> &[Instruction] {
        &self.program
    }

    /// What the filter does with one call, found by running the compiled program in user space.
    ///
    /// `arch` is an `AUDIT_ARCH_*` number. `nr` counts as the kernel reads it: its low 32 bits.
    #[must_use]
    pub fn evaluate(&self, arch: u32, nr: i64, args: [u64; 6]) -> Action {
        let [a, b, c, d, ..] = nr.to_le_bytes();
        let call = Call {
            arch,
            nr: u32::from_le_bytes([a, b, c, d]),
            args,
        };
        Action::decode(evaluate::run(&self.program, &call))
    }

    /// Whether there are calls that it reports: then it is installed by [`Filter::install_reporting`].
    #[must_use]
    pub fn reports(&self) -> bool {
        self.reports
    }

    /// Whether `execve` is one of them: then the supervisor [lets the start's own through](crate::Listener::let_start), and the
    /// program executes nothing.
    #[must_use]
    pub fn reports_start(&self) -> bool {
        self.reports_start
    }

    /// Whether there are calls for which the kernel sends `SIGSYS`.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.kills
    }

    /// The number of BPF instructions. Units: instructions; the kernel takes at most 4096.
    #[must_use]
    pub fn len(&self) -> usize {
        self.program.len()
    }

    /// Always false: a filter without instructions cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.program.is_empty()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Explain for Filter {
    fn explain(&self, index: u16) -> String {
        match index {
            INSTALL => format!(
                "install the system call filter of {} instructions (EACCES: no_new_privs is not set; EINVAL: the kernel \
                 lacks CONFIG_SECCOMP_FILTER)",
                self.len()
            ),
            INSTALL_REPORTING => format!(
                "install the reporting system call filter of {} instructions (EBUSY: this process is itself under a filter with \
                 a listener, and the kernel has one at most; EMFILE: the limit of open files leaves none for the listener; EINVAL: the kernel lacks CONFIG_SECCOMP_FILTER)",
                self.len()
            ),
            GREET => "greet the supervisor through the system call filter".to_owned(),
            _ => format!("unknown operation {index} of the system call filter"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Policy,
        instruction::{LOAD, OFFSET_ARCH},
    };
    use sandbox_core::Explain as _;

    #[test]
    fn a_filter_tells_its_length_and_its_operations() {
        let filter = Policy::judge().prepare().unwrap();
        let [first, ..] = filter.program() else {
            panic!("it has no instructions");
        };
        assert_eq!((first.code, first.k), (LOAD, OFFSET_ARCH));
        let len = filter.program().len();
        assert_eq!((filter.len(), filter.is_empty()), (len, false));
        assert_eq!(
            format!("{filter:?}"),
            format!("Filter {{ len: {len}, .. }}")
        );
        let installs = format!("filter of {len} instructions");
        for (index, words) in [
            (0, [installs.as_str(), "EACCES"]),
            (1, [installs.as_str(), "EBUSY"]),
            (2, ["greet", "supervisor"]),
            (3, ["unknown operation", "3"]),
        ] {
            let said = filter.explain(index);
            assert!(
                words.iter().all(|word| said.contains(word)),
                "{index}: {said}"
            );
        }
    }
}
