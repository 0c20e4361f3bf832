//! `rectify predict`: what a network takes pictures for.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, ensure};
use burn::tensor::Device;
use rectify_train::{
    backend,
    data::prepare::{Framing, Prepared, Target, decode, prepare},
    network::{Model, Stacked, outputs},
    observe::Trace,
    store::{self, RunFolder, SavedCheckpoint},
    train::softmax,
};
use serde::Serialize;

use crate::{
    cli::{Format, Invert, PredictArgs, Usage},
    command::saliency::Saliency,
    print,
    report::{
        inside::{self, Inside},
        terminal::{bar, paragraph, width},
    },
};

/// One picture's answer.
#[derive(Serialize)]
struct Prediction {
    path: PathBuf,
    class: String,
    probability: f64,
    /// The likeliest first.
    probabilities: Vec<ClassProbability>,
    /// Whether light and dark were exchanged.
    inverted: bool,
    /// Whether it had another size than the network takes.
    fitted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    saliency: Option<PathBuf>,
    /// What the network was given.
    #[serde(skip)]
    pixels: Vec<u8>,
}

#[derive(Serialize)]
struct ClassProbability {
    class: String,
    probability: f64,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Predictions<'a> {
    checkpoint: &'a Path,
    activation: String,
    predictions: &'a [Prediction],
}

/// Up to so many pictures have all of their probabilities on the terminal.
const DETAILED: usize = 5;
/// So many classes of a picture are shown.
const CLASSES: usize = 10;

/// Says what a network takes pictures for.
pub fn predict(args: &PredictArgs) -> anyhow::Result<ExitCode> {
    let pictures = read(&args.paths)?;
    let folder = match &args.checkpoint {
        Some(folder) => folder.clone(),
        None => newest().ok_or_else(|| {
            let reason = "--checkpoint: no network to ask under runs/: `rectify train` makes one; of a comparison name a \
                          run, as in runs/2026-01-31-compare-mnist/runs/relu-seed0";
            Usage(reason.to_owned())
        })?,
    };
    let saved = SavedCheckpoint::open(&folder)?;
    let checkpoint = &saved.checkpoint;
    if args.checkpoint.is_none() {
        args.output.note(&format!("checkpoint {}", folder.display()));
    }
    ensure!(
        checkpoint.feature_names.is_empty(),
        "{}: its network takes rows of a table, no pictures",
        folder.display()
    );
    if args.inside.is_some() && pictures.len() > 1 {
        return Err(Usage(format!("--inside shows one picture, got {}", pictures.len())).into());
    }
    let device = backend::open(args.backend.as_ref().unwrap_or(&checkpoint.experiment.backend))?;
    backend::supports(&device, checkpoint.experiment.dtype)?;
    let model = saved.load_model(&device)?;
    let target = Target {
        shape: checkpoint.shape(),
        mean: checkpoint.mean,
        framing: Framing::of(&checkpoint.experiment.dataset),
        invert: match args.invert {
            Invert::Auto => None,
            Invert::Always => Some(true),
            Invert::Never => Some(false),
        },
    };
    let names = class_names(&saved);
    let mut predictions = Vec::with_capacity(pictures.len());
    for (path, bytes) in pictures {
        let image = decode(&bytes).and_then(|image| prepare(&image, &target));
        let prepared = image.map_err(|reason| anyhow!("{}: {reason}", path.display()))?;
        let answer = answer(&saved, &model, &device, &names, path, prepared);
        ensure!(
            answer.probability.is_finite(),
            "{}: the outputs of the network in {} are not finite: it has diverged",
            answer.path.display(),
            saved.folder.display()
        );
        predictions.push(answer);
    }
    if let Some(out) = &args.saliency {
        let saliency = Saliency::new(&saved, &device)?;
        if !saliency.guided {
            args.output.note(&format!(
                "{} has no guided backpropagation, which is ReLU's: the plain gradient is drawn",
                checkpoint.activation
            ));
        }
        for (path, prediction) in saliency_paths(out, &predictions)?.into_iter().zip(&mut predictions) {
            let class = names.iter().position(|name| *name == prediction.class).unwrap_or(0);
            store::write(&path, &saliency.png(&prediction.pixels, class)?)?;
            prediction.saliency = Some(path);
        }
    }
    if let (Some(path), [prediction]) = (&args.inside, &predictions[..]) {
        store::write(path, page(&saved, &model, &device, prediction).as_bytes())?;
    }
    match args.output.format {
        Format::Json => {
            let activation = checkpoint.activation.to_string();
            let all = Predictions { checkpoint: &saved.folder, activation, predictions: &predictions };
            print(serde_json::to_string_pretty(&all)? + "\n")?
        }
        Format::Text => print(text(&predictions, &target, width()))?,
    };
    if !args.output.quiet {
        let saliency = predictions.iter().filter_map(|prediction| prediction.saliency.as_ref());
        saliency.chain(&args.inside).for_each(|path| crate::note(format_args!("wrote {}", path.display())));
    }
    Ok(ExitCode::SUCCESS)
}

