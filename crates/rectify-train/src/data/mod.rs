//! Data sets of small pictures, grey or in colour, in up to 256 classes: MNIST, everything that comes in its format, and
//! folders of PNG and JPEG files.
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
//! is if it is 1, 3 or 4. Labels are unsigned bytes, `[n]`, or 32-bit integers from 0 to 255, `[n]` or, as QMNIST's,
//! `[n, 8]` with the class in front. The distinct labels of the training files, in ascending order, are the classes:
//! they need not begin at 0. EMNIST has its pictures column by column; they are read as they lie. Images of several
//! sizes, floats, and labels that are no numbers are not read.
//!
//! A folder with a folder of PNG or JPEG files for each class is read too: `FOLDER/CLASS/FILE.png`, or
//! `FOLDER/train/CLASS/FILE.png` and `FOLDER/test/CLASS/FILE.png`. Classes have the names of their folders and are in
//! alphabetical order. Without `train/` and `test/` a fifth of each class is drawn to test with, the same every time.
//! All pictures have one size, or are resized to a square ([`Dataset::load_resized`]), whatever their shape was. If any is
//! in colour all are; 16 bits a channel become 8, and transparency is left out.
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
mod contact_sheet;
mod device;
mod find;
mod gzip;
mod idx;
mod layout;
mod pictures;
mod split;
mod survey;

use std::{
    io,
    path::{Path, PathBuf},
};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use self::{
    classes::Classes,
    find::{Source, names, vocabulary},
    layout::Layout,
    pictures::Pictures,
    split::split,
};
pub use self::{
    classes::label_ranges,
    device::{Batch, DeviceDataset, DeviceSamples},
    find::{DATA_VARIABLE, FILES, canonical},
    idx::{Idx, IdxContent, MAX_ELEMENTS, read_idx},
    layout::size_in_words,
    survey::{DatasetContents, DatasetInfo, SamplesInfo, inspect, survey},
};
use crate::network::Shape;
use crate::record::DataRecord;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be opened.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A file's contents are not what they must be.
    #[error("{}: {field}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The part of it that is wrong.
        field: &'static str,
        /// What was expected and what was found.
        reason: String,
    },
    /// A file is sound but not the one that was published.
    #[error("{}: SHA-256 of the uncompressed contents: expected {expected}, found {found}", .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The published checksum.
        expected: &'static str,
        /// The file's own.
        found: String,
    },
    /// A known set is in none of its places.
    #[error(
        "data set `{name}`: not found; {remedy}, or set {DATA_VARIABLE} to the folder that holds `{name}`; looked in{}",
        .searched.iter().map(|place| format!("\n  {}", place.display())).collect::<String>()
    )]
    NotFound {
        /// The set.
        name: String,
        /// The folders looked in.
        searched: Vec<PathBuf>,
        /// How to get it.
        remedy: &'static str,
    },
    /// Neither a known set nor a folder.
    #[error(
        "data set `{name}`: neither a known set ({known}) nor a folder{hint}{question}",
        known = names().join(", "),
        question = vocabulary(&names()).question(.name)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant; empty if nothing comes near.
        hint: String,
    },
    /// More training samples asked for than there are, or none.
    #[error(
        "train_size: must be in 1..={available}, got {asked}; the training files hold {}, and {validation} of them \
         are set aside for validation", *.available + *.validation
    )]
    TrainSize {
        /// The number asked for.
        asked: usize,
        /// The number there is.
        available: usize,
        /// Samples set aside.
        validation: usize,
    },
}

/// Pictures and their labels, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    /// Of the whole data set.
    classes: usize,
}

