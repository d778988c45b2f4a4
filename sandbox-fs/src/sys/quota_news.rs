//! What the kernel tells about quotas that were in the way: messages of generic netlink.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]
use core::ffi::{c_int, c_uint, c_void};

use sandbox_core::{
    Errno,
    sys::{check_int, errno, retry},
};

/// `GENL_ID_CTRL`, and `GENL_ID_VFS_DQUOT`, which is the number of the family's one group as well.
const CONTROL: u16 = 0x10;
const NEWS: c_uint = 0x11;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const GET_FAMILY: u8 = 3;
const FAMILY_NAME: u16 = 2;

/// `struct nlmsghdr` and `struct genlmsghdr`.
#[repr(C)]
struct Header {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
    command: u8,
    version: u8,
    reserved: u16,
}

/// Asks for a family by its name.
#[repr(C)]
struct Question {
    header: Header,
    attribute_length: u16,
    attribute: u16,
    name: [u8; 12],
}

static QUESTION: Question = Question {
    header: Header {
        length: 36,
        kind: CONTROL,
        flags: REQUEST,
        sequence: 0,
        port: 0,
        command: GET_FAMILY,
        version: 1,
        reserved: 0,
    },
    // The length counts the header of the attribute and the NUL, not what fills up to four bytes.
    attribute_length: 14,
    attribute: FAMILY_NAME,
    name: *b"VFS_DQUOT\0\0\0",
};

/// Whose limit is listened for.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    /// `USRQUOTA` or `PRJQUOTA`.
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// A socket of generic netlink.
pub(crate) fn socket() -> Result<c_int, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes numbers.
    check_int(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_GENERIC) })
}

/// Whether this kernel tells, and to this network namespace: it does so in its first one only.
///
/// # Errors
/// `ENOENT`: it does not.
pub(crate) fn ask(socket: c_int) -> Result<(), Errno> {
    let question = &raw const QUESTION;
    // SAFETY: the structure is live and this long.
    let sent = unsafe { libc::send(socket, question.cast(), size_of::<Question>(), 0) };
    length(sent)?;
    let mut answer = [0_u8; 1024];
    // The kernel answers before it returns from the call.
    receive(socket, &mut answer, libc::MSG_DONTWAIT)?;
    let [_, _, _, _, low, high, ..] = answer;
    // Anything else is the message of an error.
    if u16::from_ne_bytes([low, high]) == CONTROL {
        Ok(())
    } else {
        Err(Errno::from_raw(libc::ENOENT))
    }
}

/// Listens for the limits of one holder being in the way, and lets nothing else into the socket: what others run into must
/// not fill it up.
pub(crate) fn listen(socket: c_int, subject: Subject) -> Result<(), Errno> {
    let mut filter = filter(subject);
    let program = libc::sock_fprog {
        len: STEPS,
        filter: filter.as_mut_ptr(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    set(
        socket,
        libc::SOL_NETLINK,
        libc::NETLINK_ADD_MEMBERSHIP,
        &NEWS,
    )
}

/// Whether something has come; it stays there.
///
/// # Errors
/// `ENOBUFS`, once: something was lost.
pub(crate) fn has_news(socket: c_int) -> Result<bool, Errno> {
    let mut first = [0_u8; 1];
    match receive(socket, &mut first, libc::MSG_DONTWAIT | libc::MSG_PEEK) {
        Ok(()) => Ok(true),
        Err(errno) if errno.raw() == libc::EAGAIN => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn receive(socket: c_int, buffer: &mut [u8], flags: c_int) -> Result<(), Errno> {
    retry(|| {
        // SAFETY: the buffer is live and this long.
        length(unsafe { libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
    })
}

fn length(ret: isize) -> Result<(), Errno> {
    if ret < 0 { Err(errno()) } else { Ok(()) }
}

fn set<T>(socket: c_int, level: c_int, option: c_int, value: &T) -> Result<(), Errno> {
    let value = (&raw const *value).cast::<c_void>();
    let length = libc::socklen_t::try_from(size_of::<T>());
    let length = length.map_err(|_| Errno::from_raw(libc::EINVAL))?;
    // SAFETY: the value is live, this long, and what the option takes.
    check_int(unsafe { libc::setsockopt(socket, level, option, value, length) }).map(drop)
}

/// Attributes of the message, `QUOTA_NL_A_*`.
const KIND: u32 = 1;
const ID: u32 = 2;
const WARNING: u32 = 3;
const MAJOR: u32 = 4;
const MINOR: u32 = 5;
/// `QUOTA_NL_IHARDWARN` and `QUOTA_NL_BHARDWARN`: a hard limit, of inodes or of blocks.
const INODES: u32 = 1;
const BLOCKS: u32 = 4;

/// `SKF_AD_OFF + SKF_AD_NLATTR`, an ancillary load: the place of the attribute X among those from A on, or 0.
const FIND_ATTRIBUTE: u32 = 0xffff_f00c;
const ATTRIBUTES: u32 = 20;
/// From the attribute to its value. Of the id it is the lower half that counts.
const VALUE: u32 = 4;
const LOW_HALF: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

const STEPS: u16 = 37;

/// Accepts a hard limit of the subject.
fn filter(subject: Subject) -> [libc::sock_filter; STEPS as usize] {
    let load = |attribute, value| {
        [
            step(libc::BPF_LD | libc::BPF_IMM, ATTRIBUTES),
            step(libc::BPF_LDX | libc::BPF_IMM, attribute),
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, FIND_ATTRIBUTE),
            step(libc::BPF_MISC | libc::BPF_TAX, 0),
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_IND, value),
        ]
    };
    let ret = |value| step(libc::BPF_RET | libc::BPF_K, value);
    let wanted = [
        (KIND, VALUE, subject.kind),
        (ID, VALUE | LOW_HALF, subject.id),
        (MAJOR, VALUE, subject.major),
        (MINOR, VALUE, subject.minor),
    ];
    let checks = wanted.into_iter().flat_map(|(attribute, value, wanted)| {
        let end = [equal(wanted, 1, 0), ret(0)];
        load(attribute, value).into_iter().chain(end)
    });
    let end = [
        equal(INODES, 1, 0),
        equal(BLOCKS, 0, 1),
        ret(u32::MAX),
        ret(0),
    ];
    let steps = checks.chain(load(WARNING, VALUE)).chain(end);
    let mut program = [ret(0); STEPS as usize];
    for (place, step) in program.iter_mut().zip(steps) {
        *place = step;
    }
    program
}

/// Goes on so many steps further where the number is `wanted`. The loads take it for one of the network's byte order.
fn equal(wanted: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter {
        jt: then,
        jf: otherwise,
        ..step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, wanted.to_be())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the codes are below 256")]
fn step(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Question};
    use core::mem::offset_of;

    #[test]
    #[expect(clippy::disallowed_macros, reason = "a test may panic")]
    fn structures_have_the_kernels_layout() {
        assert_eq!(size_of::<Header>(), 20);
        assert_eq!(offset_of!(Question, name), 24);
        assert_eq!(size_of::<Question>(), 36);
    }
}
