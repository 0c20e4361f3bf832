//! The IDX file format: the shape of an array of numbers, then the numbers; plain or gzipped.
//!
//! A file is `0 0 dtype dimensions`, then each dimension as a big-endian `u32`, then the elements.
//! Nothing is allocated before the header is known to be sound and the file large enough to hold what it declares.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    DataError,
    gzip::{self, Gunzip},
};

/// Most bytes of elements that a file may declare: 1 GiB, more than twenty times MNIST.
pub const MAX_ELEMENTS: usize = 1 << 30;

/// The dtype of images, and of labels but QMNIST's.
const UNSIGNED_BYTE: u8 = 0x08;

/// The dtype of QMNIST's labels: big-endian, signed, 32 bits.
const INT: u8 = 0x0c;

/// Columns of QMNIST's labels: the class, then who wrote the digit and where it is in the archives.
const QMNIST_COLUMNS: usize = 8;

/// What helps where a file is damaged.
const FETCH: &str = "the file is damaged: fetch or copy it anew";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdxContent {
    /// Unsigned bytes in three dimensions (samples, rows, columns) or four (with channels).
    Images,
    /// Unsigned bytes or 32-bit integers in one dimension, or in two of which the second has the class in front.
    Labels,
}

/// An array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The elements' type as the format numbers it: 0x08 for unsigned bytes, 0x0c for 32-bit integers.
    pub dtype: u8,
    /// Length of each dimension, all at least 1; the first is the number of samples.
    pub dims: Vec<usize>,
    /// The elements as they are in the file, the last dimension fastest; as many as the product of `dims`, of four
    /// bytes each for integers.
    pub bytes: Vec<u8>,
    /// What `gzip -d` warns of, with the file's name.
    pub notes: Vec<String>,
}

impl Idx {
    /// SHA-256 of the uncompressed file in lower-case hexadecimal, the same however the file was compressed.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update([0, 0, self.dtype, self.dims.len() as u8]);
        for &length in &self.dims {
            hasher.update((length as u32).to_be_bytes());
        }
        hasher.update(&self.bytes);
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Each sample's label, if the array is one of labels; or which one is no label.
    pub(super) fn into_labels(self) -> Result<Vec<u16>, String> {
        let columns = self.dims.get(1).copied().unwrap_or(1);
        if self.dtype == UNSIGNED_BYTE {
            // `read_idx` lets no more than one column pass.
            return Ok(self.bytes.into_iter().map(u16::from).collect());
        }
        let (numbers, _) = self.bytes.as_chunks();
        let labels = numbers.iter().step_by(columns).enumerate().map(|(sample, &number)| {
            let label = i32::from_be_bytes(number);
            u16::try_from(label).map_err(|_| format!("sample {sample} (from 0) has label {label}, expected 0 to 65535"))
        });
        labels.collect()
    }
}

/// Reads an IDX file of images or labels.
///
/// Whether it is gzipped is told from its first bytes, not from its name. Gzip files are read as `gzip -dc` reads them,
/// those of several members too.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be opened; [`DataError::File`], with the field that is wrong, if it is not a regular
/// file, `gzip -dc` would refuse it, its magic, dtype or number of dimensions differ from what [`IdxContent`] says, a
/// dimension is 0, more than [`MAX_ELEMENTS`] bytes are declared, or there are fewer or more than declared.
pub fn read_idx(path: &Path, content: IdxContent) -> Result<Idx, DataError> {
    let io = |cause| DataError::Io { path: path.to_owned(), cause };
    let wrong = |Wrong { field, reason }| DataError::File { path: path.to_owned(), field, reason };

    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(wrong(Wrong::new("file", "is a folder or a device, expected a regular file")));
    }
    let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let called_gzip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let (mut idx, warning) = decode(file, metadata.len(), called_gzip, content).map_err(wrong)?;
    idx.notes.extend(warning.map(|warning| format!("{}: {warning}", path.display())));
    Ok(idx)
}

/// What is wrong with a file, before its path is known.
struct Wrong {
    field: &'static str,
    reason: String,
}

impl Wrong {
    fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Only `Gunzip` gives these: plain reads stop at the end without an error.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                Self::new("gzip stream", format!("{error}; {FETCH}"))
            }
            _ => Self::new("contents", format!("cannot be read: {error}")),
        }
    }
}

fn decode(
    mut file: impl BufRead,
    file_length: u64,
    called_gzip: bool,
    content: IdxContent,
) -> Result<(Idx, Option<&'static str>), Wrong> {
    let begin = file.fill_buf()?;
    let expected = if called_gzip { "gzip" } else { "an IDX file" };
    if let Some(found) = known_mistake(begin) {
        return Err(Wrong::new("contents", found.replace("{expected}", expected)));
    }
    let gzipped = begin.starts_with(&gzip::MAGIC);
    if called_gzip && !gzipped && !begin.starts_with(&[0, 0]) {
        return Err(Wrong::new(
            "gzip stream",
            format!("not in gzip format: begins with {}; {FETCH}", hexadecimal(begin)),
        ));
    }
    if !gzipped {
        return Ok((parse(file, file_length, content)?, None));
    }
    let mut file = Gunzip::new(file);
    // A header that declares more is wrong, whatever follows.
    let idx = parse(&mut file, file_length.saturating_mul(gzip::DEFLATE_LIMIT), content)?;
    Ok((idx, file.warning))
}

