//! What the machine does to a run: each row of docs/faults.md.
#![cfg(target_os = "linux")]

mod place;

use std::{
    fs,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use place::{Place, SMALL, timeless};
use rectify_train::record::Run;

/// The default epochs of a training that is over before it can be disturbed.
const SHORT: &str = "compare --activations relu,tanh --seeds 1 --epochs 2 --quiet";
/// A training that is not.
const LONG: &str = "compare --activations relu --seeds 1 --epochs 100000 --quiet";

/// A shell's script in the place, with `$RECTIFY`.
fn script(place: &Place, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(place.path("")).env("RECTIFY", env!("CARGO_BIN_EXE_rectify"));
    command.env_remove("RECTIFY_DATA").env("COLUMNS", "1000");
    command
}

#[track_caller]
fn run(place: &Place, text: &str) -> (Option<i32>, String, String) {
    let output: Output = script(place, text).output().expect("bash starts");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(!stderr.contains("panicked"), "{text}\n{stderr}");
    (output.status.code(), stdout, stderr)
}

/// The same script as root of namespaces of its own, where it may mount; `None` where the machine forbids that.
fn run_as_root_of_its_own(place: &Place, text: &str) -> Option<(Option<i32>, String, String)> {
    let unshare = "unshare --user --map-root-user --mount --net";
    let may = Command::new("bash").arg("-c").arg(format!("{unshare} mount -t tmpfs tmpfs /mnt")).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("this machine lets nobody mount in a namespace of their own: not tried");
        return None;
    }
    fs::write(place.path("script"), text).expect("the place can be written");
    Some(run(place, &format!("{unshare} bash script")))
}

fn runs(place: &Place, folder: &str) -> Vec<Run> {
    timeless(&place.results(folder))
}

/// Goes on in a folder and ends with what an undisturbed run has.
#[track_caller]
fn goes_on(place: &Place, folder: &str, undisturbed: &str) {
    place.run(&format!("compare --resume {folder} --quiet")).success();
    assert_eq!(runs(place, folder), runs(place, undisturbed), "{folder}");
    assert!(place.read(&format!("{folder}/report.html")).ends_with("</html>"));
}

