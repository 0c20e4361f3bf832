//! Data sets of small pictures, grey or in colour, or of rows of numbers, in up to 1000 classes: MNIST, everything that
//! comes in its format, folders of PNG and JPEG files, and tables in CSV or Parquet.
//!
//! # What is read
//!
//! Four IDX files in a folder, images and labels for training and for the test, each plain or gzipped. A file's name is
//! `[PREFIX-]SPLIT-KIND-FORMAT[.gz]`, where
//!
//! - `SPLIT` is `train`, or `t10k` or `test`;
//! - `KIND` is `images` or `labels`;
//! - `FORMAT` is `idx3-ubyte`, `idx1-ubyte` and so on, after a `-` or a `.`;
//! - `PREFIX` is nothing, or what the family puts there: `emnist-letters`, `qmnist`. Where files of several prefixes are
//!   in a folder, the path `FOLDER/PREFIX` chooses.
//!
//! | set | files |
//! |---|---|
//! | MNIST, Fashion-MNIST, KMNIST | `train-images-idx3-ubyte.gz`, `t10k-labels-idx1-ubyte.gz` |
//! | MNIST by some unpackers | `train-images.idx3-ubyte` |
//! | MNIST of Kaggle | `train-images-idx3-ubyte/train-images-idx3-ubyte`, a folder around each file |
//! | EMNIST | `emnist-letters-train-images-idx3-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte.gz` |
//! | QMNIST | `qmnist-train-images-idx3-ubyte.gz`, `qmnist-test-labels-idx2-int.gz` |
//!
//! Images are unsigned bytes, `[n, height, width]` or in colour `[n, height, width, channels]`, or
//! `[n, channels, height, width]`: with four dimensions the last is the channels if it is 1 to 4, otherwise the second
//! is if it is 1, 3 or 4. Labels are unsigned bytes, `[n]`, or 32-bit integers from 0 to 65535, `[n]` or, as QMNIST's,
//! `[n, 8]` with the class in front. The distinct labels of the training files, in ascending order, are the classes:
//! they need not begin at 0. EMNIST has its pictures column by column; they are read as they lie. Images of several
//! sizes, floats, and labels that are no numbers are not read.
//!
//! A folder with a folder of PNG or JPEG files for each class is read too: `FOLDER/CLASS/FILE.png`, or
//! `FOLDER/train/CLASS/FILE.png` and `FOLDER/test/CLASS/FILE.png`. Classes have the names of their folders and are in
//! alphabetical order. Without `train/` and `test/` a fifth of each class is drawn to test with, the same every time.
//! All pictures have one size, or are resized to a square ([`DataOptions::image_size`]), whatever their shape was. If any is
//! in colour all are; 16 bits a channel become 8, and transparency is left out.
//!
//! A table is a file `FILE.csv` (between commas, semicolons or tabs) or, with the feature `parquet`, `FILE.parquet`, or a
//! folder with `train.csv` and `test.csv`. A row is a sample: numbers, and its label in one column
//! ([`DataOptions::label_column`]). The first row of a CSV file are names if no cell of it is a number; a column without a
//! name, as pandas writes its index, is passed over. Without a file of its own a fifth of each class is drawn to test
//! with, the same every time. Text among the numbers and cells that are empty end the load, with their line.
//!
//! # What becomes of it
//!
//! A set is found by name or path, read and checked once ([`Dataset::load`]), and put on a device as one tensor
//! ([`Dataset::to_device`]). Batches are slices of it or a gather from it; nothing is converted sample by sample while
//! training.
//!
//! ```no_run
//! # use burn::tensor::{DType, Device, Int, Tensor, TensorData};
//! # use rectify_train::data::{DataError, Dataset, shuffled};
//! let device = Device::flex();
//! let mnist = Dataset::load("mnist", None)?.to_device(&device, DType::F32);
//! let order = shuffled(mnist.train.len(), 0, 1);
//! let order = Tensor::<1, Int>::from_data(TensorData::new(order, [mnist.train.len()]), &device);
//! let batch = mnist.train.gather(order.slice(0..128));
//! assert_eq!(batch.images.dims(), [128, 784]);
//! # Ok::<(), DataError>(())
//! ```

