//! A path inside the box.

use core::cmp::Ordering;
use std::{
    ffi::CString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Component, Path, PathBuf},
};

use crate::{Error, error::TargetProblem};

/// Relative, without `.`, `..`, NUL and doubled slashes, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target(PathBuf);

impl Target {
    pub(crate) fn new(text: &Path) -> Result<Self, Error> {
        let bad = |problem| Error::Target {
            target: text.to_owned(),
            problem,
        };
        if text.as_os_str().as_bytes().contains(&0) {
            return Err(bad(TargetProblem::Nul));
        }
        let mut clean = PathBuf::new();
        for component in text.components() {
            match component {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => return Err(bad(TargetProblem::Parent)),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if clean.as_os_str().is_empty() {
            return Err(bad(TargetProblem::Root));
        }
        Ok(Self(clean))
    }

    pub(crate) fn join(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }

    /// The directories above, nearest first, without the root.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &Path> {
        self.0
            .ancestors()
            .skip(1)
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// Parents before children; equal depths keep the order of the rules (a stable sort).
    pub(crate) fn by_depth(&self, other: &Self) -> Ordering {
        let depth = |target: &Self| target.0.components().count();
        depth(self).cmp(&depth(other))
    }
}

/// `path` as seen from the directory `base`; [`Target::new`] has already refused a NUL.
pub(crate) fn c_path_below(path: &Path, base: &Path) -> Result<CString, Error> {
    let below = path.strip_prefix(base).unwrap_or(path);
    CString::new(below.as_os_str().to_owned().into_vec()).map_err(|_| Error::Nul {
        text: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Target;
    use crate::{Error, error::TargetProblem};

    #[test]
    fn a_leading_slash_and_dots_go() {
        for text in ["/box/x", "box/x", "./box//x/", "/./box/x"] {
            assert_eq!(
                Target::new(Path::new(text)).unwrap().as_path(),
                Path::new("box/x")
            );
        }
    }

    #[test]
    fn what_is_no_place_in_the_box_is_refused() {
        for (text, expected) in [
            ("", TargetProblem::Root),
            ("/", TargetProblem::Root),
            (".", TargetProblem::Root),
            ("..", TargetProblem::Parent),
            ("box/../../etc", TargetProblem::Parent),
            ("bo\0x", TargetProblem::Nul),
        ] {
            assert!(
                matches!(
                    Target::new(Path::new(text)),
                    Err(Error::Target { problem, .. }) if problem == expected
                ),
                "{text:?}"
            );
        }
    }
}
