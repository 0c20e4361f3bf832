//! The names that files of MNIST's family have.

use super::*;

fn names(template: [&str; 4]) -> [String; 4] {
    template.map(str::to_owned)
}

/// EMNIST's names, and with other prefixes those of other families.
fn prefixed(prefix: &str) -> [String; 4] {
    let name = |split: &str, kind: &str| format!("{prefix}-{split}-{kind}-ubyte.gz");
    [
        name("train", "images-idx3"),
        name("train", "labels-idx1"),
        name("test", "images-idx3"),
        name("test", "labels-idx1"),
    ]
}

fn message(folder: &Path) -> String {
    Dataset::load(folder.to_str().expect("UTF-8"), None).expect_err("no data set").to_string()
}

#[track_caller]
fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn the_known_spellings_are_found() {
    let spellings = [
        names(FILES),
        FILES.map(|name| format!("{name}.gz")),
        names([
            "train-images.idx3-ubyte",
            "train-labels.idx1-ubyte",
            "t10k-images.idx3-ubyte",
            "t10k-labels.idx1-ubyte",
        ]),
        names([
            "train-images-idx3-ubyte",
            "train-labels.idx1-ubyte.gz",
            "test-images.idx3-ubyte.gz",
            "test-labels-idx1-ubyte",
        ]),
        FILES.map(|name| format!("{name}/{name}")),
        FILES.map(|name| format!("{}/{name}", name.replace("-idx", ".idx"))),
        prefixed("emnist-letters"),
        prefixed("qmnist"),
        prefixed("emnist-letters").map(|name| name.trim_end_matches(".gz").to_owned()),
    ];
    for names in spellings {
        let dataset = load(&folder_named(&names, &sound_files())).unwrap_or_else(|error| panic!("{names:?}: {error}"));
        assert_eq!((dataset.train.len(), dataset.test.labels()), (10, &[9, 3][..]), "{names:?}");
    }
}

#[test]
fn qmnist_has_its_labels_in_the_first_of_eight_columns() {
    let labels = |labels: &[i32]| {
        let rows = labels.iter().flat_map(|&label| [label, 7, 1000, -1, 5, 6, 70_000, 8]);
        let mut file = idx(&[labels.len() as u32, 8], &rows.flat_map(i32::to_be_bytes).collect::<Vec<_>>());
        file[2] = 0x0c;
        file
    };
    let mut files = sound_files();
    files[TRAIN_LABELS] = labels(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    files[TEST_LABELS] = labels(&[9, 3]);
    let mut names = prefixed("qmnist");
    for file in [TRAIN_LABELS, TEST_LABELS] {
        names[file] = names[file].replace("idx1-ubyte", "idx2-int");
        files[file] = gzip(&files[file]);
    }
    let dataset = load(&folder_named(&names, &files)).expect("these are QMNIST's files");
    let plain = load(&folder_of(&sound_files())).expect("the set is sound");
    assert_eq!([dataset.train, dataset.test], [plain.train, plain.test]);

    files[TEST_LABELS] = labels(&[9, 65536]);
    let error = load(&folder_named(&names, &files)).expect_err("too large").to_string();
    holds(&error, &[&names[TEST_LABELS], "sample 1", "label 65536", "0 to 65535"]);
    files[TEST_LABELS] = labels(&[-1, 9]);
    holds(&load(&folder_named(&names, &files)).expect_err("negative").to_string(), &["sample 0", "label -1"]);
    // More classes than a byte has values.
    files[TRAIN_LABELS] = labels(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 300, 999]);
    files[TEST_LABELS] = labels(&[999, 300]);
    let dataset = load(&folder_named(&names, &files)).expect("any labels are classes");
    assert_eq!((dataset.class_labels[10], dataset.test.labels()), (999, &[10, 9][..]));
}

#[test]
fn a_table_that_is_not_qmnists_is_not_taken_for_labels() {
    let mut one_hot = [0; 20];
    one_hot[9] = 1;
    one_hot[13] = 1;
    refuses(TEST_LABELS, idx(&[2, 10], &one_hot), &["dimensions", "[2, 10]", "one column", "found 10"]);
    refuses(TEST_LABELS, idx(&[2, 8], &[0; 16]), &["dimensions", "[2, 8]", "32-bit integers"]);
    let mut column = sound_files();
    column[TEST_LABELS] = idx(&[2, 1], &[9, 3]);
    assert_eq!(load(&folder_of(&column)).expect("a column is labels").test.labels(), [9, 3]);
}

