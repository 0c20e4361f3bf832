//! Tables: a sample a row, numbers and a label.

mod csv;
#[cfg(feature = "parquet")]
mod parquet;

use std::{
    collections::BTreeMap,
    iter,
    path::{Path, PathBuf},
};

use super::{DataError, MAX_ELEMENTS, MOST_CLASSES, Samples, error::too_few, samples::Features, shuffled};

/// Seed of the order of samples, and of the test set where none is there. Fixed, so that every experiment has the same.
const SEED: u64 = 0x7461_626c_6573_0000;
/// One in this many rows of each class is set aside for the test, where no file has them.
const TEST_SHARE: usize = 5;
/// What a column of labels is called, in the order that they are looked for.
const LABELS: [&str; 5] = ["label", "class", "target", "species", "y"];
/// Endings of files that are read.
const ENDINGS: [&str; 3] = ["csv", "tsv", "parquet"];
/// Most names in a message.
const SHOWN: usize = 20;

/// A table, read and parted.
pub struct Table {
    /// In order: by number if all are numbers, otherwise by letter.
    pub class_names: Vec<String>,
    /// Of the columns of numbers, in their order.
    pub feature_names: Vec<String>,
    /// In an order of chance.
    pub train: Samples,
    pub test: Samples,
    pub notes: Vec<String>,
}

/// A file's rows as text.
struct Rows<'a> {
    /// The names of the columns; `None` where the file has none.
    header: Option<Vec<String>>,
    /// Each with its place, as in `line 7`.
    rows: Box<dyn Iterator<Item = Result<(String, Vec<String>), DataError>> + 'a>,
}

/// Whether a path is a table, or a folder with two.
pub fn is_table(path: &Path) -> bool {
    if path.is_dir() { files(path).is_some() } else { path.is_file() && ending(path).is_some() }
}

fn ending(path: &Path) -> Option<&'static str> {
    let found = path.extension()?.to_str()?;
    ENDINGS.into_iter().find(|ending| found.eq_ignore_ascii_case(ending))
}

/// The files of a folder with `train.csv` and `test.csv`.
fn files(folder: &Path) -> Option<[PathBuf; 2]> {
    let both = |ending| ["train", "test"].map(|name| folder.join(format!("{name}.{ending}")));
    ENDINGS.into_iter().map(both).find(|files| files.iter().all(|file| file.is_file()))
}