mod classes;
mod device;
mod error;
mod files;
mod find;
mod gzip;
mod idx;
mod layout;
mod pictures;
pub mod prepare;
mod samples;
mod split;
mod survey;
mod table;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

pub(crate) use self::device::LARGEST_ON_GPU;
use self::{
    classes::Classes, find::Source, layout::Layout, pictures::Pictures, samples::Features, split::split, table::Table,
};
pub use self::{
    classes::label_ranges,
    device::{Batch, DeviceDataset, DeviceSamples},
    error::DataError,
    find::{DATA_VARIABLE, FILES, canonical, names},
    idx::{Idx, IdxContent, MAX_ELEMENTS, read_idx},
    layout::size_in_words,
    samples::Samples,
    survey::{DatasetContents, DatasetInfo, SamplesInfo, inspect, survey},
};
use crate::network::Shape;
use crate::record::DataRecord;

/// Most classes of a data set.
pub const MOST_CLASSES: usize = 1000;

/// How a data set is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataOptions {
    /// Training samples that are kept, the first ones once validation is set aside; without it all.
    pub train_size: Option<usize>,
    /// Side of the square that the pictures of a folder are resized to; without it they have one size.
    pub image_size: Option<usize>,
    /// The column of a table with the labels: its name, or its place from 1. Without it the one that is called `label`,
    /// `class`, `target`, `species` or `y`, otherwise the last.
    pub label_column: Option<String>,
}

/// A data set in memory, read and checked.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name or path that it was asked for by.
    pub name: String,
    /// The folder that it was read from.
    pub source: PathBuf,
    /// Whether its SHA-256 checksums are known; they were right if so.
    pub verified: bool,
    /// Channels of a picture: 1 if it is grey. Of a table, its columns of numbers.
    pub channels: usize,
    /// Rows of a picture; 1 of a table.
    pub height: usize,
    /// Columns of a picture; 1 of a table.
    pub width: usize,
    /// Number of classes, 1 to [`MOST_CLASSES`].
    pub classes: usize,
    /// The label that each class has in the files, ascending.
    pub class_labels: Vec<u16>,
    /// The name of each class, that of its folder or its label in a table; empty where classes have numbers only.
    pub class_names: Vec<String>,
    /// The names of a table's columns of numbers; empty for pictures.
    pub feature_names: Vec<String>,
    /// To train on, in the order of the file.
    pub train: Samples,
    /// A tenth of the training files, at least one sample, drawn at random but the same in every experiment.
    pub validation: Samples,
    /// The test files.
    pub test: Samples,
    /// Mean of all pixels of `train`, where a pixel is 0 to 1, or of all its numbers.
    pub mean: f64,
    /// Standard deviation (of the population) of the same.
    pub std: f64,
    /// The mean by channel of the pictures, or by column of the table.
    pub channel_means: Vec<f64>,
    /// The standard deviation by channel or column.
    pub channel_stds: Vec<f64>,
    /// What a person ought to know of the files though they can be used: garbage behind a gzip stream, labels that
    /// nothing has.
    pub notes: Vec<String>,
}

impl Dataset {
    /// Reads `mnist`, `fashion-mnist`, or the four IDX files in the folder at a path, with or without their prefix
    /// behind it (see the [module](self)).
    ///
    /// Known sets are looked for in `$RECTIFY_DATA`, then in a folder `datasets` beside or above the current folder
    /// and the program, in the one of the repository that built the program, and where the system's package puts it.
    /// MNIST's checksums are verified.
    ///
    /// `train_size` keeps the first samples that remain once validation is set aside, without it all. Mean and
    /// deviation are those of the samples kept; the classes are those of the whole files.
    ///
    /// # Errors
    ///
    /// Whatever [`DataError`] lists: the set is not there, a file is not what it should be, images and labels differ
    /// in number or the two parts in the size of their images, the test files have a label that the training files have
    /// not, `train_size` is out of range.
    pub fn load(name_or_path: &str, train_size: Option<usize>) -> Result<Self, DataError> {
        Self::load_with(name_or_path, &DataOptions { train_size, ..DataOptions::default() })
    }

