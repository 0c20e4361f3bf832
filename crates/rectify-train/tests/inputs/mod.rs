//! Whatever Rectify reads, with sound examples, which tests change at random.

#[path = "../idx/mod.rs"]
mod idx;

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use burn::tensor::Device;
pub use idx::{gzip, idx};
use rectify_train::{
    activation::Activation,
    compare::{Compare, join_and_diagnose},
    data::{
        DataOptions, Dataset, FILES, IdxContent,
        prepare::{Framing, Target, decode, prepare},
        read_idx,
    },
    experiment::Experiment,
    export::{export_weights, read_weights},
    network::Shape,
    record::Results,
    store::{Line, SavedCheckpoint, load_record, load_records, load_state, metrics},
};
use tempfile::TempDir;

/// Reads an input: `Err` is what a user is told.
pub type Read<'a> = Box<dyn Fn(&[u8]) -> Result<(), String> + 'a>;

/// Inputs of one kind.
pub struct Kind<'a> {
    pub name: &'static str,
    /// How many changed ones a test tries.
    pub cases: usize,
    /// Sound ones.
    pub seeds: Vec<Vec<u8>>,
    pub read: Read<'a>,
    /// What every refusal has in it.
    pub names: &'static str,
}

/// A folder with a data set of 6 × 6 pictures and an experiment on it that has ended.
pub struct Place {
    folder: TempDir,
    images: Vec<u8>,
    labels: Vec<u8>,
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
        let experiment = Experiment {
            dataset: data.to_str().expect("temporary paths are UTF-8").to_owned(),
            activations: vec!["relu".parse().unwrap(), "s = x*sigmoid(b*x); b=2".parse().unwrap()],
            hidden: Some(vec![5, 4]),
            epochs: Some(1),
            seeds: 1,
            batch_size: 16,
            ..Experiment::default()
        };
        let compare = Compare::create(&folder.path().join("out"), experiment).unwrap();
        compare.run(&AtomicBool::new(false), &|_| {}).unwrap();
        Self { folder, images, labels }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A reader of an input that is put into a file.
    fn file<'a, T, E: ToString>(&self, name: &'a str, read: impl Fn(&Path) -> Result<T, E> + 'a) -> Read<'a> {
        let path = self.path(name);
        // A file of the experiment is put back: the next inputs are read with it.
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

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
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
const RUN: &str = "out/runs/relu-seed0";
const METRICS: &str = "out/runs/relu-seed0/metrics.jsonl";
const RECORD: &str = "out/runs/relu-seed0/run.json";
const STATE: &str = "out/runs/relu-seed0/state/state.json";
const CHECKPOINT: &str = "out/runs/relu-seed0/checkpoint/checkpoint.json";
const WEIGHTS: &str = "out/runs/relu-seed0/checkpoint/model.bpk";

/// Every kind.
pub fn kinds(place: &Place) -> Vec<Kind<'_>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = |name, cases, names, seeds, read| Kind { name, cases, seeds, read, names };
    let seed = |file: &str| vec![place.read(file)];

    let images = place.file("images", |path| read_idx(path, IdxContent::Images));
    let labels = place.file("labels", |path| read_idx(path, IdxContent::Labels));
    let csv = (0..40).map(|i| format!("{},{}.5,{}\n", i, i * 7 % 11, ["a", "b"][i % 2])).collect::<String>();
    let table = place.file("table.csv", |path| {
        Dataset::load_with(path.to_str().expect("temporary paths are UTF-8"), &DataOptions::default())
    });
    let experiment = toml::to_string(&Experiment::default()).expect("settings are TOML");
    let formulas =
        ["x*sigmoid(1.702*x)", "bent = (sqrt(x^2+1)-1)/2 + x", "swish2 = x*sigmoid(b*x); b=2", "leaky-relu:0.1"];
    let formula = move |bytes: &[u8]| text(bytes).parse::<Activation>().map(drop).map_err(|error| error.to_string());
    let line = |bytes: &[u8]| Line::parse(bytes).map(drop).map_err(|error| error.to_string());
    let lines = place.read(METRICS).split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let results = |bytes: &[u8]| serde_json::from_slice::<Results>(bytes).map(drop).map_err(|error| error.to_string());
    let saved = SavedCheckpoint::open(&place.path(RUN)).expect("it was just written");
    let exported = export_weights(&saved).expect("it was just written");
    let (modules, safetensors) = (exported.modules, exported.safetensors);
    let weights = place.file("weights.safetensors", move |path| read_weights(path, &modules));
    let picture = |bytes: &[u8]| {
        let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
        let target = Target { shape, mean: 0.13, framing: Framing::Digit, invert: None };
        prepare(&decode(bytes)?, &target).map(drop)
    };
    let pictures = [image::ImageFormat::Png, image::ImageFormat::Jpeg].map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        let grey = image::GrayImage::from_fn(20, 24, |x, y| image::Luma([(x * 12 + y) as u8]));
        grey.write_to(&mut bytes, format).expect("memory takes it");
        bytes.into_inner()
    });
    let checkpoint = |file: &'static str| {
        let run = place.path(RUN);
        place.file(file, move |_| SavedCheckpoint::open(&run).and_then(|saved| saved.load_model(&Device::flex())))
    };
    let state = |file: &'static str| {
        let run = place.path(RUN);
        place.file(file, move |_| match load_state::<serde_json::Value>(&run)? {
            Some((_, folder)) => load_records(&folder).map(drop),
            None => Ok(()),
        })
    };
    let joined = |file: &'static str| {
        let out = [place.path("out")];
        place.file(file, move |_| join_and_diagnose(&out))
    };

    vec![
        kind("images", 8000, "images", vec![place.images.clone(), gzip(&place.images)], images),
        kind("labels", 8000, "labels", vec![place.labels.clone(), gzip(&place.labels)], labels),
        kind("table", 6000, "table.csv", vec![format!("p,q,class\n{csv}").into()], table),
        kind(
            "config",
            20_000,
            "",
            vec![experiment.into(), place.read(CONFIG)],
            Box::new(|bytes| configure(&String::from_utf8_lossy(bytes))),
        ),
        kind("formula", 25_000, "", formulas.map(Into::into).to_vec(), Box::new(formula)),
        kind("metrics", 6000, "metrics.jsonl", seed(METRICS), place.file("metrics.jsonl", metrics::read)),
        kind("line", 10_000, "", lines.into_iter().filter(|line| !line.is_empty()).collect(), Box::new(line)),
        kind("results", 2000, "", seed("out/results.json"), Box::new(results)),
        kind("record", 4000, "model.bpk", seed(WEIGHTS), place.file("model.bpk", load_record)),
        kind("safetensors", 4000, "weights.safetensors", vec![safetensors], weights),
        kind("picture", 3000, "", pictures.to_vec(), Box::new(picture)),
        kind("checkpoint", 1000, "", seed(CHECKPOINT), checkpoint(CHECKPOINT)),
        kind("checkpoint-weights", 1000, "", seed(WEIGHTS), checkpoint(WEIGHTS)),
        kind("state", 1000, "", seed(STATE), state(STATE)),
        kind("run", 1500, "", seed(RECORD), joined(RECORD)),
        kind("folder-config", 500, "", seed(CONFIG), joined(CONFIG)),
    ]
}
