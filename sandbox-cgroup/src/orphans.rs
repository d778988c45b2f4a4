//! Groups that a dead owner left.

use std::fs;

use crate::{
    CgroupParent, Error, Hierarchies, kill,
    node::{self, Lock},
};

/// Removes the groups that dead owners left in `parent`, and returns how many (one per hierarchy and run).
///
/// What still runs in such a group is killed. Groups whose owner lives, in whatever process, container or namespace, are
/// left alone: the owner holds the directory's lock. Cheap enough for every start of an embedder.
///
/// # Errors
/// The first group that could not be removed; the others are tried all the same. A parent that does not exist in a
/// hierarchy holds no orphans and is no error.
pub fn collect_orphans(hierarchies: &Hierarchies, parent: &CgroupParent) -> Result<usize, Error> {
    let mut collected = 0;
    let mut first_error = None;
    let hierarchies = parent.seen_from_here(hierarchies)?;
    for hierarchy in hierarchies.iter() {
        let directory = parent.directory(hierarchy)?;
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if node::is_gone(&error) => continue,
            Err(error) => return Err(Error::read(directory)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::read(&directory))?;
            if !entry.file_name().to_str().is_some_and(is_ours) {
                continue;
            }
            let path = entry.path();
            let result = match node::lock_directory(&path, false) {
                Ok(Lock::Held(lock)) => {
                    let result = kill::remove(&path, hierarchy.version).map(|()| 1);
                    // Held until the name is gone: a creator that waits for it must find that.
                    drop(lock);
                    result
                }
                Ok(Lock::Alive | Lock::Gone) => Ok(0),
                Err(error) => Err(error),
            };
            match result {
                Ok(removed) => collected += removed,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
    }
    first_error.map_or(Ok(collected), Err)
}

/// The name of a new group; the crate's front page says what it means.
pub(crate) fn name(random: u64, creator: u32) -> String {
    format!("sandbox-{random:016x}-{creator}")
}

/// Whether this crate gives such names. Only such groups are ever removed.
fn is_ours(name: &str) -> bool {
    let Some((random, creator)) = name
        .strip_prefix("sandbox-")
        .and_then(|r| r.split_once('-'))
    else {
        return false;
    };
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    random.len() == 16
        && random.bytes().all(hexadecimal)
        && !creator.is_empty()
        && creator.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{is_ours, name};

    #[test]
    fn only_generated_names_are_ours() {
        assert!(is_ours(&name(0xdead_beef, 42)));
        for foreign in [
            "sandbox-1",
            "sandbox-00000000deadbeef-",
            "sandbox-00000000deadbeef-4x",
            "sandbox-00000000DEADBEEF-4",
            "sandbox-00000000deadbee-4",
            "Sandbox-00000000deadbeef-4",
            "user.slice",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }
}
