//! Backends: the same everywhere, and what is here.

use super::*;

#[test]
fn one_step_on_mnist_gives_the_same_losses_on_every_backend() {
    let place = Place::new();
    let one_step = |backend: &str| {
        let flags = "--steps 1 --train-size 256 --hidden 8 --seeds 1 --format json --quiet";
        printed_results(&place.run(&format!("compare {flags} --backend {backend} --out {backend}")).success())
    };
    let flex = one_step("flex");
    let mut backends = vec!["ndarray"];
    if place.has_adapter("wgpu") {
        backends.push("wgpu");
    }
    for backend in backends {
        let results = one_step(backend);
        assert_eq!(results.environment.backend, backend);
        assert_eq!(results.environment.adapter.is_some(), backend == "wgpu");
        assert_eq!(results.runs.len(), 3);
        for (run, on_flex) in results.runs.iter().zip(&flex.runs) {
            assert_eq!((run.status, run.steps, run.epochs.len()), (Status::Completed, 1, 2));
            for (epoch, on_flex) in run.epochs.iter().zip(&on_flex.epochs) {
                for (loss, on_flex) in [(epoch.train_loss, on_flex.train_loss), (epoch.test_loss, on_flex.test_loss)] {
                    let (loss, on_flex) = (loss.expect("finite"), on_flex.expect("finite"));
                    // Backends add up in another order: f32 has seven digits, a sum of thousands keeps five of them.
                    assert!((loss - on_flex).abs() < 1e-4 * on_flex, "{loss} on {backend}, {on_flex} on flex");
                }
            }
        }
    }
}

#[test]
fn every_dtype_that_a_backend_lists_trains_a_step() {
    let place = Place::new();
    let backends = json(&place.run("backends --format json").success());
    for name in ["flex", "ndarray"] {
        let backend = backends.as_array().expect("a list").iter().find(|backend| backend["name"] == name);
        let dtypes = backend.expect("it is compiled in")["adapters"][0]["dtypes"].clone();
        let dtypes: Vec<String> = serde_json::from_value(dtypes).expect("a list of words");
        assert!(dtypes.contains(&"f32".to_owned()) && dtypes.contains(&"f64".to_owned()), "{name}: {dtypes:?}");
        for dtype in &dtypes {
            let out = format!("{name}-{dtype}");
            place
                .run(&format!("compare {SMALL} --seeds 1 --steps 1 --backend {name} --dtype {dtype} --out {out}"))
                .success();
            for run in place.results(&out).runs {
                assert!(run.epochs[1].train_loss.is_some_and(|loss| loss > 0.5 && loss < 10.0), "{out}");
            }
        }
        for dtype in ["f16", "bf16"].into_iter().filter(|dtype| !dtypes.iter().any(|listed| listed == dtype)) {
            let arguments = format!("compare {SMALL} --steps 1 --backend {name} --dtype {dtype}");
            place.refuses(&arguments, 2, &[name, dtype, "computes in f32 and f64"]);
        }
    }
}

#[test]
fn a_checkpoint_of_one_backend_evaluates_on_another() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 2 --out out")).success();
    let last = place.results("out").runs[0].last().expect("measured").clone();
    let scores = json(&place.run("eval out/runs/relu-seed0 --backend ndarray --format json").success());
    let (loss, on_flex) = (scores["test_loss"].as_f64().expect("finite"), last.test_loss.expect("finite"));
    assert!((loss - on_flex).abs() < 1e-5 * on_flex, "{loss}, on flex {on_flex}");
}

#[test]
fn gradients_check_on_every_backend() {
    let place = Place::new();
    let mut backends = vec!["flex", "ndarray"];
    if place.has_adapter("wgpu") {
        backends.push("wgpu");
    }
    for backend in backends {
        let checks = json(&place.run(&format!("gradcheck --backend {backend} --format json")).success());
        let checks = checks.as_array().expect("a list of checks");
        assert_eq!(checks.len(), 8, "every rule of ReLU's");
        assert!(checks.iter().all(|check| check["passed"] == true), "{backend}: {checks:?}");
    }
    let smooth = "gelu,silu,mish,softplus,softsign,sigmoid,tanh,elu,selu,celu";
    place.run(&format!("gradcheck --activations {smooth} --dtype f64")).success();
    place.refuses("gradcheck --activations rleu", 2, &["unknown activation `rleu`"]);
    place.refuses("gradcheck --backend abacus", 2, &["unknown backend `abacus`"]);
}

#[test]
fn gradcheck_knows_curvature_and_jumps_and_takes_step_and_tolerance() {
    let place = Place::new();
    place.run("gradcheck --activations celu:0.1,celu:0.01,softplus:100,prelu --dtype f64").success();
    place.run("gradcheck --activations celu:0.1,celu:0.01,softplus:100 --dtype f32").success();
    let jump = "jump at x = 0 by 0.100: slope ";
    place.run("gradcheck --activations relu:nelu=0.1 --dtype f64").success().stdout(contains(jump));
    let checks = json(&place.run("gradcheck --activations relu:nelu=0.1 --format json").success());
    let report = &checks[0]["report"];
    assert_eq!(
        (report["kinks"].as_array().map(Vec::len), report["jumps"].as_array().map(Vec::len)),
        (Some(0), Some(1))
    );

    place.run("gradcheck --activations gelu --dtype f64 --step 1e-4 --tolerance 1e-9").success();
    // In f32 no difference resolves so much.
    place.run("gradcheck --activations gelu --tolerance 1e-9").code(1).stdout(contains("FAILED"));
    place.refuses("gradcheck --step 0", 2, &["--step", "`0` is not a positive number"]);
    place.refuses("gradcheck --tolerance inf", 2, &["--tolerance", "`inf` is not a positive number"]);
    place.refuses("gradcheck --activations relu --step 1e-30", 1, &["does not move x", "choose a larger one"]);
}

#[test]
fn backends_and_data_say_what_is_here() {
    let place = Place::new();
    place.run("backends").success().stdout(contains("flex").and(contains("auto takes"))).stderr("");
    let backends = json(&place.run("backends --format json").success());
    let flex = &backends[0];
    assert_eq!((&flex["name"], &flex["compiled_in"]), (&"flex".into(), &true.into()));
    assert_eq!(flex["adapters"][0]["flag"], "flex");

    let sets = json(&place.run("data --format json").success());
    let mnist = &sets[0];
    assert_eq!(mnist["name"], "mnist");
    assert_eq!(mnist["contents"]["verified"], true);
    assert_eq!(mnist["contents"]["train"]["samples"], 54_000);
    place.run("data").success().stdout(contains("checksums right")).stderr("");
}
