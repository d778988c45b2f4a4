//! One instruction of classic BPF, as far as seccomp filters use it.

/// An instruction; the same memory as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

/// `A = data[k..k+4]`: a word of `struct seccomp_data`.
pub(crate) const LOAD: u16 = 0x20;
/// `A &= k`.
pub(crate) const AND: u16 = 0x54;
/// Skips `k` instructions.
pub(crate) const JUMP: u16 = 0x05;
/// Skips `jt` instructions where `A == k`, else `jf`.
pub(crate) const JUMP_EQ: u16 = 0x15;
/// The same for `A > k`.
pub(crate) const JUMP_GT: u16 = 0x25;
/// The same for `A >= k`.
pub(crate) const JUMP_GE: u16 = 0x35;
/// The same for `A & k != 0`.
pub(crate) const JUMP_SET: u16 = 0x45;
/// Ends with the value `k`.
pub(crate) const RETURN: u16 = 0x06;

/// `seccomp_data.nr`: the number of the call.
pub(crate) const OFFSET_NR: u32 = 0;
/// `seccomp_data.arch`: `AUDIT_ARCH_*`.
pub(crate) const OFFSET_ARCH: u32 = 4;
/// `seccomp_data.args`.
pub(crate) const OFFSET_ARGS: u32 = 16;

impl Instruction {
    pub(crate) const fn new(code: u16, k: u32) -> Self {
        Self {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Instruction;
    use core::mem::offset_of;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<Instruction>(), size_of::<libc::sock_filter>());
        assert_eq!(align_of::<Instruction>(), align_of::<libc::sock_filter>());
        assert_eq!(
            offset_of!(Instruction, code),
            offset_of!(libc::sock_filter, code)
        );
        assert_eq!(
            offset_of!(Instruction, jt),
            offset_of!(libc::sock_filter, jt)
        );
        assert_eq!(
            offset_of!(Instruction, jf),
            offset_of!(libc::sock_filter, jf)
        );
        assert_eq!(offset_of!(Instruction, k), offset_of!(libc::sock_filter, k));
    }
}
