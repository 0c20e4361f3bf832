//! The files that pictures are written to.

use std::fs;

use super::*;

fn activation(name: &str) -> Activation {
    name.parse().unwrap()
}

#[test]
fn a_picture_is_written_in_the_format_of_its_ending() {
    let folder = tempfile::tempdir().unwrap();
    // To look at the pictures.
    let folder = std::env::var("RECTIFY_KEEP_PAGES").map_or(folder.path().to_owned(), Into::into);
    let activations = ["relu", "sigmoid", "tanh", "relu:heaviside=0.5"].map(activation);
    for (file, start) in [("p.svg", &b"<svg "[..]), ("p.PNG", b"\x89PNG\r\n"), ("p.html", b"<!DOCTYPE html>")] {
        let path = folder.join(file);
        plot(&activations, -5.0..=10.0, &path).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(start), "{file}");
    }
    let svg = fs::read_to_string(folder.join("p.svg")).unwrap();
    assert!(svg.contains("relu:heaviside=0.5") && !svg.contains("NaN"), "{svg}");
    let left: Vec<_> =
        fs::read_dir(&folder).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".rectify-")), "{left:?}");
}

#[test]
fn every_activation_over_a_huge_or_a_tiny_range_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Activation> = rectify_train::activation::NAMES.iter().map(|name| activation(name)).collect();
    for (low, high) in [(-1e300, 1e300), (-1e-300, 1e-300), (3.0, 3.0000001), (-5.0, 5.0)] {
        for file in ["all.svg", "all.html"] {
            plot(&all, low..=high, &folder.path().join(file)).unwrap();
        }
    }
}

#[test]
fn an_unknown_ending_names_the_endings_that_work() {
    for file in ["p.pdf", "p", ".svg"] {
        let error = plot(&[activation("relu")], -1.0..=1.0, Path::new(file)).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(".svg, .png or .html"), "{error}");
    }
}

#[test]
fn a_range_that_is_empty_or_not_finite_is_an_error() {
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        let error = plot(&[activation("relu")], low..=high, Path::new("p.svg")).unwrap_err().to_string();
        assert!(error.starts_with("the range must"), "{error}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/p.svg");
    let error = plot(&[activation("relu")], -1.0..=1.0, &path).unwrap_err();
    assert!(format!("{error:#}").starts_with(&format!("{}: ", path.display())), "{error:#}");
    assert!(!format!("{error:#}").contains("rectify-new"), "no other file's name: {error:#}");
}