fn class_names(saved: &SavedCheckpoint) -> Vec<String> {
    match saved.checkpoint.class_names.is_empty() {
        true => saved.checkpoint.class_labels().iter().map(ToString::to_string).collect(),
        false => saved.checkpoint.class_names.clone(),
    }
}

fn answer(
    saved: &SavedCheckpoint,
    model: &Model,
    device: &Device,
    names: &[String],
    path: PathBuf,
    Prepared { pixels, inverted, fitted }: Prepared,
) -> Prediction {
    // One by one: a last bit may depend on what else is in a batch, and a picture's answer must not.
    let logits = outputs(model, saved.checkpoint.inputs(&[&pixels], device), &mut Trace::off());
    let probabilities = softmax(&logits.into_data().iter::<f64>().collect::<Vec<_>>());
    let mut probabilities: Vec<ClassProbability> = names
        .iter()
        .zip(probabilities)
        .map(|(class, probability)| ClassProbability { class: class.clone(), probability })
        .collect();
    // Stable: of two alike, the class that comes first.
    probabilities.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let first = &probabilities[0];
    let (class, probability) = (first.class.clone(), first.probability);
    Prediction { path, class, probability, probabilities, inverted, fitted, saliency: None, pixels }
}

/// The pictures of files, of folders and of standard input, with their names.
fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => {
                let found = pictures_in(path)?;
                ensure!(!found.is_empty(), Usage(format!("{}: holds no PNG or JPEG file", path.display())));
                files.extend(found);
            }
            false => files.push(path.clone()),
        }
    }
    let read = |path: PathBuf| {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
            return Ok((PathBuf::from("standard input"), bytes));
        }
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow!(Usage(format!("{}: {error}", path.display()))),
            _ => anyhow!(error).context(path.display().to_string()),
        })?;
        Ok((path, bytes))
    };
    files.into_iter().map(read).collect()
}

/// The pictures in a folder and in those inside of it, by name.
fn pictures_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let ending = path.extension().map_or(String::new(), |ending| ending.to_string_lossy().to_lowercase());
        if path.is_dir() {
            found.extend(pictures_in(&path)?);
        } else if ["png", "jpg", "jpeg"].contains(&ending.as_str()) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The folder under `runs/` with the checkpoint that was written last, of those with but one.
fn newest() -> Option<PathBuf> {
    let folders = fs::read_dir("runs").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let written = |folder: PathBuf| Some((fs::metadata(store::find(&folder).ok()?).ok()?.modified().ok()?, folder));
    folders.filter_map(written).max().map(|(_, folder)| folder)
}

/// Where each picture's map goes: the file that was asked for, or files of a folder.
fn saliency_paths(out: &Path, predictions: &[Prediction]) -> anyhow::Result<Vec<PathBuf>> {
    let is_png = out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    match (is_png, predictions.len()) {
        (true, 1) => return Ok(vec![out.to_owned()]),
        (true, several) => {
            let reason = format!("--saliency {}: one file for {several} pictures; name a folder", out.display());
            return Err(Usage(reason).into());
        }
        (false, _) => {}
    }
    fs::create_dir_all(out).with_context(|| format!("--saliency {}", out.display()))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for prediction in predictions {
        let stem = prediction.path.file_stem().map_or("picture".into(), |stem| stem.to_string_lossy().into_owned());
        let numbered = (2..).map(|n| format!("{stem}-{n}-saliency.png"));
        let names = std::iter::once(format!("{stem}-saliency.png")).chain(numbered);
        paths.extend(names.map(|name| out.join(name)).find(|path| !paths.contains(path)));
    }
    Ok(paths)
}

/// One picture inside of its network, as a page.
fn page(saved: &SavedCheckpoint, model: &Model, device: &Device, prediction: &Prediction) -> String {
    let checkpoint = &saved.checkpoint;
    // DIR/runs/RUN/checkpoint. Where it was moved, it is not known which units are dead.
    let run = saved.folder.ancestors().nth(3).and_then(|experiment| {
        let experiment = RunFolder::read(experiment).ok()?;
        experiment.read_run(&checkpoint.activation.to_string(), checkpoint.seed).ok()?
    });
    let picture = checkpoint.inputs(&[&prediction.pixels], device);
    inside::html(&Inside {
        name: prediction.path.display().to_string(),
        activation: checkpoint.activation.label(),
        size: [checkpoint.channels, checkpoint.height, checkpoint.width],
        pixels: &prediction.pixels,
        layers: model.stack().activations(picture),
        looks: run.as_ref().and_then(|run| run.outcome()).map_or(&[], |epoch| &epoch.layers),
        probabilities: prediction.probabilities.iter().map(|of| (of.class.as_str(), of.probability)).collect(),
    })
}