    /// [`load`](Self::load), with what else can be asked for.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); an option that such a set does not have.
    pub fn load_with(name_or_path: &str, options: &DataOptions) -> Result<Self, DataError> {
        let path = Path::new(name_or_path);
        let DataOptions { train_size, image_size, label_column } = options;
        let is_known = names().contains(&&*canonical(name_or_path.to_owned()));
        let refuse = |field, reason: &str| DataError::File { path: path.to_owned(), field, reason: reason.to_owned() };
        if !is_known && table::is_table(path) {
            if image_size.is_some() {
                return Err(refuse(
                    "image_size",
                    "only folders of PNG and JPEG files are resized, and this is a table: leave it out",
                ));
            }
            return Self::of_table(name_or_path, table::read(path, label_column.as_deref())?, *train_size);
        }
        if label_column.is_some() {
            return Err(refuse(
                "label_column",
                "only tables in CSV or Parquet have columns, and this set has pictures: leave it out",
            ));
        }
        if !is_known && pictures::is_pictures(path) {
            return Self::of_pictures(name_or_path, pictures::read(path, *image_size)?, *train_size);
        }
        let source = Source::find(name_or_path)?;
        if image_size.is_some() {
            let reason =
                "only folders of PNG and JPEG files are resized, and this set has IDX files: leave it out".to_owned();
            return Err(DataError::File { path: source.folder, field: "image_size", reason });
        }
        let read = |file: usize| {
            let content = if file.is_multiple_of(2) { IdxContent::Images } else { IdxContent::Labels };
            let idx = read_idx(&source.files[file], content)?;
            let Some(expected) = source.checksum(file) else { return Ok(idx) };
            match idx.sha256() {
                found if found == expected => Ok(idx),
                found => Err(DataError::Checksum { path: source.files[file].clone(), expected, found }),
            }
        };
        // Collected before looking at errors, so that of several the first file's is told, every time.
        let files: Vec<_> = (0..FILES.len()).into_par_iter().map(read).collect();
        let mut files = files.into_iter();
        let mut next = || files.next().expect("one for each of the four files");
        let (train_images, train_labels, test_images, test_labels) = (next()?, next()?, next()?, next()?);

        let read = [&train_images, &train_labels, &test_images, &test_labels];
        let mut notes: Vec<String> = read.into_iter().flat_map(|idx| idx.notes.clone()).collect();
        let [train_path, train_labels_path, test_path, test_labels_path] = &source.files;
        let train_layout = layout(&train_images, train_path)?;
        let test_layout = layout(&test_images, test_path)?;
        let [channels, height, width] = train_layout.size();
        if test_layout.size() != train_layout.size() {
            let [test, train] = [test_layout, train_layout].map(|layout| size_in_words(layout.size()));
            let reason = format!(
                "images are {test}, those for training are {train}; give files of one set, or resize them to one size"
            );
            return Err(DataError::File { path: test_path.clone(), field: "dimensions", reason });
        }
        let mut train = pair(train_images, train_layout, train_labels, train_labels_path)?;
        let mut test = pair(test_images, test_layout, test_labels, test_labels_path)?;
        if train.len() < 2 {
            return Err(DataError::File {
                path: train_labels_path.clone(),
                field: "samples",
                reason: "1 is too few: at least 2 are needed, one for training and one for validation".to_owned(),
            });
        }

        // Before the split, so that it makes no difference which samples are kept.
        let classes = Classes::of(&train.labels);
        if classes.len() > MOST_CLASSES {
            let reason = format!(
                "{} different labels; a set has at most {MOST_CLASSES} classes: leave samples of the others out",
                classes.len()
            );
            return Err(DataError::File { path: train_labels_path.clone(), field: "label", reason });
        }
        notes.extend(classes.note().map(|note| format!("{}: {note}", train_labels_path.display())));
        let classified = train.classify(&classes).and_then(|()| test.classify(&classes));
        let class_labels = classes.labels();
        classified.map_err(|(sample, label)| DataError::File {
            path: test_labels_path.clone(),
            field: "label",
            reason: format!(
                "sample {sample} (from 0) has label {label}, which no training sample has; they have {}: leave such samples out of \
                 the test files, or add some to the training files",
                label_ranges(&class_labels)
            ),
        })?;

        let verified = source.checksum(0).is_some();
        let whole = Whole { size: [channels, height, width], class_labels, train, test, notes };
        Ok(Self { verified, ..whole.into_dataset(name_or_path, source.folder, *train_size)? })
    }

