//! A fuzzer for each kind of input: its binary's name says which. `SEEDS=DIR` makes it write sound ones and end.
#![no_main]

#[path = "../crates/rectify-train/tests/inputs/mod.rs"]
mod inputs;

use std::{env, fs, path::Path};

use inputs::{Kind, Place, Read, kinds};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static READ: Read<'static> = kind().read;
}

fn kind() -> Kind<'static> {
    let place: &'static Place = Box::leak(Box::new(Place::new()));
    let kind = kinds(place).into_iter().find(|kind| kind.name == env!("CARGO_BIN_NAME"));
    let kind = kind.expect("every binary is a kind");
    if let Some(folder) = env::var_os("SEEDS") {
        let folder = Path::new(&folder).join(kind.name);
        fs::create_dir_all(&folder).expect("SEEDS is a folder");
        for (place, seed) in kind.seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{place}")), seed).expect("SEEDS can be written");
        }
        std::process::exit(0);
    }
    kind
}

fuzz_target!(|input: &[u8]| {
    // What it says of a refusal is tested elsewhere; here it must come back.
    let _ = READ.with(|read| read(input));
});
