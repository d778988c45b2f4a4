//! Opens what the items show of the host, and looks whether things fit on each other there.

use std::{
    collections::HashMap,
    ffi::CString,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use sandbox_core::Errno;

use crate::{
    Error, MountFlags, RootSpec, Rule, Upper,
    error::{Conflict, conflict},
    idmap,
    item::{From, Item, Kind},
    resolver,
    source::{self, Found, Request, Source},
    sys::file,
    target::c_path_below,
};

/// An item with its opened sources: one for a bind, one for each directory of an overlay.
pub(crate) struct Placed<'r> {
    pub(crate) item: Item<'r>,
    pub(crate) sources: Vec<Source>,
    /// The user namespace of an idmapped bind.
    pub(crate) ids: Option<OwnedFd>,
}

/// Opens every source with the requester's rights. Items whose optional source does not exist are left out.
pub(crate) fn open<'r>(items: Vec<Item<'r>>, spec: &RootSpec) -> Result<Vec<Placed<'r>>, Error> {
    let nested = find_nested(&items)?;
    let mut requests: Vec<_> = items.iter().flat_map(requests_of).collect();
    for one in &nested {
        requests.extend(one.request(&items));
    }
    let mut answers = source::open_all(&requests, spec.requester.as_ref())?.into_iter();
    let mut opened = Vec::with_capacity(items.len());
    for item in &items {
        opened.push(sources_of(item, &mut answers, spec)?);
    }
    for one in &nested {
        one.check(&items, &opened, &mut answers)?;
    }
    items
        .into_iter()
        .zip(opened)
        .filter_map(|(item, sources)| sources.map(|sources| (item, sources)))
        .map(|(item, sources)| {
            let ids = match item.kind {
                Kind::Bind(From::Mapped(_, ids), _) => Some(idmap::namespace(ids)?),
                _ => None,
            };
            Ok(Placed { item, sources, ids })
        })
        .collect()
}

type Answer = Result<Found, Errno>;

