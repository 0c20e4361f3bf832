//! Data sets: what is read, what is refused, and what arrives on a device.

mod classes;
#[cfg(feature = "flex")]
mod device;
mod gzip;
#[path = "../idx/mod.rs"]
mod idx;
mod names;
mod pictures;
mod tables;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::{collection::vec, prelude::*};
use rectify_train::data::{
    DATA_VARIABLE, DataError, Dataset, FILES, IdxContent, MAX_ELEMENTS, Samples, read_idx, shuffled, survey,
};
use tempfile::TempDir;

use self::idx::{gzip, idx};

const TRAIN_IMAGES: usize = 0;
const TRAIN_LABELS: usize = 1;
const TEST_IMAGES: usize = 2;
const TEST_LABELS: usize = 3;

/// Eleven pictures of one black and one white pixel to train on, two others to test with.
fn sound_files() -> [Vec<u8>; 4] {
    [
        idx(&[11, 1, 2], &[0, 255].repeat(11)),
        idx(&[11], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]),
        idx(&[2, 1, 2], &[51, 204, 255, 0]),
        idx(&[2], &[9, 3]),
    ]
}

fn write(files: &[Vec<u8>; 4], folder: &Path) {
    write_named(&FILES.map(str::to_owned), files, folder);
}

/// By other names, which may be paths.
fn write_named(names: &[String; 4], files: &[Vec<u8>; 4], folder: &Path) {
    for (name, bytes) in names.iter().zip(files) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the temporary folder can be written");
        fs::write(path, bytes).expect("the temporary folder can be written");
    }
}

fn folder_named(names: &[String; 4], files: &[Vec<u8>; 4]) -> TempDir {
    let folder = TempDir::new().expect("there is a temporary folder");
    write_named(names, files, folder.path());
    folder
}

fn folder_of(files: &[Vec<u8>; 4]) -> TempDir {
    let folder = TempDir::new().expect("there is a temporary folder");
    write(files, folder.path());
    folder
}

fn load(folder: &TempDir) -> Result<Dataset, DataError> {
    Dataset::load(folder.path().to_str().expect("temporary paths are UTF-8"), None)
}

/// Puts `bytes` in place of one file of a sound set; the error must name that file and hold `parts`.
#[track_caller]
fn refuses(file: usize, bytes: Vec<u8>, parts: &[&str]) {
    let mut files = sound_files();
    files[file] = bytes;
    let message = load(&folder_of(&files)).expect_err("the set is not sound").to_string();
    for part in [FILES[file]].iter().chain(parts) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

proptest! {
    #[test]
    fn idx_files_read_back_as_written_plain_and_gzipped(
        (dims, bytes) in prop_oneof![vec(1_u32..9, 1), vec(1_u32..9, 3), vec(1_u32..9, 4)].prop_flat_map(|dims| {
            let elements = dims.iter().product::<u32>() as usize;
            (Just(dims), vec(any::<u8>(), elements))
        })
    ) {
        let folder = TempDir::new()?;
        let path = folder.path().join("file");
        let plain = idx(&dims, &bytes);
        for contents in [gzip(&plain), plain] {
            fs::write(&path, contents)?;
            let content = if dims.len() == 1 { IdxContent::Labels } else { IdxContent::Images };
            let read = read_idx(&path, content)?;
            prop_assert_eq!(read.dims.iter().map(|&length| length as u32).collect::<Vec<_>>(), dims.clone());
            prop_assert_eq!(&read.bytes, &bytes);
        }
    }

    #[test]
    fn a_changed_file_gives_a_result_and_never_a_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>()
    ) {
        let folder = TempDir::new()?;
        let path = folder.path().join("file");
        for mut contents in [idx(&[3, 2, 2], &[7; 12]), gzip(&idx(&[3, 2, 2], &[7; 12]))] {
            let at = at.index(contents.len());
            contents[at] = byte;
            contents.truncate(end.index(contents.len() + 1));
            fs::write(&path, contents)?;
            if let Ok(read) = read_idx(&path, IdxContent::Images) {
                prop_assert_eq!(read.bytes.len(), read.dims.iter().product::<usize>());
            }
        }
    }

    #[test]
    fn shuffled_is_a_permutation(len in 0_usize..300, seed in any::<u64>(), epoch in any::<usize>()) {
        let mut order = shuffled(len, seed, epoch);
        order.sort_unstable();
        prop_assert!(order.into_iter().eq(0..len as u32));
    }
}

