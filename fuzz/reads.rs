//! A fuzzer that reads what is called as its binary is. Sound inputs, which it begins from, are made when it starts.
#![no_main]

#[path = "../crates/rectify-train/tests/inputs/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the test of bad input has use for it")]
mod inputs;

use std::{fs, path::Path};

use inputs::{Kind, Place, kinds};
use libfuzzer_sys::fuzz_target;

const NAME: &str = env!("CARGO_BIN_NAME");

thread_local! {
    static KINDS: Vec<Kind<'static>> = {
        let place: &'static Place = Box::leak(Box::new(Place::new()));
        kinds(place).into_iter().filter(|kind| kind.fuzzer == NAME).collect()
    };
}

fn write_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(NAME);
    fs::create_dir_all(&folder).expect("the corpus can be written");
    KINDS.with(|kinds| {
        for (at, seed) in kinds.iter().flat_map(|kind| &kind.seeds).enumerate() {
            fs::write(folder.join(format!("seed-{at}")), seed).expect("the corpus can be written");
        }
    });
}

// Of what is refused, an error is asked for that names the file, and is told in little memory.
fuzz_target!(init: write_seeds(), |input: &[u8]| {
    KINDS.with(|kinds| kinds.iter().for_each(|kind| drop(kind.survives(input))));
});