/// Reads a table, or two of a folder.
///
/// # Errors
///
/// A file that is damaged, a cell that is no number, a row without a label, no column of labels by that name, too few
/// rows, too many classes; of two files, columns or classes that differ.
pub fn read(path: &Path, label_column: Option<&str>) -> Result<Table, DataError> {
    let wrong = |path: &Path, field, reason| DataError::File { path: path.to_owned(), field, reason };
    let (mut all, second) = match files(path) {
        Some([train, test]) => {
            let all = File::read(&train, label_column)?;
            let second = File::read(&test, label_column)?;
            if second.columns != all.columns {
                let reason = format!(
                    "[{}], and train has [{}]; both need the same, in one order",
                    list(&second.columns),
                    list(&all.columns)
                );
                return Err(wrong(&test, "columns", reason));
            }
            (all, Some((test, second)))
        }
        None => (File::read(path, label_column)?, None),
    };
    let class_names = sorted(all.names.clone());
    if class_names.len() > MOST_CLASSES {
        let reason = format!(
            "{} different values in column `{}`, and a set has at most {MOST_CLASSES} classes; --label-column names the \
             column of labels",
            class_names.len(),
            all.label
        );
        return Err(wrong(path, "classes", reason));
    }
    let class_of: BTreeMap<&str, u16> =
        class_names.iter().enumerate().map(|(class, name)| (name.as_str(), class as u16)).collect();
    let classes = |file: &File| -> Result<Vec<u16>, String> {
        let of_name = file.names.iter().map(|name| class_of.get(name.as_str()).copied().ok_or(name.clone()));
        let of_name: Vec<u16> = of_name.collect::<Result<_, _>>()?;
        Ok(file.labels.iter().map(|label| of_name[*label]).collect())
    };
    let width = all.columns.len();
    let mut notes = std::mem::take(&mut all.notes);
    let labels = classes(&all).unwrap_or_default();
    let samples = |numbers: &[f64], labels: &[u16], rows: &[u32]| Samples {
        features: Features::Numbers(
            rows.iter().flat_map(|&row| &numbers[row as usize * width..(row as usize + 1) * width]).copied().collect(),
        ),
        labels: rows.iter().map(|&row| labels[row as usize]).collect(),
        classes: class_names.len(),
    };
    let (trained, tested) = match &second {
        Some(_) => (all_rows(labels.len()), Vec::new()),
        None => {
            let (trained, tested) = part(&labels, class_names.len());
            notes.push(format!(
                "{}: without a file of its own, {} rows, a fifth of each class, are drawn to test with, the same ones \
                 every time",
                path.display(),
                tested.len()
            ));
            (trained, tested)
        }
    };
    // Whoever takes the first of them takes some of every class.
    let order = shuffled(trained.len(), SEED, 0);
    let trained: Vec<u32> = order.into_iter().map(|place| trained[place as usize]).collect();
    let train = samples(&all.numbers, &labels, &trained);
    let test = match second {
        None => samples(&all.numbers, &labels, &tested),
        Some((path, file)) => {
            let labels = classes(&file).map_err(|foreign| {
                let reason = format!(
                    "`{foreign}` is in no training row; classes are {}: leave such rows out, or add some to train",
                    list(&class_names)
                );
                wrong(&path, "class", reason)
            })?;
            samples(&file.numbers, &labels, &all_rows(labels.len()))
        }
    };
    if train.labels.len() < 2 || test.labels.is_empty() {
        let reason =
            too_few("rows", train.labels.len(), test.labels.len(), "in files of their own, train.csv and test.csv");
        return Err(wrong(path, "samples", reason));
    }
    Ok(Table { class_names, feature_names: all.columns, train, test, notes })
}

fn all_rows(count: usize) -> Vec<u32> {
    (0..count as u32).collect()
}

/// Rows to train on and rows to test with.
fn part(labels: &[u16], classes: usize) -> (Vec<u32>, Vec<u32>) {
    let mut of_class = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        of_class[usize::from(*label)].push(row as u32);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (class, rows) in of_class.iter().enumerate() {
        let order: Vec<u32> = shuffled(rows.len(), SEED, class + 1).into_iter().map(|i| rows[i as usize]).collect();
        let (tested, trained) = order.split_at(rows.len() / TEST_SHARE);
        train.extend(trained);
        test.extend(tested);
    }
    (train, test)
}

/// Names of classes in the order that a person expects.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.parse::<f64>().ok().filter(|number| number.is_finite());
    match names.iter().all(|name| number(name).is_some()) {
        true => names.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(a.cmp(b)).then(a.cmp(b))),
        false => names.sort(),
    }
    names
}

