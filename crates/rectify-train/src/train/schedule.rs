//! Which work runs on which thread: side by side, in turns, alone.

use std::{
    cmp::Reverse,
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Does `work` for every item, `jobs` of them at a time, each on a thread with a pool of one thread for the matrix
/// products of Burn's CPU backends. Gives the outcomes back in the order of the items.
///
/// The first error sets `stop`. After `stop` is set, by whomever, items that have not begun are left out.
///
/// # Errors
///
/// Whatever `work` returned first.
pub fn side_by_side<T: Sync, R: Send, E: Send>(
    jobs: usize,
    stop: &AtomicBool,
    items: &[T],
    work: &(dyn Fn(&T) -> Result<R, E> + Sync),
) -> Result<Vec<R>, E> {
    in_turns(jobs, stop, items.iter().collect(), &|item| work(item).map(ControlFlow::Break), &|_| 1)
}

/// [`side_by_side`] for tasks that are done in several turns: `turn` does a part of one, of which so many are `left`.
pub(crate) fn in_turns<T: Send, R: Send, E: Send>(
    jobs: usize,
    stop: &AtomicBool,
    tasks: Vec<T>,
    turn: &(dyn Fn(T) -> Result<ControlFlow<R, T>, E> + Sync),
    left: &(dyn Fn(&T) -> usize + Sync),
) -> Result<Vec<R>, E> {
    struct Waiting<T> {
        place: usize,
        begun: bool,
        task: T,
    }
    let wait = |(place, task)| Waiting { place, begun: false, task };
    let threads = jobs.min(tasks.len());
    let waiting: Mutex<Vec<Waiting<T>>> = Mutex::new(tasks.into_iter().enumerate().map(wait).collect());
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let failure: Mutex<Option<E>> = Mutex::new(None);
    // What the locks guard is whole even if `left`, all that may panic while one is held, does.
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    let next = |mine: Option<Waiting<T>>| {
        let mut waiting = lock(&waiting);
        if stop.load(Ordering::Relaxed) {
            waiting.retain(|other| other.begun);
        }
        // Those with the most turns left are to end when the others do. As long as there is one for every thread, whoever
        // has begun goes on.
        let longest = (0..waiting.len()).min_by_key(|&i| (Reverse(left(&waiting[i].task)), waiting[i].place));
        match (mine, longest) {
            (Some(mine), Some(i)) if waiting.len() < threads && left(&waiting[i].task) > left(&mine.task) => {
                Some(std::mem::replace(&mut waiting[i], mine))
            }
            (None, Some(i)) => Some(waiting.remove(i)),
            (mine, _) => mine,
        }
    };
    let worker = || {
        let mut mine = None;
        while let Some(Waiting { place, task, .. }) = next(mine.take()) {
            match turn(task) {
                Ok(ControlFlow::Continue(task)) => mine = Some(Waiting { place, begun: true, task }),
                Ok(ControlFlow::Break(outcome)) => lock(&done).push((place, outcome)),
                Err(error) => {
                    lock(&failure).get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| alone(worker));
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Does `work` in a pool of one thread, this one: Burn's CPU backends split a product over the threads of the pool that
/// they are called in.
pub(crate) fn alone(work: impl FnOnce() + Send) {
    match rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
        Ok(pool) => pool.install(work),
        // No pool of its own: slower, not wrong.
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Condvar, time::Duration};

    use super::*;

    /// Begins a turn when another thread does, and tells how many have begun. An error if no other does.
    struct Pairs {
        begun: Mutex<usize>,
        others: Condvar,
    }

    impl Pairs {
        fn new() -> Self {
            Self { begun: Mutex::new(0), others: Condvar::new() }
        }

        fn begin(&self, wait: bool) -> Result<usize, &'static str> {
            let mut count = self.begun.lock().unwrap();
            *count += 1;
            let (begun, pair) = (*count, (*count).next_multiple_of(2));
            self.others.notify_all();
            let alone = |count: &mut usize| wait && *count < pair;
            let (_count, waited) = self.others.wait_timeout_while(count, Duration::from_secs(20), alone).unwrap();
            if waited.timed_out() { Err("one thread had no work") } else { Ok(begun) }
        }
    }

    #[test]
    fn all_threads_have_work_until_the_end() {
        // Three tasks of four turns on two threads, which begin each turn together: six times, or one waits in vain.
        let pairs = Pairs::new();
        let turn = |left: usize| {
            pairs.begin(true)?;
            Ok::<_, &str>(if left > 1 { ControlFlow::Continue(left - 1) } else { ControlFlow::Break(()) })
        };
        let outcomes = in_turns(2, &AtomicBool::new(false), vec![4; 3], &turn, &|left| *left);
        assert_eq!(outcomes, Ok(vec![(); 3]));
    }

    #[test]
    fn what_has_begun_is_ended_when_all_is_to_stop() {
        let stop = AtomicBool::new(false);
        let turn = |turns: usize| {
            if turns == 2 {
                stop.store(true, Ordering::Relaxed);
            }
            Ok::<_, ()>(if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(turns)
            } else {
                ControlFlow::Continue(turns + 1)
            })
        };
        assert_eq!(in_turns(1, &stop, vec![0, 0, 0], &turn, &|_| 1), Ok(vec![2]));
    }

    #[test]
    fn what_has_begun_and_waits_is_ended_too() {
        // In the third pair of turns one of the three tasks, all of them begun, waits for a thread.
        let (pairs, stop) = (Pairs::new(), AtomicBool::new(false));
        let turn = |left: usize| {
            if pairs.begin(!stop.load(Ordering::Relaxed))? >= 5 {
                stop.store(true, Ordering::Relaxed);
                return Ok::<_, &str>(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(left - 1))
        };
        assert_eq!(in_turns(2, &stop, vec![4; 3], &turn, &|left| *left), Ok(vec![(); 3]));
    }
}
