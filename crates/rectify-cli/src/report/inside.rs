//! `rectify predict --inside`: one picture on its way through a network, layer by layer.

use burn::tensor::TensorData;
use maud::{Markup, html};
use rectify_train::{
    judge::number::{count, layer, list, number, percent},
    record::Layer,
};

use crate::draw::page::page;

/// What the page shows.
pub struct Inside<'a> {
    /// The picture's name.
    pub name: String,
    /// The network's activation, as people call it.
    pub activation: String,
    /// Channels, rows and columns of the picture.
    pub size: [usize; 3],
    /// The picture as the network gets it, but for standardisation.
    pub pixels: &'a [u8],
    /// What each layer gives, from the input on, the logits last.
    pub layers: Vec<(String, TensorData)>,
    /// The same layers over the probe set, after training; empty where that is not known.
    pub looks: &'a [Layer],
    /// The classes, the likeliest first.
    pub probabilities: Vec<(&'a str, f64)>,
}

/// Units in a row of a picture of a layer.
const ROW: usize = 32;
/// Side of a unit's square, and of a pixel of a map, in pixels.
const UNIT: usize = 18;
const PIXEL: usize = 4;
/// Classes that are shown.
const CLASSES: usize = 20;
/// Of what is above and below 0, told apart by whoever sees no red.
const COLOURS: [&str; 2] = ["#0072b2", "#d55e00"];

/// The page, one file that needs no network.
pub fn html(inside: &Inside) -> String {
    let (class, probability) = inside.probabilities[0];
    let lead = format!(
        "A {} network takes it for {class} ({} %). Below is what each layer makes of it, from the pixels on: the stronger \
         a unit's colour, the larger its number; blue is above 0, orange below.",
        inside.activation,
        percent(probability, 1)
    );
    let (hidden, logits) = inside.layers.split_at(inside.layers.len().saturating_sub(1));
    let body = html! {
        section { h2 id="input" { "Input" } (input(inside)) }
        @for (index, (name, data)) in hidden.iter().enumerate() {
            section {
                h2 id={ "layer-" (index + 1) } { (capitalised(&layer(index))) }
                (of_layer(data, inside.looks.iter().find(|look| look.layer == *name)))
            }
        }
        section {
            h2 id="classes" { "Classes" }
            (classes(&inside.probabilities))
            @for (_, data) in logits {
                @let logits: Vec<String> = numbers(data).into_iter().map(number).collect();
                p class="note" { "The logits that they come from: " (list(&logits)) "." }
            }
        }
    };
    page(&format!("Inside the network: {}", inside.name), &lead, &[], &body)
}

fn input(inside: &Inside) -> Markup {
    let [channels, height, width] = inside.size;
    let plane = height * width;
    let value = |at: usize| {
        let of = |channel: usize| inside.pixels[(channel % channels) * plane + at];
        if channels < 3 { [of(0); 3] } else { [of(0), of(1), of(2)] }
    };
    let scale = (224 / height.max(width).max(1)).max(1);
    html! {
        svg width=(width * scale) height=(height * scale) viewBox={ "0 0 " (width) " " (height) } role="img"
            shape-rendering="crispEdges" style="max-width:100%;height:auto" aria-label="The picture as the network gets it" {
            @for at in 0..plane {
                @let [r, g, b] = value(at);
                rect x=(at % width) y=(at / width) width="1" height="1" fill={ "rgb(" (r) "," (g) "," (b) ")" } {}
            }
        }
    }
}

fn numbers(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}

