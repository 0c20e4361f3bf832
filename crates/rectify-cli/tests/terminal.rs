//! What a person sees: 80 columns in a pipe and on a terminal, help that fits a screen, progress.

mod place;

use std::fs;

use assert_cmd::Command;

use place::{Place, SMALL};

const COMMANDS: [&str; 15] = [
    "compare",
    "train",
    "predict",
    "claims",
    "eval",
    "diagnose",
    "report",
    "export",
    "plot",
    "gradcheck",
    "backends",
    "data",
    "completions",
    "man",
    "help",
];

/// What the program prints into a pipe.
fn printed(place: &Place, arguments: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
    command
        .args(arguments.split_whitespace())
        .current_dir(place.0.path())
        .env_remove("RECTIFY_DATA")
        .env_remove("COLUMNS");
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rectify {arguments}\n{stderr}");
    String::from_utf8(output.stdout).expect("it is UTF-8")
}

/// Whether a text is broken where it must be, and nowhere else.
#[track_caller]
fn fits(what: &str, text: &str) {
    assert!(!text.trim().is_empty(), "{what} prints nothing");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{what}: {} characters:\n{line}\nin\n{text}", line.chars().count());
    }
}

#[test]
fn every_command_prints_80_columns_into_a_pipe() {
    let place = Place::new();
    place.write_digits("digits2");
    let formula = "max(x,0.0001*x)+0*sin(x)*cos(x)*tanh(x)";
    let (once, settings) = ("--epochs 1", "--hidden 8,8 --batch-size 16 --seeds 2");
    // One that does not complete has a column more.
    fits(
        "compare",
        &printed(
            &place,
            &format!("compare --dataset digits {settings} {once} --activations relu,sigmoid,{formula} --out c"),
        ),
    );
    fits(
        "compare",
        &printed(&place, &format!("compare --dataset digits {settings} {once} --lr 1e6 --clip-norm 1e9 --out wild")),
    );
    fits(
        "compare all",
        &printed(&place, &format!("compare --dataset digits {settings} --activations all --epochs 0 --out all")),
    );
    fits(
        "compare --tune",
        &printed(&place, &format!("compare --dataset digits {settings} {once} --tune lr=0.1..1 --out tuned")),
    );
    fits(
        "compare --sweep",
        &printed(
            &place,
            &format!("compare --dataset digits {settings} {once} --sweep lr=0.1,1 --sweep dropout=0,0.5 --out s"),
        ),
    );
    fits(
        "compare digits2",
        &printed(&place, &format!("compare --dataset digits2 {settings} {once} --activations relu,sigmoid --out c2")),
    );
    fits("train", &printed(&place, &format!("train {SMALL} --epochs 1 --out t")));
    for folder in ["c", "s", "tuned"] {
        fits("report", &printed(&place, &format!("report {folder}")));
    }
    fits("report over data sets", &printed(&place, "report c c2 --out across"));
    for folder in ["c", "s", "t", "wild", "tuned"] {
        fits("diagnose", &printed(&place, &format!("diagnose {folder}")));
    }
    fits("diagnose --self-test", &printed(&place, "diagnose --self-test --seeds 1 --only healthy-mlp"));
    fits("eval", &printed(&place, "eval t"));
    place.run("data digits --samples 6 --out samples").success();
    fits("predict", &printed(&place, "predict samples --checkpoint t"));
    fs::write(
        place.path("one.png"),
        fs::read(fs::read_dir(place.path("samples")).unwrap().next().unwrap().unwrap().path()).unwrap(),
    )
    .unwrap();
    fits("predict one", &printed(&place, "predict one.png --checkpoint t"));
    fits("claims", &printed(&place, "claims definition --quick --out claims"));
    fits("claims --verbose", &printed(&place, "claims --judge claims --verbose"));
    fits("claims --list", &printed(&place, "claims --list"));
    fits("report of claims", &printed(&place, "report claims --out joined"));
    fits("export", &printed(&place, "export t --weights w.safetensors"));
    fits("plot", &printed(&place, &format!("plot relu:heaviside=0.5 tanh {formula}")));
    fits("gradcheck", &printed(&place, "gradcheck"));
    fits("gradcheck", &printed(&place, &format!("gradcheck --activations {formula} --dtype f64")));
    fits("backends", &printed(&place, "backends"));
    fits("data", &printed(&place, "data"));
    fits("data digits", &printed(&place, "data digits"));
    fits("compare --print-config", &printed(&place, "compare --print-config"));
}

#[test]
fn help_fits_a_screen_and_every_commands_help_begins_with_two_examples() {
    let place = Place::new();
    let help = printed(&place, "--help");
    fits("--help", &help);
    // One line of 24 is the prompt's.
    assert!(help.lines().count() <= 23, "{} lines:\n{help}", help.lines().count());
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in:\n{help}");
    }
    assert_eq!(help.contains("\n  serve "), cfg!(feature = "remote"), "{help}");
    for command in COMMANDS[..14].iter().chain(&["serve"]) {
        for flag in ["-h", "--help"] {
            let help = printed(&place, &format!("{command} {flag}"));
            fits(&format!("{command} {flag}"), &help);
            let lines: Vec<&str> = help.lines().collect();
            let examples = [lines[1], lines[2]].iter().all(|line| line.starts_with(&format!("  rectify {command}")));
            assert!(lines[0] == "Examples:" && examples, "{help}");
        }
    }
}