/// What a download or a copy that went wrong left behind, told from its first bytes.
fn known_mistake(begin: &[u8]) -> Option<&'static str> {
    const HTML: &str = "is an HTML page, not {expected}: the download went to a web page";
    const TEXTS: [(&str, &str); 4] = [
        ("<!doctype html", HTML),
        ("<html", HTML),
        ("<?xml", "is an XML document, not {expected}: the download went to a server's message"),
        ("version https://git-lfs", "is a pointer of Git LFS, not {expected}: `git lfs pull` fetches the file"),
    ];
    const ARCHIVES: [(&[u8], &str); 4] = [
        (b"PK\x03\x04", "is a ZIP archive, not {expected}: unpack it with `unzip`"),
        (b"\xfd7zXZ", "is compressed by xz, which is not read: unpack it with `xz -d`"),
        (b"BZh", "is compressed by bzip2, which is not read: unpack it with `bzip2 -d`"),
        (b"\x28\xb5\x2f\xfd", "is compressed by Zstandard, which is not read: unpack it with `zstd -d`"),
    ];
    if begin.is_empty() {
        return Some("the file is empty, expected {expected}: fetch or copy it anew");
    }
    let text = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin).trim_ascii_start();
    let text = |prefix: &str| text.get(..prefix.len()).is_some_and(|text| text.eq_ignore_ascii_case(prefix.as_bytes()));
    let texts = TEXTS.iter().find(|(prefix, _)| text(prefix)).map(|&(_, found)| found);
    texts.or_else(|| ARCHIVES.iter().find(|(prefix, _)| begin.starts_with(prefix)).map(|&(_, found)| found))
}

fn hexadecimal(begin: &[u8]) -> String {
    begin.iter().take(2).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// `capacity` is the most bytes that `file` can hold, header included.
fn parse(mut file: impl Read, capacity: u64, content: IdxContent) -> Result<Idx, Wrong> {
    let magic = read_up_to(&mut file, 4)?;
    let [zero_0, zero_1, dtype, dimensions] = magic[..] else {
        return Err(Wrong::new("magic", format!("expected 4 bytes, the file has {}; {FETCH}", magic.len())));
    };
    if [zero_0, zero_1] != [0, 0] {
        let found = format!("expected an IDX file, which begins with 00 00, found {}", hexadecimal(&magic));
        return Err(Wrong::new("magic", found));
    }
    let element_size = match (dtype, content) {
        (UNSIGNED_BYTE, _) => 1,
        (INT, IdxContent::Labels) => 4,
        _ => {
            let expected = match content {
                IdxContent::Images => "0x08, unsigned bytes",
                IdxContent::Labels => "0x08, unsigned bytes, or 0x0c, 32-bit integers",
            };
            let found = match dtype {
                0x09 => "signed bytes",
                0x0b => "16-bit integers",
                INT => "32-bit integers",
                0x0d => "32-bit floats",
                0x0e => "64-bit floats",
                _ => "no dtype of the format",
            };
            return Err(Wrong::new("dtype", format!("expected {expected}; found 0x{dtype:02x}, {found}")));
        }
    };
    let (allowed, expected) = match content {
        IdxContent::Images => (3..=4, "3, or 4 with channels"),
        IdxContent::Labels => (1..=2, "1"),
    };
    if !allowed.contains(&dimensions) {
        let found = format!("expected {expected}, found {dimensions}: are images and labels swapped?");
        return Err(Wrong::new("number of dimensions", found));
    }

    let header = read_up_to(&mut file, 4 * usize::from(dimensions))?;
    let (lengths, rest) = header.as_chunks();
    if lengths.len() < usize::from(dimensions) || !rest.is_empty() {
        return Err(Wrong::new(
            "dimensions",
            format!("the file ends in its header, after {} bytes; {FETCH}", 4 + header.len()),
        ));
    }
    let dims: Vec<usize> = lengths.iter().map(|&length| u32::from_be_bytes(length) as usize).collect();
    if dims.contains(&0) {
        return Err(Wrong::new("dimensions", format!("{dims:?} has no elements; each must be at least 1")));
    }
    if let (IdxContent::Labels, [_, columns]) = (content, &dims[..]) {
        // Of other tables, such as one with a column for each class, the first column is not the class.
        if *columns != 1 && (dtype, *columns) != (INT, QMNIST_COLUMNS) {
            let found = format!(
                "{dims:?}: labels in two dimensions have one column, or as QMNIST's {QMNIST_COLUMNS} of 32-bit \
                 integers; found {columns}"
            );
            return Err(Wrong::new("dimensions", found));
        }
    }
    let length = dims
        .iter()
        .try_fold(element_size, |product: usize, &length| product.checked_mul(length))
        .filter(|&length| length <= MAX_ELEMENTS)
        .ok_or_else(|| {
            Wrong::new("dimensions", format!("{dims:?} is more than {MAX_ELEMENTS} bytes; fewer samples are read"))
        })?;

    let declared = (magic.len() + header.len() + length) as u64;
    if declared > capacity {
        let found = format!("the header declares {declared} bytes, the file cannot hold more than {capacity}; {FETCH}");
        return Err(Wrong::new("length", found));
    }
    // One byte more than declared tells whether something follows.
    let bytes = read_up_to(&mut file, length + 1)?;
    match bytes.len() {
        found if found < length => {
            let reason = format!("the header declares {length} bytes of elements, the file has {found}; {FETCH}");
            Err(Wrong::new("length", reason))
        }
        found if found > length => {
            let reason = format!("bytes follow the {length} of elements that the header declares; {FETCH}");
            Err(Wrong::new("length", reason))
        }
        _ => Ok(Idx { dtype, dims, bytes, notes: Vec::new() }),
    }
}

fn read_up_to(file: &mut impl Read, length: usize) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|error| {
        Wrong::new("length", format!("no memory for {length} bytes: {error}; fewer samples take less"))
    })?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
