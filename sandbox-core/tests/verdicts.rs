//! The verdict table: for each rule one run that it decides, and one where an earlier rule wins.

use std::time::Duration;

use sandbox_core::{
    Abi, Basis, Bytes, DiskUse, Evidence, Exit, KillReason, Limits, RULES, Reading, ReportedCall,
    Syscall, SyscallReports, Unavailable, Verdict, judge,
};

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits::default()
        .cpu_time(SECOND)
        .wall_time(2 * SECOND)
        .idle_time(SECOND)
        .memory(Bytes::mib(64))
        .processes(4)
        .output(Bytes::new(100))
        .file_size(Bytes::mib(1))
}

fn signal(signo: i32) -> Option<Exit> {
    Some(Exit::Signal {
        signo,
        core_dumped: false,
    })
}

/// Evidence of a run that went well, changed by `change`.
fn run(change: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut evidence = Evidence::empty(SECOND / 2);
    evidence.exit = Some(Exit::Code(0));
    evidence.cpu_time = Reading::Value(SECOND / 4);
    evidence.oom_kills = Reading::Value(0);
    evidence.memory_limit_hits = Reading::Value(0);
    evidence.forks_denied = Reading::Value(0);
    change(&mut evidence);
    evidence
}

const NOT_COUNTED: Reading<bool> = Reading::Unavailable(Unavailable::NotCounted);

fn disk(full: bool, hit: Reading<bool>) -> DiskUse {
    DiskUse {
        bytes: Bytes::mib(1),
        inodes: 7,
        full,
        hit,
    }
}

const PTRACE: Syscall = Syscall::new(Abi::X86_64, 101, None);

fn reports(decisive: bool) -> Reading<SyscallReports> {
    let call = ReportedCall::new(PTRACE, [0; 6], 7, SECOND / 3);
    let mut reports = SyscallReports::default();
    reports.record(call);
    reports.decisive = decisive.then_some(call);
    Reading::Value(reports)
}

type Change = fn(&mut Evidence);

/// For each basis: what makes it decide, and the verdict.
const DECIDES: &[(Basis, Change, Verdict)] = &[
    (
        Basis::KillRequest,
        |e| e.kill = Some(KillReason::Requested),
        Verdict::Cancelled,
    ),
    (
        Basis::OomKill,
        |e| {
            e.exit = signal(libc::SIGKILL);
            e.oom_kills = Reading::Value(2);
            e.memory_limit_hits = Reading::Value(1);
        },
        Verdict::MemoryLimit,
    ),
    (
        Basis::ForeignOomKill,
        |e| e.oom_kills = Reading::Value(1),
        Verdict::Indeterminate,
    ),
    (
        Basis::OutputCount,
        |e| e.stderr.seen = Bytes::new(101),
        Verdict::OutputLimit,
    ),
    (
        Basis::CpuReading,
        |e| e.cpu_time = Reading::Value(2 * SECOND),
        Verdict::CpuTimeLimit,
    ),
    (
        Basis::WallReading,
        |e| {
            e.wall_time = 3 * SECOND;
            e.exit = None;
            e.kill = Some(KillReason::WallTime);
        },
        Verdict::WallTimeLimit,
    ),
    (
        Basis::IdleReading,
        |e| {
            e.wall_time = SECOND * 3 / 2;
            e.cpu_time = Reading::Value(SECOND / 4);
        },
        Verdict::IdleTimeLimit,
    ),
    (
        Basis::Sigxfsz,
        |e| e.exit = signal(libc::SIGXFSZ),
        Verdict::OutputLimit,
    ),
    (
        Basis::SyscallReport,
        |e| e.reports = reports(true),
        Verdict::SecurityViolation {
            syscall: Some(PTRACE),
        },
    ),
    (
        Basis::Sigsys,
        |e| e.exit = signal(libc::SIGSYS),
        Verdict::SecurityViolation { syscall: None },
    ),
    (
        Basis::ForeignForkDenied,
        |e| {
            e.exit = Some(Exit::Code(1));
            e.forks_denied = Reading::Value(7);
            e.processes_peak = Reading::Value(3);
        },
        Verdict::Indeterminate,
    ),
    (
        Basis::ForkDenied,
        |e| {
            e.exit = Some(Exit::Code(1));
            e.forks_denied = Reading::Value(7);
            e.processes_peak = Reading::Value(4);
        },
        Verdict::ProcessLimit,
    ),
    (
        Basis::DiskQuota,
        |e| {
            e.exit = Some(Exit::Code(1));
            let unread = Reading::Unavailable(Unavailable::NotCounted);
            let emptied = disk(false, Reading::Value(true));
            e.quotas.extend([unread, Reading::Value(emptied)]);
        },
        Verdict::DiskLimit,
    ),
    (
        Basis::DiskFull,
        |e| {
            e.exit = Some(Exit::Code(1));
            e.disks.push(disk(false, NOT_COUNTED));
            e.disks.push(disk(true, NOT_COUNTED));
        },
        Verdict::DiskLimit,
    ),
    (
        Basis::ExitStatus,
        |e| e.exit = Some(Exit::Code(0)),
        Verdict::Ok,
    ),
    (
        Basis::NoExitReport,
        |e| e.exit = None,
        Verdict::Indeterminate,
    ),
];

#[test]
fn every_rule_decides_its_own_run() {
    assert_eq!(DECIDES.len(), RULES.len(), "one row for each rule");
    for ((basis, change, verdict), (rule, _)) in DECIDES.iter().zip(RULES) {
        assert_eq!(basis, rule, "rows in the order of the rules");
        let judgement = judge(&run(change), &limits());
        assert_eq!((judgement.basis, judgement.verdict), (*basis, *verdict));
    }
}