#[test]
fn manual_pages_are_one_a_command() {
    let place = Place::new();
    assert!(printed(&place, "man").contains(".TH rectify 1"));
    let page = printed(&place, "man predict");
    assert!(page.contains("rectify\\-predict") && page.contains("saliency") && page.contains("Examples:"), "{page}");
    place.refuses("man predit", 2, &["unknown command `predit`; did you mean `predict`?"]);
    place.run("man --out pages").success();
    for command in &COMMANDS[..14] {
        let page = place.read(&format!("pages/rectify-{command}.1"));
        assert!(page.contains(".TH"), "{command}");
    }
    assert!(place.path("pages/rectify.1").exists());
}

#[test]
fn completions_know_claims_data_sets_and_backends() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&place, &format!("completions {shell}"));
        for word in ["fashion-mnist", "ndarray", "leaky-relu", "he-normal", "predict"] {
            assert!(script.contains(word), "{word} is not in the completions of {shell}");
        }
        // Those of fish complete what follows a flag alone.
        assert!(shell == "fish" || script.contains("vanishing"), "claims are not in the completions of {shell}");
        let paths = match shell {
            "bash" => "compgen -f -- \"${cur}\"))",
            "zsh" => ":SET: _alternative \"sets\\:data set\\:(mnist fashion-mnist)\" \"paths\\:path\\:_files\"'",
            _ => "-r -F -a \"mnist",
        };
        // Of compare, train and eval.
        assert_eq!(script.matches(paths).count(), 3, "{paths} in {shell}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_data_set_is_completed_as_a_name_a_folder_or_a_file() {
    let place = Place::new();
    fs::write(place.path("iris table.csv"), "").unwrap();
    fs::write(place.path("rectify.bash"), printed(&place, "completions bash")).unwrap();
    let completed = |begun: &str| -> Vec<String> {
        let call = format!(
            "source rectify.bash; COMP_WORDS=(rectify train --dataset '{begun}'); COMP_CWORD=3; \
             _rectify rectify '{begun}' --dataset; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        let output = bash.args(["--norc", "-c", &call]).current_dir(place.0.path()).output().expect("bash is here");
        let mut words: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        words.sort();
        words
    };
    assert_eq!(completed(""), ["digits", "fashion-mnist", "iris table.csv", "mnist", "rectify.bash"]);
    assert_eq!(completed("m"), ["mnist"]);
    assert_eq!(completed("i"), ["iris table.csv"]);
    assert_eq!(completed("digits/t10k-l"), ["digits/t10k-labels-idx1-ubyte"]);
}

#[test]
fn claims_are_a_verdict_and_a_sentence_and_the_rest_one_level_deeper() {
    let place = Place::new();
    let short = printed(&place, "claims definition --quick --out claims");
    assert!(short.contains("confirmed") && !short.contains("protocol"), "{short}");
    let long = printed(&place, "claims --judge claims --verbose");
    assert!(long.contains("confirmed") && long.contains("protocol"), "{long}");
}

#[test]
fn a_plot_without_a_file_is_on_the_terminal() {
    let place = Place::new();
    let text = printed(&place, "plot relu x*sigmoid(1.702*x) --range=-2..3");
    let dots = |line: &&str| line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    assert!(text.lines().filter(dots).count() >= 20, "{text}");
    assert!(
        text.contains("φ, relu") && text.contains("φ′") && text.contains("-2.00") && text.contains("3.00"),
        "{text}"
    );
    assert!(text.contains('●'), "the value where the derivative jumps: {text}");
    assert!(text.contains("x*sigmoid(1.702*x): φ′ = "), "{text}");
    assert!(!place.path("activations.svg").exists());
}

/// On a terminal of so many columns, what comes out of it.
#[cfg(target_os = "linux")]
fn on_terminal(place: &Place, columns: usize, term: &str, arguments: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rectify");
    let command = format!("stty cols {columns} rows 24; '{program}' {arguments}");
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(place.0.path())
        .env("TERM", term)
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("`script` is part of every Linux");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("UTF-8").replace("\r\n", "\n")
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_has_a_line_for_each_training_in_work_and_a_dumb_one_a_line_an_epoch() {
    let place = Place::new();
    let compare = "compare --dataset digits --hidden 8,8 --batch-size 4 --seeds 2 --jobs 2";
    let live = on_terminal(&place, 80, "xterm", &format!("{compare} --epochs 40 --out live"));
    assert!(live.contains("/40  ") && live.contains(" left") && live.contains("gradient "), "{live}");
    // What follows `ESC [`: numbers and a letter, which is `m` for colours.
    for part in live.split("\x1b[").skip(1) {
        let part = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        assert!(!part.starts_with('m'), "no colour is asked for: {part}");
        // Lines of progress are filled up to the terminal's width, and one after another.
        for line in part[1..].split(['\n', '\r']) {
            let length = line.chars().count();
            assert!(length <= 80 || length.is_multiple_of(80), "{length} characters: {line}");
        }
    }
    let dumb = on_terminal(&place, 80, "dumb", &format!("{compare} --epochs 2 --out dumb"));
    assert!(!dumb.contains('\x1b') && dumb.contains(": epoch 1 of 2, training loss "), "{dumb}");
    let quiet = on_terminal(&place, 80, "xterm", &format!("{compare} --epochs 2 --quiet --out quiet"));
    assert!(!quiet.contains('\x1b') && !quiet.contains("left"), "{quiet}");
}

/// On a terminal of 80 columns: what the command prints and its exit code. `then` is given what came so far and says, once,
/// what is typed.
#[cfg(target_os = "linux")]
fn typed(place: &Place, command: &str, then: impl Fn(&str) -> Option<&'static str>) -> (String, Option<i32>) {
    use std::{
        io::{Read, Write},
        process::{Command, Stdio},
    };
    let mut child = Command::new("script")
        .args(["-qec", &format!("stty cols 80 rows 24; {command}"), "/dev/null"])
        .current_dir(place.0.path())
        .env("TERM", "xterm")
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` is part of every Linux");
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut bytes, mut buffer, mut pressed) = (Vec::new(), [0; 4096], false);
    loop {
        match screen.read(&mut buffer).expect("the terminal can be read") {
            0 => break,
            read => bytes.extend(&buffer[..read]),
        }
        if let Some(key) = then(&String::from_utf8_lossy(&bytes)).filter(|_| !pressed) {
            keys.write_all(key.as_bytes()).expect("the terminal listens");
            pressed = true;
        }
    }
    (String::from_utf8(bytes).expect("UTF-8"), child.wait().expect("it ends").code())
}

/// A training of so many epochs that something can happen in it.
#[cfg(target_os = "linux")]
fn long(out: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rectify");
    format!(
        "exec '{program}' compare --dataset digits --hidden 32,32 --batch-size 2 --activations relu,tanh --seeds 1 --jobs 2 \
         --epochs 100000 --out {out}"
    )
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_leaves_a_terminal_as_it_was_and_says_how_to_go_on() {
    let place = Place::new();
    let (shown, code) = typed(&place, &long("stopped"), |shown| {
        // Drawn some times: not every epoch is.
        (shown.matches(" left").count() > 5).then_some("\x03")
    });
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(shown.matches("\x1b[?25l").count(), shown.matches("\x1b[?25h").count(), "the cursor is seen: {shown}");
    // What comes after the last line that was taken away stays.
    let (progress, left) = shown.rsplit_once("\r\x1b[2K").expect("lines of progress were taken away");
    assert!(progress.contains(" left"), "{progress}");
    assert!(!left.contains('\x1b') && !left.contains(" steps  ") && !left.contains("gradient \u{2581}"), "{left}");
    assert!(left.ends_with("\r\ninterrupted; to go on: rectify compare --resume stopped\r\n"), "{left}");
}

#[test]
#[cfg(target_os = "linux")]
fn lines_of_progress_follow_a_terminal_that_becomes_narrower() {
    let place = Place::new();
    // The bell says when.
    let narrower = "(sleep 1; stty cols 40 </dev/tty; printf '\\a') &";
    let enough = |shown: &str| {
        let after = shown.split_once('\x07').map_or(0, |(_, after)| after.matches("left").count());
        (after > 40).then_some("\x03")
    };
    let (shown, code) = typed(&place, &format!("{narrower} {}", long("resized")), enough);
    assert_eq!(code, Some(130), "{shown}");
    let after = shown.split_once('\x07').expect("it became narrower").1;
    // What is drawn at once: after the cursor has gone up and the lines before were taken away.
    let drawn = after.split('\x1b').filter_map(|part| {
        let (control, text) = part.split_at(part.find(|c: char| c.is_ascii_alphabetic())? + 1);
        (control.ends_with('A') && text.contains(" left")).then_some(text)
    });
    let fits = |text: &str| {
        let cells: Vec<char> = text.chars().collect();
        let whole = |line: &[char]| {
            let line: String = line.iter().collect();
            ["relu", "tanh", "█", "░"].iter().any(|first| line.starts_with(first))
        };
        cells.len() == 3 * 40 && cells.chunks(40).all(whole)
    };
    // A line is drawn as it was until something new is known of its training.
    let drawn: Vec<&str> = drawn.skip_while(|text| !fits(text)).collect();
    assert!(drawn.len() > 20, "{} of 40 fit:\n{after}", drawn.len());
    // Ctrl-C ends the trainings, and their lines make room.
    for text in &drawn[..20] {
        assert!(fits(text), "not three lines of 40: {text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn tables_are_as_wide_as_the_terminal() {
    let place = Place::new();
    for columns in [60, 80, 120] {
        let shown = on_terminal(&place, columns, "xterm", "gradcheck");
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= columns && shown.contains("passed"), "{widest} of {columns}:\n{shown}");
    }
}