impl Samples {
    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set's samples are never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// All pictures one after the other, each channel by channel and row by row; 0 to 255.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of each picture, under [`Dataset::classes`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// How many samples each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }
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
    /// Channels of a picture: 1 if it is grey.
    pub channels: usize,
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Number of classes, 1 to 256.
    pub classes: usize,
    /// The label that each class has in the files, ascending.
    pub class_labels: Vec<u8>,
    /// The name of each class, that of its folder; empty where classes have labels only.
    pub class_names: Vec<String>,
    /// To train on, in the order of the file.
    pub train: Samples,
    /// A tenth of the training files, at least one sample, drawn at random but the same in every experiment.
    pub validation: Samples,
    /// The test files.
    pub test: Samples,
    /// Mean of all pixels of `train`, where a pixel is 0 to 1.
    pub mean: f64,
    /// Standard deviation (of the population) of all pixels of `train`, where a pixel is 0 to 1.
    pub std: f64,
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
        Self::load_resized(name_or_path, train_size, None)
    }

    /// [`load`](Self::load), with the pictures of a folder made so many pixels wide and high.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); IDX files are not resized.
    pub fn load_resized(
        name_or_path: &str,
        train_size: Option<usize>,
        image_size: Option<usize>,
    ) -> Result<Self, DataError> {
        let path = Path::new(name_or_path);
        if !names().contains(&&*canonical(name_or_path.to_owned())) && pictures::is_pictures(path) {
            return Self::of_pictures(name_or_path, pictures::read(path, image_size)?, train_size);
        }
        let source = Source::find(name_or_path)?;
        if image_size.is_some() {
            let reason = "only folders of PNG and JPEG files are resized; this set has IDX files".to_owned();
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
            let reason = format!("images are {test}, those for training are {train}");
            return Err(DataError::File { path: test_path.clone(), field: "dimensions", reason });
        }
        let mut train = pair(train_images, train_layout, train_labels, train_labels_path)?;
        let mut test = pair(test_images, test_layout, test_labels, test_labels_path)?;
        if train.len() < 2 {
            return Err(DataError::File {
                path: train_labels_path.clone(),
                field: "samples",
                reason: "1 is too few: one is needed for training and one for validation".to_owned(),
            });
        }

        // Before the split, so that it makes no difference which samples are kept.
        let classes = Classes::of(&train.labels);
        notes.extend(classes.note().map(|note| format!("{}: {note}", train_labels_path.display())));
        let classified = train.classify(&classes).and_then(|()| test.classify(&classes));
        let class_labels = classes.labels();
        classified.map_err(|(sample, label)| DataError::File {
            path: test_labels_path.clone(),
            field: "label",
            reason: format!(
                "sample {sample} (from 0) has label {label}, which no training sample has; they have {}",
                label_ranges(&class_labels)
            ),
        })?;

        let validation = split(&mut train, train_layout.pixels(), train_size)?;
        let (mean, std) = mean_and_std(&train.pixels);
        let verified = source.checksum(0).is_some();
        Ok(Self {
            name: name_or_path.to_owned(),
            source: source.folder,
            verified,
            channels,
            height,
            width,
            classes: class_labels.len(),
            class_labels,
            class_names: Vec::new(),
            train,
            validation,
            test,
            mean,
            std,
            notes,
        })
    }

    fn of_pictures(name: &str, read: Pictures, train_size: Option<usize>) -> Result<Self, DataError> {
        let Pictures { class_names, mut train, test, size, notes } = read;
        let [channels, height, width] = size;
        let validation = split(&mut train, channels * height * width, train_size)?;
        let (mean, std) = mean_and_std(&train.pixels);
        Ok(Self {
            name: name.to_owned(),
            source: PathBuf::from(name),
            verified: false,
            channels,
            height,
            width,
            classes: class_names.len(),
            // At most 256, as was checked where they were read.
            class_labels: (0..class_names.len()).map(|class| class as u8).collect(),
            class_names,
            train,
            validation,
            test,
            mean,
            std,
            notes,
        })
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
            mean: self.mean,
            std: self.std,
        }
    }

    /// The same samples with the classes of another set, such as the one that a network was trained on.
    ///
    /// # Errors
    ///
    /// The labels that have no class there.
    pub fn with_classes_of(mut self, class_labels: &[u8]) -> Result<Self, Vec<u8>> {
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
        return Err(wrong("samples", format!("{} labels for {} images", labels.dims[0], images.dims[0])));
    }
    let labels = labels.into_labels().map_err(|reason| wrong("label", reason))?;
    let mut pixels = images.bytes;
    layout.arrange(&mut pixels);
    Ok(Samples { pixels, labels, classes: 0 })
}

impl Samples {
    /// Puts classes in place of labels, or gives the first sample that has none and its label.
    fn classify(&mut self, classes: &Classes) -> Result<(), (usize, u8)> {
        self.classes = classes.len();
        classes.replace(&mut self.labels).map_err(|sample| (sample, self.labels[sample]))
    }
}

/// Mean and population standard deviation of pixels scaled to 0..=1, from exact integer sums.
fn mean_and_std(pixels: &[u8]) -> (f64, f64) {
    // The squares of one chunk fit a u32, so that the compiler can use its narrow vector lanes.
    const CHUNK: usize = (u32::MAX / (255 * 255)) as usize;
    let (sum, squares) = pixels
        .par_chunks(CHUNK)
        .map(|chunk| {
            let sum: u32 = chunk.iter().map(|&pixel| u32::from(pixel)).sum();
            let squares: u32 = chunk.iter().map(|&pixel| u32::from(pixel) * u32::from(pixel)).sum();
            (u64::from(sum), u64::from(squares))
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let n = pixels.len() as f64;
    // n Σx² − (Σx)² in integers: no digits cancel.
    let spread = u128::from(pixels.len() as u64) * u128::from(squares) - u128::from(sum) * u128::from(sum);
    (sum as f64 / n / 255.0, (spread as f64).sqrt() / n / 255.0)
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
