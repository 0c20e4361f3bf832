//! What is drawn, and the files that it is written to.

use super::*;

fn activation(name: &str) -> Activation {
    name.parse().unwrap()
}

fn curve(name: &str) -> Curve {
    Curve::of(&activation(name), Style::of(0), -5.0, 10.0).unwrap()
}

#[test]
fn relu_is_drawn_as_a_hinge_whose_derivative_jumps_at_zero() {
    let relu = curve("relu");
    let [line] = &relu.function[..] else { panic!("f has {} pieces", relu.function.len()) };
    assert!(line.iter().all(|(x, y)| *y == x.max(0.0)));
    assert!(line.contains(&(0.0, 0.0)));
    assert_eq!((line[0], line[line.len() - 1]), ((-5.0, 0.0), (10.0, 10.0)));
    let [left, right] = &relu.derivative[..] else { panic!("f′ has {} pieces", relu.derivative.len()) };
    assert!(left.iter().all(|(x, y)| *x <= 0.0 && *y == 0.0));
    assert!(right.iter().all(|(x, y)| *x > 0.0 && *y == 1.0));
    assert_eq!(relu.at_zero, Some(0.0));
}

#[test]
fn a_gradient_rule_shows_in_the_derivative() {
    assert_eq!(curve("relu:heaviside=0.5").at_zero, Some(0.5));
    assert_eq!(curve("relu:heaviside=1").at_zero, Some(1.0));
    let leaky = curve("relu:leaky=0.2");
    assert_eq!(leaky.derivative[0][0].1, 0.2);
    assert_eq!(leaky.function[0][0].1, 0.0);
    let bsilu = curve("relu:bsilu");
    assert_eq!((bsilu.derivative.len(), bsilu.at_zero), (1, None));
}

#[test]
fn smooth_derivatives_are_one_line_and_kinked_ones_break_where_they_jump() {
    let jumps = [
        ("none", 0),
        ("leaky-relu", 1),
        ("prelu", 1),
        ("relu6", 2),
        ("elu", 0),
        ("elu:2", 1),
        ("celu", 0),
        ("selu", 1),
        ("gelu", 0),
        ("gelu-tanh", 0),
        ("silu", 0),
        ("mish", 0),
        ("softplus", 0),
        ("softplus:50", 0),
        ("softsign", 0),
        ("sigmoid", 0),
        ("tanh", 0),
        ("hard-sigmoid", 2),
        ("hard-tanh", 2),
        ("hard-swish", 2),
    ];
    for (name, jumps) in jumps {
        let curve = curve(name);
        assert_eq!(curve.derivative.len(), jumps + 1, "{name}");
        assert_eq!(curve.function.len(), 1, "{name}");
    }
}

#[test]
fn the_derivative_is_the_mathematical_one() {
    let slope = |name: &str, truth: fn(f64) -> f64| {
        for (x, y) in curve(name).derivative.iter().flatten().filter(|(x, _)| *x != 0.0) {
            assert!((y - truth(*x)).abs() < 1e-12, "{name}'({x}) is {}, not {y}", truth(*x));
        }
    };
    slope("tanh", |x| 1.0 - x.tanh().powi(2));
    slope("sigmoid", |x| (1.0 / (1.0 + (-x).exp())) * (1.0 - 1.0 / (1.0 + (-x).exp())));
    slope("prelu", |x| if x > 0.0 { 1.0 } else { 0.25 });
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
    assert!(format!("{error:#}").starts_with(&format!("cannot write {}: ", path.display())), "{error:#}");
}
