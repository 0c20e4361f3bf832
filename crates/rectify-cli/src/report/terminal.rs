//! Tables and text for a terminal: as wide as it is, broken between words, never inside one.

use std::collections::HashSet;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use rectify_train::judge::number::ABSENT;

/// Columns where standard output is no terminal, as into a file, and `COLUMNS` does not say otherwise.
const WITHOUT_TERMINAL: usize = 80;
/// What a name is shortened to, at the least.
const SHORTEST_NAME: usize = 12;
/// At most so much is left of names that a shorter beginning would not tell apart.
const LONGEST_BEGINNING: usize = 28;
/// The narrowest that a column of words is made, unless it needs less.
const NARROWEST_WORDS: usize = 12;
/// Between two columns stand a line and a space at each side of it, and around the table as much.
const BORDER: usize = 3;

/// What a column holds, which decides how it may be made narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Names, on the left; long ones end in `…` and are listed whole beneath. The table's first column is always there.
    Name,
    /// Numbers, on the right; they are whole or not there. Only an interval in parentheses may have a line of its own.
    Number,
    /// Words, broken between them into lines.
    Words,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its header, broken between words where its cells are narrower.
    pub header: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Columns of a smaller rank are there before those of a larger one.
    pub rank: u8,
}

/// The width of what is printed: that of the terminal that standard output is, otherwise what `COLUMNS` says, otherwise 80.
pub fn width() -> usize {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    terminal().or_else(told).unwrap_or(WITHOUT_TERMINAL)
}

fn terminal() -> Option<usize> {
    // Some terminals have a width of 0 and mean that they do not know.
    Table::new().width().map(usize::from).filter(|width| *width > 0)
}

