//! `rectify claims`, as whoever types it sees it.

use assert_cmd::{Command, cargo::cargo_bin_cmd};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

fn claims(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("rectify");
    command.arg("claims").args(arguments);
    command
}

fn stdout_json(command: &mut Command) -> Value {
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("stdout is JSON")
}

#[test]
fn list_names_every_claim_with_its_source_and_threshold() {
    let listed = stdout_json(&mut claims(&["--list", "--format", "json"]));
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 19);
    assert!(ids.contains(&"vanishing") && ids.contains(&"dying"), "{ids:?}");
    assert!(listed[0]["criteria"][0]["hypothesis"]["smallest_effect"].as_f64().unwrap() > 0.0);

    claims(&["--list", "sparsity"])
        .assert()
        .success()
        .stdout(contains("sparsity").and(contains("Source: Glorot")).and(contains("null hypothesis")))
        .stdout(contains("vanishing").not());
}

#[test]
fn an_unknown_claim_is_a_wrong_use_and_the_error_lists_the_claims() {
    claims(&["flying"]).assert().code(2).stdout("").stderr(
        contains("unknown claim `flying`; did you mean `dying`?")
            .and(contains("linear-collapse"))
            .and(contains("cnn-and-mlp")),
    );
}

#[test]
fn two_cheap_claims_leave_a_table_a_page_and_json_and_are_not_tested_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("claims");
    let out_text = out.to_str().unwrap();

    claims(&["definition", "--quick", "--out", out_text])
        .assert()
        .success()
        .stdout(contains("definition").and(contains("confirmed")))
        .stderr(contains("claims.html"));
    let page = std::fs::read_to_string(out.join("claims.html")).unwrap();
    assert!(page.contains("<h2 id=\"definition\">") && page.contains("rectify claims definition --quick"));

    // Going on with another claim tests that one alone: the first keeps the time that it took.
    let before: Value = serde_json::from_slice(&std::fs::read(out.join("claims.json")).unwrap()).unwrap();
    let arguments = ["linear-collapse", "--resume", out_text, "--format", "json", "--quiet"];
    let after = stdout_json(&mut claims(&arguments));
    assert_eq!(before["claims"].as_array().unwrap().len(), 1);
    assert_eq!(after["effort"], "quick");
    let ids: Vec<&Value> = after["claims"].as_array().unwrap().iter().map(|claim| &claim["id"]).collect();
    assert_eq!(ids, ["linear-collapse", "definition"]);
    // Numbers may lose their last bit where they are read and written again.
    let seconds = |report: &Value, i: usize| report["claims"][i]["seconds"].as_f64().unwrap();
    assert!((seconds(&after, 1) - seconds(&before, 0)).abs() < 1e-9);
    let linear = &after["claims"][0];
    // Two seeds settle nothing, and say what they lean to.
    assert_eq!((&linear["verdict"], &linear["seeds"]), (&"not_settled".into(), &2.into()));
    assert!(linear["leaning"].is_string() && linear["needs"].is_string(), "{linear}");
    let product = &linear["conditions"][0];
    assert_eq!(product["condition"], "product of matrices");
    assert_eq!((&product["primary"], &product["leans"]), (&true.into(), &true.into()));

    // With nothing left to test, nothing is.
    let again = stdout_json(&mut claims(&["--resume", out_text, "--format", "json", "--quiet"]));
    assert!((seconds(&again, 0) - seconds(&after, 0)).abs() < 1e-9);
    assert!((seconds(&again, 1) - seconds(&after, 1)).abs() < 1e-9);
}

