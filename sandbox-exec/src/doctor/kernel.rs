//! System calls, filters, Landlock.

use super::{
    attempt::{Attempts, Tried},
    report::{Finding, Need},
    tree::{Text, Tree},
};

/// Actions that the family's own policies use, and those that only learning and auditing use.
const USED: [&str; 3] = ["kill_process", "errno", "allow"];
const ADVISED: [&str; 3] = ["trap", "log", "user_notif"];

const UNFILTERED: &str = "docker run --security-opt seccomp=PROFILE.json, with a profile that allows the calls of \
    docs/architecture.md, or seccomp=unconfined";

const NEWER: &str = "boot Linux 5.12 or newer (5.9 at least); in a container, its seccomp profile may say ENOSYS too";

pub(super) fn calls(tried: &Tried) -> Finding {
    let finding = match tried {
        Tried::Worked(0) => Finding::degraded(
            Need::Kernel,
            "openat2 and close_range are there, mount_setattr is not",
            "a bind gets its flags mount by mount, and none can show other ids than its files have",
        )
        .mend(NEWER),
        Tried::Worked(_) => Finding::ok(
            Need::Kernel,
            "openat2, close_range and mount_setattr are there",
        ),
        Tried::Untried(why) => Finding::unknown(Need::Kernel, why),
        tried if tried.errno() == Some(libc::ENOSYS) => {
            Finding::missing(Need::Kernel, tried.to_string(), "no box can be started").mend(NEWER)
        }
        tried => Finding::missing(Need::Kernel, tried.to_string(), "no box can be started")
            .mend(UNFILTERED),
    };
    finding.required(true)
}

pub(super) fn findings(tree: &Tree, attempts: &Attempts) -> Vec<Finding> {
    vec![
        profile(&tree.text("proc/self/status")),
        filters(
            &attempts.filter,
            &tree.text("proc/sys/kernel/seccomp/actions_avail"),
        ),
        listener(&attempts.listener),
        landlock(&attempts.landlock),
    ]
}

/// The filters that this process has inherited; proc(5), `Seccomp` and (Linux 5.9) `Seccomp_filters`.
fn profile(status: &Text) -> Finding {
    let need = Need::SeccompProfile;
    let text = match status {
        Text::Is(text) => text,
        other => return Finding::unknown(need, unread("/proc/self/status", other)),
    };
    let field = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    match (field("Seccomp"), field("Seccomp_filters")) {
        (Some("0"), _) => Finding::ok(need, "no filter is on this process"),
        (Some("2"), count) => {
            let count = count.unwrap_or("some");
            Finding::degraded(
                need,
                format!("filters on this process: {count}, a container's or a service manager's"),
                "calls of the box may be refused, and each costs more",
            )
            .mend(UNFILTERED)
        }
        (Some(mode), _) => Finding::unknown(need, format!("Seccomp: {mode} is not documented")),
        (None, _) => Finding::unknown(need, "/proc/self/status has no line Seccomp"),
    }
}

fn filters(tried: &Tried, actions: &Text) -> Finding {
    let need = Need::Seccomp;
    let lost = "no box with a policy can be started";
    let finding = match (tried, actions) {
        (Tried::Untried(why), _) => Finding::unknown(need, why),
        (Tried::Worked(_), Text::Is(text)) => {
            let lacks = |wanted: &[&'static str]| {
                let missing = wanted
                    .iter()
                    .filter(|action| !text.split_whitespace().any(|one| one == **action));
                missing.copied().collect::<Vec<_>>().join(", ")
            };
            let (needed, advised) = (lacks(&USED), lacks(&ADVISED));
            if !needed.is_empty() {
                Finding::missing(need, format!("actions missing: {needed}"), lost)
                    .mend("boot Linux 4.14 or newer")
            } else if !advised.is_empty() {
                let costs = "policies with these actions are refused";
                Finding::degraded(need, format!("actions missing: {advised}"), costs)
                    .mend("boot Linux 5.0 or newer")
            } else {
                Finding::ok(
                    need,
                    format!("the judge's filter installs; actions: {text}"),
                )
            }
        }
        (Tried::Worked(_), other) => {
            let why = unread("/proc/sys/kernel/seccomp/actions_avail", other);
            let found = format!("the judge's filter installs; {why}");
            let costs = "which other actions there are is unknown until a policy is used";
            Finding::degraded(need, found, costs)
        }
        (tried, _) => Finding::missing(need, tried.to_string(), lost)
            .mend("boot a kernel with CONFIG_SECCOMP_FILTER"),
    };
    finding.required(true)
}

fn listener(tried: &Tried) -> Finding {
    let need = Need::SeccompNotify;
    let costs = "a call that a policy reports cannot be told to the supervisor";
    match tried {
        Tried::Worked(_) => Finding::ok(need, "a filter with a listener installs"),
        Tried::Untried(why) => Finding::unknown(need, why),
        tried if tried.errno() == Some(libc::EBUSY) => Finding::missing(
            need,
            "another filter on this process has the one listener that a process may have",
            costs,
        )
        .mend(UNFILTERED),
        tried => Finding::missing(need, tried.to_string(), costs).mend("boot Linux 5.0 or newer"),
    }
}

