//! Whatever Rectify reads, with sound examples, which the test of bad input changes at random and fuzzers by what they learn.

pub mod bound;
#[path = "../idx/mod.rs"]
mod idx;

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use burn::tensor::Device;
pub use idx::{gzip, idx};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use rectify_train::{
    activation::{Activation, ActivationError},
    claims::{
        Budget, Claim, ClaimsFolder, Plan,
        lab::{Effort, Lab},
    },
    compare::{Compare, Progress, join_and_diagnose},
    data::{
        DataOptions, Dataset, FILES,
        prepare::{Framing, Target, decode, prepare},
    },
    experiment::{Experiment, OptimizerKind},
    export::{export_weights, read_weights},
    network::Shape,
    record::Tuning,
    store::{Line, RunFolder, SavedCheckpoint, load_record, metrics},
    train::Event,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Reads an input: `Err` is what a user is told.
pub type Read<'a> = Box<dyn Fn(&[u8]) -> Result<(), String> + 'a>;

/// Inputs of one kind.
pub struct Kind<'a> {
    /// The fuzzer that reads them, too.
    pub fuzzer: &'static str,
    pub name: &'static str,
    /// How many changed ones a test tries.
    pub cases: usize,
    /// Sound ones.
    pub seeds: Vec<Vec<u8>>,
    read: Read<'a>,
    /// What every refusal has in it.
    names: &'static str,
}

impl Kind<'_> {
    /// Reads an input without a panic, within the bound, with an error that names its file; or panics.
    pub fn survives(&self, input: &[u8]) -> Result<(), String> {
        let Self { name, names, .. } = self;
        bound::survives(name, input, &self.read).inspect_err(|error| {
            assert!(error.contains(names), "{name}: no `{names}` in: {error}");
            assert!(error.len() < 10_000, "{name}: {} bytes of error", error.len());
        })
    }
}

/// A folder with a data set of 6 × 6 pictures, an experiment on it that has ended, one that was stopped, a network of the
/// first version and claims.
pub struct Place {
    folder: TempDir,
    images: Vec<u8>,
    labels: Vec<u8>,
    /// The files of the experiment that was stopped.
    stopped: Vec<(PathBuf, Vec<u8>)>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let data = folder.path().join("digits");
        fs::create_dir(&data).unwrap();
        let files = |count: u32| {
            let pixels: Vec<u8> = (0..count * 36).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
            [idx(&[count, 6, 6], &pixels), idx(&[count], &labels)]
        };
        let [images, labels] = files(120);
        for (name, bytes) in FILES.iter().zip([&images, &labels].into_iter().chain(&files(30))) {
            fs::write(data.join(name), bytes).unwrap();
        }
        let mut place = Self { folder, images, labels, stopped: Vec::new() };
        place.experiments();
        place.old_network();
        place.claims();
        place
    }

    fn experiments(&mut self) {
        let experiment = Experiment {
            dataset: self.path("digits").to_str().expect("temporary paths are UTF-8").to_owned(),
            activations: vec!["relu".parse().unwrap(), "s = x*sigmoid(b*x); b=2".parse().unwrap()],
            hidden: Some(vec![5, 4]),
            epochs: Some(1),
            seeds: 1,
            batch_size: 16,
            ..Experiment::default()
        };
        Compare::create(&self.path("out"), experiment.clone()).unwrap().run(&AtomicBool::new(false), &|_| {}).unwrap();
        let chosen = [("lr".to_owned(), 0.1)].into();
        let tuning =
            Tuning { activation: "relu".to_owned(), chosen, at_end: vec![], seeds: vec![7], trials: Vec::new() };
        RunFolder::open(&self.path("out")).unwrap().save_tuning(&[tuning]).unwrap();

        let experiment = Experiment {
            activations: vec!["relu".parse().unwrap()],
            epochs: Some(3),
            patience: Some(2),
            optimizer: OptimizerKind::Adam,
            ..experiment
        };
        let stop = AtomicBool::new(false);
        let after_an_epoch = |progress: Progress| {
            if let Progress::Training(_, Event::Epoch(epoch)) = progress {
                stop.store(epoch.epoch == 1, Relaxed);
            }
        };
        Compare::create(&self.path("stopped"), experiment).unwrap().run(&stop, &after_an_epoch).unwrap();
        self.stopped = files(&self.path("stopped"));
    }

    /// A checkpoint as it was when nothing told whether its weights are those that were written.
    fn old_network(&self) {
        let folder = self.path("old/checkpoint");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(self.path(WEIGHTS), folder.join("model.bpk")).unwrap();
        let mut checkpoint = self.json(CHECKPOINT);
        checkpoint
            .as_object_mut()
            .unwrap()
            .retain(|field, _| !["sha256", "schema_version", "model"].contains(&&**field));
        fs::write(folder.join("checkpoint.json"), checkpoint.to_string()).unwrap();
    }

    fn claims(&self) {
        let environment = serde_json::from_value(self.json("out/results.json")["environment"].take()).unwrap();
        let plan = Plan { effort: Effort::Quick, datasets: vec!["mnist".to_owned()] };
        let claim = Claim::find("definition").expect("it is one");
        let path = self.path("claims");
        let new = ("2026-01-31".to_owned(), environment, plan.clone());
        let mut folder = ClaimsFolder::create(&path, new, &[claim]).unwrap();
        let stop = AtomicBool::new(false);
        let lab = Lab::new(plan, "flex", None, &stop, &|_, _| {}).unwrap().keeping(&path);
        folder.add(claim.test(&lab, Budget::unlimited()).unwrap()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A reader of an input that is put into a file.
    fn file<'a, T, E: ToString>(&self, name: &str, read: impl Fn(&Path) -> Result<T, E> + 'a) -> Read<'a> {
        let path = self.path(name);
        // A file that was there is put back: the next inputs are read with it.
        let sound = fs::read(&path).ok();
        Box::new(move |input| {
            fs::write(&path, input).expect("the temporary folder can be written");
            let result = read(&path).map(drop).map_err(|error| error.to_string());
            if let Some(sound) = &sound {
                fs::write(&path, sound).expect("the temporary folder can be written");
            }
            result
        })
    }

    /// A reader of the experiment that was stopped, which trains no further, with an input in place of a run's state.
    fn resumed(&self) -> Read<'_> {
        let (folder, state) = (self.path("stopped"), self.path(STATE));
        Box::new(move |input| {
            fs::remove_dir_all(&folder).expect("the temporary folder can be written");
            for (path, bytes) in &self.stopped {
                fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
                fs::write(path, bytes).unwrap();
            }
            fs::write(&state, input).unwrap();
            let resumed = Compare::resume(&folder).and_then(|compare| compare.run(&AtomicBool::new(true), &|_| {}));
            resumed.map(drop).map_err(|error| error.to_string())
        })
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file without the line that tells whether it was changed.
    fn unsealed(&self, name: &str) -> Vec<u8> {
        let text = String::from_utf8(self.read(name)).expect("JSON is UTF-8");
        text.split_inclusive('\n').filter(|line| !line.starts_with("  \"sha256\"")).collect::<String>().into()
    }
}