fn requests_of<'i>(item: &'i Item<'_>) -> Vec<Request<'i>> {
    let request = |path, flags: MountFlags| Request {
        path,
        target: item.target.as_path(),
        writable: flags.contains(MountFlags::WRITABLE),
        beneath: None,
    };
    match &item.kind {
        Kind::Bind(From::Path(path), flags) => vec![request(path, *flags)],
        Kind::Bind(From::Mapped(path, _), flags) => vec![request(path, *flags)],
        Kind::Overlay { lowers, upper, .. } => lowers
            .iter()
            .map(|path| request(path, MountFlags::empty()))
            .chain(match upper {
                Some(Upper::Directory(path)) => Some(request(path, MountFlags::WRITABLE)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The sources of one item; `None` for an optional one that does not exist.
fn sources_of(
    item: &Item<'_>,
    answers: &mut impl Iterator<Item = Answer>,
    spec: &RootSpec,
) -> Result<Option<Vec<Source>>, Error> {
    if let Kind::Bind(From::Handle(handle), _) = item.kind {
        return given(item.rule, handle, spec).map(|source| Some(vec![source]));
    }
    let optional =
        matches!(&item.kind, Kind::Bind(_, flags) if flags.contains(MountFlags::OPTIONAL));
    let directories = matches!(item.kind, Kind::Overlay { .. });
    let mut sources = Vec::new();
    for (request, answer) in requests_of(item).into_iter().zip(answers) {
        let failed = |source| Error::Source {
            path: request.path.to_owned(),
            target: request.target.to_owned(),
            source,
        };
        match answer {
            Ok(found) if directories && !found.is_dir => {
                return Err(failed(Errno::from_raw(libc::ENOTDIR)));
            }
            Ok(found) => sources.push(source::describe(found, request.path)),
            Err(errno) if optional && errno.raw() == libc::ENOENT => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(Some(sources))
}

/// A descriptor of the embedder as a source. Whoever opened it had the right to.
fn given(rule: &Rule, handle: &str, spec: &RootSpec) -> Result<Source, Error> {
    let failed = |source| Error::Handle {
        rule: Box::new(rule.clone()),
        source,
    };
    let fd = spec
        .descriptors
        .iter()
        .find(|(name, _)| name == handle)
        .ok_or_else(|| failed(Errno::from_raw(libc::EBADF)))?;
    let fd =
        fd.1.try_clone()
            .map_err(|error| failed(Errno::from_io(&error)))?;
    let stat = file::fstat(fd.as_raw_fd()).map_err(failed)?;
    let found = Found {
        identity: file::Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        },
        is_dir: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
        fd,
    };
    Ok(source::describe(found, Path::new(handle)))
}

/// A mount that goes onto something in a bind: what stands there is known before anything is mounted.
struct Nested {
    bind: usize,
    item: usize,
    below: CString,
}

fn find_nested(items: &[Item<'_>]) -> Result<Vec<Nested>, Error> {
    let by_target: HashMap<&Path, usize> = items
        .iter()
        .enumerate()
        .map(|(number, item)| (item.target.as_path(), number))
        .collect();
    let mut nested = Vec::new();
    for (number, item) in items.iter().enumerate().filter(|(_, i)| i.kind.mounts()) {
        let mut above = item.target.parents().filter_map(|p| by_target.get(p));
        let Some((bind, over)) = above.find_map(|n| {
            items
                .get(*n)
                .filter(|i| !matches!(i.kind, Kind::Dir))
                .map(|i| (*n, i))
        }) else {
            continue;
        };
        if matches!(over.kind, Kind::Bind(..)) {
            nested.push(Nested {
                bind,
                item: number,
                below: c_path_below(item.target.as_path(), over.target.as_path())?,
            });
        }
    }
    Ok(nested)
}

impl Nested {
    fn request<'i>(&'i self, items: &'i [Item<'_>]) -> Option<Request<'i>> {
        let path: &Path = match &items.get(self.bind)?.kind {
            Kind::Bind(From::Path(path), _) => path,
            Kind::Bind(From::Mapped(path, _), _) => path,
            _ => return None,
        };
        Some(Request {
            path,
            target: items.get(self.item)?.target.as_path(),
            writable: false,
            beneath: Some(&self.below),
        })
    }

    fn check(
        &self,
        items: &[Item<'_>],
        opened: &[Option<Vec<Source>>],
        answers: &mut impl Iterator<Item = Answer>,
    ) -> Result<(), Error> {
        let answer = match self.request(items) {
            Some(_) => answers
                .next()
                .map(|answer| answer.map(|found| found.is_dir)),
            None => opened
                .get(self.bind)
                .and_then(Option::as_deref)
                .and_then(<[Source]>::first)
                .map(|bind| resolver::look(bind.fd.as_raw_fd(), &self.below)),
        };
        let (Some(over), Some(item), Some(answer)) =
            (items.get(self.bind), items.get(self.item), answer)
        else {
            return Ok(());
        };
        // An optional bind, or one that mounts onto it, that is not there leaves nothing to compare.
        let (Some(Some(_)), Some(Some(sources))) = (opened.get(self.bind), opened.get(self.item))
        else {
            return Ok(());
        };
        let is_dir = match (&item.kind, sources.first()) {
            (Kind::Mask { .. }, _) => None,
            (Kind::Bind(..), Some(source)) => Some(source.is_dir),
            _ => Some(true),
        };
        let problem = match answer {
            Ok(found) if is_dir.is_none_or(|is_dir| is_dir == found) => return Ok(()),
            Ok(_) => Conflict::FileOverDirectory,
            Err(errno) => match (errno.raw(), &item.kind) {
                (libc::ENOENT, Kind::Mask { optional: true }) => return Ok(()),
                (libc::ELOOP, _) => Conflict::TargetIsSymlink,
                (libc::ENOENT, _) => Conflict::TargetIsMissing,
                (libc::ENOTDIR, _) => Conflict::BeneathFile,
                // The requester may not look; init will see.
                _ => return Ok(()),
            },
        };
        Err(conflict(over.rule, item.rule, problem))
    }
}
