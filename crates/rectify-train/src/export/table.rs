//! A table in memory, and as CSV.

use std::{path::Path, str::FromStr};

/// Columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table(pub Vec<Column>);

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// By row; `None` where there is none.
    pub values: Values,
}

/// Values of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Counts and numbers of things.
    Whole(Vec<Option<u64>>),
    /// Measurements.
    Number(Vec<Option<f64>>),
    /// Names.
    Text(Vec<Option<String>>),
}

/// What a table is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Text; what is not there is empty.
    Csv,
    /// Apache Parquet. Only with the feature `parquet`.
    Parquet,
}

impl TableFormat {
    /// By a file's ending.
    ///
    /// # Errors
    ///
    /// It is another one, or one that this build does not know; with what would work.
    pub fn of(path: &Path) -> Result<Self, String> {
        path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().parse()
    }
}

impl FromStr for TableFormat {
    type Err = String;

    fn from_str(ending: &str) -> Result<Self, String> {
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "parquet" if cfg!(feature = "parquet") => Ok(Self::Parquet),
            "parquet" => {
                Err("this build knows no Parquet; build with --features parquet, or take a name in .csv".to_owned())
            }
            _ => Err("a name in .csv or .parquet is expected".to_owned()),
        }
    }
}

impl Table {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.0.first().map_or(0, |column| match &column.values {
            Values::Whole(values) => values.len(),
            Values::Number(values) => values.len(),
            Values::Text(values) => values.len(),
        })
    }

    /// The file's bytes.
    ///
    /// # Errors
    ///
    /// What the format cannot hold.
    pub fn to_bytes(&self, format: TableFormat) -> Result<Vec<u8>, String> {
        match format {
            TableFormat::Csv => self.to_csv().map_err(|error| error.to_string()),
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => super::parquet::to_parquet(self).map_err(|error| error.to_string()),
            #[cfg(not(feature = "parquet"))]
            TableFormat::Parquet => "parquet".parse::<TableFormat>().map(|_| Vec::new()),
        }
    }

    fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.0.iter().map(|column| column.name))?;
        for row in 0..self.rows() {
            writer.write_record(self.0.iter().map(|column| column.values.cell(row)))?;
        }
        writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }
}

impl Values {
    /// One of them as text; numbers come back from it to the bit.
    fn cell(&self, row: usize) -> String {
        match self {
            Self::Whole(values) => values[row].map(|value| value.to_string()),
            Self::Number(values) => values[row].map(|value| value.to_string()),
            Self::Text(values) => values[row].clone(),
        }
        .unwrap_or_default()
    }
}