#[test]
fn a_full_disk_at_any_write_is_told_and_the_folder_goes_on_when_there_is_room() {
    let place = Place::new();
    place.run(&format!("{SHORT} {SMALL} --out sound")).success();
    // From not even the config to all but the last page.
    for size in ["1k", "20k", "60k", "120k", "200k", "400k"] {
        let text = format!(
            "mkdir -p full && mount -t tmpfs -o size={size} tmpfs full && $RECTIFY {SHORT} {SMALL} --out full/out
            echo ended with $? >&2; mount -o remount,size=50m full && cp -r full/out {size}"
        );
        let Some((_, _, stderr)) = run_as_root_of_its_own(&place, &text) else { return };
        assert!(stderr.contains("error: disk full: full/out/"), "{size}: {stderr}");
        assert!(stderr.contains("ended with 1\n"), "{size}: {stderr}");
        if place.path(&format!("{size}/config.toml")).exists() {
            goes_on(&place, size, "sound");
        } else {
            assert_eq!(size, "1k");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_runs() {
    let place = Place::new();
    fs::create_dir(place.path("ro")).unwrap();
    let text = format!(
        "mount --bind ro ro && mount -o remount,ro,bind ro && $RECTIFY {SHORT} {SMALL} --out ro/out
        cd ro && $RECTIFY {SHORT} --dataset ../digits"
    );
    let Some((code, stdout, stderr)) = run_as_root_of_its_own(&place, &text) else { return };
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "error: read-only file system: ro/out");
    assert!(lines[1].starts_with("error: read-only file system: runs/"), "{stderr}");
}

#[test]
fn few_file_descriptors_suffice_or_are_told() {
    let place = Place::new();
    place.run(&format!("{SHORT} {SMALL} --out sound")).success();
    let mut suffices = false;
    for count in [12, 16, 24, 64] {
        let (code, _, stderr) =
            run(&place, &format!("ulimit -n {count}; exec $RECTIFY {SHORT} {SMALL} --out with-{count}"));
        suffices = code == Some(0);
        if !suffices {
            assert_eq!(code, Some(1), "{count}: {stderr}");
            assert!(stderr.contains("error: "), "{count}: {stderr}");
        }
        if place.path(&format!("with-{count}/config.toml")).exists() {
            goes_on(&place, &format!("with-{count}"), "sound");
        }
    }
    assert!(suffices, "64 descriptors are enough for anybody");
}

/// Starts a long training, does something to it when it has begun, and stops it as a user does.
fn disturbed(place: &Place, disturb: impl FnOnce()) -> (Option<i32>, String) {
    let child = script(place, &format!("RECTIFY_SAVE_SECONDS=1 exec $RECTIFY {LONG} {SMALL} --out out"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("bash starts");
    let begun = Instant::now();
    while !place.path("out/runs/relu-seed0/state").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the training saves a state");
        thread::sleep(Duration::from_millis(20));
    }
    disturb();
    // A save fails meanwhile.
    thread::sleep(Duration::from_secs(2));
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.is_ok_and(|status| status.success()), "the training goes on until it is told to stop");
    let output = child.wait_with_output().expect("it was started here");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_folder_that_is_taken_away_is_told_and_goes_on_under_its_new_name() {
    let place = Place::new();
    let (code, stderr) = disturbed(&place, || {
        fs::remove_dir_all(place.path("out")).unwrap_or_else(|_| {
            // A file came into it meanwhile.
            fs::remove_dir_all(place.path("out")).unwrap()
        })
    });
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("error: ") && stderr.contains("out/runs/relu-seed0"), "{stderr}");
    // Told when it happens, and again at the end.
    assert!(stderr.contains("the trainings go on, but what belongs there is not kept"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");

    let place = Place::new();
    let (code, stderr) = disturbed(&place, || fs::rename(place.path("out"), place.path("other")).unwrap());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("out/runs/relu-seed0"), "{stderr}");
    assert!(!place.path("out/config.toml").exists());
    // Under its new name it goes on, here until it is told to stop.
    let (code, _, stderr) = run(&place, "timeout --signal INT 3 $RECTIFY compare --resume other");
    assert_eq!(code, Some(124), "{stderr}");
    assert!(stderr.contains("--resume other"), "{stderr}");
}

#[test]
fn a_memory_limit_leaves_a_folder_that_goes_on() {
    let place = Place::new();
    // 10 million weights, of which gradients and a copy take as much again.
    let large =
        "compare --dataset digits --batch-size 16 --activations relu --seeds 1 --steps 3 --hidden 3000,3000 --quiet";
    place.run(&format!("{large} --out sound")).success();
    let mut failed = 0;
    for megabytes in [150, 250, 400] {
        let out = format!("within-{megabytes}");
        let limit = megabytes << 10;
        let (code, _, stderr) = run(&place, &format!("ulimit -v {limit}; exec $RECTIFY {large} --out {out}"));
        failed += usize::from(code != Some(0));
        assert!(code == Some(0) || !stderr.is_empty() || code.is_none(), "it ends without a word");
        if place.path(&format!("{out}/config.toml")).exists() {
            goes_on(&place, &out, "sound");
        }
    }
    assert!(failed > 0, "no limit was too small");
}

#[test]
fn what_reads_the_output_may_be_gone_full_or_slow() {
    let place = Place::new();
    for (out, redirection) in
        [("closed", ">&-"), ("gone", "| true"), ("head", "| head -1"), ("slow", "| (sleep 1; cat)")]
    {
        let (_, _, stderr) =
            run(&place, &format!("set -o pipefail; $RECTIFY {SHORT} {SMALL} --out {out} {redirection}"));
        assert!(!stderr.contains("error"), "{redirection}: {stderr}");
        assert_eq!(runs(&place, out).len(), 2, "{redirection}");
    }
    let (code, _, stderr) = run(&place, &format!("$RECTIFY {SHORT} {SMALL} --out full >/dev/full"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("No space left on device"), "{stderr}");
    // What was trained is there all the same.
    assert_eq!(runs(&place, "full").len(), 2);
    assert_eq!(run(&place, "$RECTIFY data digits >/dev/full").0, Some(1));
}

#[test]
fn an_empty_environment_and_no_network_are_enough() {
    let place = Place::new();
    let (code, stdout, stderr) = run(&place, &format!("env -i $RECTIFY {SHORT} {SMALL} --out out"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("On the test set"), "{stdout}");
    let text = format!(
        "$RECTIFY {SHORT} {SMALL} --out alone && $RECTIFY report alone >/dev/null && $RECTIFY diagnose alone >/dev/null &&
        $RECTIFY claims definition --quiet --out judged >/dev/null"
    );
    if let Some((code, _, stderr)) = run_as_root_of_its_own(&place, &text) {
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(runs(&place, "alone"), runs(&place, "out"));
    }
}

#[test]
fn a_data_file_that_changes_while_a_run_is_unfinished_is_told() {
    let place = Place::new();
    place.run(&format!("{SHORT} {SMALL} --out out")).success();
    let images = place.path("digits/train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&images, &bytes).unwrap();
    place.refuses(
        "compare --resume out --seeds 2 --quiet",
        1,
        &["run.json", "trained on other data", "put the data back"],
    );
    // One that ends in the middle of what its header promises.
    fs::write(&images, &bytes[..bytes.len() / 2]).unwrap();
    place.refuses(&format!("{SHORT} {SMALL} --out other"), 1, &["train-images-idx3-ubyte"]);
}

/// A clock that shows a day less at every look, from the end of January 2026 on.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static long looks;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, time);
    if (id == CLOCK_REALTIME) time->tv_sec = 1769860800 - 86400 * __sync_fetch_and_add(&looks, 1);
    return failed;
}
"#;

#[test]
fn a_clock_that_is_set_back_changes_dates_and_nothing_else() {
    let place = Place::new();
    // Each event of a log has its date, so that the clock is looked at all the time.
    let command = |epochs: usize, seeds: usize| {
        let experiment = format!("--activations relu,tanh --epochs {epochs} --seeds {seeds} --log tensorboard");
        format!("compare {SMALL} {experiment} --quiet")
    };
    place.run(&format!("{} --out sound", command(2, 1))).success();
    place.run(&format!("{} --out longer", command(4, 2))).success();
    fs::write(place.path("clock.c"), CLOCK).unwrap();
    let (code, _, stderr) = run(&place, "cc -shared -fPIC -o clock.so clock.c -ldl");
    assert_eq!(code, Some(0), "{stderr}");
    let with_clock = |text: &str| {
        let (code, _, stderr) = run(&place, &format!("export TZ=UTC; LD_PRELOAD=$PWD/clock.so $RECTIFY {text}"));
        assert_eq!(code, Some(0), "{text}\n{stderr}");
    };

    // While a run goes on. The second of a day, by that clock, has a name of its own.
    for folder in ["runs/2026-01-31-compare-digits", "runs/2026-01-31-compare-digits-2"] {
        with_clock(&command(2, 1));
        assert_eq!(runs(&place, folder), runs(&place, "sound"), "{folder}");
        for run in place.results(folder).runs {
            let seconds = run.epochs.iter().map(|epoch| epoch.seconds).chain([run.wall_seconds]);
            assert!(seconds.into_iter().all(|seconds| (0.0..600.0).contains(&seconds)), "{folder}: {run:?}");
        }
    }

    // Between a run and what goes on with it: every file that is there has a date to come.
    place.run(&format!("{} --out before", command(2, 1))).success();
    let (code, _, stderr) = run(&place, "find before digits -exec touch -d 2035-01-01 {} +");
    assert_eq!(code, Some(0), "{stderr}");
    for reads in ["report", "diagnose", "compare --resume"] {
        with_clock(&format!("{reads} before"));
        assert_eq!(runs(&place, "before"), runs(&place, "sound"), "{reads}");
    }
    with_clock("compare --resume before --epochs 4 --seeds 2 --quiet");
    assert_eq!(runs(&place, "before"), runs(&place, "longer"));
}