fn landlock(tried: &Tried) -> Finding {
    let need = Need::Landlock;
    let costs = "no second layer below the mounts: a fault in them is not caught";
    match tried {
        Tried::Worked(version) => Finding::ok(need, format!("version {version} of the interface")),
        Tried::Untried(why) => Finding::unknown(need, why),
        tried if tried.errno() == Some(libc::EOPNOTSUPP) => Finding::missing(
            need,
            "built in, and off at boot",
            costs,
        )
        .mend(
            "add landlock to the lsm= of the kernel's command line: cat /sys/kernel/security/lsm",
        ),
        tried if tried.errno() == Some(libc::ENOSYS) => Finding::missing(
            need,
            "the kernel does not have it, or a filter hides it",
            costs,
        )
        .mend("boot Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK"),
        tried => Finding::missing(need, tried.to_string(), costs).mend(UNFILTERED),
    }
}

/// Why a text is not known.
pub(super) fn unread(path: &str, text: &Text) -> String {
    match text {
        Text::Unreadable(errno) => format!("{path} cannot be read: {errno}"),
        Text::Absent | Text::Is(_) => format!("this kernel has no {path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{calls, filters, landlock, listener, profile};
    use crate::doctor::{
        attempt::{Operation, Tried},
        report::{Finding, State},
        tree::Text,
    };
    use sandbox_core::Errno;

    fn is(text: &str) -> Text {
        Text::Is(text.to_owned())
    }

    fn refused(errno: i32) -> Tried {
        Tried::refused(Operation::Clone, errno)
    }

    fn untried() -> Tried {
        Tried::Untried("no pipe".to_owned())
    }

    const UNREADABLE: Text = Text::Unreadable(Errno::from_raw(libc::EACCES));

    fn assert_state(finding: &Finding, state: State) {
        assert_eq!(finding.state, state, "{finding:?}");
        let complains = matches!(state, State::Degraded | State::Missing);
        assert_eq!(finding.costs.is_some(), complains, "{finding:?}");
        assert!(!finding.found.is_empty());
    }

    #[test]
    fn calls_are_there_or_missing_or_unknown() {
        assert_state(&calls(&Tried::Worked(1)), State::Ok);
        let older = calls(&Tried::Worked(0));
        assert_state(&older, State::Degraded);
        assert!(older.found.contains("mount_setattr is not"));
        assert_state(&calls(&untried()), State::Unknown);
        let old = calls(&refused(libc::ENOSYS));
        assert_state(&old, State::Missing);
        assert!(old.required && old.mend.unwrap().contains("5.9"));
        for tried in [refused(libc::EPERM), Tried::Killed(libc::SIGSYS)] {
            let filtered = calls(&tried);
            assert_state(&filtered, State::Missing);
            assert!(filtered.mend.unwrap().contains("seccomp"));
        }
    }

    #[test]
    fn an_inherited_filter_is_counted() {
        let status = |mode| {
            is(&format!(
                "Name:\tx\nSeccomp:\t{mode}\nSeccomp_filters:\t3\n"
            ))
        };
        assert_state(&profile(&status("0")), State::Ok);
        let filtered = profile(&status("2"));
        assert_state(&filtered, State::Degraded);
        assert!(filtered.found.contains('3'));
        for nothing in [status("9"), is("Name:\tx"), Text::Absent, UNREADABLE] {
            assert_state(&profile(&nothing), State::Unknown);
        }
    }

    #[test]
    fn filters_need_their_actions() {
        let all = "kill_process kill_thread trap errno user_notif trace log allow";
        let with = |actions: &str| filters(&Tried::Worked(0), &is(actions));
        assert_state(&with(all), State::Ok);
        let fewer = with("kill_process trap errno log allow");
        assert_state(&fewer, State::Degraded);
        assert!(fewer.found.ends_with("user_notif"), "{}", fewer.found);
        assert_state(&with("kill_thread trap errno allow"), State::Missing);
        assert_state(&filters(&Tried::Worked(0), &UNREADABLE), State::Degraded);
        assert_state(&filters(&refused(libc::EINVAL), &is(all)), State::Missing);
        assert_state(&filters(&untried(), &is(all)), State::Unknown);
    }

    #[test]
    fn a_listener_may_be_taken() {
        assert_state(&listener(&Tried::Worked(3)), State::Ok);
        assert!(listener(&refused(libc::EBUSY)).found.contains("another"));
        assert_state(&listener(&refused(libc::EINVAL)), State::Missing);
        assert_state(&listener(&untried()), State::Unknown);
    }

    #[test]
    fn landlock_off_at_boot_is_told_from_landlock_absent() {
        assert!(landlock(&Tried::Worked(6)).found.contains("version 6"));
        let off = landlock(&refused(libc::EOPNOTSUPP));
        assert_state(&off, State::Missing);
        assert!(!off.required && off.mend.unwrap().contains("lsm="));
        let absent = landlock(&refused(libc::ENOSYS));
        assert!(absent.mend.unwrap().contains("5.13"));
        let filtered = landlock(&Tried::Killed(libc::SIGSYS));
        assert!(filtered.found.contains("SIGSYS"));
        assert_state(&landlock(&untried()), State::Unknown);
    }
}
