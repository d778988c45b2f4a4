//! Namespaces, and what commonly stands in the way of those of ordinary users.

use std::{ffi::CString, fs, os::unix::fs::MetadataExt as _};

use super::{
    attempt::{Attempts, Tried},
    kernel::unread,
    report::{Finding, Need, State},
    tree::{Text, Tree},
};
use crate::sys::probe;

const CONTAINER: &str = "in a container, docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --security-opt systempaths=unconfined, or a seccomp profile that allows clone3, mount and umount2";

pub(super) fn findings(tree: &Tree, attempts: &Attempts, privileged: bool) -> Vec<Finding> {
    let user = &attempts.user_namespaces;
    let blockers = vec![
        limits(tree, privileged),
        sysctl(
            &tree.text("proc/sys/kernel/unprivileged_userns_clone"),
            privileged,
        ),
        apparmor(
            &tree.text("proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            user,
            privileged,
        ),
        proc_mounts(&tree.text("proc/self/mountinfo"), user, privileged),
    ];
    let blocked = blockers
        .iter()
        .find(|finding| finding.state == State::Missing)
        .map(|finding| finding.need);
    let mut list = vec![
        namespaces(Need::Namespaces, &attempts.namespaces, blocked).required(true),
        namespaces(Need::UserNamespaces, user, blocked).required(!privileged),
    ];
    list.extend(blockers);
    list.push(id_helpers(&helpers(tree), privileged));
    list
}

fn namespaces(need: Need, tried: &Tried, blocked: Option<Need>) -> Finding {
    let lost = match need {
        Need::Namespaces => "this process can start no box",
        _ => "ordinary users can start no box",
    };
    match tried {
        Tried::Worked(_) => Finding::ok(need, "made, and /proc and a tmpfs mounted in them"),
        Tried::Untried(why) => Finding::unknown(need, why),
        tried => {
            let finding = Finding::missing(need, tried.to_string(), lost);
            match blocked {
                Some(blocker) => finding.mend(format!("see the line {blocker}")),
                None => finding.mend(CONTAINER),
            }
        }
    }
}

/// `user.max_*_namespaces` of namespaces(7); all but `user` count for root's boxes as well.
fn limits(tree: &Tree, privileged: bool) -> Finding {
    let need = Need::NamespaceLimits;
    let mut zero = Vec::new();
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let path = format!("proc/sys/user/max_{kind}_namespaces");
        match tree.text(&path) {
            Text::Is(text) => match text.parse::<u64>() {
                Ok(0) => zero.push(kind),
                Ok(_) => {}
                Err(_) => return Finding::unknown(need, format!("/{path} is {text:?}")),
            },
            other => return Finding::unknown(need, unread(&format!("/{path}"), &other)),
        }
    }
    if zero.is_empty() {
        return Finding::ok(need, "no user.max_*_namespaces is 0");
    }
    let names: Vec<_> = zero
        .iter()
        .map(|kind| format!("user.max_{kind}_namespaces"))
        .collect();
    let set: Vec<_> = names.iter().map(|name| format!("{name}=10000")).collect();
    let everybody = zero != ["user"];
    let lost = if everybody {
        "nobody can start a box"
    } else {
        "boxes of ordinary users cannot start"
    };
    Finding::missing(need, format!("0: {}", names.join(", ")), lost)
        .mend(format!("sysctl -w {}", set.join(" ")))
        .required(everybody || !privileged)
}

fn sysctl(text: &Text, privileged: bool) -> Finding {
    let need = Need::NamespaceSysctl;
    match text {
        Text::Is(value) if value == "0" => Finding::missing(
            need,
            "kernel.unprivileged_userns_clone is 0",
            "boxes of ordinary users cannot start",
        )
        .mend("sysctl -w kernel.unprivileged_userns_clone=1")
        .required(!privileged),
        Text::Is(value) if value == "1" => {
            Finding::ok(need, "kernel.unprivileged_userns_clone is 1")
        }
        Text::Is(value) => Finding::unknown(
            need,
            format!("kernel.unprivileged_userns_clone is {value:?}"),
        ),
        Text::Absent => Finding::ok(need, "this kernel has no kernel.unprivileged_userns_clone"),
        other => Finding::unknown(
            need,
            unread("/proc/sys/kernel/unprivileged_userns_clone", other),
        ),
    }
}

/// Ubuntu 23.10 and later: the namespace is made, and everything in it refused, unless a profile has `userns,`.
fn apparmor(text: &Text, tried: &Tried, privileged: bool) -> Finding {
    let need = Need::NamespaceApparmor;
    let name = "kernel.apparmor_restrict_unprivileged_userns";
    match text {
        Text::Is(value) if value == "1" && tried.worked() && !privileged => {
            Finding::ok(need, format!("{name} is 1, and this program's profile is excepted"))
        }
        Text::Is(value) if value == "1" => Finding::missing(
            need,
            format!("{name} is 1"),
            "boxes of ordinary users cannot start, but from programs whose AppArmor profile has `userns,`",
        )
        .mend(format!("sysctl -w {name}=0, or a profile with `userns,` for the judge's program"))
        .required(!privileged),
        Text::Is(value) if value == "0" => Finding::ok(need, format!("{name} is 0")),
        Text::Is(value) => Finding::unknown(need, format!("{name} is {value:?}")),
        Text::Absent => Finding::ok(need, format!("this kernel has no {name}")),
        other => Finding::unknown(need, unread(&format!("/proc/sys/{}", name.replace('.', "/")), other)),
    }
}

