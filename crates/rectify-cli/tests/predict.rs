//! `rectify predict`: pictures of one's own, from file to answer.

mod place;

use std::{fs, io::Cursor};

use assert_cmd::Command;
use image::{DynamicImage, GrayImage, ImageFormat, imageops, imageops::FilterType};
use predicates::str::contains;
use serde_json::Value;

use place::{Place, SMALL};

fn json(place: &Place, arguments: &str) -> Value {
    let output = place.run(&format!("{arguments} --format json --quiet")).success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("stdout is JSON and nothing else")
}

/// A network that has learned `digits` in `net`, and test pictures of them in `samples`.
fn trained() -> Place {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 20 --lr 0.3 --out net")).success();
    place.run("data digits --samples 60 --out samples").success();
    place
}

#[test]
fn a_network_that_diverged_takes_a_picture_for_nothing() {
    let place = Place::new();
    place.run("train --dataset digits --hidden 8,8,8 --epochs 3 --lr 1e6 --batch-size 16 --out net").success();
    place.run("data digits --samples 2 --out samples").success();
    place.refuses("predict samples --checkpoint net", 1, &["samples/", "net", "not finite: it has diverged"]);

    let scores = json(&place, "eval net");
    assert_eq!(scores["test_accuracy"], Value::Null);
    assert!(scores["classes"].as_array().unwrap().iter().all(|class| class["recall"].is_null()), "{scores}");
    let confusion = scores["confusion"].as_array().unwrap();
    assert!(confusion.iter().all(|row| row.as_array().unwrap().iter().all(|count| *count == 0)), "{scores}");
    let text = place.run("eval net").success().get_output().stdout.clone();
    let text = String::from_utf8(text).expect("it is text");
    assert!(text.ends_with("the loss is not finite: the network has diverged\n"), "{text}");
}

/// Which part of predictions is what the files' names begin with.
fn accuracy(predictions: &Value) -> f64 {
    let all = predictions["predictions"].as_array().expect("a list");
    let right = all.iter().filter(|of| {
        let name = of["path"].as_str().and_then(|path| path.rsplit('/').next()).expect("a path");
        name.starts_with(&format!("{}-", of["class"].as_str().expect("a class")))
    });
    right.count() as f64 / all.len() as f64
}

#[test]
fn test_pictures_as_files_are_taken_for_what_they_are_in_the_data_set() {
    let place = trained();
    let of_files = json(&place, "predict samples --checkpoint net");
    let of_set = json(&place, "eval net");
    assert_eq!(of_files["predictions"].as_array().map(Vec::len), Some(60));
    assert_eq!(accuracy(&of_files), of_set["test_accuracy"].as_f64().expect("a number"));
    assert!(accuracy(&of_files) > 0.5, "it has learned something");
    let first = &of_files["predictions"][0];
    assert_eq!((&first["inverted"], &first["fitted"]), (&false.into(), &false.into()));
    let probabilities: Vec<f64> =
        first["probabilities"].as_array().unwrap().iter().map(|of| of["probability"].as_f64().unwrap()).collect();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6 && probabilities.is_sorted_by(|a, b| a >= b));
}

