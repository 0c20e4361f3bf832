//! Whatever bytes stand where Rectify reads: it reads them or says what is wrong, in bounded memory, and never panics.
//!
//! Sound inputs are changed at random, always alike. `RECTIFY_CASES=20 cargo test --release --test bad_input` tries twenty
//! times as many.

mod idx;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use burn::tensor::Device;
use idx::{gzip, idx};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
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
    store::{Line, SavedCheckpoint, load_record, metrics},
};
use tempfile::TempDir;

/// Bytes that reading an input may take for a moment, and as many times its size: a list of numbers in TOML takes most.
const MOST: usize = 96 << 20;
const TIMES: usize = 64;
/// Of a picture, which may have as many pixels as a camera's, in grey and in colour.
const MOST_OF_PICTURE: usize = 1 << 30;

/// The system's allocator, with the bytes that live and the most that ever lived.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises; every block is from `alloc` above, and so the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts are the whole program's.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads an input: `Err` is what a user is told.
type Read<'a> = &'a dyn Fn(&[u8]) -> Result<(), String>;

/// Reads it without a panic and within the bound, or ends the test.
fn survives(what: &str, input: &[u8], read: Read) -> Result<(), String> {
    let most = TIMES * input.len() + if what == "picture" { MOST_OF_PICTURE } else { MOST };
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = catch_unwind(AssertUnwindSafe(|| read(input)));
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    let shown = || input[..input.len().min(3000)].escape_ascii();
    assert!(taken <= most, "{what}: took {taken} bytes to read\n{}", shown());
    match result {
        Ok(result) => result,
        Err(_) => panic!("{what}: panicked on\n{}", shown()),
    }
}

/// What parsers stumble over.
const TOKENS: [&[u8]; 26] = [
    b"0",
    b"-1",
    b"1e999",
    b"-1e-999",
    b"NaN",
    b"inf",
    b"null",
    b"true",
    b"18446744073709551616",
    b"4294967295",
    b"\"\"",
    b"[[[[[[[[",
    b"{{{{{{{{",
    b"]",
    b"}",
    b",",
    b"\n",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\xf0\x9f",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"../../",
    b"(((",
    b"^^-",
];

fn mutate(rng: &mut impl Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=bytes.len());
        let end = bytes.len().min(at + rng.random_range(1..=40));
        let token = TOKENS[rng.random_range(0..TOKENS.len())];
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].repeat(rng.random_range(1..=30));
                bytes.splice(at..at, again);
            }
            5 => drop(bytes.splice(at..at, token.iter().copied())),
            _ => drop(bytes.splice(at..end, token.iter().copied())),
        }
    }
    bytes
}

/// Inputs of one kind.
struct Kind<'a> {
    name: &'a str,
    cases: usize,
    seeds: Vec<Vec<u8>>,
    read: Read<'a>,
    /// What every refusal has in it.
    names: &'a str,
}

impl Kind<'_> {
    fn passes(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.run())).is_ok()
    }

    fn run(&self) {
        for seed in &self.seeds {
            if let Err(error) = survives(self.name, seed, self.read) {
                panic!("{}: the seed is refused: {error}", self.name);
            }
        }
        let times = env::var("RECTIFY_CASES").map_or(1, |times| times.parse().expect("RECTIFY_CASES is a number"));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut read, mut refused) = (0, 0);
        for case in 0..self.cases * times {
            let input = mutate(&mut rng, &self.seeds[case % self.seeds.len()]);
            match survives(self.name, &input, self.read) {
                Ok(()) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.contains(self.names), "{}: no `{}` in: {error}", self.name, self.names);
                    assert!(error.len() < 10_000, "{}: {} bytes of error", self.name, error.len());
                }
            }
        }
        println!("{}: {read} read, {refused} refused", self.name);
        assert!(refused > self.cases / 20, "{}: the changes are too gentle", self.name);
    }
}