#[test]
fn shuffled_depends_on_seed_and_epoch_and_on_nothing_else() {
    let order = shuffled(1000, 3, 7);
    assert_eq!(order, shuffled(1000, 3, 7));
    assert_ne!(order, shuffled(1000, 4, 7));
    assert_ne!(order, shuffled(1000, 3, 8));
    // Recorded once: results of other machines and of older versions are compared with today's.
    assert_eq!(shuffled(10, 0, 0), [2, 8, 6, 1, 9, 5, 7, 4, 0, 3]);
    assert_eq!(shuffled(60_000, 1, 2)[..5], [30205, 34660, 36271, 7471, 15191]);
}

#[test]
fn a_folder_with_the_four_files_loads_however_they_are_compressed() {
    let plain = load(&folder_of(&sound_files())).expect("the set is sound");
    assert_eq!((plain.height, plain.width, plain.classes), (1, 2, 10));
    assert_eq!((plain.train.len(), plain.validation.len(), plain.test.len()), (10, 1, 2));
    assert_eq!((plain.mean, plain.std), (0.5, 0.5));
    assert!(!plain.verified);

    let gzipped = TempDir::new().expect("there is a temporary folder");
    for (name, bytes) in FILES.iter().zip(sound_files()) {
        fs::write(gzipped.path().join(format!("{name}.gz")), gzip(&bytes)).expect("the folder can be written");
    }
    let gzipped = load(&gzipped).expect("the set is sound");
    assert_eq!([gzipped.train, gzipped.validation, gzipped.test], [plain.train, plain.validation, plain.test]);

    // The name does not matter, the contents do.
    let misnamed = load(&folder_of(&sound_files().map(|bytes| gzip(&bytes)))).expect("the set is sound");
    assert_eq!(misnamed.test.labels(), [9, 3]);
}

#[test]
fn a_wrong_magic_is_refused() {
    refuses(TRAIN_IMAGES, b"\x89PNG\r\n".to_vec(), &["magic", "89 50"]);
    refuses(TEST_LABELS, vec![0, 0, 8], &["magic", "3"]);
}

#[test]
fn another_dtype_is_refused_by_its_name() {
    let mut floats = sound_files()[TRAIN_IMAGES].clone();
    floats[2] = 0x0d;
    refuses(TRAIN_IMAGES, floats, &["dtype", "0x0d", "32-bit floats"]);
}

#[test]
fn labels_in_place_of_images_are_refused() {
    refuses(
        TRAIN_IMAGES,
        sound_files()[TRAIN_LABELS].clone(),
        &["number of dimensions", "expected 3, or 4 with channels, found 1"],
    );
}

#[test]
fn dimensions_without_elements_or_with_too_many_are_refused() {
    refuses(TRAIN_IMAGES, idx(&[0, 1, 2], &[]), &["dimensions", "[0, 1, 2]"]);
    refuses(TEST_IMAGES, idx(&[2, 0, 2], &[]), &["dimensions", "[2, 0, 2]"]);
    refuses(TEST_IMAGES, idx(&[u32::MAX; 3], &[]), &["dimensions", &MAX_ELEMENTS.to_string()]);
    refuses(TEST_LABELS, idx(&[MAX_ELEMENTS as u32 + 1], &[]), &["dimensions", &MAX_ELEMENTS.to_string()]);
    refuses(TEST_IMAGES, idx(&[2, 1, 2], &[])[..10].to_vec(), &["dimensions", "10 bytes"]);
}

#[test]
fn a_file_shorter_or_longer_than_it_declares_is_refused() {
    let mut file = sound_files()[TRAIN_IMAGES].clone();
    file.push(0);
    refuses(TRAIN_IMAGES, file.clone(), &["length", "bytes follow the 22 of elements"]);
    refuses(TRAIN_IMAGES, gzip(&file), &["length", "bytes follow the 22 of elements"]);
    file.truncate(file.len() - 2);
    refuses(TRAIN_IMAGES, file.clone(), &["length", "declares 38 bytes", "more than 37"]);
    refuses(
        TRAIN_IMAGES,
        gzip(&file),
        &["length", "declares 22 bytes of elements, the file has 21", "fetch or copy it anew"],
    );
}

#[test]
fn a_gzipped_file_that_declares_more_than_it_could_hold_is_refused_unread() {
    refuses(TRAIN_IMAGES, gzip(&idx(&[1 << 20, 16, 16], &[])), &["length", "cannot hold more"]);
}

#[test]
fn a_gzip_file_truncated_anywhere_is_refused() {
    let whole = gzip(&sound_files()[TRAIN_IMAGES]);
    for length in 2..whole.len() {
        refuses(
            TRAIN_IMAGES,
            whole[..length].to_vec(),
            &["gzip stream", "unexpected end of file", "fetch or copy it anew"],
        );
    }
}

