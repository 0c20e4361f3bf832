//! The IDX file format: the shape of an array of bytes, then the bytes; plain or gzipped.
//!
//! A file is `0 0 dtype dimensions`, then each dimension as a big-endian `u32`, then the elements.
//! Nothing is allocated before the header is known to be sound and the file large enough to hold what it declares.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::DataError;

/// Most elements that a file may declare: 1 GiB, more than twenty times MNIST.
pub const MAX_ELEMENTS: usize = 1 << 30;

/// The only element type that MNIST-style sets use.
const UNSIGNED_BYTE: u8 = 0x08;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate never makes data smaller than by this factor (zlib's technical details), so a header that declares more
/// than that is wrong, whatever follows.
const DEFLATE_LIMIT: u64 = 1032;

/// An array of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Length of each dimension, all at least 1: samples, rows, columns for images, samples for labels.
    pub dims: Vec<usize>,
    /// The elements, the last dimension fastest; as many as the product of `dims`.
    pub bytes: Vec<u8>,
}

impl Idx {
    /// SHA-256 of the uncompressed file in lower-case hexadecimal, the same however the file was compressed.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update([0, 0, UNSIGNED_BYTE, self.dims.len() as u8]);
        for &length in &self.dims {
            hasher.update((length as u32).to_be_bytes());
        }
        hasher.update(&self.bytes);
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Reads an IDX file of unsigned bytes with the given number of dimensions (3 for images, 1 for labels).
///
/// Whether it is gzipped is told from its first bytes, not from its name.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be opened; [`DataError::File`], with the field that is wrong, if it is not a regular
/// file, its magic, dtype or number of dimensions differ, a dimension is 0, more than [`MAX_ELEMENTS`] are declared,
/// or there are fewer or more bytes than declared.
pub fn read_idx(path: &Path, dimensions: usize) -> Result<Idx, DataError> {
    let io = |cause| DataError::Io { path: path.to_owned(), cause };
    let wrong = |Wrong { field, reason }| DataError::File { path: path.to_owned(), field, reason };

    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(wrong(Wrong::new("file", "is a folder or a device, expected a regular file")));
    }
    let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    decode(file, metadata.len(), dimensions).map_err(wrong)
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
            // Only the gzip decoder gives these: plain reads stop at the end without an error.
            io::ErrorKind::UnexpectedEof => Self::new("gzip stream", "ends too early: the file is truncated"),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Self::new("gzip stream", format!("is damaged: {error}"))
            }
            _ => Self::new("contents", format!("cannot be read: {error}")),
        }
    }
}

fn decode(mut file: impl BufRead, file_length: u64, dimensions: usize) -> Result<Idx, Wrong> {
    if !file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        return parse(file, file_length, dimensions);
    }
    let idx = parse(GzDecoder::new(&mut file), file_length.saturating_mul(DEFLATE_LIMIT), dimensions)?;
    match file.fill_buf()? {
        [] => Ok(idx),
        _ => Err(Wrong::new("gzip stream", "is followed by other bytes, expected the end of the file")),
    }
}

/// `capacity` is the most bytes that `file` can hold, header included.
fn parse(mut file: impl Read, capacity: u64, dimensions: usize) -> Result<Idx, Wrong> {
    let magic = read_up_to(&mut file, 4)?;
    let [zero_0, zero_1, dtype, declared_dimensions] = magic[..] else {
        return Err(Wrong::new("magic", format!("expected 4 bytes, the file has {}", magic.len())));
    };
    if [zero_0, zero_1] != [0, 0] {
        let found = format!("expected an IDX file, which begins with 00 00, found {zero_0:02x} {zero_1:02x}");
        return Err(Wrong::new("magic", found));
    }
    if dtype != UNSIGNED_BYTE {
        let found = match dtype {
            0x09 => "signed bytes",
            0x0b => "16-bit integers",
            0x0c => "32-bit integers",
            0x0d => "32-bit floats",
            0x0e => "64-bit floats",
            _ => "no dtype of the format",
        };
        return Err(Wrong::new("dtype", format!("expected 0x08, unsigned bytes; found 0x{dtype:02x}, {found}")));
    }
    if usize::from(declared_dimensions) != dimensions {
        let found = format!("expected {dimensions}, found {declared_dimensions}: are images and labels swapped?");
        return Err(Wrong::new("number of dimensions", found));
    }

    let header = read_up_to(&mut file, 4 * dimensions)?;
    if header.len() < 4 * dimensions {
        return Err(Wrong::new("dimensions", format!("the file ends in its header, after {} bytes", 4 + header.len())));
    }
    let dims: Vec<usize> = header.as_chunks().0.iter().map(|&length| u32::from_be_bytes(length) as usize).collect();
    if dims.contains(&0) {
        return Err(Wrong::new("dimensions", format!("{dims:?} has no elements")));
    }
    let elements = dims
        .iter()
        .try_fold(1, |product: usize, &length| product.checked_mul(length))
        .filter(|&elements| elements <= MAX_ELEMENTS)
        .ok_or_else(|| Wrong::new("dimensions", format!("{dims:?} is more than {MAX_ELEMENTS} elements")))?;

    let declared = (magic.len() + header.len() + elements) as u64;
    if declared > capacity {
        let found = format!("the header declares {declared} bytes, the file cannot hold more than {capacity}");
        return Err(Wrong::new("length", found));
    }
    // One byte more than declared tells whether something follows.
    let bytes = read_up_to(&mut file, elements + 1)?;
    match bytes.len() {
        length if length < elements => {
            Err(Wrong::new("length", format!("the header declares {elements} elements, the file has {length}")))
        }
        length if length > elements => {
            Err(Wrong::new("length", format!("bytes follow the {elements} elements that the header declares")))
        }
        _ => Ok(Idx { dims, bytes }),
    }
}

fn read_up_to(file: &mut impl Read, length: usize) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|error| Wrong::new("length", format!("no memory for {length} bytes: {error}")))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