#[test]
fn an_earlier_rule_wins_over_a_later_one() {
    for (i, (_, later, _)) in DECIDES.iter().enumerate().skip(1) {
        for (basis, earlier, verdict) in &DECIDES[..i] {
            // Two changes of the same observation cannot both hold; the earlier rule's is made last.
            let judgement = judge(
                &run(|e| {
                    later(e);
                    earlier(e);
                }),
                &limits(),
            );
            let decided = DECIDES.iter().position(|row| row.0 == judgement.basis);
            let wanted = DECIDES.iter().position(|row| row.0 == *basis);
            assert!(
                decided <= wanted,
                "{basis:?} over {:?}: {judgement:?}",
                DECIDES[i].0
            );
            if decided == wanted {
                assert_eq!(judgement.verdict, *verdict);
            }
        }
    }
}

#[test]
fn only_limits_that_were_asked_for_decide() {
    let unlimited = Limits::default();
    let evidence = run(|e| {
        e.wall_time = 100 * SECOND;
        e.cpu_time = Reading::Value(90 * SECOND);
        e.stdout.seen = Bytes::mib(900);
    });
    assert_eq!(judge(&evidence, &unlimited).verdict, Verdict::Ok);
    let evidence = run(|e| e.exit = signal(libc::SIGXCPU));
    assert!(matches!(
        judge(&evidence, &limits()).verdict,
        Verdict::RuntimeError(_)
    ));
}

#[test]
fn a_limit_is_not_passed_by_reaching_it() {
    let evidence = run(|e| {
        e.wall_time = SECOND * 2;
        e.cpu_time = Reading::Value(SECOND);
        e.stdout.seen = Bytes::new(100);
    });
    assert_eq!(judge(&evidence, &limits()).verdict, Verdict::Ok);
}

#[test]
fn sigkill_is_no_time_out_and_159_is_no_seccomp() {
    let killed = run(|e| e.exit = signal(libc::SIGKILL));
    assert!(matches!(
        judge(&killed, &limits()).verdict,
        Verdict::RuntimeError(_)
    ));
    let forged = run(|e| e.exit = Some(Exit::Code(159)));
    assert_eq!(
        judge(&forged, &limits()).verdict,
        Verdict::RuntimeError(Exit::Code(159))
    );
}

#[test]
fn a_call_that_was_reported_and_refused_decides_nothing() {
    let evidence = run(|e| e.reports = reports(false));
    assert_eq!(judge(&evidence, &limits()).verdict, Verdict::Ok);
}

#[test]
fn a_sigsys_of_its_own_is_no_violation_where_every_kill_is_reported() {
    let judged = |with_kills| {
        let evidence = run(|e| {
            let mut seen = SyscallReports::default();
            seen.with_kills = with_kills;
            e.reports = Reading::Value(seen);
            e.exit = signal(libc::SIGSYS);
        });
        judge(&evidence, &limits()).basis
    };
    assert_eq!(
        (judged(false), judged(true)),
        (Basis::Sigsys, Basis::ExitStatus)
    );
}

#[test]
fn a_denied_fork_alone_is_no_failure() {
    let evidence = run(|e| e.forks_denied = Reading::Value(3));
    assert_eq!(judge(&evidence, &limits()).verdict, Verdict::Ok);
}

#[test]
fn a_place_that_was_filled_to_the_brim_and_refused_nothing_decides_nothing() {
    let failed = |place: DiskUse| {
        run(|e| {
            e.exit = Some(Exit::Code(1));
            e.quotas.push(Reading::Value(place));
        })
    };
    let brim = failed(disk(true, Reading::Value(false)));
    let verdict = judge(&brim, &limits()).verdict;
    assert_eq!(verdict, Verdict::RuntimeError(Exit::Code(1)));
    let mut coped = failed(disk(true, Reading::Value(true)));
    assert_eq!(judge(&coped, &limits()).verdict, Verdict::DiskLimit);
    coped.exit = Some(Exit::Code(0));
    assert_eq!(judge(&coped, &limits()).verdict, Verdict::Ok);
}

/// The dying processes are charged CPU time after the look that killed them, so the idle time shrinks again.
#[test]
fn cpu_time_of_the_kill_itself_undoes_no_idle_limit() {
    let killed = run(|e| {
        e.exit = None;
        e.kill = Some(KillReason::IdleTime);
        e.wall_time = SECOND + SECOND / 4;
        e.cpu_time = Reading::Value(SECOND / 4 + Duration::from_nanos(1));
    });
    let judgement = judge(&killed, &limits());
    assert_eq!(
        (judgement.verdict, judgement.basis),
        (Verdict::IdleTimeLimit, Basis::IdleReading)
    );
    let ended_first = run(|e| e.kill = Some(KillReason::IdleTime));
    assert_eq!(judge(&ended_first, &limits()).verdict, Verdict::Ok);
}

#[cfg(feature = "serde")]
#[test]
fn a_stored_outcome_can_be_judged_again() {
    let outcome = sandbox_core::Outcome::new(limits(), run(|e| e.reports = reports(true)));
    let text = serde_json::to_string(&outcome).unwrap();
    let stored: sandbox_core::Outcome = serde_json::from_str(&text).unwrap();
    assert_eq!(stored, outcome);
    assert_eq!(judge(&stored.evidence, &stored.limits), outcome.judgement);
}
