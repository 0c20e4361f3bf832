//! What every page must keep, and what is on it.

use rectify_train::{
    experiment::{Experiment, Init, ProbeEvery},
    record::{Divergence, GradientSample, Histogram, InputSample, Layer, Results, Role, Status, StepProbe, Summary},
};

pub(crate) use super::fixture::results;
use rectify_train::judge::{
    diagnose::{Case, LIVE, diagnose},
    number::ABSENT,
};

use super::{Report, html};

/// The page without what stands in `script` and `style` elements.
fn markup(page: &str) -> String {
    let mut rest = page;
    let mut markup = String::new();
    while let Some((start, element)) =
        ["script", "style"].iter().filter_map(|tag| Some((rest.find(&format!("<{tag}"))?, tag))).min()
    {
        markup += &rest[..start];
        let end = format!("</{element}>");
        let length = rest[start..].find(&end).expect("every element is closed");
        rest = &rest[start + length + end.len()..];
    }
    markup + rest
}

/// Builds the page and checks what every page must keep. Set `RECTIFY_KEEP_PAGES` to a folder to look at the pages.
pub(super) fn good_page(results: &Results) -> String {
    let page = html(results, &["ReLU is best.".to_owned()], &[]).unwrap();
    if let Ok(folder) = std::env::var("RECTIFY_KEEP_PAGES") {
        let name = std::thread::current().name().unwrap_or("page").replace("::", "-");
        std::fs::write(format!("{folder}/{name}.html"), &page).unwrap();
    }
    let markup = markup(&page);
    // A link within the page is no way out of it.
    let without_links = markup.replace("href=\"#", "");
    for outside in ["src=", "href=", "url(", "<link", "<iframe", "http:", "https:", "@import"] {
        assert!(!without_links.contains(outside), "{outside} in {markup}");
    }
    for leak in ["NaN", "null", "None", "Some(", ">inf", "-inf"] {
        assert!(!markup.contains(leak), "{leak} in {markup}");
    }
    for group in Report::of(results).groups {
        let name = maud::html! { (group.name()) }.into_string().replace('\u{202e}', "[U+202E]");
        assert!(markup.contains(&name), "{name} is missing");
    }
    assert!(markup.contains("ReLU is best."));
    // Every figure and section has its own place.
    let ids: Vec<&str> = markup.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[..i].contains(id), "{id} twice");
    }
    assert!(ids.len() >= 4, "{ids:?}");
    markup
}

#[test]
fn a_comparison_shows_tables_figures_settings_and_the_way_to_run_it_again() {
    let markup = good_page(&results(&["relu", "sigmoid", "tanh"], 5, 5, 3));
    for id in [
        "opening",
        "train-loss",
        "test-accuracy",
        "f",
        "derivative",
        "gradient-weight",
        "gradient-preactivation",
        "histogram-activation-2",
        "zero-0",
        "activation",
        "confusion-2",
    ] {
        assert!(markup.contains(&format!("<div id=\"{id}\"")), "{id}");
    }
    assert!(markup.contains("<td>97.00 ± 0.97</td>"), "{markup}");
    assert!(markup.contains("<td>-1.00</td><td>-1.01 to -0.99 at 97.50 %</td>"), "{markup}");
    assert!(markup.contains("Confusion matrix: sigmoid. Most often 4 for 9 (12)."), "summed over three seeds");
    assert!(markup.contains("0 in every layer and epoch: sigmoid, tanh."));
    assert!(markup.contains("Not measured: relu."));
    assert!(markup.contains("<dt>lr</dt><dd>0.1 (the optimizer's default)</dd>"));
    assert!(markup.contains("he-normal for relu, gain:2.9528 for sigmoid"));
    assert!(markup.contains("rectify compare --config config.toml"));
    assert!(!markup.contains("diverged"));
}

