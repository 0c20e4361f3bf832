//! What is exported, read back by the tools that it is for, in Python.
//!
//! `RECTIFY_PYTHON` names a Python with the packages of `python/requirements.txt`; without it `python3` is taken where it
//! has them, and where it has not these tests have nothing to run. With `--ignored` that Python has PyTorch too:
//!
//! ```text
//! RECTIFY_PYTHON=benches/peers/.venv/bin/python cargo test --release --test python -- --ignored
//! ```

mod place;

use std::{env, fs, path::Path, process::Command};

use burn::tensor::{DType, Device};
use place::Place;
use rectify_train::{data::Dataset, network::outputs, observe::Trace, store::SavedCheckpoint};

/// Runs a script of `tests/python` or `examples`, which must succeed; `false` where there is no Python for it.
#[track_caller]
fn python(packages: &str, script: &str, arguments: &[&Path], options: &[&str]) -> bool {
    let asked = env::var_os("RECTIFY_PYTHON");
    // Relative to the workspace, from where the command above is given.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/rectify-cli is inside");
    let python = match &asked {
        Some(python) if Path::new(python).components().count() > 1 => workspace.join(python).into_os_string(),
        Some(python) => python.clone(),
        None => "python3".into(),
    };
    let there = Command::new(&python).args(["-c", &format!("import {packages}")]).output();
    if !there.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(asked.is_none(), "RECTIFY_PYTHON has no {packages}: {there:?}");
        eprintln!("no Python with {packages}: nothing is read back");
        return false;
    }
    let script = workspace.join(script);
    let output = Command::new(&python).arg(script).args(arguments).args(options).output().expect("it has just run");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}\n{stdout}\n{stderr}");
    true
}

/// Trains a network, exports its weights and writes what it computes of some inputs.
fn write_logits(place: &Place, flags: &str) {
    place.run(&format!("train --dataset digits --batch-size 16 --epochs 1 --out run {flags}")).success();
    let exported = place.run("export run --weights weights.safetensors --quiet").success();
    fs::write(place.path("sequential.txt"), &exported.get_output().stdout).expect("it can be written");
    let saved = SavedCheckpoint::open(&place.path("run")).expect("it was trained");
    let device = Device::flex();
    let model = saved.load_model(&device).expect("it is whole");
    let path = place.path("digits");
    let digits = Dataset::load(path.to_str().expect("UTF-8"), None).expect("it was written");
    let shape = [digits.channels, digits.height, digits.width];
    let inputs = digits.to_device(&device, DType::F32).test.slice(0..8).images;
    let rows =
        |values: Vec<f32>, width: usize| -> Vec<Vec<f32>> { values.chunks(width).map(<[f32]>::to_vec).collect() };
    let logits = outputs(&model, inputs.clone(), &mut Trace::off());
    let expected = serde_json::json!({
        "shape": shape,
        "inputs": rows(inputs.into_data().iter().collect(), shape.iter().product()),
        "logits": rows(logits.into_data().iter().collect(), digits.classes),
    });
    fs::write(place.path("expected.json"), expected.to_string()).expect("it can be written");
}

const NETWORKS: [&str; 6] = [
    "--hidden 12,9",
    "--hidden 12,9 --activation prelu --norm batch --dropout 0.1",
    "--hidden 12,9 --activation elu:0.5 --norm layer",
    "--hidden 12,9 --activation rrelu:0.1:0.4",
    "--model cnn --hidden 7 --activation tanh",
    "--model cnn --hidden 7 --activation leaky-relu:0.1 --norm batch",
];

fn same_logits(packages: &str, options: &[&str]) {
    for flags in NETWORKS {
        let place = Place::new();
        write_logits(&place, flags);
        let files = ["weights.safetensors", "sequential.txt", "expected.json"].map(|name| place.path(name));
        let files = [0, 1, 2].map(|file| files[file].as_path());
        if !python(packages, "crates/rectify-cli/tests/python/logits.py", &files, options) {
            return;
        }
    }
}

#[test]
fn numpy_computes_the_same_logits_from_exported_weights() {
    same_logits("numpy, safetensors", &[]);
}

#[test]
#[ignore = "PyTorch has 6 GB"]
fn pytorch_computes_the_same_logits_from_exported_weights() {
    same_logits("numpy, safetensors, torch", &["--torch"]);
}

#[test]
fn pandas_polars_and_tensorboard_read_what_was_measured() {
    let place = Place::new();
    let flags = "--activations relu,tanh --seeds 2 --epochs 2 --log tensorboard";
    place.run(&format!("compare {} --out out {flags}", place::SMALL)).success();
    place.run("export out --metrics metrics.csv").success();
    let mut files = vec![place.path("metrics.csv"), place.path("out/results.json"), place.path("out/runs/relu-seed0")];
    if cfg!(feature = "parquet") {
        place.run("export out --metrics metrics.parquet").success();
        files.push(place.path("metrics.parquet"));
    }
    let files: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
    let packages = "pandas, polars, pyarrow, tensorboard";
    python(packages, "crates/rectify-cli/tests/python/read_back.py", &files, &[]);
}

#[test]
fn the_example_draws_a_run_folder() {
    let place = Place::new();
    place.run(&format!("compare {} --out out --activations relu,tanh --seeds 2 --epochs 2", place::SMALL)).success();
    let (folder, figure) = (place.path("out"), place.path("figure.png"));
    if python("pandas, matplotlib", "examples/learning_curves.py", &[&folder, &figure], &[]) {
        let picture = fs::read(&figure).expect("the figure is there");
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{} bytes", picture.len());
    }
}
