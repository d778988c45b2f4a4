//! What a memory group is charged with, by kind.

use std::io::Read as _;

use sandbox_core::{Bytes, Errno, HierarchyVersion, MemoryCharge, Reading, Unavailable};

use crate::{
    counter::{keyed, number},
    node::Node,
};

/// A text of the group, or why there is none.
type Text = Result<Vec<u8>, Unavailable>;

/// The charge of this moment. `None`: no limit of the run needed the group.
pub(crate) fn read(node: Option<&Node>) -> MemoryCharge {
    let Some(node) = node else {
        return MemoryCharge::unavailable(Unavailable::NotRequested);
    };
    let stat = text(node, "memory.stat");
    match node.version {
        HierarchyVersion::V1 => {
            let mut charge = parts(&stat, (b"rss", b"cache"));
            charge.total = alone(&text(node, "memory.usage_in_bytes"));
            charge.kernel = alone(&text(node, "memory.kmem.usage_in_bytes"));
            charge
        }
        HierarchyVersion::V2 => {
            let mut charge = parts(&stat, (b"anon", b"file"));
            charge.total = alone(&text(node, "memory.current"));
            charge.kernel = of(&stat, b"kernel");
            charge
        }
    }
}

/// What both versions have in `memory.stat`: the name of anonymous memory, and that of files, tmpfs among them.
fn parts(stat: &Text, (anonymous, files): (&[u8], &[u8])) -> MemoryCharge {
    let shared = of(stat, b"shmem");
    let mut charge = MemoryCharge::unavailable(Unavailable::KernelTooOld);
    charge.anonymous = of(stat, anonymous);
    charge.page_cache = match (of(stat, files), shared) {
        (Reading::Value(files), Reading::Value(shared)) => {
            // Two counters of one moment, which the kernel sums up CPU by CPU.
            Reading::Value(Bytes::new(files.get().saturating_sub(shared.get())))
        }
        (Reading::Value(_), missing) => missing,
        (missing, _) => missing,
    };
    charge.shared = shared;
    charge
}

fn text(node: &Node, file: &str) -> Text {
    let failed = |errno: Errno| match errno.raw() {
        libc::ENOENT => Unavailable::KernelTooOld,
        _ => Unavailable::Failed(errno),
    };
    let mut open = node
        .open(file)
        .map_err(|error| error.errno().map_or(Unavailable::Malformed, failed))?;
    // The kernel makes the whole text anew for each read, so there is room for all of it at once.
    let mut text = Vec::with_capacity(8192);
    match open.read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Unavailable::Failed(Errno::from_io(&error))),
    }
}

/// A file that is one number.
fn alone(text: &Text) -> Reading<Bytes> {
    match text {
        Ok(text) => number(text).map_or(Reading::Unavailable(Unavailable::Malformed), |value| {
            Reading::Value(Bytes::new(value))
        }),
        Err(why) => Reading::Unavailable(*why),
    }
}

/// One line of a file of `key number` lines; a key that is not there is one that came later.
fn of(text: &Text, key: &[u8]) -> Reading<Bytes> {
    match text {
        Ok(text) => keyed(text, key)
            .map_or(Reading::Unavailable(Unavailable::KernelTooOld), |value| {
                Reading::Value(Bytes::new(value))
            }),
        Err(why) => Reading::Unavailable(*why),
    }
}

#[cfg(test)]
mod tests {
    use super::{of, parts};
    use sandbox_core::{Bytes, Reading, Unavailable};

    #[test]
    fn tmpfs_is_no_page_cache() {
        let stat = Ok(b"anon 5\nfile 7\nkernel 3\nshmem 2\n".to_vec());
        let charge = parts(&stat, (b"anon", b"file"));
        assert_eq!(charge.anonymous, Reading::Value(Bytes::new(5)));
        assert_eq!(charge.page_cache, Reading::Value(Bytes::new(5)));
        assert_eq!(charge.shared, Reading::Value(Bytes::new(2)));
        assert_eq!(of(&stat, b"kernel"), Reading::Value(Bytes::new(3)));
    }

    #[test]
    fn a_line_that_is_missing_is_no_zero() {
        let stat = Ok(b"anon 5\nfile 7\n".to_vec());
        let charge = parts(&stat, (b"anon", b"file"));
        let old = Reading::Unavailable(Unavailable::KernelTooOld);
        assert_eq!((charge.shared, charge.page_cache), (old, old));
        assert_eq!(of(&stat, b"kernel"), old);
        let unread = Err(Unavailable::NoController);
        let none = Reading::Unavailable(Unavailable::NoController);
        assert_eq!(parts(&unread, (b"anon", b"file")).anonymous, none);
    }
}
