//! Rows of a CSV file.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek},
    path::Path,
};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use super::{DataError, Rows};

/// What may stand between two cells.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The rows of a file. Its first one are names if no cell of it is a number.
///
/// # Errors
///
/// The file cannot be opened, or is not UTF-8; an item: a row is longer or shorter than the first.
pub fn rows(path: &Path) -> Result<Rows<'static>, DataError> {
    let io = |cause| DataError::Io { path: path.to_owned(), cause };
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut first_line = Vec::new();
    file.read_until(b'\n', &mut first_line).and_then(|_| file.rewind()).map_err(io)?;
    let count = |delimiter: u8| first_line.iter().filter(|&&byte| byte == delimiter).count();
    let delimiter = DELIMITERS.into_iter().rev().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    let reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).trim(Trim::All).from_reader(file);
    let path = path.to_owned();
    let mut records = reader.into_records().map(move |record| {
        let record = record.map_err(|error| wrong(&path, error))?;
        let line = record.position().map_or(0, |position| position.line());
        Ok((format!("line {line}"), cells(&record)))
    });
    match records.next() {
        Some(Ok((_, first))) if first.iter().all(|cell| cell.parse::<f64>().is_err()) => {
            Ok(Rows { header: Some(first), rows: Box::new(records) })
        }
        Some(first) => Ok(Rows { header: None, rows: Box::new(std::iter::once(first).chain(records)) }),
        None => Ok(Rows { header: None, rows: Box::new(records) }),
    }
}

fn cells(record: &StringRecord) -> Vec<String> {
    // Excel begins its files with a mark of their byte order.
    record.iter().map(|cell| cell.trim_start_matches('\u{feff}').to_owned()).collect()
}

fn wrong(path: &Path, error: csv::Error) -> DataError {
    let line = |position: &Option<csv::Position>| position.as_ref().map_or(0, csv::Position::line);
    let reason = match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            format!(
                "line {} has {len} cells, and the first has {expected_len}; every row needs as many, and a cell with a comma \
                 in it stands between quotes",
                line(pos)
            )
        }
        ErrorKind::Utf8 { pos, .. } => format!("line {} is not UTF-8; save the file as that", line(pos)),
        _ => {
            let text = error.to_string();
            return match error.into_kind() {
                ErrorKind::Io(cause) => DataError::Io { path: path.to_owned(), cause },
                _ => DataError::Io { path: path.to_owned(), cause: io::Error::other(text) },
            };
        }
    };
    DataError::File { path: path.to_owned(), field: "rows", reason }
}