#[test]
fn the_config_on_the_page_is_the_experiment() {
    let results = results(&["relu"], 2, 1, 1);
    let markup = good_page(&results);
    let config = markup.split("<pre tabindex=\"0\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap();
    let read: Experiment = toml::from_str(&config.replace("&quot;", "\"")).unwrap();
    assert_eq!(read, results.experiment);
}

#[test]
fn a_diverged_run_shows_as_such() {
    let mut results = results(&["relu", "tanh"], 3, 3, 2);
    results.summary[0].diverged = 1;
    results.summary[0].test_accuracy = None;
    let run = &mut results.runs[0];
    run.status = Status::Diverged;
    run.diverged_at_step = Some(412);
    let last = run.epochs.last_mut().unwrap();
    (last.train_loss, last.validation_loss, last.test_loss) = (None, None, None);
    last.test_accuracy = None;
    for layer in &mut last.layers {
        *layer = Layer { layer: layer.layer.clone(), units: layer.units, ..Layer::default() };
    }
    let markup = good_page(&results);
    assert!(markup.contains("<td class=\"diverged\">1 of 2 diverged</td>"), "{markup}");
    assert!(markup.contains("<td class=\"diverged\">diverged at step 412</td>"), "{markup}");
    assert!(markup.contains("relu with seed 0 at step 412"), "{markup}");
}

#[test]
fn an_activation_whose_every_run_diverged_at_once_has_a_page() {
    let mut results = results(&["relu", "tanh"], 3, 0, 2);
    for run in &mut results.runs {
        run.status = Status::Diverged;
        run.epochs.clear();
    }
    good_page(&results);
}

#[test]
fn no_probes_no_training_and_one_seed_have_a_page() {
    let mut off = results(&["relu", "tanh"], 3, 2, 1);
    off.experiment.probe_every = ProbeEvery::Off;
    off.runs.iter_mut().flat_map(|run| &mut run.epochs).for_each(|epoch| epoch.layers.clear());
    let markup = good_page(&off);
    assert_eq!(markup.matches("Layers were not watched").count(), 3);

    let untrained = good_page(&results(&["relu", "tanh"], 3, 0, 1));
    assert!(untrained.contains("id=\"gradient-weight\"") && !untrained.contains("class=\"moment\""));
    assert!(untrained.contains("<td>97.00</td>"));
}

#[test]
fn softmax_regression_has_a_page() {
    let markup = good_page(&results(&["none"], 0, 2, 2));
    assert!(markup.contains("<dt>hidden</dt><dd>none</dd>"));
    assert_eq!(markup.matches("The network has no hidden layer.").count(), 2);
}

#[test]
fn missing_figures_have_a_page() {
    let mut results = results(&["relu", "tanh"], 3, 2, 3);
    for layer in results.runs.iter_mut().flat_map(|run| &mut run.epochs).flat_map(|epoch| &mut epoch.layers) {
        *layer = Layer { layer: layer.layer.clone(), units: layer.units, ..Layer::default() };
    }
    for summary in &mut results.summary {
        *summary = Summary {
            activation: summary.activation.clone(),
            seeds: 3,
            diverged: 0,
            interrupted: 0,
            test_accuracy: None,
            validation_accuracy: None,
            seconds_per_epoch: None,
            gradient_ratio_start: None,
            gradient_ratio: None,
            zero_fraction: None,
            dead_fraction: None,
            saturated_fraction: None,
        };
    }
    let markup = good_page(&results);
    assert!(markup.contains(&format!("<td>{ABSENT}</td>")));
}

#[test]
fn twelve_activations_of_twenty_layers_have_a_page() {
    let names: Vec<String> = (0..12).map(|index| format!("leaky-relu:0.0{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = results(&names, 20, 10, 2);
    let markup = good_page(&results);
    // They would hide each other in one figure.
    for id in ["histogram-activation-11", "gradient-weight-11", "activation-11", "train-loss-11"] {
        assert!(markup.contains(&format!("<div id=\"{id}\"")), "{id}");
    }
    let page = html(&results, &[], &[]).unwrap();
    assert!(page.len() < 6_000_000, "{} bytes", page.len());
    // The opening picture has a row for each on one scale.
    let opening = data(&page, "opening");
    assert_eq!(opening["data"][0]["z"].as_array().unwrap().len(), 12);
    assert_eq!(opening["frames"][10]["values"]["z"][0].as_array().unwrap().len(), 12);
}

const HOSTILE: &str = "</script><script>alert('\"1\"')</script><!--\u{202e}&lt;";

/// A figure's data, as the page's script reads them.
pub(super) fn data(page: &str, id: &str) -> serde_json::Value {
    let (_, figure) = page.split_once(&format!("<div id=\"{id}\"")).unwrap_or_else(|| panic!("there is no {id}"));
    let (_, script) = figure.split_once("<script type=\"application/json\">").unwrap();
    serde_json::from_str(script.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn names_cannot_become_markup() {
    let mut results = results(&[HOSTILE, "tanh"], 2, 1, 2);
    results.experiment.dataset = format!("/data/{HOSTILE}");
    for layer in results.runs.iter_mut().flat_map(|run| &mut run.epochs).flat_map(|epoch| &mut epoch.layers) {
        layer.layer = format!("{}{HOSTILE}", layer.layer);
        layer.update_to_weight_ratio = Some(1e-3);
    }
    let page = html(&results, &["a < b".to_owned(), HOSTILE.to_owned()], &[]).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains("<!--\u{202e}"));
    assert!(page.contains("a &lt; b"));
    // Every script that begins also ends, and those are the page's own: one a figure, plotly and what draws with it.
    let own = page.matches("class=\"plot\"").count() + 2;
    let last = page.split_once("</main>").unwrap().1;
    let inside_plotly = last.matches("<script").count() - 2;
    assert_eq!(page.matches("<script").count() - inside_plotly, own);
    assert!(!page.split_once("<main>").unwrap().1.contains('\u{202e}'));

    let shown = "&lt;/script&gt;&lt;script&gt;alert('&quot;1&quot;')&lt;/script&gt;&lt;!--[U+202E]&amp;lt;";
    assert!(page.contains(&format!("<title>{shown}, tanh on /data/{shown}</title>")));
    assert!(page.contains(&format!("aria-label=\"Test accuracy. {shown}: ")));
    let accuracy = data(&page, "test-accuracy");
    // Plotly reads names as HTML; the legend's boxes know a trace by the name itself.
    assert_eq!(accuracy["data"][1]["name"], shown);
    assert_eq!(accuracy["data"][1]["legendgroup"], HOSTILE.replace('\u{202e}', "[U+202E]"));
    let gradient = data(&page, "gradient-weight");
    assert_eq!(gradient["layout"]["xaxis"]["ticktext"][0], format!("hidden.0{shown}"));
    assert_eq!(data(&page, "zero-0")["data"][0]["y"][1], format!("hidden.1{shown}"));
    assert_eq!(data(&page, "update-epoch-1")["data"][0]["name"], format!("hidden.0{shown}"));
    good_page(&results);
}

#[test]
fn why_a_run_diverged_is_said() {
    let mut results = results(&["relu"], 2, 1, 2);
    let run = &mut results.runs[1];
    (run.status, run.diverged_at_step, run.divergence) = (Status::Diverged, Some(7), Some(Divergence::Gradient));
    let markup = good_page(&results);
    assert!(
        markup.contains("diverged at step 7: a gradient is not finite, or too large for the optimizer</td>"),
        "{markup}"
    );
    assert!(
        markup.contains("relu with seed 1 at step 7: a gradient is not finite, or too large for the optimizer"),
        "{markup}"
    );
}

#[test]
fn a_run_that_kept_an_earlier_epoch_shows_that_epochs_numbers() {
    let mut results = results(&["relu"], 2, 3, 2);
    assert!(!good_page(&results).contains("kept"));
    let run = &mut results.runs[0];
    run.kept_epoch = Some(2);
    run.epochs[2].test_accuracy = Some(0.1234);
    run.epochs[2].layers[0].weight_grad_rms = Some(0.5);
    results.runs[1].status = Status::Diverged;
    let markup = good_page(&results);
    let row = markup.split("<tr>").find(|row| row.contains("<td>12.34</td>")).unwrap();
    assert!(row.contains("<td>2</td>") && markup.contains("kept epoch"), "{row}");
    assert!(markup.contains("<td>the last</td>"));
}

#[test]
fn probed_steps_are_drawn() {
    let mut results = results(&["relu", "tanh"], 2, 1, 2);
    let without = good_page(&results);
    assert!(!without.contains("gradient-step") && !without.contains("update-step"));
    for run in &mut results.runs {
        let layers = run.epochs[0].layers.clone();
        let scaled = |factor: f64| {
            let scaled = |layer: &Layer| Layer {
                weight_grad_rms: Some(factor),
                update_to_weight_ratio: Some(2.0 * factor),
                ..layer.clone()
            };
            layers.iter().map(scaled).collect()
        };
        let probe = |i: usize| StepProbe { step: 10 * i, loss: Some(1.0), layers: scaled(i as f64) };
        run.probes = (1..=1200).map(probe).collect();
    }
    let page = html(&results, &[], &[]).unwrap();
    good_page(&results);
    for (id, factor) in [("gradient-step-0", 1.0), ("update-step-1", 2.0)] {
        let figure = data(&page, id);
        let lines = figure["data"].as_array().unwrap();
        assert_eq!(
            lines.iter().map(|line| line["name"].as_str().unwrap()).collect::<Vec<_>>(),
            ["layer 1", "layer 2", "output"]
        );
        // Long lines are thinned to what a panel can show, from the first step to the last.
        let ends = |axis: &str| {
            let values = lines[1][axis].as_array().unwrap();
            assert_eq!(values.len(), 500);
            [values[0].as_f64().unwrap(), values[499].as_f64().unwrap()]
        };
        assert_eq!(ends("x"), [10.0, 12_000.0], "{id}");
        for (end, expected) in ends("y").into_iter().zip([factor, 1200.0 * factor]) {
            assert!((end / expected - 1.0).abs() < 1e-12, "{id}: {end} is not {expected}");
        }
    }
}

#[test]
fn what_gradients_were_measured_on_is_said_and_a_batchs_are_drawn_where_they_were_recorded() {
    let mut results = results(&["relu"], 2, 1, 1);
    assert!(!good_page(&results).contains("gradient-batch"));
    for epoch in &mut results.runs[0].epochs {
        epoch.gradient = Some(GradientSample { set: "validation".to_owned(), samples: 5000, batch_size: 128 });
        epoch.layers[1].batch_weight_grad_rms = Some(0.25);
    }
    let markup = good_page(&results);
    assert!(markup.contains("the mean loss over 5000 samples of the validation set;"), "{markup}");
    assert!(markup.contains("over its batches of 128 samples."), "{markup}");
    let page = html(&results, &[], &[]).unwrap();
    assert_eq!(data(&page, "gradient-batch")["data"][0]["y"], serde_json::json!([null, 0.25, null]));
}

#[test]
fn the_output_layer_is_known_by_its_role() {
    let mut results = results(&["relu"], 2, 1, 1);
    for layer in results.runs[0].epochs.iter_mut().flat_map(|epoch| &mut epoch.layers) {
        let output = layer.layer == "output";
        layer.role = Some(if output { Role::Output } else { Role::Hidden });
        layer.layer = if output { "head".to_owned() } else { format!("{}.output", layer.layer) };
    }
    let page = html(&results, &[], &[]).unwrap();
    assert_eq!(data(&page, "gradient-weight")["layout"]["xaxis"]["ticktext"].as_array().unwrap().len(), 3);
    let hidden = serde_json::json!(["hidden.0.output", "hidden.1.output"]);
    assert_eq!(data(&page, "activation")["layout"]["xaxis"]["ticktext"], hidden);
    assert_eq!(data(&page, "zero-0")["data"][0]["y"], hidden);
}

#[test]
fn every_kind_of_histogram_has_a_figure_an_activation() {
    let mut results = results(&["relu", "tanh"], 3, 1, 1);
    for layer in results.runs.iter_mut().flat_map(|run| &mut run.epochs).flat_map(|epoch| &mut epoch.layers) {
        let histogram = Histogram { low: -1.0, high: 1.0, counts: vec![1, 2, 3] };
        layer.preactivation_histogram = Some(histogram.clone());
        layer.preactivation_grad_histogram = Some(histogram);
    }
    let markup = good_page(&results);
    assert_eq!(markup.matches("<div id=\"histogram-").count(), 3 * 2);
    assert!(markup.contains("<summary>Gradients of the pre-activations</summary>"));
}

#[test]
fn risen_accuracies_are_zoomed_with_a_button_for_the_whole_and_losses_are_not() {
    let mut results = results(&["relu", "tanh"], 2, 4, 1);
    for epoch in results.runs.iter_mut().flat_map(|run| &mut run.epochs) {
        epoch.test_accuracy = Some([0.1, 0.94, 0.96, 0.97, 0.972][epoch.epoch]);
        epoch.validation_accuracy = Some(0.1 * epoch.epoch as f64);
    }
    let page = html(&results, &[], &[]).unwrap();
    let range = &data(&page, "test-accuracy")["layout"]["yaxis"]["range"];
    assert!(range[0].as_f64().unwrap() > 0.94 && range[1].as_f64().unwrap() < 0.98, "{range}");
    assert!(data(&page, "validation-accuracy")["layout"]["yaxis"]["range"].is_null());
    assert!(data(&page, "train-loss")["layout"]["yaxis"]["range"].is_null());
    assert_eq!(page.split_once("<main>").unwrap().1.matches("class=\"whole\"").count(), 1);
}

#[test]
fn theory_stands_beside_the_gradients_before_training_where_it_reaches() {
    let theory = |change: fn(&mut Results)| {
        let mut results = results(&["relu", "sigmoid"], 5, 2, 1);
        let inputs = InputSample { samples: 100, mean: Some(0.0), std: Some(1.0), constant_fraction: 0.0 };
        results.runs[0].epochs[0].inputs = Some(inputs);
        change(&mut results);
        let page = html(&results, &[], &[]).unwrap();
        (page.matches("sigmoid (theory)").count(), good_page(&results).contains("mean-field theory"))
    };
    // What was drawn and the textbook's; the first is the second where that was drawn.
    assert_eq!(theory(|_| {}), (2, true));
    assert_eq!(theory(|results| results.experiment.init = Init::XavierNormal), (1, true));
    assert_eq!(theory(|results| results.experiment.residual = true), (0, false));
}

#[test]
fn what_is_wrong_stands_in_words_and_in_its_layers_from_its_epoch_on() {
    let mut results = results(&["relu", "tanh"], 3, 4, 1);
    for epoch in &mut results.runs[0].epochs {
        let layer = &mut epoch.layers[1];
        layer.dead_fraction = Some(if epoch.epoch >= 2 { 1.0 } else { 0.0 });
    }
    let diagnoses: Vec<_> = results.runs.iter().map(|run| diagnose(&Case::of(run), LIVE)).collect();
    assert!(!diagnoses[0].healthy && diagnoses[1].healthy);
    let page = html(&results, &[], &diagnoses).unwrap();
    assert!(page.contains("1 of 2 runs are not healthy.") && page.contains("hidden.1 has no living unit"), "words");
    let row = page.split("<th scope=\"row\">layer 2</th>").skip(1).find(|row| row.contains("critical")).unwrap();
    let cells: Vec<&str> = row.split("</td>").take(5).map(|cell| cell.rsplit('>').next().unwrap()).collect();
    assert_eq!(cells, ["·", "·", "!!", "!!", "!!"]);
    let healthy: Vec<_> = results.runs[1..].iter().map(|run| diagnose(&Case::of(run), LIVE)).collect();
    assert!(html(&results, &[], &healthy).unwrap().contains("Every run is healthy"));
    assert!(!html(&results, &[], &[]).unwrap().contains("id=\"health\""));
}

#[test]
fn a_page_of_ten_thousand_runs_is_no_larger_than_a_browser_opens_at_once() {
    let mut results = results(&["relu", "tanh"], 2, 3, 5000);
    for run in &mut results.runs {
        run.epochs[1].layers[0].dead_fraction = Some(1.0);
    }
    let diagnoses: Vec<_> = results.runs.iter().map(|run| diagnose(&Case::of(run), LIVE)).collect();
    let page = html(&results, &[], &diagnoses).unwrap();
    assert!(page.len() < 10_000_000, "{} bytes", page.len());
    assert!(page.contains("The first 2000; the others are in"), "what is left out is said");
}
