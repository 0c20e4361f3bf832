//! Ctrl-C.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::*;

fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        match ready() {
            Some(value) => return value,
            None => assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain for {what}"),
        }
        sleep(Duration::from_millis(20));
    }
}

fn interrupt(child: &mut Child) -> ExitStatus {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("a Unix system has kill").success());
    wait_for("the program's end", || child.try_wait().expect("it is our child"))
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_ends_with_130() {
    let place = Place::new();
    let arguments = format!("compare {SMALL} --epochs 1000000 --seeds 2 --jobs 1 --out out");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rectify"))
        .args(arguments.split_whitespace())
        .current_dir(place.0.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    wait_for("two epochs", || {
        let lines = fs::read_to_string(place.path("out/runs/relu-seed0/metrics.jsonl")).ok()?;
        (lines.lines().count() > 2).then_some(())
    });
    assert_eq!(interrupt(&mut child).code(), Some(130));

    let results = place.results("out");
    assert_eq!(results.runs.len(), 1, "the other trainings had not begun");
    let run = &results.runs[0];
    assert_eq!(run.status, Status::Interrupted);
    assert!(run.epochs.len() > 2 && run.steps > 0);
    assert!(place.path("out/report.html").exists());
    // Its state is there, and no checkpoint before its end.
    place.refuses("eval out/runs/relu-seed0", 2, &["no checkpoint", "stopped before its end"]);
    assert!(place.path("out/runs/relu-seed0/state/state.json").exists());
    place.refuses(&format!("compare {SMALL} --out out"), 2, &["holds an experiment already"]);
}