/// A table of at most `width` characters, and beneath it which columns there was no room for and which names it shortened.
///
/// Rows are as long as `columns`. Columns are taken by rank while they fit, those without any number last. Only a
/// terminal too narrow for the first column gets more than its width.
pub fn table(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let cells = |index: usize| rows.iter().map(move |row| row.get(index).map_or("", String::as_str));
    let sizes: Vec<Sizes> = (0..columns.len()).map(|index| Sizes::of(columns[index], cells(index))).collect();

    let mut by_rank: Vec<usize> = (1..columns.len()).collect();
    by_rank.sort_by_key(|&index| (cells(index).all(|cell| cell == ABSENT), columns[index].rank));
    let mut chosen: Vec<usize> = if columns.is_empty() { Vec::new() } else { vec![0] };
    let least = |chosen: &[usize]| chosen.iter().map(|&index| sizes[index].least + BORDER).sum::<usize>() + 1;
    for index in by_rank {
        chosen.push(index);
        if least(&chosen) > width {
            chosen.pop();
        }
    }
    chosen.sort_unstable();

    let mut widths: Vec<usize> = chosen.iter().map(|&index| sizes[index].least).collect();
    let mut spare = width.saturating_sub(least(&chosen));
    // What is left goes to names, then to numbers, then to words, a character at a time so that columns grow alike.
    for kind in [Kind::Name, Kind::Number, Kind::Words] {
        let mut grown = true;
        while grown && spare > 0 {
            grown = false;
            for (width, &index) in widths.iter_mut().zip(&chosen) {
                if columns[index].kind == kind && *width < sizes[index].most && spare > 0 {
                    (*width, spare, grown) = (*width + 1, spare - 1, true);
                }
            }
        }
    }

    // What a column of words leaves at its lines' ends is the last one's.
    let words: Vec<usize> = (0..chosen.len()).filter(|&place| columns[chosen[place]].kind == Kind::Words).collect();
    if let Some((&last, others)) = words.split_last() {
        for &place in others {
            let header = wrap(columns[chosen[place]].header, widths[place]);
            let lines = cells(chosen[place]).flat_map(|cell| wrap(cell, widths[place])).chain(header);
            let used = lines.map(|line| length(&line)).max().unwrap_or(0);
            spare += widths[place] - used.min(widths[place]);
            widths[place] = used.min(widths[place]);
        }
        widths[last] = sizes[chosen[last]].most.min(widths[last] + spare);
    }

    let mut drawn = Table::new();
    drawn
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(chosen.iter().zip(&widths).map(|(&index, &width)| wrap(columns[index].header, width).join("\n")));
    for row in rows {
        drawn.add_row(chosen.iter().zip(&widths).map(|(&index, &width)| {
            let cell = row.get(index).map_or("", String::as_str);
            match columns[index].kind {
                Kind::Name => shorten(cell, width),
                Kind::Number if length(cell) > width => parts(cell).join("\n"),
                Kind::Number => cell.to_owned(),
                Kind::Words => wrap(cell, width).join("\n"),
            }
        }));
    }
    for (place, &index) in chosen.iter().enumerate() {
        if let (Kind::Number, Some(column)) = (columns[index].kind, drawn.column_mut(place)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let left_out: Vec<&str> =
        // Of a column without any number nothing is missed.
        (0..columns.len())
            .filter(|index| !chosen.contains(index) && cells(*index).any(|cell| cell != ABSENT))
            .map(|index| columns[index].header)
            .collect();
    let mut beneath = match left_out[..] {
        [] => Vec::new(),
        _ => vec![format!("Not shown for want of width: {}.", left_out.join("; "))],
    };
    for (&index, &width) in chosen.iter().zip(&widths).filter(|(index, _)| columns[**index].kind == Kind::Name) {
        // What was cut before it came here is not whole.
        for whole in cells(index).filter(|cell| length(cell) > width && !cell.ends_with('…')) {
            let line = format!("{} is {whole}", shorten(whole, width));
            if !beneath.contains(&line) {
                beneath.push(line);
            }
        }
    }
    beneath.iter().fold(drawn.to_string(), |text, line| format!("{text}\n{}", broken(line, width)))
}

/// A paragraph whose longer words, as formulas may be, are broken too.
fn broken(text: &str, width: usize) -> String {
    let lines = paragraph(text, width);
    let pieces = lines.lines().flat_map(|line| {
        let line: Vec<char> = line.chars().collect();
        line.chunks(width.max(1)).map(|piece| piece.iter().collect()).collect::<Vec<String>>()
    });
    pieces.collect::<Vec<_>>().join("\n")
}

/// A text broken between words into lines of at most `width` characters; longer words have a line of their own. Lines that
/// fit stay as they are.
pub fn paragraph(text: &str, width: usize) -> String {
    let line = |line: &str| if length(line) <= width { line.to_owned() } else { wrap(line, width).join("\n") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A paragraph whose lines begin with so many spaces.
pub fn indented(text: &str, spaces: usize, width: usize) -> String {
    let lines = paragraph(text, width.saturating_sub(spaces));
    lines.lines().map(|line| format!("{}{line}", " ".repeat(spaces))).collect::<Vec<_>>().join("\n")
}

/// A bar of `fraction` of `width` characters, to an eighth of one.
pub fn bar(fraction: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (fraction.clamp(0.0, 1.0) * (8 * width) as f64).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Each number as a block between the lowest and the highest of them; a dot where there is none.
pub fn sparkline(values: &[Option<f64>]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let block = |value: f64| match high > low {
        true => BLOCKS[((value - low) / (high - low) * 7.0).round() as usize],
        false => BLOCKS[3],
    };
    values.iter().map(|value| value.filter(|value| value.is_finite()).map_or('·', block)).collect()
}

/// How narrow a column can be and how wide it wants to be.
struct Sizes {
    least: usize,
    most: usize,
}

impl Sizes {
    fn of<'a>(column: Column, cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let longest_word = |text: &str| words(text).iter().map(|word| length(word)).max().unwrap_or(0);
        let header = longest_word(column.header);
        let widest = cells.clone().map(length).max().unwrap_or(0);
        match column.kind {
            Kind::Name => {
                let distinct =
                    |width: usize| cells.clone().map(|cell| shorten(cell, width)).collect::<HashSet<_>>().len();
                let tells_apart = |width: &usize| distinct(*width) == distinct(usize::MAX);
                let least = (SHORTEST_NAME..LONGEST_BEGINNING).find(tells_apart).unwrap_or(SHORTEST_NAME);
                Self { least: widest.min(least).max(header), most: widest.max(header) }
            }
            Kind::Number => {
                let parts = cells.flat_map(parts).map(|part| length(&part)).max().unwrap_or(0);
                Self { least: parts.max(header), most: widest.max(header) }
            }
            Kind::Words => {
                let most = widest.max(length(column.header));
                let words = cells.map(longest_word).max().unwrap_or(0).max(header);
                Self { least: words.max(most.min(NARROWEST_WORDS)), most }
            }
        }
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// `32.83` and `(0.00 to 100.00)`.
fn parts(numbers: &str) -> Vec<String> {
    match numbers.split_once(" (") {
        Some((number, interval)) => vec![number.to_owned(), format!("({interval}")],
        None => vec![numbers.to_owned()],
    }
}

fn shorten(name: &str, width: usize) -> String {
    if length(name) <= width {
        return name.to_owned();
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// What no line breaks: words, and a number with its sign of percent.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let number = |before: &&mut String| word.starts_with('%') && before.ends_with(|c: char| c.is_ascii_digit());
        match words.last_mut().filter(number) {
            Some(number) => *number += &format!(" {word}"),
            None => words.push(word.to_owned()),
        }
    }
    words
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in &words(text) {
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            line.clone_from(word);
        } else if length(line) + 1 + length(word) <= width {
            *line += " ";
            *line += word;
        } else {
            lines.push(word.clone());
        }
    }
    lines
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The cells of a drawn table's body, each with its lines joined, after checking that no line is too wide.
    pub(crate) fn body(text: &str, width: usize) -> Vec<Vec<String>> {
        for line in text.lines() {
            assert!(length(line) <= width, "{} characters, not {width}:\n{text}", length(line));
        }
        let rows = text.lines().skip_while(|line| !line.starts_with('╞')).filter(|line| line.starts_with('│'));
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('│').split('┆').map(|cell| cell.trim().to_owned()).collect()
        };
        let mut all: Vec<Vec<String>> = Vec::new();
        for row in rows.map(cells) {
            // A line without a name goes on with the row above.
            match all.last_mut().filter(|_| row[0].is_empty()) {
                Some(last) => last.iter_mut().zip(row).filter(|(_, more)| !more.is_empty()).for_each(|(cell, more)| {
                    *cell += " ";
                    *cell += &more;
                }),
                None => all.push(row),
            }
        }
        all
    }

    const COLUMNS: [Column; 4] = [
        Column { header: "name", kind: Kind::Name, rank: 0 },
        Column { header: "a number with a long header", kind: Kind::Number, rank: 2 },
        Column { header: "small", kind: Kind::Number, rank: 1 },
        Column { header: "what is said", kind: Kind::Words, rank: 3 },
    ];

    fn row(name: &str, number: &str, small: &str, words: &str) -> Vec<String> {
        [name, number, small, words].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_fits_is_whole_and_what_does_not_is_named() {
        let sentence = "nothing was measured here that anybody could have known";
        let rows = [row("relu", "97.51 ± 0.21", "1.5", sentence), row(&"n".repeat(60), "1.00e-310", "–", "completed")];
        let mut shown = Vec::new();
        for width in [20, 30, 40, 60, 80, 100, 200] {
            let text = table(&COLUMNS, &rows, width);
            let body = body(&text, width);
            let columns = body[0].len();
            for (cells, row) in body.iter().zip(&rows) {
                let name = cells[0].trim_end_matches('…');
                assert!(row[0].starts_with(name), "{text}");
                assert!(cells[1..].iter().all(|cell| row.contains(cell)), "a cell was broken inside a word:\n{text}");
            }
            assert_eq!(text.contains("Not shown"), columns < 4, "{text}");
            shown.push(columns);
            let beneath: String = text.rsplit('┘').next().unwrap_or("").split_whitespace().collect();
            let whole = body[1][0] == rows[1][0] || beneath.ends_with(&format!("…is{}", rows[1][0]));
            assert!(whole, "a shortened name is whole beneath:\n{text}");
        }
        assert_eq!((shown[0], shown[6]), (1, 4), "{shown:?}");
        assert!(shown.is_sorted(), "{shown:?}");
    }

    #[test]
    fn names_are_shortened_only_where_they_must() {
        let rows = [row(&"n".repeat(60), "1", "2", "three")];
        assert!(table(&COLUMNS, &rows, 80).contains("n…"));
        assert!(table(&COLUMNS, &rows, 200).contains(&"n".repeat(60)));
    }

    #[test]
    fn shortened_names_are_told_apart_where_their_beginnings_can() {
        let rows = ["x*sigmoid(1.5*x)", "x*sigmoid(1.702*x)", "relu"].map(|name| row(name, "1", "2", "three"));
        let text = table(&COLUMNS, &rows, 50);
        let names: Vec<String> = body(&text, 50).into_iter().map(|cells| cells[0].clone()).collect();
        assert_eq!(names, ["x*sigmoid(1.5…", "x*sigmoid(1.7…", "relu"]);
        assert!(text.ends_with("x*sigmoid(1.5… is x*sigmoid(1.5*x)\nx*sigmoid(1.7… is x*sigmoid(1.702*x)"), "{text}");
    }

    #[test]
    fn a_column_without_numbers_gives_way_first() {
        let rows = [row("relu", "–", "–", "words that are there")];
        // Wide enough for `small` or the words, and `small` is of the smaller rank.
        assert_eq!(body(&table(&COLUMNS, &rows, 26), 26), [["relu", "words that are there"]]);
        let rows = [row("relu", "–", "1", "words that are there")];
        assert_eq!(body(&table(&COLUMNS, &rows, 26), 26), [["relu", "–", "1"]]);
    }

    #[test]
    fn an_interval_has_a_line_of_its_own_before_its_column_is_left_out() {
        let rows = [row("relu", "32.83 (0.00 to 100.00)", "1", "so")];
        assert!(table(&COLUMNS, &rows, 80).contains(" 32.83 (0.00 to 100.00) "));
        let narrow = table(&COLUMNS[..2], &rows, 30);
        assert_eq!(body(&narrow, 30), [["relu", "32.83 (0.00 to 100.00)"]]);
        assert!(narrow.contains(" 32.83 │"), "{narrow}");
    }

    #[test]
    fn what_one_column_of_words_leaves_the_last_one_takes() {
        let columns = [COLUMNS[0], COLUMNS[3], Column { header: "more", ..COLUMNS[3] }];
        let long = "word ".repeat(30);
        let rows = [vec!["relu".to_owned(), "incomprehensibilities notwithstanding".to_owned(), long]];
        let widest = |width| table(&columns, &rows, width).lines().map(length).max();
        for width in 60..100 {
            assert!(
                widest(width).is_some_and(|widest| (width - 4..=width).contains(&widest)),
                "{:?} of {width}",
                widest(width)
            );
        }
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert!(table(&COLUMNS, &[], 80).contains("name"));
    }

    #[test]
    fn a_paragraph_is_broken_between_words() {
        assert_eq!(paragraph("one two three\nfour", 8), "one two\nthree\nfour");
        assert_eq!(paragraph("incomprehensibilities", 8), "incomprehensibilities");
        assert_eq!(paragraph("  a  b", 8), "  a  b", "a line that fits keeps its place");
        assert_eq!(paragraph("it is 97.5 %.", 10), "it is\n97.5 %.", "a number keeps its sign");
        assert_eq!(indented("one two three", 2, 10), "  one two\n  three");
    }

    #[test]
    fn bars_and_sparklines_are_as_long_as_their_numbers() {
        assert_eq!(["", "▌", "████", "████████"].map(str::to_owned), [0.0, 0.0625, 0.5, 2.0].map(|part| bar(part, 8)));
        assert_eq!(sparkline(&[Some(0.0), None, Some(1.0), Some(f64::NAN), Some(0.5)]), "▁·█·▅");
        assert_eq!(sparkline(&[Some(2.0), Some(2.0)]), "▄▄");
        assert_eq!(sparkline(&[]), "");
    }
}