/// A layer's units: squares, or maps of a convolution's channels.
fn of_layer(data: &TensorData, look: Option<&Layer>) -> Markup {
    let values = numbers(data);
    let dims: Vec<usize> = data.shape().to_vec();
    let units = dims.get(1).copied().unwrap_or(1).max(1);
    let plane = values.len() / units;
    let most = values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let nonzero = look.map_or(&[][..], |look| &look.unit_nonzero_fraction);
    let dead: Vec<bool> = (0..units).map(|unit| nonzero.get(unit) == Some(&0.0)).collect();
    let of_unit = |unit: usize| &values[unit * plane..(unit + 1) * plane];
    let words = |unit: usize| {
        let largest = of_unit(unit).iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let often = match nonzero.get(unit) {
            Some(0.0) => "; dead: 0 for every picture of the probe set".to_owned(),
            Some(&often) => format!("; not 0 for {} % of the probe set", percent(f64::from(often), 0)),
            None => String::new(),
        };
        format!("unit {}: {}{often}", unit + 1, number(largest))
    };
    let said = sentence(&values, units, plane, &dead, look.is_some() && !nonzero.is_empty());
    let fill = |value: f64| COLOURS[usize::from(value < 0.0)];
    let strength = |value: f64| format!("{:.2}", (value.abs() / most).min(1.0));
    let (columns, side) = match dims[..] {
        [_, _, _, width] => (8, [width * PIXEL + 6, plane / width.max(1) * PIXEL + 6]),
        _ => (ROW, [UNIT; 2]),
    };
    let columns = columns.min(units);
    let place = |unit: usize| [unit % columns * side[0], unit / columns * side[1]];
    let (width, height) = (columns * side[0], units.div_ceil(columns) * side[1]);
    html! {
        p { (said) }
        svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(said)
            style="max-width:100%;height:auto" {
            @for unit in 0..units {
                @let [x, y] = place(unit);
                g data-unit=(unit + 1) data-dead[dead[unit]] {
                    title { (words(unit)) }
                    rect x=(x) y=(y) width=(side[0] - 2) height=(side[1] - 2) fill="none" stroke="currentColor"
                        stroke-opacity=".3" {}
                    @if plane == 1 {
                        rect x=(x) y=(y) width=(side[0] - 2) height=(side[1] - 2) fill=(fill(values[unit]))
                            fill-opacity=(strength(values[unit])) {}
                    } @else {
                        @let row = (side[0] - 6) / PIXEL;
                        @for (at, value) in of_unit(unit).iter().enumerate().filter(|(_, value)| **value != 0.0) {
                            rect x=(x + 2 + at % row * PIXEL) y=(y + 2 + at / row * PIXEL) width=(PIXEL) height=(PIXEL)
                                fill=(fill(*value)) fill-opacity=(strength(*value)) {}
                        }
                    }
                    @if dead[unit] {
                        @let (across, down) = (side[0] - 2, side[1] - 2);
                        path d={ "M" (x) " " (y) "l" (across) " " (down) "m0 -" (down) "l-" (across) " " (down) }
                            stroke="currentColor" fill="none" {}
                    }
                }
            }
        }
    }
}

/// How many units fire and how many are dead.
fn sentence(values: &[f64], units: usize, plane: usize, dead: &[bool], known: bool) -> String {
    let what = if plane == 1 { "unit" } else { "map" };
    let fires = |unit: &usize| values[unit * plane..(unit + 1) * plane].iter().any(|value| *value != 0.0);
    let firing = (0..units).filter(fires).count();
    let dead = dead.iter().filter(|dead| **dead).count();
    let fire = match firing == units {
        true => format!("All of {} give something for this picture", count(units, what)),
        false => format!("{firing} of {} fire for this picture", count(units, what)),
    };
    match (known, dead) {
        (false, _) => fire + ".",
        (true, 0) => fire + "; none is dead.",
        (true, dead) => format!(
            "{fire}; {dead}, crossed out, {} dead: 0 for every picture of the probe set.",
            if dead == 1 { "is" } else { "are" }
        ),
    }
}

fn classes(probabilities: &[(&str, f64)]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "class" } th scope="col" { "probability" } th scope="col" class="text" { "" } } }
            tbody {
                @for (class, probability) in probabilities.iter().take(CLASSES) {
                    tr {
                        th scope="row" { (class) }
                        td { (percent(*probability, 1)) " %" }
                        td class="text" {
                            svg width="240" height="14" aria-hidden="true" {
                                rect width=(format!("{:.1}", 240.0 * probability)) height="14" fill=(COLOURS[0]) {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_fire_and_those_that_are_dead_are_shown_and_told() {
        let look =
            Layer { layer: "hidden.0".to_owned(), unit_nonzero_fraction: vec![0.5, 0.0, 1.0], ..Layer::default() };
        let conv = Layer { layer: "conv.0".to_owned(), unit_nonzero_fraction: vec![0.25, 1.0], ..Layer::default() };
        let page = html(&Inside {
            name: "<seven>.png".to_owned(),
            activation: "relu".to_owned(),
            size: [1, 2, 2],
            pixels: &[0, 255, 128, 0],
            layers: vec![
                ("conv.0".to_owned(), TensorData::new(vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1, 2, 2, 2])),
                ("hidden.0".to_owned(), TensorData::new(vec![0.5, 0.0, 0.0], [1, 3])),
                ("output".to_owned(), TensorData::new(vec![2.0, -1.0], [1, 2])),
            ],
            looks: &[conv, look],
            probabilities: vec![("seven", 0.95), ("one", 0.05)],
        });
        let main = page.split_once("<main>").unwrap().1;
        for part in [
            "Inside the network: &lt;seven&gt;.png",
            "takes it for seven (95.0 %)",
            "1 of 2 maps fire for this picture; none is dead.",
            "1 of 3 units fire for this picture; 1, crossed out, is dead",
            "<title>unit 2: 0; dead: 0 for every picture of the probe set</title>",
            "<title>unit 1: 0.500; not 0 for 50 % of the probe set</title>",
            "The logits that they come from: 2.00 and -1.00.",
        ] {
            assert!(main.contains(part), "{part} is not in {main}");
        }
        assert_eq!(main.matches("data-dead").count(), 1);
        assert!(main.contains("Layer 1") && main.contains("Layer 2") && !main.contains("hidden.0"));
    }
}
