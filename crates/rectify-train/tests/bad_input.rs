//! Whatever bytes stand where Rectify reads: it reads them or says what is wrong, in bounded memory, and never panics.
//!
//! Sound inputs are changed at random, always alike. `RECTIFY_CASES=20 cargo test --release --test bad_input` tries twenty
//! times as many.

mod inputs;

use std::{
    env, fs,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use inputs::{Kind, Place, bound::survives, configure, gzip, idx, kinds};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify_train::{
    activation::Activation,
    data::{IdxContent, prepare::decode, read_idx},
    record::Results,
    store::Line,
};

/// The counts are the whole program's.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What parsers stumble over.
const TOKENS: [&[u8]; 26] = [
    b"0",
    b"-1",
    b"1e999",
    b"-1e-999",
    b"NaN",
    b"inf",
    b"null",
    b"true",
    b"18446744073709551616",
    b"4294967295",
    b"\"\"",
    b"[[[[[[[[",
    b"{{{{{{{{",
    b"]",
    b"}",
    b",",
    b"\n",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\xf0\x9f",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"../../",
    b"(((",
    b"^^-",
];

fn mutate(rng: &mut impl Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=bytes.len());
        let end = bytes.len().min(at + rng.random_range(1..=40));
        let token = TOKENS[rng.random_range(0..TOKENS.len())];
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].repeat(rng.random_range(1..=30));
                bytes.splice(at..at, again);
            }
            5 => drop(bytes.splice(at..at, token.iter().copied())),
            _ => drop(bytes.splice(at..end, token.iter().copied())),
        }
    }
    bytes
}

/// Reads sound inputs of a kind and changed ones.
fn change(kind: &Kind) {
    for seed in &kind.seeds {
        if let Err(error) = kind.survives(seed) {
            panic!("{}: the seed is refused: {error}", kind.name);
        }
    }
    let times = env::var("RECTIFY_CASES").map_or(1, |times| times.parse().expect("RECTIFY_CASES is a number"));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut read, mut refused) = (0, 0);
    for case in 0..kind.cases * times {
        let input = mutate(&mut rng, &kind.seeds[case % kind.seeds.len()]);
        match kind.survives(&input) {
            Ok(()) => read += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{}: {read} read, {refused} refused", kind.name);
    assert!(refused > kind.cases / 20, "{}: the changes are too gentle", kind.name);
}

#[test]
fn a_hundred_thousand_changed_inputs_are_read_or_refused() {
    let _one = one_at_a_time();
    let place = Place::new();
    let kinds = kinds(&place);
    assert!(kinds.iter().map(|kind| kind.cases).sum::<usize>() >= 100_000);
    let fuzzers = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/Cargo.toml")).unwrap();
    for Kind { name, fuzzer, .. } in &kinds {
        assert!(fuzzers.contains(&format!("[[bin]]\nname = \"{fuzzer}\"")), "{name} has no fuzzer {fuzzer}");
    }
    // All that is wrong is told, not the first alone.
    let passes = |kind: &Kind| catch_unwind(AssertUnwindSafe(|| change(kind))).is_ok();
    let failed: Vec<&str> = kinds.iter().filter(|kind| !passes(kind)).map(|kind| kind.name).collect();
    assert!(failed.is_empty(), "of these an input was not survived: {failed:?}");
}

#[test]
fn inputs_that_claim_to_be_huge_are_refused_in_little_memory() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let images = |bytes: &[u8]| {
        let path = folder.path().join("images");
        fs::write(&path, bytes).unwrap();
        read_idx(&path, IdxContent::Images).map(drop).map_err(|error| error.to_string())
    };
    let refused = |what: &str, input: &[u8], read: &dyn Fn(&[u8]) -> Result<(), String>| {
        survives(what, input, read).expect_err(what)
    };
    refused("a bomb", &gzip(&vec![0; 1 << 27]), &images);
    refused("a header whose product overflows", &idx(&[u32::MAX; 3], &[0; 36]), &images);
    refused("a gzipped header of 4 TB", &gzip(&idx(&[1 << 30, 64, 64], &[0; 36])), &images);

    let layers = format!("hidden = [{}]", "8,".repeat(1_000_000));
    refused("a config of a million layers", layers.as_bytes(), &|bytes| configure(&String::from_utf8_lossy(bytes)));
    for open in ["[", "{\"a\":", "[[", "{\"epoch\":["] {
        let deep = open.repeat(100_000);
        refused("JSON of a hundred thousand levels", deep.as_bytes(), &|bytes| {
            serde_json::from_slice::<Results>(bytes).map(drop).map_err(|error| error.to_string())?;
            Line::parse(bytes).map(drop).map_err(|error| error.to_string())
        });
    }
    let deep = format!("hidden = {}", "[".repeat(100_000));
    refused("TOML of a hundred thousand levels", deep.as_bytes(), &|bytes| configure(&String::from_utf8_lossy(bytes)));
    for formula in
        ["(".repeat(100_000), format!("x{}", "^2".repeat(100_000)), "-".repeat(100_000), "x+".repeat(100_000)]
    {
        refused("a long formula", formula.as_bytes(), &|bytes| {
            String::from_utf8_lossy(bytes).parse::<Activation>().map(drop).map_err(|error| error.to_string())
        });
    }

    // A sound PNG of 30 000 × 30 000 grey pixels, all of them black: 900 MB of them.
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(1, 1).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut png = png.into_inner();
    png[16..24].copy_from_slice(&[[0, 0, 0x75, 0x30]; 2].concat());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    refused("a picture of 900 million pixels", &png, &|bytes| decode(bytes).map(drop));
}

/// PNG's, of a chunk's type and data.
fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = flate2::Crc::new();
    checksum.update(bytes);
    checksum.sum()
}