    fn of_pictures(name: &str, read: Pictures, train_size: Option<usize>) -> Result<Self, DataError> {
        let Pictures { class_names, train, test, size, notes } = read;
        let whole = Whole { size, class_labels: numbered(&class_names), train, test, notes };
        Ok(Self { class_names, ..whole.into_dataset(name, PathBuf::from(name), train_size)? })
    }

    fn of_table(name: &str, read: Table, train_size: Option<usize>) -> Result<Self, DataError> {
        let Table { class_names, feature_names, train, test, notes } = read;
        let size = [feature_names.len(), 1, 1];
        let whole = Whole { size, class_labels: numbered(&class_names), train, test, notes };
        let mut dataset = whole.into_dataset(name, PathBuf::from(name), train_size)?;
        let constant = feature_names.iter().zip(&dataset.channel_stds).filter(|(_, std)| **std == 0.0);
        let constant: Vec<String> = constant.map(|(name, _)| format!("`{name}`")).collect();
        if !constant.is_empty() {
            dataset.notes.push(format!("{name}: the same in all training samples: {}", constant.join(", ")));
        }
        Ok(Self { class_names, feature_names, ..dataset })
    }

    /// What a sample is, as in `pictures of 28 × 28` or `4 numbers`.
    pub fn inputs_in_words(&self) -> String {
        inputs_in_words([self.channels, self.height, self.width], &self.feature_names)
    }

    /// What a model has to fit.
    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, height: self.height, width: self.width, classes: self.classes }
    }

    /// By what it is known to be the same set.
    pub fn record(&self) -> DataRecord {
        let largest = self.test.class_counts().into_iter().max().unwrap_or(0);
        DataRecord {
            train: self.train.len(),
            validation: self.validation.len(),
            test: self.test.len(),
            classes: self.classes,
            majority_fraction: largest as f64 / self.test.len() as f64,
            duplicates: Some(self.duplicates()),
            mean: self.mean,
            std: self.std,
        }
    }

    /// How many test samples are among the training or validation samples, too.
    fn duplicates(&self) -> usize {
        let width = self.channels * self.height * self.width;
        let known: HashSet<u64> =
            [&self.train, &self.validation].into_iter().flat_map(|part| part.hashes(width)).collect();
        self.test.hashes(width).iter().filter(|hash| known.contains(hash)).count()
    }

    /// The same samples with the classes of another set, such as the one that a network was trained on.
    ///
    /// # Errors
    ///
    /// The labels that have no class there.
    pub fn with_classes_of(mut self, class_labels: &[u16]) -> Result<Self, Vec<u16>> {
        let there = Classes::of(class_labels);
        let foreign = self.class_labels.iter().copied().filter(|label| !class_labels.contains(label));
        match foreign.collect::<Vec<_>>() {
            foreign if foreign.is_empty() => {}
            foreign => return Err(foreign),
        }
        for samples in [&mut self.train, &mut self.validation, &mut self.test] {
            for label in &mut samples.labels {
                *label = self.class_labels[usize::from(*label)];
            }
            samples.classify(&there).expect("no label is foreign");
        }
        self.class_labels = there.labels();
        self.classes = self.class_labels.len();
        Ok(self)
    }
}

