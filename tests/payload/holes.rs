//! Raw calls into the parts of the kernel that a policy closes, each from a process of its own, which may be killed for it.

use crate::{
    Subcommand,
    raw::{call, exit, fork, say, wait},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[("holes", |_| holes())];

type Hole = (&'static str, fn() -> Result<usize, i32>);

const HOLES: &[Hole] = &[
    ("ioctl TIOCLINUX", || make(libc::SYS_ioctl, [0, 0x541c])),
    // The kernel takes 32 bits of the command: a filter that compares 64 lets this one pass.
    ("ioctl wide TIOCLINUX", || {
        make(libc::SYS_ioctl, [0, 1 << 32 | 0x541c])
    }),
    ("keyctl", || {
        make(libc::SYS_keyctl, [GET_KEYRING, SESSION_KEYRING])
    }),
    ("add_key", || {
        let secret = b"x";
        let (kind, name) = (c"user".as_ptr().addr(), c"holes".as_ptr().addr());
        let at = secret.as_ptr().addr();
        make(
            libc::SYS_add_key,
            [kind, name, at, secret.len(), SESSION_KEYRING],
        )
    }),
    ("request_key", || {
        let (kind, name) = (c"user".as_ptr().addr(), c"nowhere".as_ptr().addr());
        make(libc::SYS_request_key, [kind, name, 0, 0])
    }),
    ("io_uring_setup", || {
        let mut parameters = [0_u8; 120];
        make(
            libc::SYS_io_uring_setup,
            [4, parameters.as_mut_ptr().addr()],
        )
    }),
    // No ring, but a descriptor: what asks for more has found the call.
    ("io_uring_enter", || make(libc::SYS_io_uring_enter, [0])),
    ("io_uring_register", || {
        make(libc::SYS_io_uring_register, [0])
    }),
    ("bpf", || {
        // BPF_MAP_CREATE: an array of one number.
        let attributes = [2_u32, 4, 4, 1];
        let at = attributes.as_ptr().addr();
        make(libc::SYS_bpf, [0, at, size_of_val(&attributes)])
    }),
    // UFFD_USER_MODE_ONLY.
    ("userfaultfd", || make(libc::SYS_userfaultfd, [1])),
    // Flags that no kernel has: it looks at them first, and at rights and settings later.
    ("perf_event_open", || {
        make(libc::SYS_perf_event_open, [0, 0, 0, 0, usize::MAX])
    }),
    ("open_tree", || {
        make(libc::SYS_open_tree, [HERE, c"/".as_ptr().addr()])
    }),
    ("open_tree_attr", || {
        make(OPEN_TREE_ATTR, [HERE, c"/".as_ptr().addr()])
    }),
    ("move_mount", || {
        let root = c"/".as_ptr().addr();
        make(libc::SYS_move_mount, [HERE, root, HERE, root])
    }),
    ("fsopen", || {
        make(libc::SYS_fsopen, [c"tmpfs".as_ptr().addr()])
    }),
    ("fsconfig", || make(libc::SYS_fsconfig, [0])),
    ("fsmount", || make(libc::SYS_fsmount, [0])),
    ("fspick", || {
        make(libc::SYS_fspick, [HERE, c"/".as_ptr().addr()])
    }),
    ("mount_setattr", || {
        make(libc::SYS_mount_setattr, [HERE, c"/".as_ptr().addr()])
    }),
    ("process_vm_readv", || copy(libc::SYS_process_vm_readv)),
    ("process_vm_writev", || copy(libc::SYS_process_vm_writev)),
    // PTRACE_TRACEME.
    ("ptrace", || make(libc::SYS_ptrace, [0])),
    ("pidfd_getfd", || make(libc::SYS_pidfd_getfd, [0])),
    ("setns", || make(libc::SYS_setns, [0])),
];

/// `KEYCTL_GET_KEYRING_ID`.
const GET_KEYRING: usize = 0;
const SESSION_KEYRING: usize = (-3_isize).cast_unsigned();
const HERE: usize = (libc::AT_FDCWD as isize).cast_unsigned();
/// Of Linux 6.15.
const OPEN_TREE_ATTR: libc::c_long = 467;

fn make<const N: usize>(number: libc::c_long, first: [usize; N]) -> Result<usize, i32> {
    let mut args = [0; 6];
    args[..N].copy_from_slice(&first);
    call(number, args)
}

/// Eight bytes from one place of this process to another, by way of what reaches into others.
fn copy(number: libc::c_long) -> Result<usize, i32> {
    let (mut near, mut far) = (1_u64, 2_u64);
    let near = [(&raw mut near).addr(), 8];
    let far = [(&raw mut far).addr(), 8];
    let myself = std::process::id() as usize;
    let (near, far) = (near.as_ptr().addr(), far.as_ptr().addr());
    make(number, [myself, near, 1, far, 1])
}

/// For each `NAME: ok`, `NAME: errno 1` or `NAME: signal 31`.
fn holes() {
    for (name, call) in HOLES {
        let child = fork().expect("a child");
        if child == 0 {
            // The numbers of all errors fit into the status.
            let errno = call().map_or_else(i32::unsigned_abs, |_| 0);
            exit(errno as usize);
        }
        let status = wait(child).expect("it ends");
        say(if libc::WIFSIGNALED(status) {
            format!("{name}: signal {}", libc::WTERMSIG(status))
        } else if libc::WEXITSTATUS(status) == 0 {
            format!("{name}: ok")
        } else {
            format!("{name}: errno {}", libc::WEXITSTATUS(status))
        });
    }
}
