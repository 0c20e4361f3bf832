//! Pages as a reader sees them: what the program writes, opened in Chromium with the network blocked.
//!
//! `RECTIFY_BROWSER` names a folder with the packages of `browser/package.json`; without it these tests have nothing to run.
//! Chromium is Debian's, or what `RECTIFY_CHROMIUM` names.
//!
//! ```text
//! npm install --prefix crates/rectify-cli/tests/browser
//! RECTIFY_BROWSER=crates/rectify-cli/tests/browser cargo test --release --test browser
//! ```

mod place;

use std::{env, path::Path, process::Command};

use place::Place;

/// Opens pages of `place`, which must be without fault.
#[track_caller]
fn opens(place: &Place, pages: &[&str]) {
    let Some(folder) = env::var_os("RECTIFY_BROWSER") else {
        eprintln!("no RECTIFY_BROWSER: no page is opened");
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.ancestors().nth(2).expect("crates/rectify-cli is inside");
    let output = Command::new("node")
        .arg(package.join("tests/browser/pages.mjs"))
        .args(pages.iter().map(|page| place.path(page)))
        .env("RECTIFY_BROWSER", workspace.join(folder))
        .output()
        .expect("node runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    print!("{stdout}");
}

#[test]
fn a_comparison_can_be_read_on_a_phone_a_screen_and_paper() {
    let place = Place::new();
    let flags = "--hidden 8,8,8 --activations relu,sigmoid,tanh --seeds 2 --epochs 3 --probe-every 5";
    place.run(&format!("compare {} --out few {flags}", place::SMALL.replace("--hidden 8", ""))).success();
    opens(&place, &["few/report.html"]);
}

#[test]
fn twenty_activations_can_be_read() {
    let place = Place::new();
    let flags = "--hidden 8,8 --seeds 2 --epochs 2";
    let activations = "none,relu,leaky-relu,prelu,relu6,elu,celu,selu,gelu,silu,mish,softplus,softsign,sigmoid,tanh,\
                       hard-sigmoid,hard-tanh,hard-swish,soft-shrink,x*tanh(x)";
    let data = place::SMALL.replace("--hidden 8", "");
    place.run(&format!("compare {data} --out many {flags} --activations {activations}")).success();
    let bytes = place.read("many/report.html").len();
    assert!(bytes < 6_000_000, "{bytes} bytes");
    opens(&place, &["many/report.html"]);
}

#[test]
fn sweeps_plots_claims_and_ranks_over_data_sets_can_be_read() {
    let place = Place::new();
    place
        .run(&format!(
            "compare {} --out sweep --activations relu,tanh --seeds 1 --epochs 1 --sweep lr=0.01,0.1",
            place::SMALL
        ))
        .success();
    place.run("plot relu sigmoid x*tanh(x) --out plot.html").success();
    place.run("claims definition linear-collapse --quick --out claims").success();
    place.write_digits("others");
    let flags = "--hidden 8 --batch-size 16 --activations relu,tanh --seeds 1 --epochs 1";
    for set in ["digits", "others"] {
        place.run(&format!("compare --dataset {set} --out on-{set} {flags}")).success();
    }
    place.run("report on-digits on-others --out across").success();
    opens(&place, &["sweep/report.html", "plot.html", "claims/claims.html", "across/report.html"]);
}
