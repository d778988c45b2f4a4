//! What the cgroup of a box is charged with while its program holds what it touched.

use std::{
    fs::{self, File},
    io::Write as _,
    os::fd::OwnedFd,
    path::PathBuf,
};

use sandbox_exec::{Output, Stdin};
use sandbox_test_support::{boxes as support, sys};

use crate::{
    arguments::Arguments,
    boxes::{Scratch, sandbox},
    cases::{Case, TOUCHED},
};

/// Bytes, by what they are charged for.
#[derive(Debug)]
struct Charge {
    total: u64,
    anonymous: u64,
    page_cache: u64,
    shared: u64,
    kernel: u64,
}

/// Prints a line per kind of memory.
pub(crate) fn print(arguments: &Arguments) {
    println!(
        "\n| KiB, less what was touched | anonymous | page cache | shared | kernel | batches |"
    );
    println!("|---|---|---|---|---|---|");
    for case in arguments
        .cases()
        .into_iter()
        .filter(|case| case.is_memory())
    {
        if case == Case::Disk && arguments.disk.is_none() {
            continue;
        }
        let charge = while_held(arguments, case);
        let touched = if case == Case::Memory("nothing") {
            0
        } else {
            TOUCHED
        };
        let is_anonymous = matches!(case, Case::Memory("heap" | "stack" | "mmap" | "children"));
        let less = |value: u64, touched_here: bool| {
            let touched = if touched_here { touched } else { 0 };
            (i128::from(value) - i128::from(touched)) / 1024
        };
        let known = charge.anonymous + charge.page_cache + charge.shared + charge.kernel;
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            case.name(),
            less(charge.anonymous, is_anonymous),
            less(charge.page_cache, case == Case::Disk),
            less(
                charge.shared,
                matches!(case, Case::Memory("shared" | "memfd") | Case::Tmpfs)
            ),
            charge.kernel / 1024,
            less(charge.total, false) - i128::from(known / 1024),
        );
    }
}

fn while_held(arguments: &Arguments, case: Case) -> Charge {
    let disk = arguments.disk.clone().unwrap_or_default();
    let scratch = (case == Case::Disk).then(|| Scratch::on(&disk, 0));
    let (mut args, data) = case.program(arguments, scratch.as_ref());
    args.push("hold".to_owned());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sandbox = sandbox(&args, &data);
    let (stdin, hold): (OwnedFd, OwnedFd) = sys::pipe();
    let (read, write): (OwnedFd, OwnedFd) = sys::pipe();
    let running = sandbox
        .spawn(Stdin::Fd(stdin), Output::Fd(write), Output::Null)
        .unwrap_or_else(|error| panic!("{}", support::full(&error)));
    let mut stdout = File::from(read);
    support::expect(&mut stdout, support::STARTED);
    support::expect(&mut stdout, &format!("touched {}\n", TOUCHED));
    let charge = read_group();
    File::from(hold).flush().expect("a pipe");
    running
        .wait()
        .unwrap_or_else(|error| panic!("{}", support::full(&error)));
    charge
}

/// The charges of the one group that this process has.
fn read_group() -> Charge {
    let group = group();
    let number = |file: &str| {
        let text = fs::read_to_string(group.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        text.trim().parse::<u64>().expect("a number")
    };
    let stat = fs::read_to_string(group.join("memory.stat")).expect("every memory group has it");
    let field = |name: &str| {
        let value = stat
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("memory.stat has no {name}"));
        value.parse::<u64>().expect("a number")
    };
    if group.join("memory.current").exists() {
        return Charge {
            total: number("memory.current"),
            anonymous: field("anon"),
            page_cache: field("file") - field("shmem"),
            shared: field("shmem"),
            kernel: field("kernel"),
        };
    }
    Charge {
        total: number("memory.usage_in_bytes"),
        anonymous: field("rss"),
        page_cache: field("cache") - field("shmem"),
        shared: field("shmem"),
        kernel: number("memory.kmem.usage_in_bytes"),
    }
}

fn group() -> PathBuf {
    let ours = format!("-{}", std::process::id());
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let points = mounts
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| line.split(' ').nth(4));
    let groups = points
        .filter_map(|point| fs::read_dir(point).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = groups.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("sandbox-") && name.ends_with(&ours) && path.join("memory.stat").exists()
    });
    let group = found.next().expect("a box has a memory group");
    assert_eq!(found.next(), None, "only one box runs");
    group
}