/// What a sample is, as in `pictures of 28 × 28` or, where there are names of columns, `4 numbers`.
pub fn inputs_in_words(size: [usize; 3], feature_names: &[String]) -> String {
    match feature_names.len() {
        0 => format!("pictures of {}", size_in_words(size)),
        1 => "1 number".to_owned(),
        count => format!("{count} numbers"),
    }
}

/// Labels for classes that have names.
fn numbered(class_names: &[String]) -> Vec<u16> {
    // As many as `MOST_CLASSES`, as was checked where they were read.
    (0..class_names.len()).map(|class| class as u16).collect()
}

/// A set whose validation samples are not set aside yet.
struct Whole {
    size: [usize; 3],
    class_labels: Vec<u16>,
    train: Samples,
    test: Samples,
    notes: Vec<String>,
}

impl Whole {
    fn into_dataset(self, name: &str, source: PathBuf, train_size: Option<usize>) -> Result<Dataset, DataError> {
        let Self { size: [channels, height, width], class_labels, mut train, test, notes } = self;
        let validation = split(&mut train, channels * height * width, train_size)?;
        let (mean, std) = train.mean_and_std();
        let (channel_means, channel_stds) = train.means_and_stds(channels, height * width).into_iter().unzip();
        Ok(Dataset {
            name: name.to_owned(),
            source,
            verified: false,
            channels,
            height,
            width,
            classes: class_labels.len(),
            class_labels,
            class_names: Vec::new(),
            feature_names: Vec::new(),
            train,
            validation,
            test,
            mean,
            std,
            channel_means,
            channel_stds,
            notes,
        })
    }
}

fn layout(images: &Idx, path: &Path) -> Result<Layout, DataError> {
    Layout::of(&images.dims).ok_or_else(|| DataError::File {
        path: path.to_owned(),
        field: "dimensions",
        reason: format!(
            "{:?}: expected [n, height, width], [n, height, width, channels] with 1 to 4 channels, or [n, channels, \
             height, width] with 1, 3 or 4",
            images.dims
        ),
    })
}

/// Images with their labels, which are not yet classes.
fn pair(images: Idx, layout: Layout, labels: Idx, labels_path: &Path) -> Result<Samples, DataError> {
    let wrong = |field, reason| DataError::File { path: labels_path.to_owned(), field, reason };
    if images.dims[0] != labels.dims[0] {
        return Err(wrong(
            "samples",
            format!(
                "{} labels for {} images; each image has one label: give files of one set, whole ones",
                labels.dims[0], images.dims[0]
            ),
        ));
    }
    let labels = labels.into_labels().map_err(|reason| wrong("label", reason))?;
    let mut pixels = images.bytes;
    layout.arrange(&mut pixels);
    Ok(Samples { features: Features::Pixels(Arc::new(pixels)), labels, classes: 0 })
}

/// Whether the files of a data set are where they are looked for. Whether they are sound is another question.
pub fn is_here(name_or_path: &str) -> bool {
    find::Source::find(name_or_path).is_ok()
}

/// The order of samples in an epoch: a permutation of `0..len` that `seed` and `epoch` decide, the same on every
/// machine (ChaCha8 keyed by the seed, the epoch as its stream).
///
/// # Panics
///
/// If `len` does not fit a `u32`; a data set is bounded by [`MAX_ELEMENTS`] and always does.
pub fn shuffled(len: usize, seed: u64, epoch: usize) -> Vec<u32> {
    let len = u32::try_from(len).expect("data sets are bounded by MAX_ELEMENTS");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order: Vec<u32> = (0..len).collect();
    order.shuffle(&mut rng);
    order
}
