//! What a mount may do.

use core::fmt;

bitflags::bitflags! {
    /// What a mount may do. Without any flag it is read-only, nosuid and nodev at every level.
    ///
    /// There is no flag that allows set-user-id programs: `no_new_privs` makes them useless in a box anyway.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct MountFlags: u32 {
        /// The box may write.
        const WRITABLE = 1;
        /// Nothing below can be executed.
        const NOEXEC = 2;
        /// Device nodes below work. For binds only.
        const DEVICES = 4;
        /// A source that does not exist is skipped. Any other failure stays an error. For binds only.
        const OPTIONAL = 8;
        /// Mounts below the source stay outside. For binds only.
        const NON_RECURSIVE = 16;
    }
}

impl MountFlags {
    /// What the flags say as `MOUNT_ATTR_*`. Only ever sets: clearing a flag of the source would
    /// be `EPERM` in a user namespace and a loosening anywhere else.
    pub(crate) fn attributes(self) -> u64 {
        let mut attributes = libc::MOUNT_ATTR_NOSUID;
        if !self.contains(Self::WRITABLE) {
            attributes |= libc::MOUNT_ATTR_RDONLY;
        }
        if !self.contains(Self::DEVICES) {
            attributes |= libc::MOUNT_ATTR_NODEV;
        }
        if self.contains(Self::NOEXEC) {
            attributes |= libc::MOUNT_ATTR_NOEXEC;
        }
        attributes
    }
}

impl fmt::Display for MountFlags {
    /// The options as mount(8) writes them: `ro,nodev,nosuid`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.contains(Self::WRITABLE) {
            "rw"
        } else {
            "ro"
        })?;
        for (shown, name) in [
            (!self.contains(Self::DEVICES), ",nodev"),
            (true, ",nosuid"),
            (self.contains(Self::NOEXEC), ",noexec"),
            (self.contains(Self::OPTIONAL), ",optional"),
            (self.contains(Self::NON_RECURSIVE), ",norec"),
        ] {
            if shown {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::MountFlags;

    #[test]
    fn no_flags_means_read_only_without_devices_and_set_user_id() {
        assert_eq!(
            MountFlags::empty().attributes(),
            libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID
        );
        assert_eq!(
            MountFlags::all().attributes(),
            libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC
        );
    }
}
