//! Judging places: each runs one box at a time.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::signals::Interrupt;

/// User ids of the boxes, of all judges on the machine. Outside of what distributions give to people and services.
pub(crate) const UIDS: RangeInclusive<u32> = 60_000..=60_999;

/// Where every judge on the machine locks the ids that its boxes have.
pub(crate) const UID_LOCKS: &str = "/run/sandbox-judge-uids";

/// One place. Where the judge is root, the pool of user ids keeps its boxes and those of other judges apart; elsewhere each
/// place has a user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// The first place, for work that is done one by one.
    pub(crate) const FIRST: Self = Self(0);

    /// User and group id of its boxes.
    pub(crate) fn uid(self) -> u32 {
        UIDS.start().saturating_add(self.0)
    }
}

struct Queue<J> {
    jobs: VecDeque<J>,
    running: usize,
}

struct Shared<J, E> {
    queue: Mutex<Queue<J>>,
    changed: Condvar,
    failure: Mutex<Option<E>>,
}

/// Does every job, `slots` at a time. `handle` may return further jobs, which go first, so that a submission that was
/// begun is finished before the next one.
///
/// The first error of a job stops everything: running boxes are cancelled through `interrupt`, and the error is returned.
pub(crate) fn work<J: Send, E: Send>(
    slots: u32,
    jobs: impl IntoIterator<Item = J>,
    interrupt: &Interrupt,
    handle: impl Fn(Slot, J) -> Result<Vec<J>, E> + Sync,
) -> Result<(), E> {
    let shared = Shared {
        queue: Mutex::new(Queue {
            jobs: jobs.into_iter().collect(),
            running: 0,
        }),
        changed: Condvar::new(),
        failure: Mutex::new(None),
    };
    thread::scope(|scope| {
        for number in 0..slots {
            let (shared, handle) = (&shared, &handle);
            scope.spawn(move || serve(Slot(number), shared, interrupt, handle));
        }
    });
    let failure = shared.failure.into_inner();
    match failure.unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn serve<J, E>(
    slot: Slot,
    shared: &Shared<J, E>,
    interrupt: &Interrupt,
    handle: &(impl Fn(Slot, J) -> Result<Vec<J>, E> + Sync),
) {
    while let Some(job) = next(shared) {
        let result = handle(slot, job);
        let mut queue = lock(&shared.queue);
        queue.running -= 1;
        match result {
            Ok(more) => {
                for job in more.into_iter().rev() {
                    queue.jobs.push_front(job);
                }
            }
            Err(error) => {
                queue.jobs.clear();
                let mut failure = lock(&shared.failure);
                if failure.is_none() {
                    *failure = Some(error);
                }
                drop(failure);
                interrupt.stop();
            }
        }
        drop(queue);
        shared.changed.notify_all();
    }
}

fn next<J, E>(shared: &Shared<J, E>) -> Option<J> {
    let mut queue = lock(&shared.queue);
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            queue.running += 1;
            return Some(job);
        }
        if queue.running == 0 {
            return None;
        }
        queue = shared
            .changed
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::work;
    use crate::signals::Interrupt;
    use std::sync::Mutex;

    #[test]
    fn further_jobs_go_first_and_all_are_done() {
        let done = Mutex::new(Vec::new());
        let interrupt = Interrupt::default();
        let result: Result<(), ()> = work(1, [10, 20], &interrupt, |_, job: u32| {
            done.lock().unwrap().push(job);
            Ok(if job.is_multiple_of(10) {
                vec![job + 1, job + 2]
            } else {
                Vec::new()
            })
        });
        assert_eq!(result, Ok(()));
        assert_eq!(done.into_inner().unwrap(), [10, 11, 12, 20, 21, 22]);
    }

    #[test]
    fn the_first_error_stops_the_rest() {
        let interrupt = Interrupt::default();
        let done = Mutex::new(0);
        let result = work(1, 0..100, &interrupt, |_, job: u32| {
            *done.lock().unwrap() += 1;
            if job == 3 {
                Err("three")
            } else {
                Ok(Vec::new())
            }
        });
        assert_eq!(result, Err("three"));
        assert_eq!(done.into_inner().unwrap(), 4);
    }

    #[test]
    fn slots_work_at_once_and_have_their_own_uid() {
        let barrier = std::sync::Barrier::new(3);
        let uids = Mutex::new(std::collections::BTreeSet::new());
        let result: Result<(), ()> = work(3, 0..3, &Interrupt::default(), |slot, _: u32| {
            barrier.wait();
            uids.lock().unwrap().insert(slot.uid());
            Ok(Vec::new())
        });
        assert_eq!(result, Ok(()));
        let uids: Vec<_> = uids.into_inner().unwrap().into_iter().collect();
        assert_eq!(uids, [60_000, 60_001, 60_002]);
    }
}
