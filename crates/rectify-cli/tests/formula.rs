//! Formulas wherever the program takes an activation's name.

mod place;

use assert_cmd::assert::Assert;
use place::{Place, SMALL};

fn stdout(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

// Arguments have no spaces here, and formulas need none.

#[test]
fn formulas_are_compared_resumed_and_reported_under_their_labels_and_kept_in_full() {
    let place = Place::new();
    let bent = "bent=(sqrt(x^2+1)-1)/2+x";
    let run = place
        .run(&format!("compare {SMALL} --activations relu,max(x,0.1*x),{bent} --epochs 1 --seeds 1 --out f"))
        .success();
    let table = stdout(&run);
    assert!(table.contains("│ bent ") && table.contains("│ max(x,0.1*x) ") && !table.contains("sqrt"), "{table}");
    assert!(stderr(&run).contains("note: bent: its weights begin as `gain:"), "{}", stderr(&run));
    let results = place.results("f");
    let names: Vec<&str> = results.runs.iter().map(|run| run.activation.as_str()).collect();
    assert_eq!(names, ["relu", "max(x,0.1*x)", bent]);

    // The folder's settings read again, and the runs' folders are found by the formulas.
    place.run("compare --resume f --seeds 2 --quiet").success();
    assert_eq!(place.results("f").runs.len(), 6);
    let report = stdout(&place.run("report f --quiet").success());
    assert!(report.contains("│ bent ") && place.read("f/report.html").contains(bent), "{report}");
}

#[test]
fn a_checkpoint_of_a_formula_is_evaluated_with_it() {
    let place = Place::new();
    let train =
        format!("train {SMALL} --activation swish2=x*sigmoid(b*x);b=2 --epochs 2 --out t --quiet --format json");
    let trained: serde_json::Value = serde_json::from_str(&stdout(&place.run(&train).success())).expect("it is JSON");
    let scores: serde_json::Value =
        serde_json::from_str(&stdout(&place.run("eval t --quiet --format json").success())).expect("it is JSON");
    assert_eq!(scores["activation"], "swish2=x*sigmoid(b*x);b=2");
    assert_eq!(scores["test_accuracy"], trained["runs"][0]["epochs"][2]["test_accuracy"]);
}

#[test]
fn a_config_file_takes_formulas() {
    let place = Place::new();
    std::fs::write(place.path("c.toml"), "activations = [\"relu\", \"where(x > 0, x, expm1(x))\"]\n")
        .expect("it is written");
    let printed = stdout(&place.run("compare --config c.toml --print-config").success());
    assert!(printed.contains("\"where(x > 0, x, expm1(x))\""), "{printed}");
}

#[test]
fn plot_and_gradcheck_print_the_derivative() {
    let place = Place::new();
    let plot = place.run("plot bent=(sqrt(x^2+1)-1)/2+x relu --out p.svg").success();
    assert_eq!(stdout(&plot), "bent: φ′ = x/sqrt(x^2 + 1)/2 + 1\n");
    let plot = place.run("plot log(x) --out q.svg").success();
    assert!(stderr(&plot).contains("note: log(x): it is NaN at x = -50"), "{}", stderr(&plot));
    let check = stdout(&place.run("gradcheck --activations x*sigmoid(1.702*x),relu(x) --dtype f64").success());
    assert!(check.contains("\n  φ′ = where(x > 0, 1, 0)\n"), "{check}");
}

#[test]
fn gradcheck_leaves_out_where_a_function_is_not_finite_and_looks_where_it_bends() {
    let place = Place::new();
    let check = stdout(&place.run("gradcheck --activations 1/x,if(x<0.37,x,2*x),hard-shrink,gelu").success());
    for line in [
        "not finite at or near x = 0, which are left out",
        "jump at x = 0.370 by 0.370: slope 1.00 to the left, 2.00 to the right",
        "jump at x = -0.500 by",
        "jump at x = 0.500 by",
    ] {
        assert!(check.contains(line), "{line}: {check}");
    }
    let hidden = place.run("gradcheck --activations x+1e6").failure();
    assert!(stdout(&hidden).contains("not resolved: 14 elements, 0 disagree, 14 not resolved"), "{}", stdout(&hidden));
}

#[test]
fn a_wrong_formula_is_refused_with_carets() {
    let place = Place::new();
    // No more of it than shows which one it is.
    let long = place.run(&format!("plot {}1", "x+".repeat(20_000))).failure();
    assert!(stderr(&long).len() < 800 && stderr(&long).contains("at most 1000 characters"), "{}", stderr(&long));
    place.refuses("plot 2x", 2, &["a product has a `*`\n  2x\n   ^"]);
    place.refuses("plot leaky-relu:slope=0.2", 2, &["one stands behind the colon, as in `leaky-relu:0.2`"]);
    place.refuses("plot gelu:leaky=0.1", 2, &["`gelu` takes no gradient rule"]);
    place.refuses(
        "compare --activations relu,x*sigmod(x)",
        2,
        &["unknown function `sigmod`", "\n  x*sigmod(x)\n    ^^^^^^"],
    );
    place.refuses("plot relu=max(x,0)", 2, &["is that of a known activation"]);
}
