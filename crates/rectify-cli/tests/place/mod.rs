//! A folder to run the program in, with a data set that trains in milliseconds.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use assert_cmd::{Command, assert::Assert};
use rectify_train::record::{Results, Run};
use serde_json::Value;
use tempfile::TempDir;

/// Flags of a training that takes milliseconds, in a [`Place`].
pub const SMALL: &str = "--dataset digits --hidden 8 --batch-size 16";

pub const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
pub const SIDE: usize = 12;

/// Runs without what a clock decides.
pub fn timeless(results: &Results) -> Vec<Run> {
    let mut runs = results.runs.clone();
    for run in &mut runs {
        run.wall_seconds = 0.0;
        run.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    }
    runs
}

/// A folder to run the program in, with a small data set `digits`.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(TempDir::new().expect("there is a temporary folder"));
        place.write_digits("digits");
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn results(&self, name: &str) -> Results {
        serde_json::from_str(&self.read(&format!("{name}/results.json"))).expect("results.json has its schema")
    }

    /// Runs the program here with arguments that have no spaces.
    pub fn run(&self, arguments: &str) -> Assert {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).env_remove("RECTIFY_DATA");
        // A sentence is a line, so that it is found whole; `terminal.rs` looks at widths.
        command.env("COLUMNS", "1000");
        let assert = command.assert();
        // Whatever it is given, the program ends by its own will.
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr);
        assert!(!stderr.contains("panicked"), "rectify {arguments}\n{stderr}");
        assert
    }

    /// Runs the program, which must refuse with this exit code and every part in its message.
    #[track_caller]
    pub fn refuses(&self, arguments: &str, code: i32, parts: &[&str]) {
        let assert = self.run(arguments);
        let output = assert.get_output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "rectify {arguments}\n{stderr}");
        assert!(stderr.starts_with("error: "), "rectify {arguments}\n{stderr}");
        assert!(output.stdout.is_empty(), "rectify {arguments} printed a result");
        for part in parts {
            assert!(stderr.contains(part), "`{part}` is not in what rectify {arguments} says:\n{stderr}");
        }
    }

    /// Whether this machine has an adapter for a backend. A machine of continuous integration must.
    pub fn has_adapter(&self, name: &str) -> bool {
        let assert = self.run("backends --format json").success();
        let backends: Value = serde_json::from_slice(&assert.get_output().stdout).expect("stdout is JSON");
        let backends = backends.as_array().expect("a list of backends");
        let backend = backends.iter().find(|backend| backend["name"] == name).expect("every backend is listed");
        let found = backend["adapters"].as_array().is_some_and(|adapters| !adapters.is_empty());
        if !found {
            assert!(env::var_os("CI").is_none(), "no adapter for {name}: {backend}");
            println!("skipped: no adapter for {name}");
        }
        found
    }

    /// 240 pictures to train on and 60 to test with, where a bright row tells the class.
    pub fn write_digits(&self, name: &str) {
        let folder = self.path(name);
        fs::create_dir(&folder).expect("the folder is new");
        for (files, count) in [(&FILES[..2], 240), (&FILES[2..], 60)] {
            let labels: Vec<u8> = (0..count).map(|sample| (sample * 7 % 10) as u8).collect();
            let pixel = |sample: usize, row: usize, column: usize| {
                let noise = (((sample * 144 + row * 12 + column) * 2_654_435_761) >> 8) % 100;
                noise as u8 + if row == usize::from(labels[sample]) + 1 { 150 } else { 0 }
            };
            let pixels = (0..count * SIDE * SIDE).map(|i| pixel(i / SIDE / SIDE, i / SIDE % SIDE, i % SIDE)).collect();
            write_idx(&folder.join(files[0]), &[count, SIDE, SIDE], pixels);
            write_idx(&folder.join(files[1]), &[count], labels);
        }
    }
}

pub fn write_idx(path: &Path, dims: &[usize], bytes: Vec<u8>) {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|&length| (length as u32).to_be_bytes()));
    file.extend(bytes);
    fs::write(path, file).expect("the folder can be written");
}
