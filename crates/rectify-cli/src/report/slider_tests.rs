//! What figures show as the page's slider goes over the epochs, and how units are drawn.

use super::{
    fixture::results,
    html,
    tests::{data, good_page},
};

/// A figure's frames: their epochs, and what they hold under a name.
fn frames(figure: &serde_json::Value) -> Vec<(u64, &serde_json::Value)> {
    let frames = figure["frames"].as_array().unwrap();
    frames.iter().map(|frame| (frame["epoch"].as_u64().unwrap(), frame)).collect()
}

#[test]
fn the_slider_shows_each_epochs_gradients_by_layer() {
    let mut results = results(&["relu", "tanh"], 2, 3, 2);
    // The second activation ends an epoch earlier, as with patience, and stays as it ended.
    for run in &mut results.runs {
        for epoch in &mut run.epochs {
            epoch.layers[0].weight_grad_rms = Some(10f64.powi(-(epoch.epoch as i32)));
            epoch.layers[2].weight_grad_rms = Some(0.0);
        }
        if run.activation == "tanh" {
            run.epochs.pop();
        }
    }
    let page = html(&results, &[], &[]).unwrap();
    for id in ["opening", "gradient-weight"] {
        let figure = data(&page, id);
        let first = |frame: &serde_json::Value| [0, 1].map(|group| frame["values"]["y"][group][0].as_f64().unwrap());
        let of_frames: Vec<(u64, [f64; 2])> =
            frames(&figure).into_iter().map(|(epoch, frame)| (epoch, first(frame))).collect();
        assert_eq!(of_frames, [(0, [1.0, 1.0]), (1, [0.1, 0.1]), (2, [0.01, 0.01]), (3, [0.001, 0.01])], "{id}");
        // 0 has no place on a logarithmic axis. The figure itself is at the last epoch.
        assert!(figure["frames"][0]["values"]["y"][0][2].is_null(), "{id}");
        assert!((figure["data"][0]["y"][0].as_f64().unwrap() / 0.001 - 1.0).abs() < 1e-9, "{id}");
    }
    // Mean and deviation move together.
    let spread = data(&page, "activation");
    assert_eq!(frames(&spread)[2].1["values"]["error_y.array"][1], serde_json::json!([0.5, 0.5]));
}

#[test]
fn histograms_are_rows_at_each_epoch_that_has_them() {
    let page = html(&results(&["relu"], 3, 4, 2), &[], &[]).unwrap();
    let figure = data(&page, "histogram-activation-0");
    let epochs: Vec<u64> = frames(&figure).iter().map(|(epoch, _)| *epoch).collect();
    assert_eq!(epochs, [0, 4]);
    let row = &figure["frames"][1]["rows"][2];
    assert_eq!((row[0].as_f64(), row[1].as_f64(), row[2].as_array().unwrap().len()), (Some(-1.0), Some(1.6), 40));
    assert!(row[2].as_array().unwrap().iter().any(|height| height == 1000));
    // A trace a layer before training, and one at the epoch.
    assert_eq!(figure["data"].as_array().unwrap().len(), 6);
}

#[test]
fn heat_maps_of_units_share_one_scale_that_their_values_fill() {
    let mut results = results(&["relu", "leaky", "tanh"], 2, 2, 1);
    for run in &mut results.runs {
        let most = if run.activation == "tanh" { 0.04 } else { 0.01 };
        run.epochs[2].layers[0].dead_fraction = Some(most);
        run.epochs[2].layers[1].dead_fraction = Some(0.0);
    }
    let page = html(&results, &[], &[]).unwrap();
    let figure = &data(&page, "dead-0");
    assert_eq!((figure["data"][0]["zmin"].as_f64(), figure["data"][0]["zmax"].as_f64()), (Some(0.0), Some(0.04)));
    // Three epochs each, and a gap between two activations.
    assert_eq!(figure["data"][0]["z"][0].as_array().unwrap().len(), 11);
    assert_eq!(figure["layout"]["xaxis"]["ticktext"], serde_json::json!(["relu", "leaky", "tanh"]));
    assert_eq!(figure["data"][0]["text"][10], "tanh, epoch 2");
    assert!(page.contains("One scale, from 0 to the greatest, 4.0 %."));
}

#[test]
fn single_units_are_shown_and_the_dead_named() {
    let mut results = results(&["relu", "tanh"], 2, 2, 1);
    assert!(!good_page(&results).contains("single-units"));
    for epoch in &mut results.runs[0].epochs {
        // Not quite dead is not dead.
        epoch.layers[0].unit_nonzero_fraction = vec![0.0, 1e-6, 0.25, 1.0];
        epoch.layers[1].unit_nonzero_fraction = vec![0.5; 4];
    }
    let page = html(&results, &[], &[]).unwrap();
    assert_eq!(data(&page, "unit-0")["data"][0]["z"][0], serde_json::json!([0.0, 0.1, 25.0, 100.0]));
    assert_eq!(frames(&data(&page, "unit-0")).len(), 3);
    assert!(page.contains("Dead with relu, seed 0, at the end: layer 1: 1 of 4 units (0)."));
    assert!(!page.contains("<div id=\"unit-1\""));
}

#[test]
fn a_long_training_has_frames_from_its_first_epoch_to_its_last_and_no_more_than_a_slider_needs() {
    let page = html(&results(&["relu"], 2, 500, 1), &[], &[]).unwrap();
    let figure = data(&page, "gradient-weight");
    let epochs: Vec<u64> = frames(&figure).iter().map(|(epoch, _)| *epoch).collect();
    assert_eq!((epochs[0], epochs[epochs.len() - 1], epochs.len()), (0, 500, 60));
}

#[test]
fn the_page_opens_with_one_sentence_and_the_others_stand_with_the_numbers() {
    let sentences = ["The answer.".to_owned(), "What else there is.".to_owned()];
    let page = html(&results(&["relu"], 2, 1, 1), &sentences, &[]).unwrap();
    assert!(page.contains("<p class=\"lead\">The answer.</p>"));
    let (before, after) = page.split_once("<h2 id=\"summary\">").unwrap();
    assert!(!before.contains("What else there is.") && after.contains("<p>What else there is.</p>"));
    assert!(before.contains("<div id=\"opening\""));
}
