use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

fn lab<'a>(stop: &'a AtomicBool, effort: Effort) -> Lab<'a> {
    let plan = Plan { effort, datasets: vec!["mnist".to_owned()] };
    Lab::new(plan, "flex", Some(1), stop, &|_, _| {}).unwrap()
}

#[test]
fn work_that_is_kept_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let work = |until: usize| {
        let done = &done;
        move |item: &usize| match *item < until {
            true => {
                done.fetch_add(1, Ordering::Relaxed);
                Ok(*item as f64 / 3.0)
            }
            false => Err(ClaimError::Interrupted),
        }
    };
    let items = [0, 1, 2, 3];
    let lab = || {
        stop.store(false, Ordering::Relaxed);
        lab(&stop, Effort::Quick).keeping(folder.path())
    };
    assert!(matches!(lab().side_by_side(&items, &work(2)), Err(ClaimError::Interrupted)));
    assert_eq!(done.load(Ordering::Relaxed), 2);
    let outcomes = lab().side_by_side(&items, &work(4)).unwrap();
    assert_eq!((outcomes, done.load(Ordering::Relaxed)), (items.map(|item| item as f64 / 3.0).to_vec(), 4));
}

#[test]
fn the_best_rate_is_found_beyond_the_grid_and_marked_where_it_is_not_found() {
    let stop = AtomicBool::new(false);
    let lab = lab(&stop, Effort::Default);
    // Best at 0.1, at 1.6 (two factors beyond the grid's 0.4), and at no rate however high.
    let optimum = [0.1f64, 1.6, f64::INFINITY];
    let score = |best: &f64, rate: f64, _| Ok(if best.is_finite() { -(rate / best).ln().abs() } else { rate });
    let rates = lab.best_rates("test", &optimum, &score).unwrap();
    assert_eq!([rates[0].rate, rates[1].rate], [0.1, 1.6]);
    assert_eq!(rates.iter().map(|rate| rate.at_end).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(rates[1].tried.iter().map(|(rate, _)| *rate).collect::<Vec<_>>(), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]);
}
