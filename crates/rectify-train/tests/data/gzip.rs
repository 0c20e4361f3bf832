//! What `gzip -dc` reads is read, and what it refuses is refused in its words.

use std::{io::ErrorKind, process::Stdio};

use super::*;

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Read,
    /// Read, with a note.
    Noted(&'static str),
    Refused(&'static str),
}
use Outcome::{Noted, Read, Refused};

const GARBAGE: Outcome = Noted("decompression OK, trailing garbage ignored");
const TRUNCATED: Outcome = Refused("unexpected end of file");

/// What the program `gzip` makes of a file; nothing where there is none.
fn of_gzip(path: &Path) -> Option<(Option<i32>, Vec<u8>, String)> {
    let gzip = Command::new("gzip").arg("-dc").arg(path).stdin(Stdio::null()).output();
    match gzip {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        output => {
            let output = output.expect("gzip runs");
            Some((output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

/// A member with a header of one's own.
fn member(header: &[u8], plain: &[u8]) -> Vec<u8> {
    [header, &gzip(plain)[10..]].concat()
}

/// One byte changed.
fn changed(mut file: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = file.len() - from_end;
    file[at] ^= 1;
    file
}

/// The CRC-16 of a gzip header.
fn header_crc(header: &[u8]) -> [u8; 2] {
    let mut crc = flate2::Crc::new();
    crc.update(header);
    (crc.sum() as u16).to_le_bytes()
}

#[test]
fn a_gzip_file_is_read_noted_or_refused_as_gzip_does() {
    let plain = idx(&[40, 3, 5], &(0..600).map(|i| (i * 7 % 251) as u8).collect::<Vec<_>>());
    let whole = gzip(&plain);
    let members = |size: usize| plain.chunks(size).flat_map(gzip).collect::<Vec<u8>>();
    let and = |end: &[u8]| [&whole, end].concat();
    let flags = |flags: u8, fields: &[u8]| [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3], fields].concat();
    let all_fields = flags(0x1e, b"\x03\0abcname\0comment\0");
    let with_crc = [&all_fields[..], &header_crc(&all_fields)].concat();
    let wrong_crc = [&all_fields[..], &[1, 2]].concat();

    let cases: [(&str, Vec<u8>, Outcome); 29] = [
        ("one member", whole.clone(), Read),
        ("members of 100 bytes", members(100), Read),
        ("members of 1 byte", members(1), Read),
        ("an empty member in front", [gzip(b""), whole.clone()].concat(), Read),
        ("empty members behind", and(&gzip(b"").repeat(3)), Read),
        ("a zero behind", and(&[0]), Read),
        ("zeros to a block of tape", and(&[0; 100_000]), Read),
        ("zeros behind members", [members(70), vec![0; 512]].concat(), Read),
        ("garbage behind", and(b"more"), GARBAGE),
        ("garbage behind zeros", and(b"\0\0\0more"), GARBAGE),
        ("garbage behind zeros of several buffers", and(&[&[0; 200_000][..], b"x"].concat()), GARBAGE),
        ("garbage behind members", [members(70), b"\nmore".to_vec()].concat(), GARBAGE),
        ("zeros between members, where gzip looks no further", [gzip(&plain), vec![0], gzip(b"")].concat(), GARBAGE),
        ("one byte behind", and(b"m"), TRUNCATED),
        ("half a magic behind", and(b"\x1f"), TRUNCATED),
        ("a magic behind", and(b"\x1f\x8b"), TRUNCATED),
        ("a truncated member behind", and(&gzip(b"")[..15]), TRUNCATED),
        ("a damaged member behind", and(&changed(gzip(b""), 8)), Refused("invalid compressed data--crc error")),
        ("truncated", whole[..whole.len() / 2].to_vec(), TRUNCATED),
        ("no trailer", whole[..whole.len() - 8].to_vec(), TRUNCATED),
        ("wrong checksum", changed(whole.clone(), 8), Refused("invalid compressed data--crc error")),
        ("wrong length", changed(whole.clone(), 4), Refused("invalid compressed data--length error")),
        ("no deflate", [&whole[..10], &[0xff; 40]].concat(), Refused("invalid compressed data--format violated")),
        ("every field", member(&with_crc, &plain), Read),
        ("wrong header checksum", member(&wrong_crc, &plain), Refused("!= computed checksum")),
        ("endless name", flags(8, b"name"), TRUNCATED),
        ("encrypted", member(&flags(0x20, b""), &plain), Refused("not supported")),
        ("reserved flags", member(&flags(0x80, b""), &plain), Refused("has flags 0x80 -- not supported")),
        ("another method", member(b"\x1f\x8b\x07\0\0\0\0\0\0\x03", &plain), Refused("unknown method 7")),
    ];
    let folder = TempDir::new().expect("there is a temporary folder");
    for (name, file, expected) in cases {
        // The name's ending makes no difference to Rectify; gzip wants it.
        for path in ["file.gz", "file"].map(|name| folder.path().join(name)) {
            fs::write(&path, &file).expect("the folder can be written");
            let read = read_idx(&path, IdxContent::Images);
            match (expected, read) {
                (Refused(words), Err(error)) => {
                    let message = error.to_string();
                    assert!(message.contains(words) && message.contains("file"), "{name}: {message}");
                }
                (Read | Noted(_), Ok(read)) => {
                    assert!(read.bytes == plain[16..], "{name}");
                    let notes = match expected {
                        Noted(note) => vec![format!("{}: {note}", path.display())],
                        _ => Vec::new(),
                    };
                    assert_eq!(read.notes, notes, "{name}");
                }
                (_, read) => panic!("{name}: expected {expected:?}, got {:?}", read.map(|read| read.notes)),
            }
        }
        let Some((code, output, message)) = of_gzip(&folder.path().join("file.gz")) else { continue };
        match expected {
            Read => assert!(code == Some(0) && output == plain && message.is_empty(), "{name}: gzip says {message}"),
            Noted(note) => {
                assert!(code == Some(2) && output == plain && message.contains(note), "{name}: gzip says {message}");
            }
            // Header checksums are looked at since gzip 1.10, and its words for flags differ.
            Refused(words) => {
                assert_eq!(code, Some(1), "{name}: gzip says {message}");
                let same = message.contains(words) || words.contains("flags") || words.contains("method");
                assert!(same, "{name}: gzip says {message}");
            }
        }
    }
}

#[test]
fn a_set_of_many_members_loads_and_its_notes_are_told() {
    let folder = TempDir::new().expect("there is a temporary folder");
    for (file, (name, bytes)) in FILES.iter().zip(sound_files()).enumerate() {
        let mut members: Vec<u8> = bytes.chunks(9).flat_map(gzip).collect();
        if file == TEST_LABELS {
            members.extend_from_slice(b"garbage");
        }
        fs::write(folder.path().join(format!("{name}.gz")), members).expect("the folder can be written");
    }
    let dataset = load(&folder).expect("gzip would read it");
    assert_eq!(dataset.test.labels(), [9, 3]);
    let [note] = &dataset.notes[..] else { panic!("{:?}", dataset.notes) };
    assert!(note.contains(&format!("{}.gz: ", FILES[TEST_LABELS])) && note.contains("garbage ignored"), "{note}");
    assert_eq!(dataset.contents().notes, dataset.notes);
}

#[test]
fn members_beyond_the_declared_length_are_refused() {
    let file = sound_files()[TRAIN_IMAGES].clone();
    refuses(TRAIN_IMAGES, [gzip(&file), gzip(&[0])].concat(), &["length", "bytes follow the 22"]);
    refuses(TRAIN_IMAGES, [gzip(&file[..20]), gzip(b"")].concat(), &["length", "22 bytes of elements", "has 4"]);
}

/// Ends at the declared length: what a bomb would unpack to is never held.
#[test]
fn a_bomb_is_refused_after_its_declared_length() {
    let zeros = gzip(&[0; 1 << 20]);
    let mut bomb = gzip(&idx(&[2, 1, 2], &[0; 4]));
    for _ in 0..1000 {
        bomb.extend_from_slice(&zeros);
    }
    refuses(TEST_IMAGES, bomb, &["length", "bytes follow the 4"]);
}

#[test]
fn a_file_that_is_something_else_is_called_by_its_name() {
    let cases: [(&[u8], &str); 10] = [
        (b"<!DOCTYPE html><html>", "is an HTML page, not gzip: the download went to a web page"),
        (b"\xef\xbb\xbf\r\n  <!doctype HTML>", "is an HTML page"),
        (b"\n<HTML lang=\"en\">", "is an HTML page"),
        (b"<?xml version=\"1.0\"?><Error>", "is an XML document"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"PK\x03\x04\x14\0", "ZIP archive"),
        (b"\xfd7zXZ\0\0", "xz -d"),
        (b"BZh91AY", "bzip2 -d"),
        (b"\x28\xb5\x2f\xfd\x24", "zstd -d"),
        (b"", "is empty"),
    ];
    for (bytes, part) in cases {
        let mut names = FILES.map(str::to_owned);
        names[TRAIN_IMAGES] += ".gz";
        let mut files = sound_files();
        files[TRAIN_IMAGES] = bytes.to_vec();
        let folder = folder_named(&names, &files);
        let message = load(&folder).expect_err("no data set").to_string();
        assert!(message.contains(part) && message.contains(&names[TRAIN_IMAGES]), "{message}");
        // By a name that does not say gzip, an IDX file was expected.
        let (what, _) = part.split_once(", not").unwrap_or((part, ""));
        refuses(TRAIN_IMAGES, bytes.to_vec(), &[what]);
    }
    let mut names = FILES.map(str::to_owned);
    names[TRAIN_IMAGES] += ".gz";
    let mut files = sound_files();
    // Neither the one nor the other, by a name that says gzip.
    files[TRAIN_IMAGES] = b"\x89PNG".to_vec();
    let message = load(&folder_named(&names, &files)).expect_err("no data set").to_string();
    assert!(message.contains("not in gzip format") && message.contains("89 50"), "{message}");
    // Unpacked, but the name has stayed.
    files[TRAIN_IMAGES] = sound_files()[TRAIN_IMAGES].clone();
    assert!(load(&folder_named(&names, &files)).is_ok());
}
