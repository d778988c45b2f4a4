//! Random rule sets against a simple model of the tree that they make. As root, on the real kernel.

mod support;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use proptest::{
    prelude::{Strategy, any},
    prop_assert_eq, prop_oneof,
    test_runner::{Config, TestCaseError, TestRunner},
};
use sandbox_fs::{Error, FileMode, MountFlags, ProcView, RootSpec, Rule, Trees};
use support::{Ids, ROOMY, attempt, errno, in_child};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// `host`: of a bind, so that nothing is made in it.
    Dir {
        writable: bool,
        host: bool,
    },
    File(Vec<u8>),
    Link(PathBuf),
    Device,
    Proc,
}

type Tree = BTreeMap<PathBuf, Thing>;

/// The directory of the host that binds show: a file, and a directory with a file in it.
fn host(dir: &Path) {
    fs::write(dir.join("a"), "host").unwrap();
    fs::create_dir(dir.join("b")).unwrap();
    fs::write(dir.join("b/c"), "host").unwrap();
}

/// Few names and small depth, so that rules meet.
fn target() -> impl Strategy<Value = PathBuf> {
    let name = prop_oneof!["a", "b", "c"];
    proptest::collection::vec(name, 1..4).prop_map(|names| names.iter().collect())
}

fn rule(source: PathBuf) -> impl Strategy<Value = Rule> {
    let writable = any::<bool>().prop_map(|yes| {
        if yes {
            MountFlags::WRITABLE
        } else {
            MountFlags::empty()
        }
    });
    let bind =
        (target(), writable.clone(), any::<bool>()).prop_map(move |(target, flags, file)| {
            let source = if file {
                source.join("a")
            } else {
                source.clone()
            };
            Rule::Bind {
                source,
                target,
                flags,
            }
        });
    let tmpfs = (target(), writable).prop_map(|(target, flags)| Rule::Tmpfs {
        target,
        quota: ROOMY,
        flags,
    });
    let file = (target(), any::<[u8; 4]>()).prop_map(|(target, contents)| Rule::File {
        target,
        contents: contents.into(),
        mode: FileMode::Plain,
    });
    let link =
        (target(), target()).prop_map(|(target, points_to)| Rule::Symlink { target, points_to });
    prop_oneof![
        3 => bind,
        3 => tmpfs,
        2 => file,
        1 => link,
        2 => target().prop_map(|target| Rule::Dir { target }),
        1 => target().prop_map(|target| Rule::Dev { target }),
        1 => target().prop_map(|target| Rule::Proc { target, view: ProcView::Processes }),
        1 => target().prop_map(|target| Rule::Mask { target, optional: true }),
    ]
}

/// The tree that the rules make, parents first, or nothing where they contradict each other.
fn model(rules: &[Rule]) -> Option<Tree> {
    let ground = Thing::Dir {
        writable: false,
        host: false,
    };
    let mut tree = Tree::from([(PathBuf::new(), ground)]);
    let mut claimed: Vec<&Path> = Vec::new();
    let mut masked: Vec<&Path> = Vec::new();
    let mut sorted: Vec<_> = rules.iter().collect();
    sorted.sort_by_key(|rule| rule.target().components().count());
    for rule in sorted {
        let target = rule.target();
        let below_mask = masked.iter().any(|above| target.starts_with(above));
        if claimed.contains(&target) || below_mask {
            return None;
        }
        claimed.push(target);
        // The nearest thing above that is there.
        let above = target.ancestors().skip(1).find_map(|path| tree.get(path));
        let (writable, host) = match (above?, rule) {
            (Thing::Dir { writable, host }, _) => (*writable, *host),
            (Thing::Proc, Rule::Mask { .. }) => {
                masked.push(target);
                continue;
            }
            _ => return None,
        };
        if host {
            let fits = match (tree.get(target), rule) {
                (None, Rule::Mask { .. }) => {
                    masked.push(target);
                    continue;
                }
                (Some(_), Rule::Mask { .. }) => true,
                (Some(Thing::Dir { .. }), Rule::Bind { source, .. }) => source.is_dir(),
                (Some(Thing::File(_)), Rule::Bind { source, .. }) => source.is_file(),
                (Some(Thing::Dir { .. }), Rule::Tmpfs { .. } | Rule::Proc { .. }) => true,
                _ => false,
            };
            if !fits {
                return None;
            }
        } else {
            let implied: Vec<_> = target
                .ancestors()
                .skip(1)
                .take_while(|path| !tree.contains_key(*path))
                .map(Path::to_owned)
                .collect();
            let dir = Thing::Dir { writable, host };
            tree.extend(implied.into_iter().map(|path| (path, dir.clone())));
        }
        place(rule, writable, host, &mut tree)?;
        if let Rule::Mask { .. } = rule {
            masked.push(target);
        }
    }
    Some(tree)
}

