//! What lies on disk is whole, comes back to the bit, or is an error that names it.

mod checkpoints;
mod files;
mod line_by_line;
mod locks;
mod runs;
mod states;

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use burn::{module::Module, tensor::Device};
use proptest::prelude::*;
use rectify_train::{
    activation::Activation,
    environment,
    experiment::{Dtype, Experiment, ModelKind},
    network::{Model, Shape},
    record::{DataRecord, Epoch, Layer, Run, SCHEMA_VERSION, Status, StepLosses, StepProbe},
    store::{
        Checkpoint, Line, Lock, Mark, MetricsWriter, RunFolder, RunRecord, SavedCheckpoint, Stage, StoreError, atomic,
        difference, find, is_locked, load_state, metrics, remove_state, run_name, save_state,
    },
};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().expect("there is a folder for temporary files")
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn message<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => panic!("it is an error"),
        Err(error) => error.to_string(),
    }
}

/// The file with a bit of each byte flipped, and cut off behind each byte, must be an error that names it.
fn each_damage_is_an_error(file: &Path, read: &dyn Fn() -> Result<(), StoreError>) {
    read().expect("the file is sound");
    let sound = fs::read(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let check = |damaged: &[u8], how: String| {
        fs::write(file, damaged).unwrap();
        match read() {
            Ok(()) => panic!("{name}: {how}, and it is read"),
            Err(error) => assert!(error.to_string().contains(name), "{how}: {error}"),
        }
    };
    let stride = sound.len().div_ceil(3000);
    for place in (0..sound.len()).step_by(stride) {
        // Where a seal is, all bits.
        let bits = if place < 100 { 0..8 } else { place % 8..place % 8 + 1 };
        for bit in bits {
            let mut damaged = sound.clone();
            damaged[place] ^= 1 << bit;
            check(&damaged, format!("bit {bit} of byte {place} is flipped"));
        }
        check(&sound[..place], format!("cut off behind {place} bytes"));
    }
    fs::write(file, sound).unwrap();
    read().expect("the file is sound again");
}

/// Starts one of the ignored tests below in a process of its own and waits for its word that it has begun.
fn start(test: &str, folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("RECTIFY_TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("begun")), "{test} has begun");
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The folder that [`start`] names; `None` if somebody runs all ignored tests.
fn given_folder() -> Option<PathBuf> {
    std::env::var_os("RECTIFY_TEST_FOLDER").map(PathBuf::from)
}

fn begun() {
    println!("begun");
    io::stdout().flush().unwrap();
}

fn epoch(epoch: usize) -> Epoch {
    let layer = Layer {
        layer: "hidden.0".to_owned(),
        weight_rms: Some(0.1 + 0.2),
        unit_nonzero_fraction: vec![0.1, f32::from_bits(1), 1.0 / 3.0, 16_777_217.0],
        ..Layer::default()
    };
    let train_loss = Some(f64::from_bits(0x3fd5_5555_5555_5555 + epoch as u64));
    Epoch { epoch, step: 10 * epoch, train_loss, layers: vec![layer], ..Epoch::default() }
}

fn lines() -> Vec<Line> {
    vec![
        Line::Epoch(epoch(0)),
        Line::Losses(StepLosses { step: 1, losses: vec![2.3, f64::INFINITY] }),
        Line::Step(StepProbe { step: 2, loss: None, layers: Vec::new() }),
        Line::Epoch(epoch(1)),
    ]
}

fn write_lines(path: &Path, lines: &[Line]) -> Mark {
    let mut writer = MetricsWriter::open(path, &Mark::default()).unwrap();
    lines.iter().for_each(|line| writer.append(line).unwrap());
    writer.sync().unwrap();
    writer.mark()
}

fn experiment() -> Experiment {
    Experiment { hidden: Some(vec![3]), seeds: 2, ..Experiment::default() }
}

fn run(activation: &str, seed: u64) -> Run {
    Run {
        activation: activation.to_owned(),
        seed,
        status: Status::Completed,
        diverged_at_step: None,
        divergence: None,
        wall_seconds: 0.1 + 0.2,
        steps: 10,
        parameters: 100,
        kept_epoch: None,
        epochs: vec![epoch(0), epoch(1)],
        probes: Vec::new(),
        confusion: None,
    }
}

const DATA: DataRecord = DataRecord {
    train: 5,
    validation: 1,
    test: 2,
    classes: 3,
    majority_fraction: 0.5,
    duplicates: None,
    mean: 0.1 + 0.2,
    std: 1.0 / 3.0,
};

fn write_run(folder: &RunFolder, run: &Run) {
    let mut metrics = folder.metrics(&run.activation, run.seed, &Mark::default()).unwrap();
    run.epochs.iter().for_each(|epoch| metrics.append(&Line::Epoch(epoch.clone())).unwrap());
    folder.write_run(folder.experiment(), run, metrics.mark(), &environment::unknown("flex"), Some(DATA)).unwrap();
}
