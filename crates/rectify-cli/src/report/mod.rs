//! `report.html`: the results as a page for people.
//!
//! Estimates over seeds come from the results. What is gathered here is only what a figure draws: at each epoch or
//! layer the mean over seeds and, for learning curves, the least and the greatest.

use std::collections::BTreeMap;

use anyhow::Context;
use plotly::{
    HeatMap, Scatter, Trace,
    color::Rgba,
    common::{ColorBar, ColorScale, ColorScaleElement, ErrorData, ErrorType, Fill, HoverInfo, Line, Marker, Mode},
    layout::{Axis, AxisType},
};
use rectify_train::{
    experiment::{Experiment, Init},
    judge::{
        number::{ABSENT, fixed, number, percent, points},
        paired::settled,
    },
    record::{Environment, Epoch, Histogram, Layer, Results, Run, Status},
};

pub mod claims;
pub mod table;
pub mod terminal;

use self::table::comparison_cells;
use crate::draw::{
    page::{axis, escape, figure, line, page, swatch},
    style::Style,
};

/// The page, one file that needs no network. `sentences` say in plain text what the figures show and stand on top.
///
/// # Errors
///
/// If the settings cannot be written as TOML.
pub fn html(results: &Results, sentences: &[String]) -> anyhow::Result<String> {
    let all_series = series(results);
    let names = match all_series.len() {
        0..=5 => all_series.iter().map(|series| series.name).collect::<Vec<_>>().join(", "),
        count => format!("{count} activations"),
    };
    let legend: Vec<(&str, Style)> = all_series.iter().map(|series| (series.name, series.style)).collect();
    let layers = layer_names(results);
    let body = [
        summary(results, &all_series),
        paired_differences(results, &all_series),
        learning_curves(&all_series),
        gradients(&all_series, &layers),
        fractions(&all_series, &layers),
        activations(&all_series, &layers),
        runs(results),
        settings(&results.experiment, &results.environment),
        again(&results.experiment)?,
    ]
    .concat();
    Ok(page(&format!("{names} on {}", results.experiment.dataset), &sentences.join(" "), &legend, &body))
}

/// An activation's runs, one a seed.
struct Series<'a> {
    name: &'a str,
    style: Style,
    runs: Vec<&'a Run>,
}

fn series(results: &Results) -> Vec<Series<'_>> {
    let mut all: Vec<Series> = Vec::new();
    for name in
        results.summary.iter().map(|summary| &summary.activation).chain(results.runs.iter().map(|run| &run.activation))
    {
        if all.iter().all(|series| series.name != name) {
            let runs = results.runs.iter().filter(|run| run.activation == *name).collect();
            all.push(Series { name, style: Style::of(all.len()), runs });
        }
    }
    all
}

/// The layers from the input on, as the first epoch that was watched has them.
fn layer_names(results: &Results) -> Vec<&str> {
    let watched = results.runs.iter().flat_map(|run| &run.epochs).find(|epoch| !epoch.layers.is_empty());
    watched.map_or(Vec::new(), |epoch| epoch.layers.iter().map(|layer| layer.layer.as_str()).collect())
}

/// The layers that an activation follows: all but the output layer.
fn hidden<'a>(layers: &[&'a str]) -> Vec<&'a str> {
    layers.iter().copied().filter(|layer| *layer != "output").collect()
}

/// What stands in place of figures of hidden layers where there are none. `layers` are all that were watched.
fn no_layers(layers: &[&str]) -> &'static str {
    match layers {
        [] => "<p class=\"note\">Layers were not watched in these runs (<code>--probe-every off</code>).</p>\n",
        _ => "<p class=\"note\">The network has no hidden layer.</p>\n",
    }
}

fn summary(results: &Results, all_series: &[Series]) -> String {
    let table::Comparison { header, rows } = comparison_cells(results);
    let mut note =
        "Test accuracy is the mean over seeds with its 95 % interval, truncated to 0 and 100 %; with one seed \
                    there is no interval. The gradient ratio is the root mean square of the first hidden layer's weight \
                    gradient over that of the last hidden layer, before and after training: far below 1, gradients \
                    vanish on their way back; far above 1, they explode. Zero, saturated and dead are means over the \
                    hidden layers after training."
            .to_owned();
    if results.summary.iter().any(|summary| summary.diverged > 0) {
        note += " A run diverges when its loss is no longer a finite number.";
    }
    format!("<h2>Summary</h2>\n{}<p class=\"note\">{note}</p>\n", numbers(&header, rows, all_series))
}

