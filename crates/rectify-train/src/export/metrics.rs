//! What runs measured, as one table.

use std::path::{Path, PathBuf};

use super::{Column, Table, Values};
use crate::{
    compare::{JoinError, join},
    examine::losses,
    record::{Epoch, Layer, Run},
    store::run_name,
};

/// A row: what is the same for all metrics in it, and where they are.
#[derive(Clone, Copy)]
struct Row<'a> {
    run: &'a Run,
    kind: &'static str,
    epoch: Option<usize>,
    step: usize,
    network: Option<&'a Epoch>,
    layer: Option<&'a Layer>,
    batch_loss: Option<f64>,
}

/// How a layer's count is read.
type OfLayer = fn(&Layer) -> Option<u64>;

const COUNTS_OF_LAYER: [(&str, OfLayer); 6] = [
    ("fan_in", |layer| layer.fan_in.map(|count| count as u64)),
    ("fan_out", |layer| layer.fan_out.map(|count| count as u64)),
    ("units", |layer| Some(layer.units as u64)),
    ("nonfinite_weights", |layer| Some(layer.nonfinite_weights)),
    ("nonfinite_gradients", |layer| Some(layer.nonfinite_gradients)),
    ("nonfinite_activations", |layer| Some(layer.nonfinite_activations)),
];

/// Runs with the losses of their steps, as one table with a column `kind`:
///
/// | `kind` | a row is | columns |
/// |---|---|---|
/// | `epoch` | the network after an epoch; epoch 0 is before training | losses, accuracies, `learning_rate`, `seconds` |
/// | `layer` | a layer after an epoch or, without an `epoch`, at a probed step | `layer` and what `results.json` says of it, but for histograms and units |
/// | `step` | a training step | `batch_loss` |
///
/// The names are those of `results.json`; what a row does not have is empty.
pub fn metrics(runs: &[(Run, Vec<f64>)]) -> Table {
    let rows: Vec<Row> = runs.iter().flat_map(|(run, losses)| rows(run, losses)).collect();
    let text = |name, of: &dyn Fn(&Row) -> Option<String>| Column {
        name,
        values: Values::Text(rows.iter().map(of).collect()),
    };
    let whole =
        |name, of: &dyn Fn(&Row) -> Option<u64>| Column { name, values: Values::Whole(rows.iter().map(of).collect()) };
    let number =
        |name, of: &dyn Fn(&Row) -> Option<f64>| Column { name, values: Values::Number(rows.iter().map(of).collect()) };
    let mut columns = vec![
        text("activation", &|row| Some(row.run.activation.clone())),
        whole("seed", &|row| Some(row.run.seed)),
        text("kind", &|row| Some(row.kind.to_owned())),
        whole("epoch", &|row| row.epoch.map(|epoch| epoch as u64)),
        whole("step", &|row| Some(row.step as u64)),
        number("batch_loss", &|row| row.batch_loss),
    ];
    columns.extend(Epoch::METRICS.map(|(name, of)| number(name, &|row| row.network.and_then(of))));
    columns.push(text("layer", &|row| row.layer.map(|layer| layer.layer.clone())));
    columns.extend(COUNTS_OF_LAYER.map(|(name, of)| whole(name, &|row| row.layer.and_then(of))));
    columns.extend(Layer::METRICS.map(|(name, of)| number(name, &|row| row.layer.and_then(of))));
    Table(columns)
}

fn rows<'a>(run: &'a Run, losses: &'a [f64]) -> Vec<Row<'a>> {
    let empty = Row { run, kind: "layer", epoch: None, step: 0, network: None, layer: None, batch_loss: None };
    let mut rows = Vec::new();
    for epoch in &run.epochs {
        let of_epoch = Row { epoch: Some(epoch.epoch), step: epoch.step, ..empty };
        rows.push(Row { kind: "epoch", network: Some(epoch), ..of_epoch });
        rows.extend(epoch.layers.iter().map(|layer| Row { layer: Some(layer), ..of_epoch }));
    }
    for probe in &run.probes {
        rows.extend(probe.layers.iter().map(|layer| Row { step: probe.step, layer: Some(layer), ..empty }));
    }
    let steps = losses.iter().enumerate();
    rows.extend(steps.map(|(i, loss)| Row { kind: "step", step: i + 1, batch_loss: Some(*loss), ..empty }));
    rows
}

/// The runs in the folder of an experiment, or the one whose folder it is, with the losses of their steps.
///
/// # Errors
///
/// As [`join`].
pub fn runs_of(folder: &Path) -> Result<Vec<(Run, Vec<f64>)>, JoinError> {
    let above = folder.parent().filter(|runs| runs.ends_with("runs")).and_then(Path::parent);
    let (experiment, only): (PathBuf, _) = match above {
        Some(experiment) if !folder.join("config.toml").exists() => (experiment.to_owned(), folder.file_name()),
        _ => (folder.to_owned(), None),
    };
    let folders = [experiment];
    let runs = join(&folders)?.results.runs.into_iter();
    let asked: Vec<Run> =
        runs.filter(|run| only.is_none_or(|only| *only == *run_name(&run.activation, run.seed))).collect();
    if asked.is_empty() {
        return Err(JoinError::Empty(folder.to_owned()));
    }
    let with_losses = |run: Run| {
        let losses = losses(&folders, &run);
        (run, losses)
    };
    Ok(asked.into_iter().map(with_losses).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Fields that are no metrics but what rows are told apart by, or are more than one number.
    const NO_COLUMNS: [&str; 8] = [
        "role",
        "unit_nonzero_fraction",
        "inputs",
        "gradient",
        "layers",
        "histogram",
        "preactivation_histogram",
        "preactivation_grad_histogram",
    ];

    #[test]
    fn every_number_of_an_epoch_and_of_a_layer_has_a_column() {
        let layer = Layer { effective_rank: Some(1.0), ..Layer::default() };
        let run =
            Run { epochs: vec![Epoch { layers: vec![layer.clone()], ..Epoch::default() }], ..Run::new("relu", 3) };
        let table = metrics(&[(run, vec![0.5, f64::NAN])]);
        let names: Vec<&str> = table.0.iter().map(|column| column.name).collect();
        let fields = |value: Value| value.as_object().expect("a struct").keys().cloned().collect::<Vec<_>>();
        let all = [
            fields(serde_json::to_value(Epoch::default()).expect("plain data")),
            fields(serde_json::to_value(layer).expect("plain data")),
        ];
        for field in all.concat() {
            assert!(names.contains(&&*field) || NO_COLUMNS.contains(&&*field), "{field} is in no column");
        }
        assert_eq!(table.rows(), 4);
        let csv = String::from_utf8(table.to_bytes(super::super::TableFormat::Csv).expect("it can be written"));
        let csv = csv.expect("CSV is text");
        assert!(csv.starts_with("activation,seed,kind,epoch,step,batch_loss,seconds,"), "{csv}");
        assert!(csv.contains("\nrelu,3,step,,1,0.5,,") && csv.contains("\nrelu,3,step,,2,NaN,,"), "{csv}");
    }
}