#[test]
fn a_claim_that_was_killed_goes_on_with_what_it_has_measured() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let evidence = killed.join("evidence");
    let measured = || std::fs::read_dir(&evidence).map_or(0, Iterator::count);

    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_rectify"));
    let arguments = ["claims", "linear-collapse", "--quick", "--jobs", "1", "--quiet", "--out"];
    let mut child = program.args(arguments).arg(&killed).spawn().unwrap();
    while measured() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it kept two of its trainings");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A file that is being written has another name.
    let kept: Vec<_> = std::fs::read_dir(&evidence).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<_> = kept.iter().filter(|path| path.extension().is_some_and(|end| end == "cbor")).collect();
    // Two seeds of three networks, on one data set or two.
    assert!((1..12).contains(&kept.len()), "{kept:?}");

    // Its evidence is taken as it is: where it was changed, the claim does not go on.
    let bytes = std::fs::read(kept[0]).unwrap();
    std::fs::write(kept[0], &bytes[1..]).unwrap();
    let resume = ["--resume", killed.to_str().unwrap(), "--format", "json", "--quiet"];
    claims(&resume).assert().code(1).stderr(contains("evidence").and(contains("changed since it was written")));
    std::fs::write(kept[0], &bytes).unwrap();

    let resumed = stdout_json(&mut claims(&resume));
    let out = whole.to_str().unwrap();
    let straight =
        stdout_json(&mut claims(&["linear-collapse", "--quick", "--format", "json", "--quiet", "--out", out]));
    for field in ["conditions", "figures", "verdict", "sentence"] {
        assert_eq!(resumed["claims"][0][field], straight["claims"][0][field], "{field}");
    }
    assert!(!evidence.exists(), "no piece of work is kept of a claim that is judged");
}

#[test]
fn claims_are_judged_again_without_training_and_a_changed_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("claims");
    let text = out.to_str().unwrap();
    let first =
        stdout_json(&mut claims(&["definition", "vanishing", "--quick", "--format", "json", "--quiet", "--out", text]));
    let again = stdout_json(&mut claims(&["--judge", text, "--format", "json", "--quiet"]));
    assert_eq!(first, again);
    // What was measured is all that is needed: claims.json is derived from it.
    let file = out.join("measured/vanishing.cbor");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    claims(&["--judge", text]).assert().code(1).stderr(contains("vanishing.cbor"));
    std::fs::remove_file(&file).unwrap();
    claims(&["--judge", text]).assert().success().stderr(contains("nothing is kept to judge them from: vanishing"));
    claims(&["--judge", text, "--quick"]).assert().code(2);
    claims(&["--judge", folder.path().to_str().unwrap()]).assert().code(2).stderr(contains("holds no claims"));
    claims(&["--budget", "soon"]).assert().code(2).stderr(contains("10m"));
}

#[test]
fn every_claim_can_be_tested() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("claims");
    let arguments = ["--quick", "--format", "json", "--quiet", "--out", out.to_str().unwrap()];
    let report = stdout_json(&mut claims(&arguments));
    let tested = report["claims"].as_array().unwrap();
    assert_eq!(tested.len(), 19);
    for claim in tested {
        let (id, conditions) = (&claim["id"], claim["conditions"].as_array().unwrap());
        let found = conditions.iter().any(|c| c["effect"]["median"].is_f64() || c["sample"]["void"].is_string());
        assert!(found, "{id} found nothing");
        let primary = conditions.iter().filter(|condition| condition["primary"] == true).count();
        assert!((1..=4).contains(&primary), "{id} is decided by {primary} conditions");
        let sentence = claim["sentence"].as_str().unwrap();
        assert!(sentence.split_whitespace().count() <= 20, "{id}: more than 20 words: {sentence}");
        // `definition` is about NaN.
        assert!(sentence.ends_with('.') && (id == "definition" || !sentence.contains("NaN")), "{id}: {sentence}");
        assert_eq!(claim["protocol"].as_str().unwrap().len(), 12, "{id}");
    }
}

#[test]
fn folders_that_hold_claims_or_none_are_refused_where_they_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    claims(&["--resume", path]).assert().code(2).stderr(contains("claims.json"));
    std::fs::write(folder.path().join("claims.json"), "{").unwrap();
    claims(&["--out", path, "--quick"]).assert().code(2).stderr(contains("holds claims already"));
    claims(&["--resume", path]).assert().code(1).stderr(contains("not what `rectify claims` writes"));
    claims(&["--quick", "--thorough"]).assert().code(2);
    claims(&["--backend", "abacus"]).assert().code(2).stderr(contains("abacus"));
}