/// A folder with a data set of 6 × 6 pictures and an experiment on it that has ended.
struct Place {
    folder: TempDir,
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Place {
    fn new() -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A reader of an input that is put into a file.
    fn file<'a, T, E: ToString>(
        &self,
        name: &'a str,
        read: impl Fn(&Path) -> Result<T, E> + 'a,
    ) -> impl Fn(&[u8]) -> Result<(), String> + 'a {
        let path = self.path(name);
        move |input| {
            fs::write(&path, input).expect("the temporary folder can be written");
            read(&path).map(drop).map_err(|error| error.to_string())
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The errors of everything that an experiment is asked before it runs.
fn configure(text: &str) -> Result<(), String> {
    let experiment: Experiment = toml::from_str(text).map_err(|error| error.to_string())?;
    experiment.check().map_err(|error| error.to_string())?;
    let experiment = experiment.resolve().map_err(|error| error.to_string())?;
    let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
    experiment.fits(shape, 60_000).map_err(|error| error.to_string())?;
    experiment.notes(60_000);
    experiment.trainings();
    toml::to_string(&experiment).map(drop).map_err(|error| error.to_string())
}

const RUN: &str = "out/runs/relu-seed0";

#[test]
fn a_hundred_thousand_changed_inputs_are_read_or_refused() {
    let _one = one_at_a_time();
    let place = Place::new();
    let device = Device::flex();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let images = place.file("images", |path| read_idx(path, IdxContent::Images));
    let labels = place.file("labels", |path| read_idx(path, IdxContent::Labels));
    let table = place.file("table.csv", |path| {
        Dataset::load_with(path.to_str().expect("temporary paths are UTF-8"), &DataOptions::default())
    });
    let lines = place.file("metrics.jsonl", metrics::read);
    let record = place.file("model.bpk", load_record);
    let bpk = place.read(&format!("{RUN}/checkpoint/model.bpk"));
    let saved = SavedCheckpoint::open(&place.path(RUN)).unwrap();
    let exported = export_weights(&saved).unwrap();
    let safetensors = place.file("weights.safetensors", |path| read_weights(path, &exported.modules));
    let checkpoint = |file: &'static str| {
        let (run, device) = (place.path(RUN), device.clone());
        place.file(file, move |_| SavedCheckpoint::open(&run).and_then(|saved| saved.load_model(&device)))
    };
    let (of_checkpoint, of_weights) =
        ("out/runs/relu-seed0/checkpoint/checkpoint.json", "out/runs/relu-seed0/checkpoint/model.bpk");
    let (checkpoint_json, checkpoint_weights) = (checkpoint(of_checkpoint), checkpoint(of_weights));
    let out = [place.path("out")];
    let joined = |file: &'static str| place.file(file, |_| join_and_diagnose(&out));
    let (run_json, config) = (joined("out/runs/relu-seed0/run.json"), joined("out/config.toml"));
    let picture = |bytes: &[u8]| {
        let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
        let target = Target { shape, mean: 0.13, framing: Framing::Digit, invert: None };
        prepare(&decode(bytes)?, &target).map(drop)
    };
    let pictures = [image::ImageFormat::Png, image::ImageFormat::Jpeg].map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        let grey = image::GrayImage::from_fn(20, 24, |x, y| image::Luma([(x * 12 + y) as u8]));
        grey.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    let csv = (0..40).map(|i| format!("{},{}.5,{}\n", i, i * 7 % 11, ["a", "b"][i % 2])).collect::<String>();
    let formulas =
        ["x*sigmoid(1.702*x)", "bent = (sqrt(x^2+1)-1)/2 + x", "swish2 = x*sigmoid(b*x); b=2", "leaky-relu:0.1"];
    let experiment = toml::to_string(&Experiment::default()).unwrap();

    let kinds = [
        Kind {
            name: "images",
            cases: 8000,
            seeds: vec![place.images.clone(), gzip(&place.images)],
            read: &images,
            names: "images",
        },
        Kind {
            name: "labels",
            cases: 8000,
            seeds: vec![place.labels.clone(), gzip(&place.labels)],
            read: &labels,
            names: "labels",
        },
        Kind {
            name: "table",
            cases: 6000,
            seeds: vec![format!("p,q,class\n{csv}").into()],
            read: &table,
            names: "table.csv",
        },
        Kind {
            name: "config",
            cases: 20_000,
            seeds: vec![experiment.into(), place.read("out/config.toml")],
            read: &|bytes| configure(&text(bytes)),
            names: "",
        },
        Kind {
            name: "formula",
            cases: 25_000,
            seeds: formulas.map(|formula| formula.into()).to_vec(),
            read: &|bytes| text(bytes).parse::<Activation>().map(drop).map_err(|error| error.to_string()),
            names: "",
        },
        Kind {
            name: "metrics",
            cases: 6000,
            seeds: vec![place.read(&format!("{RUN}/metrics.jsonl"))],
            read: &lines,
            names: "metrics.jsonl",
        },
        Kind {
            name: "line",
            cases: 10_000,
            seeds: place
                .read(&format!("{RUN}/metrics.jsonl"))
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
            read: &|bytes| Line::parse(bytes).map(drop).map_err(|error| error.to_string()),
            names: "",
        },
        Kind {
            name: "results",
            cases: 2000,
            seeds: vec![place.read("out/results.json")],
            read: &|bytes| serde_json::from_slice::<Results>(bytes).map(drop).map_err(|error| error.to_string()),
            names: "",
        },
        Kind { name: "record", cases: 4000, seeds: vec![bpk.clone()], read: &record, names: "model.bpk" },
        Kind {
            name: "safetensors",
            cases: 4000,
            seeds: vec![exported.safetensors],
            read: &safetensors,
            names: "weights.safetensors",
        },
        Kind { name: "picture", cases: 3000, seeds: pictures.to_vec(), read: &picture, names: "" },
    ];
    // All that is wrong is told, not the first alone.
    let mut failed: Vec<&str> = kinds.iter().filter(|kind| !kind.passes()).map(|kind| kind.name).collect();
    // Each of them is put back, for the next are read with it.
    for (name, cases, file, read) in [
        ("checkpoint", 1000, of_checkpoint, &checkpoint_json as Read),
        ("checkpoint's weights", 1000, of_weights, &checkpoint_weights),
        ("run", 1500, "out/runs/relu-seed0/run.json", &run_json),
        ("run folder's config", 500, "out/config.toml", &config),
    ] {
        let sound = place.read(file);
        let kind = Kind { name, cases, seeds: vec![sound.clone()], read, names: "" };
        failed.extend((!kind.passes()).then_some(name));
        fs::write(place.path(file), sound).unwrap();
    }
    assert!(failed.is_empty(), "of these an input was not survived: {failed:?}");
}

#[test]
fn inputs_that_claim_to_be_huge_are_refused_in_little_memory() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let images = |bytes: &[u8]| {
        let path = folder.path().join("images");
        fs::write(&path, bytes).unwrap();
        read_idx(&path, IdxContent::Images).map(drop).map_err(|error| error.to_string())
    };
    let refused = |what: &str, input: &[u8], read: Read| survives(what, input, read).expect_err(what);
    refused("a bomb", &gzip(&vec![0; 1 << 27]), &images);
    refused("a header whose product overflows", &idx(&[u32::MAX; 3], &[0; 36]), &images);
    refused("a gzipped header of 4 TB", &gzip(&idx(&[1 << 30, 64, 64], &[0; 36])), &images);