#[test]
fn plain_goes_before_gzipped_and_the_folder_before_folders_in_it() {
    let folder = folder_of(&sound_files());
    let test = FILES[TEST_LABELS];
    fs::write(folder.path().join(format!("{test}.gz")), gzip(&idx(&[2], &[1, 1]))).expect("writable");
    fs::write(folder.path().join("test-labels-idx1-ubyte"), idx(&[2], &[2, 2])).expect("writable");
    fs::create_dir(folder.path().join("t10k-labels.idx1-ubyte")).expect("writable");
    fs::write(folder.path().join("t10k-labels.idx1-ubyte").join(test), idx(&[2], &[4, 4])).expect("writable");
    assert_eq!(load(&folder).expect("the set is sound").test.labels(), [9, 3]);
}

#[test]
fn several_families_in_a_folder_are_chosen_by_their_prefix() {
    let folder = TempDir::new().expect("there is a temporary folder");
    for (prefix, label) in [("emnist-letters", 1), ("emnist-byclass", 2)] {
        let mut files = sound_files();
        files[TEST_LABELS] = idx(&[2], &[label; 2]);
        write_named(&prefixed(prefix), &files, folder.path());
    }
    let letters = folder.path().join("emnist-letters");
    let byclass = folder.path().join("emnist-byclass");
    let (letters, byclass) = (letters.to_str().expect("UTF-8"), byclass.to_str().expect("UTF-8"));
    holds(&message(folder.path()), &["several data sets", "choose one", letters, byclass]);
    let dataset = Dataset::load(letters, None).expect("it is there");
    assert_eq!((dataset.test.labels(), &*dataset.source, &*dataset.name), (&[1, 1][..], folder.path(), letters));
    assert_eq!(Dataset::load(byclass, None).expect("it is there").test.labels(), [2, 2]);
    holds(&message(&folder.path().join("emnist-leters")), &["emnist-leters", "neither", letters, byclass]);

    // Files without a prefix can be named by their folder only, so that is what it means.
    write(&sound_files(), folder.path());
    assert_eq!(load(&folder).expect("it is there").test.labels(), [9, 3]);
    fs::remove_file(folder.path().join(FILES[TEST_LABELS])).expect("it was written");
    holds(&message(folder.path()), &["no `t10k-labels-idx1-ubyte`", letters]);

    fs::remove_file(folder.path().join("emnist-letters-test-images-idx3-ubyte.gz")).expect("it was written");
    let message = message(Path::new(letters));
    holds(&message, &["no `emnist-letters-test-images-idx3-ubyte`", ".gz"]);
    assert!(!message.contains("labels"), "only what is missing: {message}");
}

#[test]
fn a_folder_without_the_files_says_what_comes_near() {
    let folder = TempDir::new().expect("there is a temporary folder");
    holds(&message(folder.path()), &[folder.path().to_str().expect("UTF-8"), "none of", FILES[0], FILES[3], ".gz"]);
    assert!(!message(folder.path()).contains("there is `"));
    holds(&message(folder.path()), &["a folder of PNG or JPEG files for each class", "a table in .csv"]);

    for name in ["train_images.npy", "train-images-idx3-ubyte.gz.part", "notes.txt", "train-images-idx3-ubyte.xz"] {
        fs::write(folder.path().join(name), b"").expect("writable");
    }
    let found = message(folder.path());
    holds(&found, &["`train_images.npy`", "`train-images-idx3-ubyte.gz.part`", "`train-images-idx3-ubyte.xz`"]);
    assert!(!found.contains("notes.txt"), "{found}");
    for i in 0..9 {
        fs::write(folder.path().join(format!("train-labels-idx1-ubyte ({i}).gz")), b"").expect("writable");
    }
    holds(&message(folder.path()), &["8 more"]);

    let raw = folder.path().join("MNIST/raw");
    fs::create_dir_all(&raw).expect("writable");
    write(&sound_files(), &raw);
    holds(&message(folder.path()), &["and one in", raw.to_str().expect("UTF-8"), "give that path"]);
}

#[test]
fn what_is_no_folder_is_one_clear_error() {
    let folder = folder_of(&sound_files());
    let file = folder.path().join(FILES[0]);
    holds(&message(&file), &[FILES[0], "it is a file", "the folder is", folder.path().to_str().expect("UTF-8")]);
    holds(
        &message(&folder.path().join("absent")),
        &["absent", "neither a known set", "nor a folder", "a set of your own is"],
    );
    holds(&message(&folder.path().join("absent/too")), &["absent/too", "neither a known set"]);
    holds(&message(Path::new("fashion-minst")), &["did you mean `fashion-mnist`?"]);
    for odd in ["", "..", "."] {
        assert!(!message(Path::new(odd)).is_empty());
    }
}