fn paired_differences(results: &Results, all_series: &[Series]) -> String {
    if results.paired_differences.is_empty() {
        return String::new();
    }
    let header = [
        "activation",
        "compared with",
        "seeds",
        "difference in test accuracy, points",
        "interval",
        "p",
        "p, adjusted",
        "settled",
    ];
    let rows = results
        .paired_differences
        .iter()
        .map(|difference| {
            let interval = difference.interval.map_or(ABSENT.to_owned(), |interval| {
                format!(
                    "{} to {} at {} %",
                    points(interval.low),
                    points(interval.high),
                    percent(interval.confidence, 2)
                )
            });
            vec![
                difference.activation.clone(),
                difference.baseline.clone(),
                difference.seeds.to_string(),
                points(difference.test_accuracy.mean),
                interval,
                number(difference.p_value),
                number(difference.adjusted_p_value),
                if settled(difference) { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    format!(
        "<h2>Paired differences</h2>\n{}<p class=\"note\">Seed by seed, over the seeds that both completed: the same \
         seed means the same order of samples. Each activation is compared with the first that was named, and the two \
         best with each other. A difference is settled where its p-value, adjusted for the number of comparisons \
         (Holm 1979), is at most 0.05; exactly then the interval, at the level that this asks for, is without \
         0.</p>\n",
        numbers(&header, rows, all_series)
    )
}

/// A table whose first column names activations and whose other columns are figures.
fn numbers(header: &[&str], rows: Vec<Vec<String>>, all_series: &[Series]) -> String {
    let mut html = "<div class=\"scroll\"><table class=\"numbers\">\n<thead><tr>".to_owned();
    for name in header {
        html += &format!("<th scope=\"col\">{}</th>", escape(name));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let mut cells = row.iter();
        let name = cells.next().map_or("", String::as_str);
        let mark = all_series.iter().find(|series| series.name == name).map_or(String::new(), |s| swatch(s.style));
        html += &format!("<tr><th scope=\"row\">{mark}{}</th>", escape(name));
        for cell in cells {
            let class = if cell.contains("diverged") { " class=\"diverged\"" } else { "" };
            html += &format!("<td{class}>{}</td>", escape(cell));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// A figure over the seeds that have it at one epoch.
#[derive(Debug, PartialEq)]
struct Band {
    epoch: usize,
    mean: f64,
    low: f64,
    high: f64,
}

/// Mean, least and greatest over seeds at each epoch. A run counts where its figure is finite, so one that diverged
/// counts until then.
fn band(runs: &[&Run], figure: impl Fn(&Epoch) -> Option<f64>) -> Vec<Band> {
    let mut by_epoch: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for epoch in runs.iter().flat_map(|run| &run.epochs) {
        if let Some(value) = figure(epoch).filter(|value| value.is_finite()) {
            by_epoch.entry(epoch.epoch).or_default().push(value);
        }
    }
    by_epoch
        .into_iter()
        .map(|(epoch, values)| Band {
            epoch,
            mean: values.iter().sum::<f64>() / values.len() as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
        .collect()
}

fn learning_curves(all_series: &[Series]) -> String {
    let loss = || axis("loss, nats a sample").type_(AxisType::Log);
    let accuracy = || axis("accuracy").tick_format(".0%").hover_format(".2%");
    // A network whose loss is not finite still has an accuracy, that of guessing.
    type Curve = (&'static str, &'static str, fn(&Epoch) -> Option<f64>, Axis);
    let curves: [Curve; 4] = [
        ("train-loss", "Training loss", |epoch| epoch.train_loss, loss()),
        ("validation-loss", "Validation loss", |epoch| epoch.validation_loss, loss()),
        ("validation-accuracy", "Validation accuracy", |epoch| epoch.validation_accuracy, accuracy()),
        ("test-accuracy", "Test accuracy", |epoch| epoch.test_accuracy, accuracy()),
    ];
    let mut html = "<h2>Learning curves</h2>\n<div class=\"grid\">\n".to_owned();
    for (id, title, value, y) in curves {
        let mut traces: Vec<Box<dyn Trace>> = Vec::new();
        let mut last_epoch = 0;
        for series in all_series {
            let points = band(&series.runs, value);
            let epochs = || points.iter().map(|point| point.epoch);
            last_epoch = last_epoch.max(epochs().max().unwrap_or(0));
            if series.runs.len() > 1 && points.len() > 1 {
                let [r, g, b] = series.style.rgb;
                let edge = points.iter().map(|point| point.high).chain(points.iter().rev().map(|point| point.low));
                traces.push(
                    Scatter::new(epochs().chain(epochs().rev()).collect(), edge.collect())
                        .mode(Mode::Lines)
                        .line(Line::new().width(0.0))
                        .fill(Fill::ToSelf)
                        .fill_color(Rgba::new(r, g, b, 0.2))
                        .hover_info(HoverInfo::Skip)
                        .legend_group(series.name),
                );
            }
            traces.push(
                Scatter::new(epochs().collect(), points.iter().map(|point| point.mean).collect())
                    .mode(Mode::LinesMarkers)
                    .line(line(series.style))
                    .marker(Marker::new().size(5))
                    .name(escape(series.name))
                    .legend_group(series.name),
            );
        }
        html += &figure(id, title, traces, epoch_axis(last_epoch), y, 320);
    }
    html += "</div>\n<p class=\"note\">Lines are means over seeds; bands reach from the least to the greatest seed. \
             Epoch 0 is the network before training. From epoch 1 on, the training loss is the mean over the epoch's \
             batches as they were trained on.</p>\n";
    let diverged: Vec<String> = all_series
        .iter()
        .flat_map(|series| &series.runs)
        .filter(|run| run.status == Status::Diverged)
        .map(|run| format!("{} with seed {}{}", escape(&run.activation), run.seed, at_step(run)))
        .collect();
    if !diverged.is_empty() {
        html += &format!(
            "<p class=\"note\"><span class=\"diverged\">Diverged:</span> {}. Where its loss is not finite, a run is not \
             part of a line, and at the end of training it is not part of the figures below.</p>\n",
            diverged.join(", ")
        );
    }
    html
}

fn at_step(run: &Run) -> String {
    run.diverged_at_step.map_or(String::new(), |step| format!(" at step {step}"))
}

fn epoch_axis(last_epoch: usize) -> Axis {
    let axis = axis("epoch");
    // Plotly would put ticks between the epochs of a short training.
    if last_epoch <= 12 { axis.dtick(1.0) } else { axis }
}

/// When a layer's figures were taken.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Start,
    End,
}

impl Moment {
    /// Both, or only the start where nothing was trained.
    fn all(all_series: &[Series]) -> Vec<Self> {
        let trained = all_series.iter().flat_map(|series| &series.runs).any(|run| run.epochs.len() > 1);
        if trained { vec![Self::Start, Self::End] } else { vec![Self::Start] }
    }

    /// The run's layers then. None at the end of a run that diverged: its figures say nothing about training.
    fn layers(self, run: &Run) -> &[Layer] {
        match self {
            Self::Start => run.epochs.first(),
            Self::End if run.epochs.len() > 1 && run.status != Status::Diverged => run.last(),
            Self::End => None,
        }
        .map_or(&[], |epoch| &epoch.layers)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Start => "before training",
            Self::End => "at the end",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// A figure of each layer over the seeds that have it, by `mean`.
fn by_layer(
    series: &Series,
    moment: Moment,
    names: &[&str],
    figure: impl Fn(&Layer) -> Option<f64>,
    mean: impl Fn(&[f64]) -> f64,
) -> Vec<Option<f64>> {
    let value = |name: &str| {
        let layers = series.runs.iter().flat_map(|run| moment.layers(run)).filter(|layer| layer.layer == name);
        let values: Vec<f64> = layers.filter_map(&figure).filter(|value| value.is_finite()).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    names.iter().map(|name| value(name)).collect()
}

fn arithmetic_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// 0 if any value is.
fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// Layers at 0, 1, 2, … from the input on, by their names.
fn layer_axis(names: &[&str]) -> Axis {
    axis("")
        .tick_values((0..names.len()).map(|index| index as f64).collect())
        .tick_text(names.iter().map(|name| escape(name)).collect())
        .range(vec![-0.4, names.len() as f64 - 0.6])
}

/// A linear or logarithmic axis over all of the figures, so that two panels beside each other compare.
fn shared_axis<'a>(title: &str, log: bool, figures: impl Iterator<Item = &'a f64>) -> Axis {
    let scale = |value: f64| if log { value.log10() } else { value };
    let (low, high) = figures
        .map(|figure| scale(*figure))
        .filter(|figure| figure.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), figure| (low.min(figure), high.max(figure)));
    let axis = if log { axis(title).type_(AxisType::Log) } else { axis(title) };
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    if low <= high { axis.range(vec![low - margin, high + margin]) } else { axis }
}

fn gradients(all_series: &[Series], layers: &[&str]) -> String {
    let mut html = "<h2>Gradient by layer</h2>\n".to_owned();
    if layers.is_empty() {
        return html + no_layers(layers);
    }
    html += "<p class=\"note\">Root mean square of the loss's gradient, on a logarithmic axis, layers in the network's \
             order; geometric mean over seeds. A gradient of exactly 0 has no place on this axis and is left \
             out.</p>\n<div class=\"grid\">\n";
    type Kind = (&'static str, &'static str, fn(&Layer) -> Option<f64>);
    let kinds: [Kind; 2] = [
        ("weight", "Gradient of the weights", |layer| layer.weight_grad_rms),
        ("preactivation", "Gradient of the pre-activations", |layer| layer.preactivation_grad_rms),
    ];
    for (id, title, value) in kinds {
        let panels: Vec<(Moment, Vec<Vec<Option<f64>>>)> = Moment::all(all_series)
            .into_iter()
            .map(|moment| {
                let gradient = |series| {
                    by_layer(series, moment, layers, value, geometric_mean).into_iter().map(|v| v.filter(|v| *v > 0.0))
                };
                (moment, all_series.iter().map(|series| gradient(series).collect()).collect())
            })
            .collect();
        let every_value = || panels.iter().flat_map(|(_, lines)| lines).flatten().flatten();
        for (moment, lines) in &panels {
            let traces = all_series.iter().zip(lines).map(|(series, values)| {
                let at = (0..layers.len()).collect();
                Scatter::new(at, values.clone())
                    .mode(Mode::LinesMarkers)
                    .line(line(series.style))
                    .name(escape(series.name))
                    .legend_group(series.name) as Box<dyn Trace>
            });
            let y = shared_axis("root mean square", true, every_value())
                .exponent_format(plotly::common::ExponentFormat::Power);
            let title = format!("{title}, {}", moment.words());
            html += &figure(
                &format!("gradient-{id}-{}", moment.id()),
                &title,
                traces.collect(),
                layer_axis(layers),
                y,
                340,
            );
        }
    }
    html + "</div>\n"
}

fn fractions(all_series: &[Series], layers: &[&str]) -> String {
    let mut html = "<h2>Zero, dead and saturated, by layer and epoch</h2>\n".to_owned();
    let hidden = hidden(layers);
    if hidden.is_empty() {
        return html + no_layers(layers);
    }
    let layers = hidden;
    type Kind = (&'static str, &'static str, &'static str, fn(&Layer) -> Option<f64>);
    let kinds: [Kind; 3] = [
        ("zero", "Zero", "Fraction of activations that are exactly 0.", |layer| layer.zero_fraction),
        ("dead", "Dead", "Fraction of units that are exactly 0 on every sample looked at.", |layer| {
            layer.dead_fraction
        }),
        (
            "saturated",
            "Saturated",
            "Fraction of activations where the derivative is under 5 % of its maximum. It has no meaning for piecewise \
             linear functions without an upper bound, such as ReLU.",
            |layer| layer.saturated_fraction,
        ),
    ];
    for (id, title, meaning, value) in kinds {
        let (mut panels, mut all_zero, mut missing) = (String::new(), Vec::new(), Vec::new());
        for (index, series) in all_series.iter().enumerate() {
            let bands: Vec<Vec<Band>> = layers
                .iter()
                .map(|name| band(&series.runs, |epoch| value(epoch.layers.iter().find(|layer| layer.layer == *name)?)))
                .collect();
            let points = || bands.iter().flatten();
            if points().next().is_none() {
                missing.push(escape(series.name));
            } else if points().all(|point| point.mean == 0.0) {
                all_zero.push(escape(series.name));
            } else {
                panels += &heat_map(&format!("{id}-{index}"), &format!("{title}: {}", series.name), &layers, &bands);
            }
        }
        html += &format!("<h3>{title}</h3>\n<p class=\"note\">{meaning} Mean over seeds.</p>\n");
        if !panels.is_empty() {
            html += &format!("<div class=\"grid three\">\n{panels}</div>\n");
        }
        for (names, words) in [(all_zero, "0 in every layer and epoch"), (missing, "No figure")] {
            if !names.is_empty() {
                html += &format!("<p>{words}: {}.</p>\n", names.join(", "));
            }
        }
    }
    html
}

/// Layers from the top down, epochs from the left, white at 0 and dark at 1; grey where there is no figure.
fn heat_map(id: &str, title: &str, layers: &[&str], bands: &[Vec<Band>]) -> String {
    let mut epochs: Vec<usize> = bands.iter().flatten().map(|point| point.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let row = |bands: &Vec<Band>| -> Vec<Option<f64>> {
        epochs.iter().map(|epoch| bands.iter().find(|point| point.epoch == *epoch).map(|point| point.mean)).collect()
    };
    let colours = [(0.0, "#ffffff"), (0.5, "#6baed6"), (1.0, "#08306b")];
    let x = epoch_axis(epochs.last().copied().unwrap_or(0)).show_grid(false).mirror(true);
    let trace =
        HeatMap::new(epochs.clone(), layers.iter().map(|name| escape(name)).collect(), bands.iter().map(row).collect())
            .zmin(0.0)
            .zmax(1.0)
            .zhover_format(".1%")
            .color_scale(ColorScale::Vector(
                colours.map(|(at, colour)| ColorScaleElement(at, colour.to_owned())).to_vec(),
            ))
            .color_bar(ColorBar::new().tick_format(".0%").thickness(12));
    let y =
        axis("").type_(AxisType::Category).range(vec![layers.len() as f64 - 0.5, -0.5]).show_grid(false).mirror(true);
    figure(id, title, vec![trace], x, y, 150 + 20 * layers.len().max(3))
}

fn activations(all_series: &[Series], layers: &[&str]) -> String {
    let mut html = "<h2>Activations by layer</h2>\n".to_owned();
    let hidden = hidden(layers);
    if hidden.is_empty() {
        return html + no_layers(layers);
    }
    let layers = hidden;
    html += "<p class=\"note\">Mean over samples and units; bars reach one standard deviation to each side. Both are \
             means over seeds.</p>\n<div class=\"grid\">\n";
    type Line = (Vec<Option<f64>>, Vec<Option<f64>>);
    let panels: Vec<(Moment, Vec<Line>)> = Moment::all(all_series)
        .into_iter()
        .map(|moment| {
            let figures =
                |series, value: fn(&Layer) -> Option<f64>| by_layer(series, moment, &layers, value, arithmetic_mean);
            let line = |series| {
                (figures(series, |layer| layer.activation_mean), figures(series, |layer| layer.activation_std))
            };
            (moment, all_series.iter().map(line).collect())
        })
        .collect();
    let ends: Vec<f64> = panels
        .iter()
        .flat_map(|(_, lines)| lines)
        .flat_map(|(means, stds)| means.iter().zip(stds))
        .filter_map(|(mean, std)| Some([(*mean)? - std.unwrap_or(0.0), (*mean)? + std.unwrap_or(0.0)]))
        .flatten()
        .collect();
    for (moment, lines) in &panels {
        let traces = all_series.iter().zip(lines).enumerate().map(|(index, (series, (means, stds)))| {
            // Bars beside each other, not on top of each other.
            let shift = 0.6 * ((index as f64 + 0.5) / all_series.len() as f64 - 0.5);
            let bars = stds.iter().map(|std| std.unwrap_or(0.0)).collect();
            Scatter::new((0..layers.len()).map(|at| at as f64 + shift).collect(), means.clone())
                .mode(Mode::LinesMarkers)
                .line(line(series.style).width(1.0))
                .error_y(ErrorData::new(ErrorType::Data).array(bars).thickness(1.5).width(3))
                .name(escape(series.name))
                .legend_group(series.name) as Box<dyn Trace>
        });
        let y = shared_axis("activation", false, ends.iter());
        let title = format!("Mean ± standard deviation, {}", moment.words());
        html += &figure(&format!("activation-{}", moment.id()), &title, traces.collect(), layer_axis(&layers), y, 340);
    }
    html + "</div>\n" + &histograms(all_series, &layers)
}

/// Layers × activations, of each activation's first seed that has histograms.
fn histograms(all_series: &[Series], layers: &[&str]) -> String {
    let histogram = |run: &'_ Run, moment: Moment, name: &str| -> Option<Histogram> {
        let layer = moment.layers(run).iter().find(|layer| layer.layer == name)?;
        let histogram = layer.histogram.as_ref()?;
        let sound = histogram.low.is_finite() && histogram.high.is_finite() && histogram.low <= histogram.high;
        (sound && histogram.counts.iter().any(|count| *count > 0)).then(|| histogram.clone())
    };
    let mut columns: Vec<(&Series, Vec<[Option<Histogram>; 2]>)> = Vec::new();
    for series in all_series {
        let cells = |run: &&Run| -> Vec<[Option<Histogram>; 2]> {
            layers.iter().map(|name| [Moment::Start, Moment::End].map(|moment| histogram(run, moment, name))).collect()
        };
        if let Some(cells) = series.runs.iter().map(cells).find(|cells| cells.iter().flatten().any(Option::is_some)) {
            columns.push((series, cells));
        }
    }
    if columns.is_empty() {
        return String::new();
    }
    let mut html = "<h3>Histograms</h3>\n<p class=\"note\">Each activation's first seed: grey before training, in colour \
                    at the end. All layers of one activation share one horizontal axis. Heights are square roots of the \
                    density, so that thin tails show beside a spike, and each picture is scaled to its highest bar.</p>\n\
                    <div class=\"scroll\"><table class=\"histograms\">\n<thead><tr><th></th>"
        .to_owned();
    for (series, _) in &columns {
        html += &format!("<th scope=\"col\">{}{}</th>", swatch(series.style), escape(series.name));
    }
    html += "</tr></thead>\n<tbody>\n";
    let ranges: Vec<(f64, f64)> = columns
        .iter()
        .map(|(_, cells)| {
            let histograms = || cells.iter().flatten().flatten();
            let low = histograms().map(|histogram| histogram.low).fold(f64::INFINITY, f64::min);
            let high = histograms().map(|histogram| histogram.high).fold(f64::NEG_INFINITY, f64::max);
            if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
        })
        .collect();
    for (row, name) in layers.iter().enumerate() {
        html += &format!("<tr><th scope=\"row\">{}</th>", escape(name));
        for ((series, cells), range) in columns.iter().zip(&ranges) {
            html += &format!("<td>{}</td>", bins(&cells[row], *range, series.style));
        }
        html += "</tr>\n";
    }
    html += "<tr><th></th>";
    for (low, high) in ranges {
        html +=
            &format!("<td><div class=\"range\"><span>{}</span><span>{}</span></div></td>", number(low), number(high));
    }
    html + "</tr>\n</tbody></table></div>\n"
}

/// Two histograms on top of each other in a picture of 100 × 50 units that stretches to its place.
fn bins(histograms: &[Option<Histogram>; 2], (low, high): (f64, f64), style: Style) -> String {
    let x = |value: f64| 100.0 * (value - low) / (high - low);
    let bars = |histogram: &Histogram| -> Vec<(f64, f64, f64)> {
        let total: u64 = histogram.counts.iter().sum();
        let width = (histogram.high - histogram.low) / histogram.counts.len() as f64;
        let bar = |(index, count): (usize, &u64)| {
            let left = histogram.low + width * index as f64;
            // A layer with a single value is a bar without width; draw it as wide as a line.
            let drawn = width.max((high - low) / 100.0);
            (x(left), x(left + drawn), (*count as f64 / total as f64 / drawn).sqrt())
        };
        histogram.counts.iter().enumerate().map(bar).filter(|(_, _, height)| *height > 0.0).collect()
    };
    let [start, end] = histograms.each_ref().map(|histogram| histogram.as_ref().map(bars).unwrap_or_default());
    let highest = start.iter().chain(&end).map(|(_, _, height)| *height).fold(0.0, f64::max);
    let path = |bars: &[(f64, f64, f64)]| -> String {
        bars.iter().map(|(x0, x1, y)| format!("M{x0:.2} 50V{:.2}H{x1:.2}V50Z", 50.0 - 48.0 * y / highest)).collect()
    };
    format!(
        "<svg class=\"bins\" viewBox=\"0 0 100 50\" preserveAspectRatio=\"none\"><path d=\"{}\" fill=\"#b4b4b4\"/>\
         <path d=\"{}\" fill=\"{}\" fill-opacity=\"0.6\"/></svg>",
        path(&start),
        path(&end),
        style.css()
    )
}

fn runs(results: &Results) -> String {
    let header =
        ["activation", "seed", "status", "steps", "parameters", "seconds", "validation accuracy %", "test accuracy %"];
    let rows = results.runs.iter().map(|run| {
        let status = match run.status {
            Status::Completed => "completed".to_owned(),
            Status::Diverged => format!("diverged{}", at_step(run)),
            Status::Interrupted => "interrupted".to_owned(),
        };
        let seconds = fixed(run.wall_seconds, 1);
        let accuracy = |value: fn(&Epoch) -> Option<f64>| percent(run.outcome().and_then(value), 2);
        vec![
            run.activation.clone(),
            run.seed.to_string(),
            status,
            run.steps.to_string(),
            run.parameters.to_string(),
            seconds,
            accuracy(|epoch| epoch.validation_accuracy),
            accuracy(|epoch| epoch.test_accuracy),
        ]
    });
    let count = results.runs.len();
    let (open, runs) = (if count <= 12 { " open" } else { "" }, if count == 1 { "run" } else { "runs" });
    let table = numbers(&header, rows.collect(), &series(results));
    format!("<h2>Runs</h2>\n<details{open}><summary>{count} {runs}</summary>\n{table}</details>\n")
}

fn settings(experiment: &Experiment, environment: &Environment) -> String {
    // Taken apart without `..`, so that a new setting cannot be forgotten here.
    let Experiment {
        dataset,
        model,
        hidden: _,
        activations,
        init,
        bias_init,
        optimizer,
        lr,
        momentum,
        weight_decay,
        clip_norm,
        batch_size,
        epochs,
        steps,
        patience,
        keep_last,
        seeds: _,
        seed: _,
        backend,
        dtype,
        train_size,
        jobs,
        threads,
        probe_every,
    } = experiment;
    fn or<T: ToString>(value: Option<T>, otherwise: &str) -> String {
        value.map_or(otherwise.to_owned(), |value| value.to_string())
    }
    fn list<T: ToString>(values: &[T]) -> String {
        if values.is_empty() {
            "none".to_owned()
        } else {
            values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
        }
    }
    let init = match init {
        Init::Auto => {
            let resolved: Vec<_> =
                activations.iter().map(|name| format!("{} for {name}", init.resolve(name))).collect();
            format!("auto: {}", list(&resolved))
        }
        _ => init.to_string(),
    };
    let lr = match lr {
        Some(lr) => lr.to_string(),
        None => format!("{} (the optimizer's default)", experiment.learning_rate()),
    };
    let rows = [
        ("dataset", dataset.clone()),
        ("train_size", or(*train_size, "all")),
        ("model", model.to_string()),
        ("hidden", list(&experiment.hidden())),
        ("activations", list(activations)),
        ("init", init),
        ("bias_init", or(*bias_init, "the initialisation's")),
        ("optimizer", optimizer.to_string()),
        ("lr", lr),
        ("momentum", or(*momentum, "none")),
        ("weight_decay", weight_decay.to_string()),
        ("clip_norm", or(*clip_norm, "no clipping")),
        ("batch_size", batch_size.to_string()),
        ("epochs", or(*epochs, "as many as the steps need")),
        ("steps", or(*steps, "as many as the epochs have")),
        ("keep_last", keep_last.to_string()),
        ("patience", or(*patience, "none")),
        ("seeds", list(&experiment.seeds())),
        ("probe_every", probe_every.to_string()),
        ("backend", backend.clone()),
        ("dtype", dtype.to_string()),
        ("jobs", or(*jobs, "the backend's default")),
        ("threads", threads.to_string()),
    ];
    let Environment { rectify, burn, backend, adapter, cpu, threads } = environment;
    let machine = [
        ("rectify", rectify.clone()),
        ("burn", burn.clone()),
        ("backend", backend.clone()),
        ("adapter", or(adapter.as_ref(), "none")),
        ("cpu", cpu.clone()),
        ("threads", threads.to_string()),
    ];
    format!("<h2>Settings</h2>\n{}<h3>Environment</h3>\n{}", definitions(&rows), definitions(&machine))
}

fn definitions(rows: &[(&str, String)]) -> String {
    let rows: String =
        rows.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))).collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn again(experiment: &Experiment) -> anyhow::Result<String> {
    let config = toml::to_string(experiment).context("the experiment's settings cannot be written as TOML")?;
    Ok(format!(
        "<h2>Running it again</h2>\n<p>The settings as <code>config.toml</code>:</p>\n<pre>{}</pre>\n\
         <pre>rectify compare --config config.toml</pre>\n\
         <p class=\"note\">The same seeds, backend and machine give the same bits.</p>\n",
        escape(&config)
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use rectify_train::{
        experiment::ProbeEvery,
        record::{Estimate, PairedDifference, SCHEMA_VERSION, Summary},
    };

    use super::*;

    /// Made results: `epochs` after epoch 0, `layers` hidden layers and an output layer.
    pub(crate) fn results(activations: &[&str], layers: usize, epochs: usize, seeds: u64) -> Results {
        let estimate = |mean: f64| {
            let half = (seeds > 1).then_some(0.01 * mean.abs());
            Some(Estimate {
                mean,
                std: half,
                low: half.map(|half| mean - half),
                high: half.map(|half| mean + half),
                confidence: 0.95,
            })
        };
        let summary = activations.iter().enumerate().map(|(index, name)| Summary {
            activation: (*name).to_owned(),
            seeds: seeds as usize,
            diverged: 0,
            interrupted: 0,
            test_accuracy: estimate(0.97 - 0.01 * index as f64),
            validation_accuracy: estimate(0.96),
            seconds_per_epoch: estimate(1.5),
            gradient_ratio_start: estimate(0.1f64.powi(index as i32)),
            gradient_ratio: estimate(0.5 * 0.1f64.powi(index as i32)),
            zero_fraction: estimate(0.5),
            dead_fraction: estimate(0.01),
            saturated_fraction: if index == 0 { None } else { estimate(0.1) },
        });
        let paired_differences = activations.iter().enumerate().skip(1).map(|(index, name)| PairedDifference {
            activation: (*name).to_owned(),
            baseline: activations[0].to_owned(),
            seeds: seeds as usize,
            test_accuracy: estimate(-0.01 * index as f64).expect("it always gives an estimate"),
            two_best: index == 1,
            p_value: None,
            adjusted_p_value: None,
            interval: None,
        });
        let run = |(index, name): (usize, &&str), seed: u64| Run {
            activation: (*name).to_owned(),
            seed,
            status: Status::Completed,
            diverged_at_step: None,
            divergence: None,
            kept_epoch: None,
            wall_seconds: 4.2,
            steps: 400 * epochs,
            parameters: 168_330,
            epochs: (0..=epochs).map(|at| epoch(index, seed, at, layers, at == 0 || at == epochs)).collect(),
            probes: Vec::new(),
        };
        Results {
            data: None,
            schema_version: SCHEMA_VERSION,
            environment: Environment {
                rectify: "0.1.0".to_owned(),
                burn: "0.22.1".to_owned(),
                backend: "flex".to_owned(),
                adapter: None,
                cpu: "a processor".to_owned(),
                threads: 2,
            },
            experiment: Experiment {
                hidden: Some(vec![128; layers]),
                epochs: Some(epochs),
                seeds: seeds as usize,
                ..Experiment::default()
            },
            runs: activations.iter().enumerate().flat_map(|name| (0..seeds).map(move |seed| run(name, seed))).collect(),
            summary: summary.collect(),
            paired_differences: paired_differences.collect(),
        }
    }

    fn epoch(activation: usize, seed: u64, at: usize, layers: usize, with_histogram: bool) -> Epoch {
        let progress = 1.0 / (1.0 + at as f64) + 0.02 * seed as f64 + 0.1 * activation as f64;
        let layer = |index: usize| {
            let to_output = (layers - index) as i32;
            let output = index == layers;
            let bump =
                |bin: usize| (1000.0 * (-(bin as f64 / 40.0 - 0.1 * activation as f64).powi(2) * 9.0).exp()) as u64;
            Layer {
                layer: if output { "output".to_owned() } else { format!("hidden.{index}") },
                units: if output { 10 } else { 128 },
                weight_grad_rms: Some(1e-3 * (0.9 - 0.2 * activation as f64).abs().powi(to_output)),
                preactivation_grad_rms: Some(1e-5 * (0.9 - 0.2 * activation as f64).abs().powi(to_output)),
                activation_mean: Some(0.3 + 0.1 * activation as f64),
                activation_std: Some(0.5),
                zero_fraction: (!output).then_some(if activation == 0 { 0.5 + 0.02 * at as f64 } else { 0.0 }),
                dead_fraction: (!output).then_some(if activation == 0 { 0.02 * index as f64 } else { 0.0 }),
                saturated_fraction: (!output && activation > 0).then_some(0.1 * index as f64 / layers as f64),
                histogram: with_histogram.then(|| Histogram {
                    low: -1.0,
                    high: 1.0 + 0.3 * index as f64,
                    counts: (0..40).map(bump).collect(),
                }),
                ..Layer::default()
            }
        };
        Epoch {
            epoch: at,
            step: 400 * at,
            seconds: if at == 0 { 0.0 } else { 1.5 },
            train_loss: Some(2.3 * progress),
            validation_loss: Some(2.4 * progress),
            validation_accuracy: Some(1.0 - 0.9 * progress.min(1.0)),
            test_loss: Some(2.4 * progress),
            test_accuracy: Some(1.0 - 0.89 * progress.min(1.0)),
            layers: (0..=layers).map(layer).collect(),
            ..Epoch::default()
        }
    }

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
    fn good_page(results: &Results) -> String {
        let page = html(results, &["ReLU is best.".to_owned()]).unwrap();
        if let Ok(folder) = std::env::var("RECTIFY_KEEP_PAGES") {
            let name = std::thread::current().name().unwrap_or("page").replace("::", "-");
            std::fs::write(format!("{folder}/{name}.html"), &page).unwrap();
        }
        let markup = markup(&page);
        for outside in ["src=", "href=", "url(", "<link", "<iframe", "http:", "https:", "@import"] {
            assert!(!markup.contains(outside), "{outside} in {markup}");
        }
        for leak in ["NaN", "null", "None", "Some(", ">inf", "-inf"] {
            assert!(!markup.contains(leak), "{leak} in {markup}");
        }
        for series in series(results) {
            assert!(markup.contains(&escape(series.name)), "{} is missing", series.name);
        }
        assert!(markup.contains("ReLU is best."));
        // Every figure has its own place.
        let ids: Vec<&str> = markup.split("<div id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
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
            "train-loss",
            "test-accuracy",
            "gradient-weight-start",
            "gradient-preactivation-end",
            "zero-0",
            "activation-end",
        ] {
            assert!(markup.contains(&format!("<div id=\"{id}\"")), "{id}");
        }
        assert!(markup.contains("<td>97.00 ± 0.97</td>"), "{markup}");
        assert!(markup.contains("<td>-1.00</td><td>-1.01 to -0.99</td>"), "{markup}");
        assert!(markup.contains("0 in every layer and epoch: sigmoid, tanh."));
        assert!(markup.contains("No figure: relu."));
        assert_eq!(markup.matches("class=\"bins\"").count(), 15);
        assert!(markup.contains("<dt>lr</dt><dd>0.1 (the optimizer&#39;s default)</dd>"));
        assert!(markup.contains("he-normal for relu, xavier-normal for sigmoid"));
        assert!(markup.contains("rectify compare --config config.toml"));
        assert!(!markup.contains("diverged"));
    }

    #[test]
    fn the_config_on_the_page_is_the_experiment() {
        let results = results(&["relu"], 2, 1, 1);
        let markup = good_page(&results);
        let config = markup.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap();
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
        assert!(untrained.contains("gradient-weight-start") && !untrained.contains("gradient-weight-end"));
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
        let markup = good_page(&results(&names, 20, 10, 2));
        assert_eq!(markup.matches("class=\"bins\"").count(), 240);
    }

    #[test]
    fn names_cannot_become_markup() {
        let mut results = results(&["<b>relu</b>", "tanh"], 2, 1, 2);
        results.experiment.dataset = "/data/<script>alert(1)</script>".to_owned();
        let page = html(&results, &["a < b".to_owned()]).unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("<b>relu"));
        assert!(page.contains("a &lt; b"));
        good_page(&results);
    }

    #[test]
    fn a_band_is_the_mean_and_the_ends_over_the_seeds_that_have_the_figure() {
        let results = results(&["relu"], 1, 1, 3);
        let runs: Vec<&Run> = results.runs.iter().collect();
        let seed =
            |epoch: &Epoch| epoch.train_loss.map(|loss| loss / 2.3).filter(|loss| epoch.epoch == 0 || *loss > 0.51);
        let found = band(&runs, |epoch| seed(epoch).map(|value| (value * 100.0).round()));
        assert_eq!(
            found,
            [
                Band { epoch: 0, mean: 102.0, low: 100.0, high: 104.0 },
                Band { epoch: 1, mean: 53.0, low: 52.0, high: 54.0 }
            ]
        );
    }

    #[test]
    fn a_histogram_of_one_value_is_a_visible_bar() {
        let spike = Histogram { low: 0.0, high: 0.0, counts: vec![7] };
        let svg = bins(&[Some(spike), None], (-0.5, 0.5), Style::of(0));
        assert!(svg.contains("M50.00 50V2.00H51.00V50Z"), "{svg}");
    }
}
