//! A table as Parquet.

use std::sync::Arc;

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::Result,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

use super::{Table, Values};

/// The file's bytes: one row group, compressed by Snappy.
pub fn to_parquet(table: &Table) -> Result<Vec<u8>> {
    let fields: String = table
        .0
        .iter()
        .map(|column| match column.values {
            Values::Whole(_) => format!("optional int64 {};\n", column.name),
            Values::Number(_) => format!("optional double {};\n", column.name),
            Values::Text(_) => format!("optional binary {} (UTF8);\n", column.name),
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message metrics {{\n{fields}}}"))?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    for column in &table.0 {
        match &column.values {
            // A seed is a u64, of which Parquet's readers take the bits as an i64 where it is that large.
            Values::Whole(values) => write::<Int64Type, _>(&mut rows, values, |value| *value as i64)?,
            Values::Number(values) => write::<DoubleType, _>(&mut rows, values, |value| *value)?,
            Values::Text(values) => {
                write::<ByteArrayType, _>(&mut rows, values, |value| ByteArray::from(value.as_str()))?
            }
        }
    }
    rows.close()?;
    writer.into_inner()
}

fn write<T: DataType, V>(
    rows: &mut SerializedRowGroupWriter<Vec<u8>>,
    values: &[Option<V>],
    value: impl Fn(&V) -> T::T,
) -> Result<()> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let there: Vec<T::T> = values.iter().flatten().map(value).collect();
    let mut column = rows.next_column()?.expect("the schema has a column for each of the table's");
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    column.close()
}
