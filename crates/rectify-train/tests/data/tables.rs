//! Tables.

use std::{fs, path::Path};

use burn::tensor::{DType, Device};
use rectify_train::data::{DataOptions, Dataset};
use tempfile::TempDir;

/// So many rows of three classes of unequal size; the second column tells the class, the first one nothing.
fn rows(count: usize) -> String {
    let row = |i: usize| {
        let class = [0, 0, 1, 2, 1][i % 5];
        format!("{},{}.5,{}\n", 1000 + i * 7 % 11, class * 10, ["rose", "iris", "aster"][class])
    };
    (0..count).map(row).collect()
}

fn load(path: &Path, label_column: Option<&str>) -> Result<Dataset, String> {
    let options = DataOptions { label_column: label_column.map(str::to_owned), ..DataOptions::default() };
    Dataset::load_with(path.to_str().expect("UTF-8"), &options).map_err(|error| error.to_string())
}

/// A table with this text in it, read.
fn read(text: &str, label_column: Option<&str>) -> Result<Dataset, String> {
    let folder = TempDir::new().expect("there is a temporary folder");
    let path = folder.path().join("table.csv");
    fs::write(&path, text).expect("it can be written");
    load(&path, label_column)
}

#[track_caller]
fn refuses(text: &str, label_column: Option<&str>, parts: &[&str]) {
    let message = read(text, label_column).expect_err("it is not sound");
    for part in ["table.csv"].iter().chain(parts) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_table_is_a_data_set_whose_columns_are_standardised_one_by_one() {
    let set = read(&format!("size,petal,species\n{}", rows(100)), None).expect("it is sound");
    assert_eq!(set.class_names, ["aster", "iris", "rose"]);
    assert_eq!(set.feature_names, ["size", "petal"]);
    assert_eq!([set.channels, set.height, set.width, set.classes], [2, 1, 1, 3]);
    assert_eq!([set.train.len(), set.validation.len(), set.test.len()], [72, 8, 20]);
    assert_eq!(set.test.class_counts(), [4, 8, 8], "a fifth of each class");
    for (row, label) in set.train.numbers().chunks(2).zip(set.train.labels()) {
        assert_eq!(row[1], [20.5, 10.5, 0.5][usize::from(*label)], "a row keeps its label");
    }
    assert!(set.notes.iter().any(|note| note.contains("20 rows, a fifth of each class, are drawn")), "{:?}", set.notes);
    assert!(set.notes.iter().any(|note| note.contains("the labels are those of column `species`")), "{:?}", set.notes);
    let again = read(&format!("size,petal,species\n{}", rows(100)), None).expect("it is sound");
    assert_eq!((again.train, again.test), (set.train.clone(), set.test.clone()));

    let on_device = set.to_device(&Device::flex(), DType::F64);
    let numbers: Vec<f64> = on_device.train.images().into_data().iter().collect();
    for column in 0..2 {
        let of_column = || numbers.iter().skip(column).step_by(2);
        let mean = of_column().sum::<f64>() / 72.0;
        let variance = of_column().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 72.0;
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-12, "{mean} {variance}");
    }
}

#[test]
fn labels_are_found_by_the_columns_name_or_its_place() {
    // UCI's wine has no names and the class in front.
    let wine: String = (0..40).map(|i| format!("{},{}.25,7\n", i % 4 + 1, i % 4)).collect();
    let set = read(&wine, Some("1")).expect("it is sound");
    assert_eq!(
        (set.class_names, set.feature_names),
        (["1", "2", "3", "4"].map(str::to_owned).to_vec(), vec!["2".to_owned(), "3".to_owned()])
    );
    assert!(set.notes.iter().any(|note| note.contains("the same in all training samples: `3`")), "{:?}", set.notes);
    assert!(set.notes.iter().any(|note| note.contains("first row has numbers")), "{:?}", set.notes);
    // Semicolons, quotes, an index without a name, ten classes in the order of numbers.
    let text: String = (0..60).map(|i| format!("{i};{}.5;\"{}\"\n", i % 7, i % 12)).collect();
    let set = read(&format!("\u{feff};a;\"Digit\"\n{text}"), Some("digit")).expect("it is sound");
    assert_eq!((set.classes, &*set.class_names[2], &set.feature_names[..]), (12, "2", &["a".to_owned()][..]));
    assert!(set.notes.iter().any(|note| note.contains("a column without a name is passed over")), "{:?}", set.notes);
    refuses("a,b,c\n1,2,x\n", Some("d"), &["label_column", "no column `d`", "a, b, c"]);
}

