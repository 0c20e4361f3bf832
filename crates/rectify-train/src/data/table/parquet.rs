//! Rows of a Parquet file.

use std::{fs::File, path::Path};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, reader::RowIter},
};

use super::{DataError, Rows};

/// The rows of a file, which names its columns.
///
/// # Errors
///
/// The file cannot be opened or is no Parquet; an item: what follows is damaged, compressed otherwise than by Snappy, or
/// a cell is more than one value.
pub fn rows(path: &Path) -> Result<Rows<'static>, DataError> {
    let file = File::open(path).map_err(|cause| DataError::Io { path: path.to_owned(), cause })?;
    let wrong = |path: &Path, error: ParquetError| {
        let text = error.to_string();
        let reason = match text.contains("Disabled feature") {
            // pandas compresses by Snappy, polars by Zstandard unless it is told otherwise.
            true => format!("{text}: Snappy is read, as in write_parquet(…, compression=\"snappy\")"),
            false => format!("no sound Parquet: {text}; write it anew"),
        };
        DataError::File { path: path.to_owned(), field: "file", reason }
    };
    let reader = SerializedFileReader::new(file).map_err(|error| wrong(path, error))?;
    let schema = reader.metadata().file_metadata().schema();
    let header: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    // What pandas calls the index that it writes is none of the table's columns.
    let header = header.into_iter().map(|name| if name.starts_with("__index_level_") { String::new() } else { name });
    let header: Vec<String> = header.collect();
    let owner = path.to_owned();
    let rows = RowIter::from_file_into(Box::new(reader)).enumerate().map(move |(i, row)| {
        let row = row.map_err(|error| wrong(&owner, error))?;
        let place = format!("row {}", i + 1);
        let cells = row.get_column_iter().map(|(name, field)| {
            cell(field).ok_or_else(|| {
                let reason = format!("{place}, column `{name}`: more than one value, or one that is no number or text; leave the column out");
                DataError::File { path: owner.clone(), field: "cell", reason }
            })
        });
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        Ok((place, cells))
    });
    Ok(Rows { header: Some(header), rows: Box::new(rows) })
}

/// A value as text; empty where there is none.
fn cell(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(value) => u8::from(*value).to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.trim().to_owned(),
        _ => return None,
    })
}
