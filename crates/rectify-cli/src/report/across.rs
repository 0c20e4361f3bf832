//! Activations over several data sets: one page and one table.

use maud::{Markup, html};
use rectify_train::{
    activation::Activation,
    judge::across::groups,
    record::{Across, AverageRank},
};

use super::terminal::{Column, Kind, paragraph, table, width};
use crate::draw::page::{Section, page, scrolling, sections};

const COLUMNS: [Column; 3] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "average rank", kind: Kind::Number, rank: 1 },
    Column { header: "not told apart", kind: Kind::Words, rank: 2 },
];

/// What the ranks say, and how they are to be read.
fn sentences(across: &Across) -> Vec<String> {
    let Across { datasets, activations, left_out, friedman, p_value, critical_difference, .. } = across;
    let (count, sets) = (activations.len(), datasets.len());
    let mut sentences = vec![format!(
        "{count} activations on {sets} data sets ({}), ranked by mean test accuracy on each. Friedman: χ² {friedman:.2}, \
         p {p_value:.3}: the ranks {}.",
        datasets.join(", "),
        if *p_value <= 0.05 { "agree more than by chance" } else { "do not agree more than by chance would have it" }
    )];
    sentences.push(match *critical_difference > count as f64 - 1.0 {
        true => format!(
            "The critical difference (Nemenyi, 5 % for all pairs together) is {critical_difference:.2} ranks, more than \
             there are between the best and the last: so few data sets tell no two of so many activations apart."
        ),
        false => format!(
            "Average ranks that differ by less than {critical_difference:.2}, the critical difference (Nemenyi, 5 % for \
             all pairs together), share a letter and are not told apart."
        ),
    });
    if !left_out.is_empty() {
        sentences
            .push(format!("Without an accuracy on every data set, and so without a rank: {}.", left_out.join(", ")));
    }
    sentences
}

fn label(name: &str) -> String {
    name.parse().map_or(name.to_owned(), |activation: Activation| activation.label())
}

fn row(ranked: &AverageRank) -> Vec<String> {
    vec![label(&ranked.activation), format!("{:.2}", ranked.rank), ranked.groups.clone()]
}

fn percent(accuracy: f64) -> String {
    format!("{:.2}", 100.0 * accuracy)
}

/// For a terminal.
pub fn text(across: &Across) -> String {
    let rows: Vec<Vec<String>> = across.activations.iter().map(row).collect();
    let sentences = sentences(across).join("\n");
    format!("{}\n{}\n", table(&COLUMNS, &rows, width()), paragraph(&sentences, width()))
}

/// The page; `pages` are those of the data sets, by their paths from it.
pub fn html(across: &Across, pages: &[String]) -> String {
    let rows = html! {
        table class="numbers" {
            thead {
                tr {
                    @for column in COLUMNS { th scope="col" { (column.header) } }
                    @for set in &across.datasets { th scope="col" { (set) ", test accuracy %" } }
                }
            }
            tbody {
                @for ranked in &across.activations {
                    tr {
                        th scope="row" { (label(&ranked.activation)) }
                        @for cell in &row(ranked)[1..] { td { (cell) } }
                        @for accuracy in &ranked.test_accuracies { td { (percent(*accuracy)) } }
                    }
                }
            }
        }
    };
    let links = html! {
        ul { @for (set, path) in across.datasets.iter().zip(pages) { li { a href=(path) { (set) } } } }
    };
    let all = [
        Section { id: "critical-difference", title: "Critical difference", body: diagram(across) },
        Section { id: "average-ranks", title: "Average ranks", body: scrolling("Average ranks", &rows) },
        Section { id: "data-sets", title: "Data sets", body: links },
    ];
    let title = format!("{} activations on {} data sets", across.activations.len(), across.datasets.len());
    page(&title, &sentences(across).join(" "), &[], &sections(&all))
}

const WIDTH: f64 = 900.0;
/// The axis leaves room for names at both sides.
const MARGIN: f64 = 220.0;
const AXIS: f64 = 60.0;
/// Between two lines of names.
const LINE: f64 = 20.0;
/// Between two bars.
const BAR: f64 = 9.0;