fn list(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// What a file holds.
struct File {
    /// Of the columns of numbers.
    columns: Vec<String>,
    /// The column of labels.
    label: String,
    /// Row by row.
    numbers: Vec<f64>,
    /// By row, a place in `names`.
    labels: Vec<usize>,
    /// Labels as they first come.
    names: Vec<String>,
    notes: Vec<String>,
}

impl File {
    fn read(path: &Path, label_column: Option<&str>) -> Result<Self, DataError> {
        let wrong = |field, reason| DataError::File { path: path.to_owned(), field, reason };
        let Rows { header, mut rows } = match ending(path) {
            Some("parquet") => read_parquet(path)?,
            _ => csv::rows(path)?,
        };
        let first = rows
            .next()
            .ok_or_else(|| wrong("samples", "there is no row; each sample is one, numbers and a label".to_owned()))??;
        let width = header.as_ref().map_or(first.1.len(), Vec::len);
        let rows = iter::once(Ok(first)).chain(rows);
        let columns: Vec<String> = match &header {
            Some(header) => header.clone(),
            None => (1..=width).map(|place| place.to_string()).collect(),
        };
        let label = find_label(&columns, label_column).map_err(|reason| wrong("label_column", reason))?;
        let is_number = |place: usize| place != label && !columns[place].is_empty();
        let kept: Vec<usize> = (0..columns.len()).filter(|&place| is_number(place)).collect();
        let mut notes = Vec::new();
        if header.is_none() {
            notes.push(format!(
                "{}: the first row has numbers and is taken for a sample; the columns are called 1 to {width}",
                path.display()
            ));
        }
        if label_column.is_none() {
            notes.push(format!("{}: the labels are those of column `{}`", path.display(), columns[label]));
        }
        if kept.len() + 1 < columns.len() {
            notes.push(format!("{}: a column without a name is passed over, as pandas' index is", path.display()));
        }
        let mut file = Self {
            columns: kept.iter().map(|&place| columns[place].clone()).collect(),
            label: columns[label].clone(),
            numbers: Vec::new(),
            labels: Vec::new(),
            names: Vec::new(),
            notes,
        };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let (place, cells) = row?;
            if kept.is_empty() {
                let reason =
                    format!("{} column; a label and at least one column of numbers are expected", columns.len());
                return Err(wrong("columns", reason));
            }
            for &column in &kept {
                let number = cells[column].parse::<f64>().ok().filter(|number| number.is_finite());
                let number =
                    number.ok_or_else(|| wrong("cell", not_a_number(&place, &columns[column], &cells[column])))?;
                file.numbers.push(number);
            }
            if cells[label].is_empty() {
                return Err(wrong(
                    "label",
                    format!("{place} has none in column `{}`; fill it, or leave the row out", columns[label]),
                ));
            }
            let next = places.len();
            let name = &cells[label];
            let known = *places.entry(name.clone()).or_insert(next);
            if known == next {
                file.names.push(name.clone());
            }
            file.labels.push(known);
            if size_of_val(&*file.numbers) > MAX_ELEMENTS {
                let reason = format!(
                    "{place}: the numbers take more than {MAX_ELEMENTS} bytes of memory; fewer rows or columns are read"
                );
                return Err(wrong("samples", reason));
            }
        }
        Ok(file)
    }
}

fn not_a_number(place: &str, column: &str, cell: &str) -> String {
    let what = match cell {
        "" => "is empty".to_owned(),
        cell => format!("`{}` is no finite number", cell.chars().take(40).collect::<String>()),
    };
    format!(
        "{place}, column `{column}`: {what}; every column but the labels' holds numbers, and rows with gaps are left out \
         or filled before"
    )
}

/// The place of the column with the labels.
fn find_label(columns: &[String], asked: Option<&str>) -> Result<usize, String> {
    let named = |name: &str| {
        let same = columns.iter().position(|column| column == name);
        same.or_else(|| columns.iter().position(|column| column.eq_ignore_ascii_case(name)))
    };
    match asked {
        _ if columns.is_empty() => Err("there is no column; numbers and a label are expected".to_owned()),
        None => Ok(LABELS.into_iter().find_map(named).unwrap_or(columns.len() - 1)),
        Some(asked) => {
            let place = asked.parse::<usize>().ok().filter(|place| (1..=columns.len()).contains(place));
            named(asked)
                .or(place.map(|place| place - 1))
                .ok_or_else(|| format!("there is no column `{asked}`; there are {}", list(columns)))
        }
    }
}

#[cfg(feature = "parquet")]
fn read_parquet(path: &Path) -> Result<Rows<'static>, DataError> {
    parquet::rows(path)
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(path: &Path) -> Result<Rows<'static>, DataError> {
    let reason = "this build knows no Parquet; build with --features parquet, or give the table as CSV".to_owned();
    Err(DataError::File { path: path.to_owned(), field: "file", reason })
}
