//! `rectify backends` and `rectify data`.

use std::process::ExitCode;

use rectify_train::{
    backend::{self, SelfTest},
    data::{self, DataOptions, Dataset},
    judge::number::ABSENT,
};

use crate::{
    cli::{DataArgs, Format, Output},
    note, print,
    report::terminal::{self, Column, Kind, indented, paragraph, width},
};

/// Each backend, each adapter, and which one `auto` takes.
pub fn backends(output: &Output) -> anyhow::Result<ExitCode> {
    let backends = backend::survey();
    if output.format == Format::Json {
        return print(serde_json::to_string_pretty(&backends)? + "\n");
    }
    const COLUMNS: [Column; 7] = [
        Column { header: "--backend", kind: Kind::Name, rank: 0 },
        Column { header: "adapter", kind: Kind::Words, rank: 2 },
        Column { header: "kind", kind: Kind::Words, rank: 5 },
        Column { header: "driver", kind: Kind::Words, rank: 6 },
        Column { header: "memory", kind: Kind::Number, rank: 4 },
        Column { header: "dtypes", kind: Kind::Words, rank: 3 },
        Column { header: "self-test", kind: Kind::Words, rank: 1 },
    ];
    let mut rows = Vec::new();
    let none = || ABSENT.to_owned();
    let mut notes = String::new();
    for backend in &backends {
        if !backend.compiled_in {
            notes += &format!("{}: not compiled in; build with --features {0}\n", backend.name);
        } else if let Some(missing) = &backend.missing {
            notes += &format!("{}: {missing}\n", backend.name);
        }
        if let Some(why) = &backend.auto {
            notes += &format!("auto takes {}: {why}\n", backend.name);
        }
        for adapter in &backend.adapters {
            let dtypes: Vec<String> = adapter.dtypes.iter().map(ToString::to_string).collect();
            rows.push(vec![
                adapter.flag.clone(),
                adapter.name.clone(),
                adapter.kind.to_owned(),
                adapter.driver.clone().unwrap_or_else(none),
                adapter.memory_bytes.map_or_else(none, |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))),
                dtypes.join(" "),
                match &adapter.self_test {
                    SelfTest::Passed { milliseconds } => format!("passed, {milliseconds:.2} ms"),
                    SelfTest::Failed { reason } => format!("FAILED: {reason}"),
                },
            ]);
        }
    }
    notes += match cfg!(feature = "remote") {
        true => "remote: a device elsewhere, as in remote:gpu-box:3000; `rectify serve --help` says how\n",
        false => "remote: not compiled in; build with --features remote\n",
    };
    print(format!("{}\n{}\n", terminal::table(&COLUMNS, &rows, width()), paragraph(&notes, width())))
}

/// One data set, or each that has a name: whether it is here, and what is in it.
pub fn data(args: &DataArgs) -> anyhow::Result<ExitCode> {
    let sets = match &args.set {
        Some(set) => {
            let options = DataOptions {
                image_size: args.image_size,
                label_column: args.label_column.clone(),
                ..DataOptions::default()
            };
            let dataset = Dataset::load_with(set, &options)?;
            if let Some(sheet) = &args.contact_sheet {
                dataset.write_contact_sheet(sheet)?;
            }
            if let (Some(count), Some(folder)) = (args.samples, &args.out) {
                let written = dataset.write_test_pictures(count, folder)?;
                args.output.note(&format!("wrote {} test pictures to {}", written.len(), folder.display()));
                if let Some(first) = written.first() {
                    args.output.note(&format!(
                        "to see what a trained network takes one for: rectify predict {}",
                        first.display()
                    ));
                }
            }
            vec![data::inspect(&dataset)]
        }
        None => data::survey(),
    };
    if !args.output.quiet {
        sets.iter().flat_map(|set| &set.contents).flat_map(|contents| &contents.notes).for_each(note);
    }
    if args.output.format == Format::Json {
        return print(serde_json::to_string_pretty(&sets)? + "\n");
    }
    let mut text = String::new();
    for set in &sets {
        match (&set.contents, &set.problem) {
            (Some(contents), _) => {
                // Ascending, so the last one tells whether each class is labelled by its number.
                let labels = match contents.class_labels.last() {
                    Some(&last) if usize::from(last) + 1 == contents.classes => String::new(),
                    _ => format!(" labelled {}", data::label_ranges(&contents.class_labels)),
                };
                let checksums = if contents.verified { "checksums right" } else { "checksums not known" };
                let size = [contents.channels, contents.height, contents.width];
                text +=
                    &(paragraph(&format!("{}: {}, {checksums}", set.name, contents.source.display()), width()) + "\n");
                let inside = format!(
                    "{}, {} classes{labels}; {:.1} MB of memory",
                    data::inputs_in_words(size, &contents.feature_names),
                    contents.classes,
                    contents.memory_bytes as f64 / 1e6
                );
                text += &(indented(&inside, 2, width()) + "\n");
                let moments = |mean: f64, std: f64| format!("mean {mean:.4}, std {std:.4}");
                let each =
                    contents.channel_means.iter().zip(&contents.channel_stds).map(|(&mean, &std)| moments(mean, std));
                let named = contents.feature_names.iter().zip(each.clone());
                match contents.feature_names.is_empty() {
                    true if contents.channels == 1 => {
                        text += &format!("  training pixels: {}\n", moments(contents.mean, contents.std));
                    }
                    true => {
                        let channels = format!("training pixels by channel: {}", each.collect::<Vec<_>>().join("; "));
                        text += &(indented(&channels, 2, width()) + "\n");
                    }
                    false => named.for_each(|(name, moments)| text += &format!("  {name}: {moments}\n")),
                }
                for (part, info) in
                    [("train", &contents.train), ("validation", &contents.validation), ("test", &contents.test)]
                {
                    let name =
                        |class: usize| contents.class_names.get(class).map_or(String::new(), |name| format!("{name} "));
                    let counts = info.class_counts.iter().enumerate();
                    let counts: Vec<String> = counts.map(|(class, count)| format!("{}{count}", name(class))).collect();
                    let by_class = counts.join(if contents.class_names.is_empty() { " " } else { ", " });
                    let samples = format!("{part:<10} {:>5} samples; by class {by_class}", info.samples);
                    let samples = match samples.chars().count() + 2 > width() {
                        true => format!("{part:<10} {:>5} samples; by class\n  {by_class}", info.samples),
                        false => samples,
                    };
                    text += &(indented(&samples, 2, width()) + "\n");
                }
            }
            (None, problem) => {
                let problem = format!("{}: {}", set.name, problem.as_deref().unwrap_or("cannot be used"));
                text += &(paragraph(&problem, width()) + "\n");
                text += "  looked in\n";
                for place in &set.searched {
                    text += &format!("    {}\n", place.display());
                }
            }
        }
    }
    print(text)
}