/// Demšar's figure: the average ranks on an axis, a bar over each group that is not told apart, and the critical difference
/// as a length.
fn diagram(across: &Across) -> Markup {
    let Across { activations, critical_difference, .. } = across;
    let count = activations.len();
    let last = count.max(2) as f64;
    let x = |rank: f64| MARGIN + (rank - 1.0) / (last - 1.0) * (WIDTH - 2.0 * MARGIN);
    // A bar over one activation says nothing.
    let bars: Vec<(usize, usize)> =
        groups(activations, *critical_difference).into_iter().filter(|(first, last)| first < last).collect();
    let names = AXIS + 14.0 + BAR * bars.len() as f64;
    let left = count.div_ceil(2);
    let height = names + LINE * (left as f64 + 0.5);
    let number = |value: f64| format!("{value:.1}");
    // Closed: within SVG a tag without an end would hold all that follows.
    let line = |x1: f64, y1: f64, x2: f64, y2: f64, width: &str| {
        html! {
            line x1=(number(x1)) y1=(number(y1)) x2=(number(x2)) y2=(number(y2)) stroke="currentColor" stroke-width=(width) {}
        }
    };
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        html! { text x=(number(x)) y=(number(y)) text-anchor=(anchor) fill="currentColor" { (text) } }
    };
    // The axis ends where the ranks do; a difference that is longer is shown as long as it.
    let length = critical_difference.min(last - 1.0);
    let described = activations.iter().map(|ranked| format!("{} {:.2}", label(&ranked.activation), ranked.rank));
    let alternative = format!(
        "Average ranks: {}. Critical difference {critical_difference:.2}.",
        described.collect::<Vec<_>>().join(", ")
    );
    html! {
        svg role="img" aria-label=(alternative) viewBox={ "0 0 " (WIDTH) " " (number(height)) }
            width="100%" style={ "max-width:" (WIDTH) "px" } font-size="13" {
            (line(x(1.0), 20.0, x(1.0 + length), 20.0, "2"))
            (line(x(1.0), 15.0, x(1.0), 25.0, "2"))
            (line(x(1.0 + length), 15.0, x(1.0 + length), 25.0, "2"))
            (text(x(1.0), 11.0, "start", &format!("critical difference {critical_difference:.2}")))
            (line(x(1.0), AXIS, x(last), AXIS, "1"))
            @for rank in 1..=count {
                (line(x(rank as f64), AXIS - 5.0, x(rank as f64), AXIS, "1"))
                (text(x(rank as f64), AXIS - 9.0, "middle", &rank.to_string()))
            }
            @for (i, (first, last)) in bars.iter().enumerate() {
                @let y = AXIS + 9.0 + BAR * i as f64;
                (line(x(activations[*first].rank) - 3.0, y, x(activations[*last].rank) + 3.0, y, "4"))
            }
            @for (i, ranked) in activations.iter().enumerate() {
                // The better half has its names at the left, from above down, the other at the right, from below up.
                @let (end, anchor, row) = match i < left {
                    true => (MARGIN - 10.0, "end", i),
                    false => (WIDTH - MARGIN + 10.0, "start", count - 1 - i),
                };
                @let y = names + LINE * (row as f64 + 0.5);
                @let name = format!("{} ({:.2})", label(&ranked.activation), ranked.rank);
                (line(x(ranked.rank), AXIS, x(ranked.rank), y, "1"))
                (line(x(ranked.rank), y, end, y, "1"))
                (text(if anchor == "end" { end - 4.0 } else { end + 4.0 }, y + 4.0, anchor, &name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn across(ranks: &[f64], critical_difference: f64) -> Across {
        let names = ["relu", "gelu", "tanh", "x*sigmoid(x) + 0"];
        let ranked = |(name, rank): (&str, &f64)| AverageRank {
            activation: name.to_owned(),
            rank: *rank,
            test_accuracies: vec![0.9, 0.8],
            groups: "a".to_owned(),
        };
        Across {
            schema_version: 2,
            datasets: vec!["mnist".to_owned(), "iris.csv".to_owned()],
            activations: names.into_iter().zip(ranks).map(ranked).collect(),
            left_out: vec!["elu".to_owned()],
            friedman: 4.0,
            p_value: 0.26,
            critical_difference,
        }
    }

    #[test]
    fn the_diagram_has_a_bar_for_each_group_and_every_name() {
        let svg = diagram(&across(&[1.0, 1.5, 3.5, 4.0], 1.0)).into_string();
        assert_eq!(svg.matches("stroke-width=\"4\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("<line ").count(), svg.matches("></line>").count(), "{svg}");
        for part in ["relu (1.00)", "tanh (3.50)", "critical difference 1.00", "x*sigmoid(x) + 0 (4.00)"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert_eq!(diagram(&across(&[1.0, 2.0, 3.0, 4.0], 0.5)).into_string().matches("stroke-width=\"4\"").count(), 0);
    }

    #[test]
    fn too_few_data_sets_are_said() {
        let said = sentences(&across(&[1.0, 2.0, 3.0, 4.0], 3.3)).join(" ");
        for part in
            ["mnist, iris.csv", "do not agree", "tell no two of so many activations apart", "without a rank: elu"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let page = html(&across(&[1.0, 2.0, 3.0, 4.0], 1.0), &["a/report.html".to_owned(), "b/report.html".to_owned()]);
        assert!(page.contains("href=\"b/report.html\"") && page.contains("<svg role=\"img\""));
    }
}