/// A JSON file as one that Rectify wrote: else nothing behind its hash would be read.
fn seal(json: &[u8]) -> Vec<u8> {
    match json.strip_prefix(b"{\n") {
        Some(rest) => [format!("{{\n  \"sha256\": \"{}\",\n", sha256(json)).as_bytes(), rest].concat(),
        None => json.to_vec(),
    }
}

/// A reader of JSON that is sealed first.
fn sealed(read: Read) -> Read {
    Box::new(move |json| read(&seal(json)))
}

/// [`seal`] for CBOR.
fn seal_cbor(cbor: &[u8]) -> Vec<u8> {
    [sha256(cbor).as_bytes(), b"\n", cbor].concat()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is in a folder and those inside of it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![(path.clone(), fs::read(path).unwrap())] })
        .collect()
}

/// The errors of everything that an experiment is asked before it runs.
pub fn configure(text: &str) -> Result<(), String> {
    let experiment: Experiment = toml::from_str(text).map_err(|error| error.to_string())?;
    experiment.check().map_err(|error| error.to_string())?;
    let experiment = experiment.resolve().map_err(|error| error.to_string())?;
    let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
    experiment.fits(shape, 60_000).map_err(|error| error.to_string())?;
    experiment.notes(60_000);
    experiment.trainings();
    toml::to_string(&experiment).map(drop).map_err(|error| error.to_string())
}

const CONFIG: &str = "out/config.toml";
const METRICS: &str = "out/runs/relu-seed0/metrics.jsonl";
const RECORD: &str = "out/runs/relu-seed0/run.json";
const CHECKPOINT: &str = "out/runs/relu-seed0/checkpoint/checkpoint.json";
const WEIGHTS: &str = "out/runs/relu-seed0/checkpoint/model.bpk";
const STATE: &str = "stopped/runs/relu-seed0/state/state.json";
const EVIDENCE: &str = "claims/measured/definition.cbor";