#[test]
fn a_folder_with_two_files_has_its_own_split() {
    let folder = TempDir::new().expect("there is a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("it can be written");
    write("train.csv", &format!("size,petal,species\n{}", rows(50)));
    write("test.csv", "size,petal,species\n1,0.5,rose\n2,20.5,aster\n");
    let set = load(folder.path(), None).expect("it is sound");
    assert_eq!((set.train.len(), set.validation.len(), set.test.numbers()), (45, 5, &[1.0, 0.5, 2.0, 20.5][..]));
    assert_eq!(set.test.labels(), [2, 0]);
    assert!(!set.notes.iter().any(|note| note.contains("drawn")), "{:?}", set.notes);
    write("test.csv", "size,petal,species\n1,0.5,tulip\n");
    let message = load(folder.path(), None).expect_err("no such class");
    assert!(
        message.contains("test.csv")
            && message.contains("`tulip` is in no training row")
            && message.contains("leave such rows out"),
        "{message}"
    );
    write("test.csv", "petal,size,species\n1,0.5,rose\n");
    let message = load(folder.path(), None).expect_err("other columns");
    assert!(message.contains("[petal, size], and train has [size, petal]; both need the same"), "{message}");
    fs::remove_file(folder.path().join("test.csv")).expect("it is there");
    let message = load(folder.path(), None).expect_err("one table makes no folder of two");
    let train = folder.path().join("train.csv");
    assert!(message.contains("give the path of that") && message.contains(train.to_str().expect("UTF-8")), "{message}");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let names = "size,petal,species\n";
    refuses(&format!("{names}1,2,rose\n3,,iris\n"), None, &["line 3", "column `petal`", "is empty"]);
    refuses(
        &format!("{names}1,2,rose\n3,red,iris\n"),
        None,
        &["line 3", "column `petal`", "`red` is no finite number"],
    );
    refuses(&format!("{names}1,2,rose\n3,inf,iris\n"), None, &["line 3", "`inf` is no finite number"]);
    refuses(
        &format!("{names}1,2,rose\n3,4\n"),
        None,
        &["line 3 has 2 cells, and the first has 3", "every row needs as many"],
    );
    refuses(&format!("{names}1,2,\n"), None, &["line 2 has none in column `species`", "fill it, or leave the row out"]);
    refuses(names, None, &["there is no row; each sample is one"]);
    refuses("", None, &["there is no row"]);
    refuses("<html><body>\nnot found\n", None, &["1 column"]);
    let too_few =
        ["too few rows: 1 to train on", "at least 2 and 1 are needed", "one class needs 5", "train.csv and test.csv"];
    refuses(&format!("{names}1,2,rose\n"), None, &too_few);
    let many: String = (0..1001).map(|i| format!("1,2,flower{i}\n")).collect();
    refuses(&format!("{names}{many}"), None, &["1001 different values in column `species`", "--label-column"]);
    let folder = TempDir::new().expect("there is a temporary folder");
    let path = folder.path().join("table.csv");
    fs::write(&path, b"a,label\n1,caf\xe9\n").expect("it can be written");
    let message = load(&path, None).expect_err("it is Latin-1");
    assert!(message.contains("line 2 is not UTF-8; save the file as that"), "{message}");
}

#[test]
fn a_thousand_classes_are_told_apart() {
    let text: String = (0..10_000).map(|i| format!("{},{}\n", i % 1000, i % 1000)).collect();
    let set = read(&format!("number,label\n{text}"), None).expect("it is sound");
    assert_eq!((set.classes, set.test.len()), (1000, 2000));
    assert_eq!(set.test.numbers().iter().map(|number| *number as u16).collect::<Vec<_>>(), set.test.labels());
    assert!(set.test.labels().contains(&999));
}

#[test]
fn options_of_other_sets_are_refused() {
    let folder = TempDir::new().expect("there is a temporary folder");
    let path = folder.path().join("table.csv");
    fs::write(&path, rows(20)).expect("it can be written");
    let load = |name: &str, options: DataOptions| Dataset::load_with(name, &options).expect_err("refused").to_string();
    let path = path.to_str().expect("UTF-8");
    let sized = load(path, DataOptions { image_size: Some(8), ..DataOptions::default() });
    assert!(sized.contains("image_size") && sized.contains("this is a table"), "{sized}");
    let labelled = load("mnist", DataOptions { label_column: Some("x".to_owned()), ..DataOptions::default() });
    assert!(labelled.contains("label_column") && labelled.contains("only tables"), "{labelled}");
    let set = Dataset::load(path, None).expect("it is sound");
    let sheet = set.write_contact_sheet(&folder.path().join("sheet.png")).expect_err("no pictures").to_string();
    assert!(sheet.contains("a table has no pictures"), "{sheet}");
}
