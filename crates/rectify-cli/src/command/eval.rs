//! `rectify eval`.

use std::process::ExitCode;

use anyhow::{anyhow, ensure};
use rectify_train::{
    backend,
    data::{DataOptions, Dataset, inputs_in_words, label_ranges},
    judge::number::fixed,
    store::SavedCheckpoint,
    train::{Evaluation, confusion, evaluate, evaluate_in_batches},
};
use serde::Serialize;

use crate::{
    cli::{EvalArgs, Format},
    note, print,
};

#[derive(Serialize)]
struct Scores {
    dataset: String,
    activation: String,
    seed: u64,
    validation_loss: Option<f64>,
    validation_accuracy: Option<f64>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    /// On the test set.
    classes: Vec<ClassScores>,
    /// Test samples by their class, row by row, and the class that they are taken for.
    confusion: Vec<Vec<usize>>,
}

/// How well one class is told from the others.
#[derive(Serialize)]
struct ClassScores {
    /// Its name, or the label that it has in the data set.
    class: String,
    samples: usize,
    /// Which share of its samples is taken for it; `None` without any.
    recall: Option<f64>,
    /// Which share of what is taken for it is it; `None` where nothing is.
    precision: Option<f64>,
}

fn by_class(confusion: &[Vec<usize>], names: Vec<String>) -> Vec<ClassScores> {
    let share = |right: usize, of: usize| (of > 0).then(|| right as f64 / of as f64);
    let of_class = |(class, name): (usize, String)| {
        let (right, samples) = (confusion[class][class], confusion[class].iter().sum());
        let taken = confusion.iter().map(|row| row[class]).sum();
        ClassScores { class: name, samples, recall: share(right, samples), precision: share(right, taken) }
    };
    names.into_iter().enumerate().map(of_class).collect()
}

/// Loss and accuracy of a checkpoint on the validation and the test set.
pub fn eval(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let saved = SavedCheckpoint::open(&args.checkpoint)?;
    let checkpoint = &saved.checkpoint;
    let device = backend::open(args.backend.as_ref().unwrap_or(&checkpoint.experiment.backend))?;
    backend::supports(&device, checkpoint.experiment.dtype)?;
    let name = args.dataset.as_ref().unwrap_or(&checkpoint.experiment.dataset);
    let mut options = DataOptions { train_size: None, ..checkpoint.experiment.data_options() };
    if let Some(column) = &args.label_column {
        options.label_column = Some(column.clone());
    }
    let dataset = Dataset::load_with(name, &options)?;
    if !args.output.quiet {
        dataset.notes.iter().for_each(note);
    }
    let [here, there] = [dataset.shape(), checkpoint.shape()].map(|shape| [shape.channels, shape.height, shape.width]);
    let same_kind = dataset.feature_names.is_empty() == checkpoint.feature_names.is_empty();
    ensure!(
        here == there && same_kind,
        "--dataset {name}: {}, and the checkpoint takes {}",
        dataset.inputs_in_words(),
        inputs_in_words(there, &checkpoint.feature_names)
    );
    let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    ensure!(
        dataset.feature_names == checkpoint.feature_names,
        "--dataset {name}: its columns are {}, and the checkpoint's {}",
        names(&dataset.feature_names),
        names(&checkpoint.feature_names)
    );
    ensure!(
        dataset.class_names == checkpoint.class_names,
        "--dataset {name}: its classes have the names {}, and the checkpoint's {}",
        names(&dataset.class_names),
        names(&checkpoint.class_names)
    );
    let labels = checkpoint.class_labels();
    let dataset = dataset.with_classes_of(&labels).map_err(|foreign| {
        let [foreign, known] = [&foreign, &labels].map(|labels| label_ranges(labels));
        anyhow!("--dataset {name}: pictures have the labels {foreign}, and the checkpoint knows only {known}")
    })?;
    let dataset = checkpoint.standardise(dataset);
    let data = dataset.to_device(&device, checkpoint.experiment.dtype.into());
    let model = saved.load_model(&device)?;
    let Evaluation { loss: validation_loss, accuracy: validation_accuracy } =
        evaluate_in_batches(&model, &data.validation, checkpoint.experiment.batch_size);
    let Evaluation { loss: test_loss, accuracy: test_accuracy } = evaluate(&model, &data.test);
    let confusion = confusion(&model, &data.test, checkpoint.classes);
    let class_names = match checkpoint.class_names.is_empty() {
        true => labels.iter().map(ToString::to_string).collect(),
        false => checkpoint.class_names.clone(),
    };
    let scores = Scores {
        dataset: dataset.name,
        activation: checkpoint.activation.to_string(),
        seed: checkpoint.seed,
        validation_loss,
        validation_accuracy,
        test_loss,
        test_accuracy,
        classes: by_class(&confusion, class_names),
        confusion,
    };
    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&scores)? + "\n"),
        Format::Text => {
            let line = |set, accuracy: Option<f64>, loss: Option<f64>| match accuracy.zip(loss) {
                Some((accuracy, loss)) => {
                    format!("{set:<10}  accuracy {:.2} %  loss {}\n", 100.0 * accuracy, fixed(loss, 4))
                }
                None => format!("{set:<10}  the loss is not finite: the network has diverged\n"),
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