#[test]
fn images_and_labels_of_different_counts_are_refused() {
    refuses(TRAIN_LABELS, idx(&[10], &[0; 10]), &["samples", "10 labels for 11 images", "each image has one label"]);
    refuses(TEST_LABELS, idx(&[3], &[0; 3]), &["samples", "3 labels for 2 images"]);
}

#[test]
fn test_images_of_another_size_are_refused() {
    refuses(TEST_IMAGES, idx(&[2, 2, 1], &[0; 4]), &["dimensions", "2 × 1", "1 × 2", "one size"]);
}

#[test]
fn a_training_file_of_one_sample_cannot_be_split() {
    let mut files = sound_files();
    files[TRAIN_IMAGES] = idx(&[1, 1, 2], &[0, 0]);
    files[TRAIN_LABELS] = idx(&[1], &[0]);
    let message = load(&folder_of(&files)).expect_err("nothing would be left").to_string();
    assert!(message.contains(FILES[TRAIN_LABELS]) && message.contains("validation"), "{message}");
}

#[test]
fn a_missing_file_folder_or_name_is_told() {
    let folder = folder_of(&sound_files());
    fs::remove_file(folder.path().join(FILES[TEST_IMAGES])).expect("it was written");
    let message = load(&folder).expect_err("a file is missing").to_string();
    assert!(
        message.contains(folder.path().to_str().expect("UTF-8")) && message.contains(FILES[TEST_IMAGES]),
        "{message}"
    );

    // A folder in place of a file is no file.
    fs::create_dir(folder.path().join(FILES[TEST_IMAGES])).expect("the folder can be written");
    assert!(load(&folder).is_err());
    let message =
        read_idx(&folder.path().join(FILES[TEST_IMAGES]), IdxContent::Images).expect_err("a folder").to_string();
    assert!(message.contains("regular file"), "{message}");
    assert!(matches!(read_idx(Path::new("no/such/file"), IdxContent::Images), Err(DataError::Io { .. })));

    let message = Dataset::load("mnits", None).expect_err("no such set").to_string();
    for part in ["mnits", "mnist, fashion-mnist", "folder"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn train_size_keeps_the_first_samples_and_refuses_more_than_there_are() {
    let folder = folder_of(&sound_files());
    let path = folder.path().to_str().expect("temporary paths are UTF-8");
    let all = Dataset::load(path, None).expect("the set is sound");
    let four = Dataset::load(path, Some(4)).expect("there are ten");
    assert_eq!(four.train.labels(), &all.train.labels()[..4]);
    assert_eq!(four.train.pixels(), &all.train.pixels()[..8]);
    assert_eq!(four.validation, all.validation);
    assert!(Dataset::load(path, Some(10)).is_ok());
    for size in [0, 11] {
        let message = Dataset::load(path, Some(size)).expect_err("out of range").to_string();
        assert!(message.contains("train_size") && message.contains("1..=10"), "{message}");
    }
}

fn mnist() -> Dataset {
    Dataset::load("mnist", None).expect("MNIST is in the repository")
}

#[test]
fn mnist_is_split_into_54000_6000_and_10000_samples() {
    let mnist = mnist();
    assert!(mnist.verified);
    assert_eq!((mnist.height, mnist.width, mnist.classes), (28, 28, 10));
    assert_eq!((mnist.train.len(), mnist.validation.len(), mnist.test.len()), (54_000, 6_000, 10_000));
    for samples in [&mnist.train, &mnist.validation, &mnist.test] {
        assert_eq!(samples.pixels().len(), samples.len() * 784);
    }

    // How often each digit is in the published files.
    let together: Vec<usize> =
        mnist.train.class_counts().iter().zip(mnist.validation.class_counts()).map(|(a, b)| a + b).collect();
    assert_eq!(together, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(mnist.test.class_counts(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
}

#[test]
fn mnist_has_the_published_mean_and_deviation() {
    let mnist = mnist();
    // All 60,000 training pictures: exactly the published 0.1307 and 0.3081.
    let sums = |samples: &Samples| {
        let pixels = samples.pixels().iter().map(|&pixel| u64::from(pixel));
        (pixels.clone().sum::<u64>() as f64, pixels.map(|pixel| pixel * pixel).sum::<u64>() as f64)
    };
    let (train, validation) = (sums(&mnist.train), sums(&mnist.validation));
    let pixels = 60_000.0 * 784.0;
    let mean = (train.0 + validation.0) / pixels / 255.0;
    let std = ((train.1 + validation.1) / pixels / 255.0 / 255.0 - mean * mean).sqrt();
    assert!((mean - 0.1307).abs() < 5e-5 && (std - 0.3081).abs() < 5e-5, "{mean} {std}");

    // The 54,000 differ by chance. A picture's mean deviates by about 0.04 from the others', so theirs from that of
    // all by 0.04 √(1/54000 − 1/60000) ≈ 5e-5; five times that is allowed.
    assert!((mnist.mean - mean).abs() < 2.7e-4, "{}", mnist.mean);
    assert!((mnist.std - std).abs() < 2.7e-4, "{}", mnist.std);
    let (own_mean, pixels) = (train.0 / 54_000.0 / 784.0 / 255.0, 54_000.0 * 784.0);
    assert!((mnist.mean - own_mean).abs() < 1e-12);
    assert!((mnist.std - (train.1 / pixels / 255.0 / 255.0 - own_mean * own_mean).sqrt()).abs() < 1e-12);
}

#[test]
fn the_first_digits_of_mnist_are_5_0_4_1_9() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist");
    let labels =
        read_idx(&folder.join("train-labels-idx1-ubyte.gz"), IdxContent::Labels).expect("MNIST is in the repository");
    assert_eq!(labels.dims, [60_000]);
    assert_eq!(labels.bytes[..5], [5, 0, 4, 1, 9]);

    // Training samples stay in the file's order, so without the validation samples among them they are a subsequence.
    let mnist = mnist();
    let mut file = labels.bytes.iter();
    assert!(mnist.train.labels().iter().all(|label| file.any(|other| u16::from(*other) == *label)));
}

#[test]
fn the_validation_samples_do_not_depend_on_train_size() {
    let few = Dataset::load("mnist", Some(100)).expect("MNIST is in the repository");
    let all = mnist();
    assert_eq!(few.validation, all.validation);
    assert_eq!(few.train.pixels(), &all.train.pixels()[..100 * 784]);
}

/// Runs one of the ignored tests below in a process of its own, as the environment belongs to all threads.
#[track_caller]
fn passes_with_data_folder(test: &str, folder: &Path) {
    let program = env::current_exe().expect("the test program has a path");
    let output = Command::new(program)
        .args(["--exact", test, "--ignored"])
        .env(DATA_VARIABLE, folder)
        .output()
        .expect("the test program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn named_sets_are_looked_for_in_the_data_folder_first() {
    let folder = TempDir::new().expect("there is a temporary folder");
    for name in ["mnist", "fashion-mnist"] {
        fs::create_dir(folder.path().join(name)).expect("the folder can be written");
        write(&sound_files(), &folder.path().join(name));
    }
    passes_with_data_folder("finds_a_small_fashion_mnist_in_the_data_folder", folder.path());
    passes_with_data_folder("refuses_another_mnist_in_the_data_folder", folder.path());
}

#[test]
#[ignore = "needs the environment that `named_sets_are_looked_for_in_the_data_folder_first` prepares"]
fn finds_a_small_fashion_mnist_in_the_data_folder() {
    let folder = PathBuf::from(env::var_os(DATA_VARIABLE).expect("the caller sets it"));
    let dataset = Dataset::load("fashion-mnist", None).expect("it is there");
    assert_eq!(dataset.source, folder.join("fashion-mnist"));
    assert_eq!(dataset.test.len(), 2);
}

#[test]
#[ignore = "needs the environment that `named_sets_are_looked_for_in_the_data_folder_first` prepares"]
fn refuses_another_mnist_in_the_data_folder() {
    let error = Dataset::load("mnist", None).expect_err("it is not the published one");
    let DataError::Checksum { expected, found, .. } = &error else { panic!("{error}") };
    assert!(expected.len() == 64 && found.len() == 64 && expected != found);
    let message = error.to_string();
    for part in [FILES[TRAIN_IMAGES], expected, found] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    let survey = survey();
    assert!(survey[0].contents.is_none());
    assert_eq!(survey[0].problem.as_deref(), Some(&*message));
}

#[test]
fn the_survey_names_every_set_and_checks_mnist() {
    let survey = survey();
    assert_eq!(survey.iter().map(|info| &*info.name).collect::<Vec<_>>(), ["mnist", "fashion-mnist"]);
    let mnist = survey[0].contents.as_ref().expect("MNIST is in the repository");
    assert!(mnist.verified && survey[0].problem.is_none());
    assert_eq!((mnist.train.samples, mnist.validation.samples, mnist.test.samples), (54_000, 6_000, 10_000));
    assert_eq!(mnist.test.class_counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    // Here or not, there is one answer.
    assert_ne!(survey[1].contents.is_some(), survey[1].problem.is_some());
    assert!(serde_json::to_value(&survey).is_ok());
}