fn text(predictions: &[Prediction], target: &Target, width: usize) -> String {
    let percent = |probability: f64| format!("{:.1} %", 100.0 * probability);
    if predictions.len() > DETAILED {
        let names = predictions.iter().map(|of| of.path.display().to_string().chars().count()).max().unwrap_or(0);
        let classes = predictions.iter().map(|of| of.class.chars().count()).max().unwrap_or(0);
        // A name keeps its end, where it differs from others.
        let names = names.min(width.saturating_sub(classes + 24).max(12));
        let line = |of: &Prediction| {
            let name: Vec<char> = of.path.display().to_string().chars().collect();
            let name: String = match name.len() > names {
                true => std::iter::once('…').chain(name[name.len() + 1 - names..].iter().copied()).collect(),
                false => name.into_iter().collect(),
            };
            let line = format!(
                "{name:<names$}  {:<classes$} {:>7}  {}",
                of.class,
                percent(of.probability),
                bar(of.probability, 10)
            );
            line.trim_end().to_owned() + "\n"
        };
        return predictions.iter().map(line).collect();
    }
    let of = |prediction: &Prediction| {
        let what = format!("{}: {} ({})", prediction.path.display(), prediction.class, percent(prediction.probability));
        let done = match (prediction.inverted, prediction.fitted) {
            (false, false) => String::new(),
            (true, false) => "; light and dark exchanged".to_owned(),
            (false, true) => "; cropped, scaled and centred".to_owned(),
            (true, true) => "; light and dark exchanged, cropped, scaled and centred".to_owned(),
        };
        let shown = &prediction.probabilities[..prediction.probabilities.len().min(CLASSES)];
        let names = shown.iter().map(|of| of.class.chars().count()).max().unwrap_or(0);
        let picture = picture(&prediction.pixels, target, width);
        let beside = picture.first().map_or(0, |row| row.chars().count() + 3);
        let length = width.saturating_sub(beside + names + 10).clamp(4, 40);
        let bars: Vec<String> = shown
            .iter()
            .map(|of| format!("{:<names$} {:>7} {}", of.class, percent(of.probability), bar(of.probability, length)))
            .collect();
        // The bars stand in the middle of the picture's height.
        let above = picture.len().saturating_sub(bars.len()) / 2;
        let rows = (0..picture.len().max(bars.len() + above)).map(|row| {
            let picture = picture.get(row).map_or(String::new(), |row| format!("{row}   "));
            let bar = row.checked_sub(above).and_then(|row| bars.get(row)).map_or("", String::as_str);
            format!("{picture}{bar}").trim_end().to_owned() + "\n"
        });
        format!("{}\n{}", paragraph(&(what + &done), width), rows.collect::<String>())
    };
    predictions.iter().map(of).collect::<Vec<_>>().join("\n")
}

/// What the network was given, two rows of pixels a line; nothing where it is no small grey picture.
fn picture(pixels: &[u8], target: &Target, width: usize) -> Vec<String> {
    const GREYS: [char; 5] = [' ', '░', '▒', '▓', '█'];
    let shape = target.shape;
    if shape.channels != 1 || shape.width > 40 || shape.width + 24 > width {
        return Vec::new();
    }
    let grey = |pair: (u8, u8)| {
        let ink = (u32::from(pair.0) + u32::from(pair.1)) / 2;
        let ink = if target.mean < 0.5 { ink } else { 255 - ink };
        GREYS[(ink as usize * 4 + 127) / 255]
    };
    let rows: Vec<&[u8]> = pixels.chunks(shape.width).collect();
    let pair = |rows: &[&[u8]]| {
        let below = rows.get(1).unwrap_or(&rows[0]);
        rows[0].iter().copied().zip(below.iter().copied()).map(grey).collect()
    };
    rows.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use rectify_train::network::Shape;

    use super::*;

    fn prediction(path: &str, classes: usize) -> Prediction {
        let probabilities: Vec<ClassProbability> = (0..classes)
            .map(|class| ClassProbability { class: format!("{class}"), probability: 1.0 / classes as f64 })
            .collect();
        let (class, probability) = (probabilities[0].class.clone(), probabilities[0].probability);
        let pixels = vec![128; 28 * 28];
        Prediction {
            path: path.into(),
            class,
            probability,
            probabilities,
            inverted: true,
            fitted: true,
            saliency: None,
            pixels,
        }
    }

    #[test]
    fn answers_fit_the_terminal() {
        let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
        let target = Target { shape, mean: 0.1, framing: Framing::Digit, invert: None };
        for width in [40, 80, 200] {
            for count in [1, 3, 20] {
                let name = "a/rather/long/name/of/a/folder/in/which/a/picture/lies/seven.png";
                let all: Vec<Prediction> = (0..count).map(|_| prediction(&name[name.len() - 30..], 1000)).collect();
                let text = text(&all, &target, width);
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "wider than {width}:\n{text}");
                }
                assert_eq!(text.matches("seven.png").count(), count, "{text}");
            }
        }
        assert!(text(&[prediction("seven.png", 10)], &target, 80).contains("▒▒▒"), "what the network sees");
    }
}