    let layers = format!("hidden = [{}]", "8,".repeat(1_000_000));
    refused("a config of a million layers", layers.as_bytes(), &|bytes| configure(&String::from_utf8_lossy(bytes)));
    for open in ["[", "{\"a\":", "[[", "{\"epoch\":["] {
        let deep = open.repeat(100_000);
        refused("JSON of a hundred thousand levels", deep.as_bytes(), &|bytes| {
            serde_json::from_slice::<Results>(bytes).map(drop).map_err(|error| error.to_string())?;
            Line::parse(bytes).map(drop).map_err(|error| error.to_string())
        });
    }
    let deep = format!("hidden = {}", "[".repeat(100_000));
    refused("TOML of a hundred thousand levels", deep.as_bytes(), &|bytes| configure(&String::from_utf8_lossy(bytes)));
    for formula in
        ["(".repeat(100_000), format!("x{}", "^2".repeat(100_000)), "-".repeat(100_000), "x+".repeat(100_000)]
    {
        refused("a long formula", formula.as_bytes(), &|bytes| {
            String::from_utf8_lossy(bytes).parse::<Activation>().map(drop).map_err(|error| error.to_string())
        });
    }

    // A sound PNG of 30 000 × 30 000 grey pixels, all of them black: 900 MB of them.
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(1, 1).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut png = png.into_inner();
    png[16..24].copy_from_slice(&[[0, 0, 0x75, 0x30]; 2].concat());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    refused("a picture of 900 million pixels", &png, &|bytes| decode(bytes).map(drop));
}

/// PNG's, of a chunk's type and data.
fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = flate2::Crc::new();
    checksum.update(bytes);
    checksum.sum()
}