#[test]
fn digits_of_mnist_have_the_same_accuracy_as_files_and_are_known_enlarged_and_dark_on_light() {
    let place = Place::new();
    place.run("train --hidden 64 --epochs 2 --out net").success();
    place.run("data mnist --samples 10000 --out samples").success();
    let of_files = accuracy(&json(&place, "predict samples --checkpoint net"));
    let of_set = json(&place, "eval net")["test_accuracy"].as_f64().expect("a number");
    assert_eq!(of_files, of_set);

    fs::create_dir(place.path("photos")).expect("it is new");
    let mut names: Vec<_> = fs::read_dir(place.path("samples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    fs::create_dir(place.path("same")).expect("it is new");
    for path in names.iter().step_by(20) {
        fs::copy(path, place.path("same").join(path.file_name().expect("a file"))).expect("it can be copied");
        let mut digit = image::open(path).expect("a picture").into_luma8();
        imageops::invert(&mut digit);
        let large = imageops::resize(&digit, 200, 200, FilterType::CatmullRom);
        let mut sheet = GrayImage::from_pixel(500, 320, image::Luma([255]));
        imageops::replace(&mut sheet, &large, 280, 20);
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").replace("png", "jpg");
        DynamicImage::from(sheet).save(place.path(&format!("photos/{name}"))).expect("it can be written");
    }
    let photos = json(&place, "predict photos --checkpoint net");
    assert!(photos["predictions"].as_array().unwrap().iter().all(|of| of["inverted"] == true && of["fitted"] == true));
    let (of_photos, of_same) = (accuracy(&photos), accuracy(&json(&place, "predict same --checkpoint net")));
    println!("{of_photos} of enlarged ones, {of_same} of the same ones as they are");
    assert!(of_photos > of_same - 0.02, "{of_photos} of enlarged ones, {of_same} of the same ones as they are");
}

#[test]
fn answers_are_bars_on_the_terminal_from_files_folders_and_standard_input() {
    let place = trained();
    let first = fs::read_dir(place.path("samples")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let name = first.strip_prefix(place.0.path()).unwrap().to_str().unwrap().to_owned();
    place.run(&format!("predict {name} --checkpoint net")).success().stdout(contains("█")).stdout(contains(" %"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
    let piped = command.args(["predict", "-", "--checkpoint", "net"]).current_dir(place.0.path());
    piped.write_stdin(fs::read(&first).unwrap()).assert().success().stdout(contains("standard input: "));
    let all = place.run("predict samples --checkpoint net").success();
    assert_eq!(String::from_utf8_lossy(&all.get_output().stdout).lines().count(), 60);
    // Without --checkpoint the newest network of runs/ is asked.
    place.refuses(&format!("predict {name}"), 2, &["--checkpoint", "rectify train"]);
    fs::create_dir(place.path("runs")).unwrap();
    fs::rename(place.path("net"), place.path("runs/net")).unwrap();
    place.run(&format!("predict {name}")).success().stderr(contains("checkpoint runs/net"));
}

#[test]
fn what_speaks_for_a_class_is_written_beside_the_picture() {
    let place = trained();
    let all: Vec<_> = fs::read_dir(place.path("samples")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let [one, two] = [0, 1].map(|at| format!("samples/{}", all[at].to_str().unwrap()));
    place.run(&format!("predict {one} --checkpoint net --saliency map.png")).success();
    let map = image::open(place.path("map.png")).expect("a picture").into_luma8();
    assert_eq!(map.width(), 2 * map.height());
    let half = |right: bool| {
        let pixels = map.enumerate_pixels().filter(|(x, ..)| (*x >= map.width() / 2) == right);
        pixels.filter(|(.., value)| value.0[0] > 0).count()
    };
    assert!(half(true) > 0, "something speaks for the class");
    place.run(&format!("predict {one} {two} --checkpoint net --saliency maps")).success();
    assert_eq!(fs::read_dir(place.path("maps")).unwrap().count(), 2);
    place.refuses(&format!("predict {one} {two} --checkpoint net --saliency map.png"), 2, &["--saliency", "a folder"]);
    place.run(&format!("train {SMALL} --activation tanh --epochs 1 --out tanh")).success();
    let plain = place.run(&format!("predict {one} --checkpoint tanh --saliency plain.png")).success();
    plain.stderr(contains("the plain gradient is drawn"));
}

#[test]
fn a_page_shows_the_picture_on_its_way_through_every_layer() {
    let place = trained();
    let one = fs::read_dir(place.path("samples")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let one = one.strip_prefix(place.0.path()).unwrap().to_str().unwrap().to_owned();
    place.run(&format!("predict {one} --checkpoint net --inside inside.html")).success();
    let page = place.read("inside.html");
    assert!(page.contains("Layer 1") && page.contains("of 8 units") || page.contains("All of 8 units"), "{one}");
    assert_eq!(page.matches("<g data-unit=").count(), 8);
    place.run(&format!("train {SMALL} --model cnn --epochs 1 --out cnn")).success();
    place.run(&format!("predict {one} --checkpoint cnn --inside cnn.html")).success();
    assert_eq!(place.read("cnn.html").matches("<g data-unit=").count(), 6 + 16 + 8);
    place.refuses("predict samples --checkpoint net --inside page.html", 2, &["--inside shows one picture"]);
}

#[test]
fn what_is_no_picture_or_not_there_is_named() {
    let place = trained();
    fs::write(place.path("notes.png"), "no picture").unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    place.refuses("predict notes.png --checkpoint net", 1, &["notes.png", "PNG or JPEG"]);
    place.refuses("predict nowhere.png --checkpoint net", 2, &["nowhere.png"]);
    place.refuses("predict empty --checkpoint net", 2, &["empty", "no PNG or JPEG"]);
    place.refuses("predict notes.png --checkpoint nowhere", 2, &["nowhere"]);
    place.refuses("data digits --samples 3", 2, &["--out"]);
    let mut png = Vec::new();
    DynamicImage::from(GrayImage::new(3, 5)).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
    fs::write(place.path("tiny.png"), png).unwrap();
    place.run("predict tiny.png --checkpoint net").success();
}

#[test]
fn the_most_wrongly_classified_pictures_are_one_file() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 1 --out net")).success();
    let shown = place.run("eval net --contact-sheet worst.png").success().stdout(contains("Most wrong: sample "));
    shown.stdout(contains("Test samples by class")).stdout(contains("Taken most often: "));
    let sheet = image::open(place.path("worst.png")).expect("a picture");
    assert_eq!((sheet.width(), (sheet.height() - 2) % 14), (12 * 14 + 2, 0));
}
