//! `rectify eval`.

use std::process::ExitCode;

use anyhow::ensure;
use rectify_train::{
    backend,
    data::Dataset,
    judge::number::fixed,
    store::Checkpoint,
    train::{Evaluation, evaluate},
};
use serde::Serialize;

use crate::{
    cli::{EvalArgs, Format},
    print,
};

#[derive(Serialize)]
struct Scores {
    dataset: String,
    activation: String,
    seed: u64,
    validation_loss: Option<f64>,
    validation_accuracy: f64,
    test_loss: Option<f64>,
    test_accuracy: f64,
}

/// Loss and accuracy of a checkpoint on the validation and the test set.
pub fn eval(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let (checkpoint, folder) = Checkpoint::read(&args.checkpoint)?;
    let device = backend::open(args.backend.as_ref().unwrap_or(&checkpoint.experiment.backend))?;
    backend::supports(&device, checkpoint.experiment.dtype)?;
    let name = args.dataset.as_ref().unwrap_or(&checkpoint.experiment.dataset);
    // Inputs are standardised as they were in training, whatever this set's own mean is.
    let dataset = Dataset { mean: checkpoint.mean, std: checkpoint.std, ..Dataset::load(name, None)? };
    ensure!(
        (dataset.height, dataset.width) == (checkpoint.height, checkpoint.width),
        "--dataset {name}: pictures of {} × {}, and the checkpoint takes {} × {}",
        dataset.height,
        dataset.width,
        checkpoint.height,
        checkpoint.width
    );
    let data = dataset.to_device(&device, checkpoint.experiment.dtype.into());
    let model = checkpoint.load_model(&folder, &device)?;
    let Evaluation { loss: validation_loss, accuracy: validation_accuracy } = evaluate(&model, &data.validation);
    let Evaluation { loss: test_loss, accuracy: test_accuracy } = evaluate(&model, &data.test);
    let scores = Scores {
        dataset: dataset.name,
        activation: checkpoint.activation.to_string(),
        seed: checkpoint.seed,
        validation_loss,
        validation_accuracy,
        test_loss,
        test_accuracy,
    };
    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&scores)? + "\n"),
        Format::Text => {
            let line = |set, accuracy: f64, loss: Option<f64>| {
                let loss = loss.map_or("not finite".to_owned(), |loss| fixed(loss, 4));
                format!("{set:<10}  accuracy {:.2} %  loss {loss}\n", 100.0 * accuracy)
            };
            print(format!(
                "{} with {}, seed {}\n{}{}",
                scores.dataset,
                scores.activation,
                scores.seed,
                line("validation", validation_accuracy, validation_loss),
                line("test", test_accuracy, test_loss)
            ))
        }
    }
}