fn place(rule: &Rule, around: bool, host: bool, tree: &mut Tree) -> Option<()> {
    let target = rule.target();
    let hidden = tree.get(target).cloned();
    // What a mount covers is gone.
    tree.retain(|path, _| !path.starts_with(target));
    let mut put = |name: &str, thing| {
        let path = if name.is_empty() {
            target.to_owned()
        } else {
            target.join(name)
        };
        tree.insert(path, thing);
    };
    let dir = |writable, host| Thing::Dir { writable, host };
    let file = || Thing::File(b"host".into());
    match rule {
        Rule::Bind { source, flags, .. } if source.is_dir() => {
            let shown = dir(flags.contains(MountFlags::WRITABLE), true);
            put("", shown.clone());
            put("a", file());
            put("b", shown);
            put("b/c", file());
        }
        Rule::Bind { .. } => put("", file()),
        Rule::Tmpfs { flags, .. } => put("", dir(flags.contains(MountFlags::WRITABLE), false)),
        Rule::Proc { .. } => put("", Thing::Proc),
        Rule::File { contents, .. } => put("", Thing::File(contents.clone())),
        Rule::Symlink { points_to, .. } => put("", Thing::Link(points_to.clone())),
        Rule::Dir { .. } => put("", dir(around, false)),
        Rule::Mask { .. } if !host => return None,
        Rule::Mask { .. } => match hidden? {
            Thing::Dir { .. } => put("", dir(false, true)),
            _ => put("", Thing::File(Vec::new())),
        },
        Rule::Dev { .. } => {
            put("", dir(around, false));
            for name in ["null", "zero", "full", "random", "urandom"] {
                put(name, Thing::Device);
            }
            for (name, to) in [
                ("fd", ""),
                ("stdin", "/0"),
                ("stdout", "/1"),
                ("stderr", "/2"),
            ] {
                put(name, Thing::Link(format!("/proc/self/fd{to}").into()));
            }
        }
        _ => return None,
    }
    Some(())
}

/// What is really there. Whose a directory is cannot be seen; the model's word is taken for it.
fn look(path: &Path, model: &Tree, tree: &mut Tree) {
    let full = Path::new("/").join(path);
    let kind = fs::symlink_metadata(&full).unwrap().file_type();
    let thing = if kind.is_symlink() {
        Thing::Link(fs::read_link(&full).unwrap())
    } else if kind.is_char_device() {
        Thing::Device
    } else if kind.is_file() {
        Thing::File(fs::read(&full).unwrap())
    } else if full.join("self/status").exists() {
        Thing::Proc
    } else {
        let probe = full.join(".probe");
        let tried = errno(fs::write(&probe, ""));
        if tried.is_none() {
            fs::remove_file(&probe).unwrap();
        } else {
            assert_eq!(tried, Some(libc::EROFS), "{full:?}");
        }
        for entry in fs::read_dir(&full).unwrap() {
            look(&path.join(entry.unwrap().file_name()), model, tree);
        }
        let host = matches!(model.get(path), Some(Thing::Dir { host: true, .. }));
        Thing::Dir {
            writable: tried.is_none(),
            host,
        }
    };
    tree.insert(path.to_owned(), thing);
}

#[test]
fn any_set_of_rules_makes_the_tree_of_the_model_or_is_refused() {
    in_child(|| {
        let dir = tempfile::tempdir().unwrap();
        host(dir.path());
        let rules = proptest::collection::vec(rule(dir.path().to_owned()), 1..7);
        let config = Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        };
        let (made, refused) = (Cell::new(0), Cell::new(0));
        let outcome = TestRunner::new(config).run(&rules, |rules| {
            let spec = rules
                .iter()
                .cloned()
                .fold(RootSpec::new(ROOMY), RootSpec::rule);
            match (model(&rules), spec.prepare()) {
                (None, Err(Error::Conflict { .. } | Error::Meaningless { .. })) => {
                    refused.set(refused.get() + 1);
                }
                (Some(expected), Ok(plan)) => {
                    let built = attempt(&plan, Trees::FromParent, Ids::Host, || {
                        let mut found = Tree::new();
                        look(Path::new(""), &expected, &mut found);
                        assert_eq!(found, expected);
                    });
                    prop_assert_eq!(built, Ok(()));
                    made.set(made.get() + 1);
                }
                (expected, prepared) => {
                    let prepared = prepared.map(drop);
                    return Err(TestCaseError::fail(format!("{expected:?}, {prepared:?}")));
                }
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
        assert!(
            made.get() > 50 && refused.get() > 50,
            "{made:?} {refused:?}"
        );
    });
}