/// A new proc in a user namespace is refused (`EPERM`) where no mount of it is fully visible.
fn proc_mounts(mountinfo: &Text, tried: &Tried, privileged: bool) -> Finding {
    let need = Need::ProcMounts;
    let text = match mountinfo {
        Text::Is(text) => text,
        other => return Finding::unknown(need, unread("/proc/self/mountinfo", other)),
    };
    let over: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| point.starts_with("/proc/"))
        // systemd mounts this one on an empty directory, which the kernel does not count as hiding anything.
        .filter(|point| *point != "/proc/sys/fs/binfmt_misc")
        .collect();
    if over.is_empty() {
        return Finding::ok(need, "nothing is mounted over a part of /proc");
    }
    let found = format!("mounted over: {}", over.join(", "));
    if tried.worked() {
        return Finding::ok(
            need,
            format!("{found}; a new /proc can be mounted all the same"),
        );
    }
    Finding::missing(
        need,
        found,
        "no new /proc can be mounted in a user namespace, so boxes of ordinary users cannot start",
    )
    .mend("docker run --security-opt systempaths=unconfined, or umount what is listed")
    .required(!privileged)
}

/// What is known of newuidmap and newgidmap.
#[derive(Debug, Default)]
struct Helpers {
    /// Those that are not there.
    absent: Vec<&'static str>,
    /// Those without set-user-id bit and without file capabilities.
    powerless: Vec<&'static str>,
    /// Those whose mount has `nosuid`.
    nosuid: Vec<&'static str>,
    /// Whether this process has `no_new_privs`, and so starts nothing with more rights; `None`: not known.
    no_new_privs: Option<bool>,
    /// Files without ranges for this user.
    no_ranges: Vec<&'static str>,
}

fn helpers(tree: &Tree) -> Helpers {
    let mut found = Helpers::default();
    for name in ["newuidmap", "newgidmap"] {
        let path = format!("/usr/bin/{name}");
        let Ok(file) = fs::metadata(&path) else {
            found.absent.push(name);
            continue;
        };
        let Ok(path) = CString::new(path) else {
            continue;
        };
        let set_user_id = file.uid() == 0 && file.mode() & 0o4000 != 0;
        if !set_user_id && !probe::has_file_capabilities(&path) {
            found.powerless.push(name);
        }
        if probe::honours_set_user_id(&path) == Ok(false) {
            found.nosuid.push(name);
        }
    }
    let status = tree.text("proc/self/status").known().unwrap_or_default();
    found.no_new_privs = status
        .lines()
        .find_map(|line| line.strip_prefix("NoNewPrivs:"))
        .map(|value| value.trim() == "1");
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten();
    let name = name.map(|user| user.name).unwrap_or_default();
    for (file, path) in [("/etc/subuid", "etc/subuid"), ("/etc/subgid", "etc/subgid")] {
        let text = tree.text(path).known().unwrap_or_default();
        if !has_range(&text, &name, uid.as_raw()) {
            found.no_ranges.push(file);
        }
    }
    found
}

/// subuid(5): `NAME-OR-UID:FIRST:COUNT`.
fn has_range(text: &str, name: &str, uid: u32) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let (owner, _, count) = (fields.next(), fields.next(), fields.next());
        let own = owner
            .is_some_and(|owner| (!name.is_empty() && owner == name) || owner.parse() == Ok(uid));
        own && count.and_then(|count| count.trim().parse::<u64>().ok()) > Some(0)
    })
}

fn id_helpers(found: &Helpers, privileged: bool) -> Finding {
    let need = Need::IdHelpers;
    if privileged {
        return Finding::ok(need, "not needed: this process writes id maps itself");
    }
    let costs = "a box has one id, the user's own: supplementary groups cannot be dropped, and init has the payload's uid";
    let missing = |found: String, mend: &str| Finding::missing(need, found, costs).mend(mend);
    let list = |names: &[&str]| names.join(", ");
    if !found.absent.is_empty() {
        let text = format!("not in /usr/bin: {}", list(&found.absent));
        return missing(text, "apt-get install uidmap, or dnf install shadow-utils");
    }
    if !found.powerless.is_empty() {
        let text = format!(
            "neither set-user-id root nor with capabilities: {}",
            list(&found.powerless)
        );
        return missing(text, "chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap");
    }
    if !found.nosuid.is_empty() {
        let text = format!("on a mount with nosuid: {}", list(&found.nosuid));
        return missing(text, "mount -o remount,suid the file system of /usr/bin");
    }
    match found.no_new_privs {
        Some(true) => {
            return missing(
                "this process has no_new_privs, and so starts no program with more rights"
                    .to_owned(),
                "start the judge without no_new_privs (systemd: NoNewPrivileges=no)",
            );
        }
        None => {
            return Finding::unknown(need, "/proc/self/status does not tell about no_new_privs");
        }
        Some(false) => {}
    }
    if found.no_ranges.is_empty() {
        return Finding::ok(need, "set-user-id, with ranges for this user");
    }
    let text = format!("no range for this user in {}", list(&found.no_ranges));
    missing(
        text,
        "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
    )
}

#[cfg(test)]
mod tests;