/// Every kind.
pub fn kinds(place: &Place) -> Vec<Kind<'_>> {
    let kind = |fuzzer, name, cases, names, seeds, read| Kind { fuzzer, name, cases, seeds, read, names };
    let data = |file: &str, set: &str| {
        let set = place.path(set).to_str().expect("temporary paths are UTF-8").to_owned();
        place.file(file, move |_| Dataset::load_with(&set, &DataOptions::default()))
    };
    let joined = |file: &str| {
        let out = [place.path("out")];
        place.file(file, move |_| join_and_diagnose(&out))
    };
    let network = |file: &str, folder: &str| {
        let folder = place.path(folder);
        place.file(file, move |_| SavedCheckpoint::open(&folder).and_then(|saved| saved.load_model(&Device::flex())))
    };
    let claims = |file: &str| {
        let folder = place.path("claims");
        place.file(file, move |_| ClaimsFolder::open(&folder, &[]).and_then(|mut claims| claims.judge_again()))
    };
    let both = |bytes: &[u8]| vec![bytes.to_vec(), gzip(bytes)];

    let rows = (0..40).map(|i| format!("{},{}.5,{}\n", i, i * 7 % 11, ["a", "b"][i % 2])).collect::<String>();
    let settings = toml::to_string(&Experiment::default()).expect("settings are TOML");
    let formulas =
        ["x*sigmoid(1.702*x)", "bent = (sqrt(x^2+1)-1)/2 + x", "swish2 = x*sigmoid(b*x); b=2", "leaky-relu:0.1"];
    let lines = place.read(METRICS).split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let saved = SavedCheckpoint::open(&place.path("out/runs/relu-seed0")).expect("it was just written");
    let exported = export_weights(&saved).expect("it was just written");
    let modules = exported.modules;
    let mut old_results = place.json("out/results.json");
    old_results["schema_version"] = 1.into();
    let mut claims_json = place.json("claims/claims.json");
    // The other 958 points of its curve are nine tenths of the text.
    claims_json["claims"][0]["figures"][0]["series"][0]["points"].as_array_mut().expect("it is a curve").truncate(3);
    let grey = DynamicImage::from(GrayImage::from_fn(20, 24, |x, y| Luma([(x * 12 + y) as u8])));
    let pictures = [(&grey, ImageFormat::Png), (&grey, ImageFormat::Jpeg), (&grey.to_rgba8().into(), ImageFormat::Png)];
    let pictures = pictures.map(|(picture, format)| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("memory takes it");
        bytes.into_inner()
    });

    vec![
        kind("idx", "images", 6000, "digits", both(&place.images), data(&format!("digits/{}", FILES[0]), "digits")),
        kind("idx", "labels", 6000, "digits", both(&place.labels), data(&format!("digits/{}", FILES[1]), "digits")),
        kind(
            "table",
            "table",
            6000,
            "table.csv",
            vec![format!("p,q,class\n{rows}").into()],
            data("table.csv", "table.csv"),
        ),
        kind(
            "config",
            "config",
            20_000,
            "",
            vec![settings.into(), place.read(CONFIG)],
            Box::new(|bytes| configure(&String::from_utf8_lossy(bytes))),
        ),
        kind("config", "a folder's config", 500, "/out", vec![place.read(CONFIG)], joined(CONFIG)),
        kind(
            "formula",
            "formula",
            25_000,
            "",
            formulas.map(Into::into).to_vec(),
            Box::new(|bytes| {
                let activation: Activation =
                    String::from_utf8_lossy(bytes).parse().map_err(|error: ActivationError| error.to_string())?;
                // Neither is computed before somebody asks.
                if let Some(formula) = activation.formula() {
                    formula.notes();
                }
                activation.can_be_zero();
                Ok(())
            }),
        ),
        kind(
            "metrics",
            "metrics",
            6000,
            "metrics.jsonl",
            vec![place.read(METRICS)],
            place.file("metrics.jsonl", metrics::read),
        ),
        kind(
            "metrics",
            "a line of metrics",
            10_000,
            "",
            lines,
            Box::new(|bytes| Line::parse(bytes).map(drop).map_err(|error| error.to_string())),
        ),
        kind("results", "run", 1500, "/out", vec![place.unsealed(RECORD)], sealed(joined(RECORD))),
        kind("results", "old results", 1500, "/out", vec![old_results.to_string().into()], joined("out/results.json")),
        kind(
            "results",
            "tuning",
            1500,
            "/out",
            vec![place.unsealed("out/tuning.json")],
            sealed(joined("out/tuning.json")),
        ),
        kind("results", "claims", 1500, "/claims", vec![claims_json.to_string().into()], claims("claims/claims.json")),
        kind("results", "evidence", 1500, "/claims", vec![place.read(EVIDENCE)[65..].to_vec()], {
            let read = claims(EVIDENCE);
            Box::new(move |cbor| read(&seal_cbor(cbor)))
        }),
        kind(
            "checkpoint",
            "checkpoint",
            1500,
            "checkpoint",
            vec![place.unsealed(CHECKPOINT)],
            sealed(network(CHECKPOINT, "out/runs/relu-seed0")),
        ),
        kind(
            "checkpoint",
            "weights",
            4000,
            "model.bpk",
            vec![place.read(WEIGHTS)],
            network("old/checkpoint/model.bpk", "old"),
        ),
        kind(
            "checkpoint",
            "safetensors",
            4000,
            "weights.safetensors",
            vec![exported.safetensors],
            place.file("weights.safetensors", move |path| read_weights(path, &modules)),
        ),
        kind("state", "state", 1000, "/stopped", vec![place.unsealed(STATE)], sealed(place.resumed())),
        kind("state", "record", 4000, "record.bpk", vec![place.read(WEIGHTS)], place.file("record.bpk", load_record)),
        kind(
            "picture",
            "picture",
            3000,
            "",
            pictures.to_vec(),
            Box::new(|bytes| {
                let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
                let target = Target { shape, mean: 0.13, framing: Framing::Digit, invert: None };
                prepare(&decode(bytes)?, &target).map(drop)
            }),
        ),
    ]
}
