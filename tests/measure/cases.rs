//! What is measured, and how far it may be from the truth.

use std::{thread, time::Instant};

use sandbox_exec::{Finished, Reading, Stdin, Verdict};
use sandbox_test_support::boxes as support;

use crate::{
    arguments::Arguments,
    boxes::{Data, Scratch, sandbox},
};

/// How often each cell is measured, by each of its boxes. Odd, for there to be a median.
const REPETITIONS: usize = 3;

/// Bytes that a program touches.
pub(crate) const TOUCHED: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// Kind of `measured-cpu`, and how many burn at once.
    Cpu(&'static str, usize),
    /// CPU time that was charged when the program started.
    Start,
    Wall,
    /// Kind of `measured-memory`.
    Memory(&'static str),
    /// The same into a tmpfs.
    Tmpfs,
    /// The same into a file on a disk.
    Disk,
}

pub(crate) const ALL: [Case; 17] = [
    Case::Cpu("nothing", 1),
    Case::Cpu("user", 1),
    Case::Cpu("system", 1),
    Case::Cpu("threads", 4),
    Case::Cpu("children", 4),
    Case::Cpu("orphans", 4),
    Case::Start,
    Case::Wall,
    Case::Memory("nothing"),
    Case::Memory("heap"),
    Case::Memory("stack"),
    Case::Memory("mmap"),
    Case::Memory("shared"),
    Case::Memory("memfd"),
    Case::Memory("children"),
    Case::Tmpfs,
    Case::Disk,
];

/// One run. Units: nanoseconds or bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) truth: u64,
    pub(crate) reported: u64,
    /// What the kernel's own structures had of it when the program was gone: reported apart, and no part of the difference.
    pub(crate) apart: u64,
}

impl Pair {
    pub(crate) fn difference(self) -> i64 {
        let signed = |value: u64| i64::try_from(value).expect("far below");
        signed(self.reported) - signed(self.apart) - signed(self.truth)
    }
}

/// One cell.
#[derive(Debug)]
pub(crate) enum Measured {
    /// Every repetition, by its difference.
    Cell(Vec<Pair>),
    /// The machine lacks what the case needs.
    NotRun(&'static str),
}

impl Case {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Cpu("nothing", _) => "CPU, nothing at all".to_owned(),
            Self::Cpu("user", _) => "CPU, in user mode".to_owned(),
            Self::Cpu("system", _) => "CPU, in the kernel".to_owned(),
            Self::Cpu(kind, count) => format!("CPU, {count} {kind}"),
            Self::Start => "CPU, of it before the start".to_owned(),
            Self::Wall => "wall, asleep".to_owned(),
            Self::Memory("children") => "memory, mmap by 4 children".to_owned(),
            Self::Memory(kind) => format!("memory, {kind}"),
            Self::Tmpfs => "memory, tmpfs".to_owned(),
            Self::Disk => "memory, page cache".to_owned(),
        }
    }

    pub(crate) fn is_memory(self) -> bool {
        matches!(self, Self::Memory(_) | Self::Tmpfs | Self::Disk)
    }

    /// Measures so many boxes at once; the worst of all repetitions.
    pub(crate) fn measure(self, arguments: &Arguments, boxes: usize) -> Measured {
        let disk = match (self, &arguments.disk) {
            (Self::Disk, None) => return Measured::NotRun("no --disk"),
            (_, disk) => disk.clone().unwrap_or_default(),
        };
        let mut all = Vec::new();
        for _ in 0..REPETITIONS {
            thread::scope(|scope| {
                let one = |slot| {
                    let disk = &disk;
                    move || self.run(arguments, disk, slot)
                };
                let running: Vec<_> = (0..boxes).map(|slot| scope.spawn(one(slot))).collect();
                for run in running {
                    all.push(run.join().expect("a measured run"));
                }
            });
        }
        all.sort_by_key(|pair| pair.difference());
        Measured::Cell(all)
    }

    fn run(self, arguments: &Arguments, disk: &std::path::Path, slot: usize) -> Pair {
        let scratch = (self == Self::Disk).then(|| Scratch::on(disk, slot));
        let (args, data) = self.program(arguments, scratch.as_ref());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let sandbox = sandbox(&args, &data);
        let before = Instant::now();
        let finished = sandbox
            .run(Stdin::Null, support::KEEP)
            .unwrap_or_else(|error| panic!("{}", support::full(&error)));
        let around = before.elapsed();
        let verdict = finished.outcome.judgement.verdict;
        assert_eq!(verdict, Verdict::Ok, "{args:?}: {finished:?}");
        let evidence = &finished.outcome.evidence;
        let whole = |time: std::time::Duration| time.as_nanos().try_into().expect("a century");
        match self {
            Self::Cpu(..) => Pair {
                truth: said(&finished, "cpu"),
                reported: whole(read(evidence.cpu_time)),
                apart: 0,
            },
            Self::Start => Pair {
                truth: 0,
                reported: whole(read(evidence.cpu_time_at_start)),
                apart: 0,
            },
            Self::Wall => {
                let truth = said(&finished, "wall");
                let reported = whole(evidence.wall_time);
                assert!(
                    truth <= reported,
                    "the program saw {truth} ns of {reported}"
                );
                assert!(evidence.wall_time <= around, "longer than all around it");
                Pair {
                    truth,
                    reported,
                    apart: 0,
                }
            }
            _ => Pair {
                truth: match self {
                    Self::Memory("nothing") => 0,
                    _ => said(&finished, "touched"),
                },
                reported: read(evidence.memory_peak).get(),
                apart: read(evidence.memory_left.kernel).get(),
            },
        }
    }

    /// Arguments of the payload, and what it finds at `/data`.
    pub(crate) fn program(
        self,
        arguments: &Arguments,
        scratch: Option<&Scratch>,
    ) -> (Vec<String>, Data) {
        let (millis, bytes) = (arguments.burn_ms(), TOUCHED.to_string());
        let memory =
            |kind: &str| vec!["measured-memory".to_owned(), kind.to_owned(), bytes.clone()];
        match self {
            Self::Cpu(kind, count) => {
                let args = [
                    "measured-cpu",
                    kind,
                    &millis.to_string(),
                    &count.to_string(),
                ];
                (args.map(str::to_owned).to_vec(), Data::Nothing)
            }
            Self::Start => Self::Cpu("nothing", 1).program(arguments, scratch),
            Self::Wall => (
                vec!["measured-wall".to_owned(), millis.to_string()],
                Data::Nothing,
            ),
            Self::Memory(kind) => (memory(kind), Data::Nothing),
            Self::Tmpfs => (memory("file"), Data::Memory),
            Self::Disk => {
                let directory = scratch
                    .map(|scratch| scratch.path().to_owned())
                    .unwrap_or_default();
                (memory("file"), Data::Disk(directory))
            }
        }
    }
}

/// A reading that must be there.
fn read<T>(reading: Reading<T>) -> T {
    match reading {
        Reading::Value(value) => value,
        Reading::Unavailable(why) => panic!("no reading: {why:?}"),
    }
}

/// The number after a word that the payload said.
fn said(finished: &Finished, word: &str) -> u64 {
    let text = support::said(finished);
    text.lines()
        .find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {word} in {text:?}"))
}
