//! The main job from a program of your own: activations side by side, written to a folder, judged.
//!
//!     cargo run --release --example compare

use std::{error::Error, path::Path, sync::atomic::AtomicBool};

use rectify_train::{
    compare::{Compare, Progress},
    experiment::Experiment,
    judge::sentences::sentences,
};

fn main() -> Result<(), Box<dyn Error>> {
    compare(Path::new("runs/example-compare"), Experiment { epochs: Some(2), seeds: 2, ..Experiment::default() })
}

fn compare(folder: &Path, experiment: Experiment) -> Result<(), Box<dyn Error>> {
    // What was stopped goes on.
    let compare = if folder.exists() { Compare::resume(folder)? } else { Compare::create(folder, experiment)? };
    let outcome = compare.run(&AtomicBool::new(false), &|progress| {
        if let Progress::Ended(run) = progress {
            println!("{} with seed {}: {:.1} s", run.activation, run.seed, run.wall_seconds);
        }
    })?;
    println!("{}", sentences(&outcome.results).join("\n"));
    Ok(())
}

#[test]
fn it_runs_and_goes_on() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let small = Experiment {
        epochs: Some(1),
        seeds: 1,
        train_size: Some(500),
        hidden: Some(vec![16]),
        ..Experiment::default()
    };
    for _ in 0..2 {
        compare(&place.path().join("out"), small.clone())?;
    }
    Ok(())
}
