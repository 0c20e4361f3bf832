//! Gzip read as `gzip -dc` reads it: members one after the other, zeros behind them without a word, other bytes behind
//! them with a note; and refused in its words.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The first bytes of every member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate never makes data smaller than by this factor (zlib's technical details).
pub const DEFLATE_LIMIT: u64 = 1032;

/// The only compression that the format has.
const DEFLATED: u8 = 8;

const HEADER_CRC: u8 = 0x02;
const EXTRA_FIELD: u8 = 0x04;
const ORIGINAL_NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;
/// Encryption and flags without a meaning.
const NOT_SUPPORTED: u8 = 0xe0;

/// The uncompressed contents of a gzip file.
pub struct Gunzip<R> {
    file: R,
    inflate: Decompress,
    /// Of the member's contents.
    crc: Crc,
    at: Place,
    /// What `gzip -d` warns of. Complete once everything is read.
    pub warning: Option<&'static str>,
}

/// Where a reader is in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    FirstMember,
    Data,
    NextMember,
    End,
}

impl<R: BufRead> Gunzip<R> {
    pub fn new(file: R) -> Self {
        Self { file, inflate: Decompress::new(false), crc: Crc::new(), at: Place::FirstMember, warning: None }
    }

    /// Reads a member's header, or what stands behind the last one.
    fn begin(&mut self) -> io::Result<Place> {
        if self.at == Place::NextMember {
            let found = self.file.fill_buf()?;
            match found.first() {
                None => return Ok(Place::End),
                Some(0) => {
                    if self.only_zeros_follow()? {
                        return Ok(Place::End);
                    }
                    return Ok(self.end_with_garbage());
                }
                Some(_) => {}
            }
        }
        let mut header = Header { file: &mut self.file, crc: Crc::new() };
        if header.bytes()? != MAGIC {
            return match self.at {
                Place::FirstMember => Err(invalid("not in gzip format")),
                _ => Ok(self.end_with_garbage()),
            };
        }
        let [method, flags] = header.bytes()?;
        if method != DEFLATED {
            return Err(invalid(format!("unknown method {method} -- not supported")));
        }
        if flags & NOT_SUPPORTED != 0 {
            return Err(invalid(format!("has flags {flags:#x} -- not supported")));
        }
        // Time, level, operating system.
        header.bytes::<6>()?;
        if flags & EXTRA_FIELD != 0 {
            for _ in 0..u16::from_le_bytes(header.bytes()?) {
                header.bytes::<1>()?;
            }
        }
        for text in [ORIGINAL_NAME, COMMENT] {
            while flags & text != 0 && header.bytes()? != [0] {}
        }
        if flags & HEADER_CRC != 0 {
            let computed = header.crc.sum() as u16;
            let declared = u16::from_le_bytes(header.bytes()?);
            if declared != computed {
                let differ = format!("header checksum {declared:#06x} != computed checksum {computed:#06x}");
                return Err(invalid(differ));
            }
        }
        self.inflate.reset(false);
        self.crc.reset();
        Ok(Place::Data)
    }

    fn end_with_garbage(&mut self) -> Place {
        self.warning = Some("decompression OK, trailing garbage ignored");
        Place::End
    }

    fn only_zeros_follow(&mut self) -> io::Result<bool> {
        loop {
            let found = self.file.fill_buf()?;
            if found.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            match found.len() {
                0 => return Ok(true),
                zeros => self.file.consume(zeros),
            }
        }
    }

    /// Compares a member's contents with the checksum and the length behind them.
    fn end_member(&mut self) -> io::Result<()> {
        let mut trailer = Header { file: &mut self.file, crc: Crc::new() };
        let [crc, length] = [trailer.bytes()?, trailer.bytes()?].map(u32::from_le_bytes);
        if crc != self.crc.sum() {
            return Err(invalid("invalid compressed data--crc error"));
        }
        if length != self.crc.amount() {
            return Err(invalid("invalid compressed data--length error"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            match self.at {
                Place::End => break,
                Place::FirstMember | Place::NextMember => self.at = self.begin()?,
                Place::Data => {
                    let input = self.file.fill_buf()?;
                    let at_end = input.is_empty();
                    let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
                    let status = self
                        .inflate
                        .decompress(input, buffer, FlushDecompress::None)
                        .map_err(|_| invalid("invalid compressed data--format violated"))?;
                    // Both are at most the length of a buffer.
                    let read = (self.inflate.total_in() - read) as usize;
                    let written = (self.inflate.total_out() - written) as usize;
                    self.file.consume(read);
                    self.crc.update(&buffer[..written]);
                    if status == Status::StreamEnd {
                        self.end_member()?;
                        self.at = Place::NextMember;
                    } else if written == 0 && at_end {
                        return Err(unexpected_end());
                    }
                    if written > 0 {
                        return Ok(written);
                    }
                }
            }
        }
        Ok(0)
    }
}

/// A part of a file that is not compressed.
struct Header<'a, R> {
    file: &'a mut R,
    /// Of what was read of it.
    crc: Crc,
}

impl<R: BufRead> Header<'_, R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => unexpected_end(),
            _ => error,
        })?;
        self.crc.update(&bytes);
        Ok(bytes)
    }
}

fn unexpected_end() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "unexpected end of file")
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}
