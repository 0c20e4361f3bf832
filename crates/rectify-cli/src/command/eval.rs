//! `rectify eval`: loss and accuracy, what is confused with what, and the worst.

use std::process::ExitCode;

use anyhow::{anyhow, ensure};
use rectify_train::{
    backend,
    data::{DataOptions, Dataset, inputs_in_words, label_ranges},
    judge::number::{fixed, percent},
    record::Confusion,
    store::SavedCheckpoint,
    train::{Answer, Evaluation, answers, confusion, evaluate, evaluate_in_batches},
};
use serde::Serialize;

use crate::{
    cli::{EvalArgs, Format},
    note, print,
    report::terminal::{paragraph, width},
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
    /// Test samples by their class, row by row, and the class that they are taken for. Those are not counted for which
    /// the network's outputs are not finite.
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
    let answers = answers(&model, &data.test);
    let confusion = confusion(&answers, checkpoint.classes);
    let class_names = match checkpoint.class_names.is_empty() {
        true => labels.iter().map(ToString::to_string).collect(),
        false => checkpoint.class_names.clone(),
    };
    let worst = match &args.contact_sheet {
        Some(path) => {
            let worst = worst(&answers);
            let samples: Vec<usize> = worst.iter().map(|answer| answer.sample).collect();
            dataset.write_test_sheet(&samples, path)?;
            args.output.note(&format!("wrote {}: {} pictures, row by row", path.display(), samples.len()));
            worst
        }
        None => Vec::new(),
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
            let head = format!("{} with {}, seed {}", scores.dataset, scores.activation, scores.seed);
            print(format!(
                "{}\n{}{}{}",
                paragraph(&head, width()),
                line("validation", validation_accuracy, validation_loss),
                line("test", test_accuracy, test_loss),
                by_class_text(&scores.classes, &scores.confusion, &worst, width())
            ))
        }
    }
}

/// So many pictures are on a contact sheet.
const WORST: usize = 48;
/// So many of them, and of confused classes, are told.
const TOLD: usize = 8;

/// The samples that a network is most wrong about, the worst first.
fn worst(answers: &[Answer]) -> Vec<Answer> {
    let mut wrong: Vec<Answer> = answers.iter().copied().filter(|answer| answer.taken != answer.class).collect();
    wrong.sort_by(|a, b| a.of_class.total_cmp(&b.of_class));
    wrong.truncate(WORST);
    wrong
}

/// The confusion matrix where there is room for it, what is confused most, and what is most wrong.
fn by_class_text(classes: &[ClassScores], confusion: &[Vec<usize>], worst: &[Answer], width: usize) -> String {
    if confusion.iter().flatten().all(|count| *count == 0) {
        return String::new();
    }
    let mut text = matrix(classes, confusion, width).map_or("\n".to_owned(), |matrix| format!("\n{matrix}\n"));
    let pair = |(count, class, taken): &(usize, usize, usize)| {
        let share = percent(*count as f64 / classes[*class].samples as f64, 1);
        format!("{} for {} ({count}, {share} %)", classes[*class].class, classes[*taken].class)
    };
    let told: Vec<String> = Confusion::mistakes(confusion).iter().take(TOLD).map(pair).collect();
    if !told.is_empty() {
        text += &(paragraph(&format!("Taken most often: {}.", told.join(", ")), width) + "\n");
    }
    let wrong = |answer: &Answer| {
        let [class, taken] = [answer.class, answer.taken].map(|class| &classes[class].class);
        format!("sample {}, {class} taken for {taken} ({} %)", answer.sample, percent(answer.of_taken, 1))
    };
    let told: Vec<String> = worst.iter().take(TOLD).map(wrong).collect();
    if !told.is_empty() {
        text += &(paragraph(&format!("Most wrong: {}.", told.join("; ")), width) + "\n");
    }
    text
}

/// Test samples by their class, row by row, and what they are taken for; `None` where it does not fit.
fn matrix(classes: &[ClassScores], confusion: &[Vec<usize>], width: usize) -> Option<String> {
    let length = |text: &str| text.chars().count();
    let name = classes.iter().map(|of| length(&of.class)).max()?;
    let number = confusion.iter().flatten().map(|count| count.to_string().len()).max()?;
    // Long names stand on the left alone; above there are numbers of rows.
    let named = name <= number.max(4);
    let cell = number.max(if named { name } else { classes.len().to_string().len() });
    let left = name + if named { 0 } else { classes.len().to_string().len() + 2 };
    if left + classes.len() * (cell + 1) + 11 > width {
        return None;
    }
    let head = |class: usize| if named { classes[class].class.clone() } else { (class + 1).to_string() };
    let row_name = |class: usize| match named {
        true => classes[class].class.clone(),
        false => format!("{}  {}", class + 1, classes[class].class),
    };
    let heads: String = (0..classes.len()).map(|class| format!(" {:>cell$}", head(class))).collect();
    let mut lines = vec!["Test samples by class, and across what they are taken for:".to_owned()];
    lines.push(format!("{:left$}{heads}   recall", ""));
    for (class, row) in confusion.iter().enumerate() {
        // What is not there is not read.
        let count = |&count: &usize| if count == 0 { format!(" {:>cell$}", "·") } else { format!(" {count:>cell$}") };
        let counts: String = row.iter().map(count).collect();
        lines.push(format!("{:<left$}{counts} {:>6} %", row_name(class), percent(classes[class].recall, 1)));
    }
    Some(paragraph(&lines[0], width) + "\n" + &lines[1..].join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(names: &[&str]) -> (Vec<ClassScores>, Vec<Vec<usize>>) {
        let count = names.len();
        let confusion: Vec<Vec<usize>> = (0..count)
            .map(|row| (0..count).map(|column| if row == column { 1000 } else { (row + 2 * column) % 3 }).collect())
            .collect();
        (by_class(&confusion, names.iter().map(ToString::to_string).collect()), confusion)
    }

    #[test]
    fn ten_classes_have_a_matrix_in_80_columns_and_a_hundred_have_what_is_confused_most() {
        let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        let digits: Vec<&str> = digits.iter().map(String::as_str).collect();
        let garments =
            ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];
        let answer = Answer { sample: 7, class: 0, taken: 1, of_class: 0.001, of_taken: 0.9 };
        for names in [&digits[..], &garments] {
            let (classes, confusion) = scores(names);
            let text = by_class_text(&classes, &confusion, &[answer], 80);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains(" 1000 ") && text.contains("recall"), "{text}");
            let wrong = format!("sample 7, {} taken for {} (90.0 %)", names[0], names[1]);
            assert!(text.replace('\n', " ").contains(&wrong), "{text}");
        }
        let many: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
        let (classes, confusion) = scores(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let text = by_class_text(&classes, &confusion, &[], 80);
        assert!(!text.contains("recall") && text.contains("class 0 for class 1 (2, "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn the_most_wrong_are_those_whose_class_is_least_likely() {
        let answer = |sample, taken, of_class| Answer { sample, class: 0, taken, of_class, of_taken: 1.0 - of_class };
        // Of those between them there is no answer.
        let found = worst(&[answer(0, 1, 0.3), answer(3, 0, 0.9), answer(5, 2, 0.01)]);
        assert_eq!(found.iter().map(|answer| answer.sample).collect::<Vec<_>>(), [5, 0]);
    }
}
