//! Curves on a terminal: a cell is two dots wide and four high.

use rectify_train::judge::number::number;

use crate::draw::function::Points;

/// What a panel shows.
pub struct Panel<'a> {
    /// Stands above it.
    pub title: String,
    /// Lines, apart from each other.
    pub pieces: &'a [Points],
    /// A single value at x = 0.
    pub at_zero: Option<f64>,
}

/// Lines of text that a panel's curves take.
const ROWS: usize = 10;
/// Columns of the labels on the left.
const LABEL: usize = 9;

/// A panel over `range`, in lines of `width` characters: title, curves with the values at top and bottom, range of x.
pub fn panel(Panel { title, pieces, at_zero }: &Panel, range: (f64, f64), width: usize) -> Vec<String> {
    let columns = width.saturating_sub(LABEL + 1).max(8);
    let values = || pieces.iter().flatten().map(|(_, y)| *y).chain(*at_zero);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
    // A constant lies in the middle. Halves first: the ends may be as far apart as numbers go.
    let half = (high / 2.0 - low / 2.0).max(f64::MIN_POSITIVE);
    let (middle, half) = (low / 2.0 + high / 2.0, if high > low { half } else { 1.0 });
    let row = |y: f64| (((1.0 - (y - middle) / half) / 2.0) * (4 * ROWS - 1) as f64).round() as usize;
    let (left, right) = range;
    let column =
        |x: f64| ((x / 2.0 - left / 2.0) / (right / 2.0 - left / 2.0) * (2 * columns - 1) as f64).round() as usize;

    let mut canvas = vec![vec![0_u8; columns]; ROWS];
    let mut dot = |column: usize, row: usize| {
        const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        if let Some(cell) = canvas.get_mut(row / 4).and_then(|line| line.get_mut(column / 2)) {
            *cell |= DOTS[row % 4][column % 2];
        }
    };
    // The axes are dotted, where they are inside.
    if (low..=high).contains(&0.0) {
        (0..2 * columns).step_by(4).for_each(|column| dot(column, row(0.0)));
    }
    if left < 0.0 && right > 0.0 {
        (0..4 * ROWS).step_by(4).for_each(|row| dot(column(0.0), row));
    }
    // Points on a straight line are its ends alone.
    for piece in *pieces {
        let places: Vec<[f64; 2]> = piece.iter().map(|&(x, y)| [column(x) as f64, row(y) as f64]).collect();
        places.iter().for_each(|&[x, y]| dot(x as usize, y as usize));
        for ends in places.windows(2) {
            let [[x, y], [to_x, to_y]] = [ends[0], ends[1]];
            let steps = (to_x - x).abs().max((to_y - y).abs());
            for step in 1..steps as usize {
                let part = step as f64 / steps;
                dot((x + part * (to_x - x)).round() as usize, (y + part * (to_y - y)).round() as usize);
            }
        }
    }
    let mut lines = vec![format!("{:LABEL$} {title}", "")];
    for (index, cells) in canvas.iter().enumerate() {
        let label = match index {
            0 => number(high),
            _ if index == ROWS - 1 => number(low),
            _ => String::new(),
        };
        let mut cells: Vec<char> =
            cells.iter().map(|&dots| char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ')).collect();
        if let Some(y) = at_zero
            && row(*y) / 4 == index
            && let Some(cell) = cells.get_mut(column(0.0) / 2)
        {
            *cell = '●';
        }
        lines.push(format!("{label:>LABEL$} {}", cells.iter().collect::<String>()));
    }
    let (from, to) = (number(left), number(right));
    lines.push(format!("{:LABEL$} {from}{to:>1$}", "", columns.saturating_sub(from.chars().count())));
    lines
}

/// Panels beside each other.
pub fn beside(left: &[String], right: &[String], width: usize) -> String {
    let line = |(left, right): (&String, &String)| format!("{left:<width$}{right}").trim_end().to_owned() + "\n";
    left.iter().zip(right).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(pieces: &[Points], at_zero: Option<f64>, range: (f64, f64)) -> Vec<String> {
        panel(&Panel { title: "φ".to_owned(), pieces, at_zero }, range, 30)
    }

    #[test]
    fn a_hinge_is_low_on_the_left_and_high_on_the_right() {
        let hinge: Points = vec![(-5.0, 0.0), (0.0, 0.0), (5.0, 5.0)];
        let lines = drawn(&[hinge], None, (-5.0, 5.0));
        assert!(lines.iter().all(|line| line.chars().count() <= 30), "{lines:#?}");
        assert_eq!(lines.len(), ROWS + 2);
        let cell = |line: usize, column: usize| lines[line].chars().nth(LABEL + 1 + column);
        for column in 0..10 {
            assert_eq!(cell(10, column), Some('\u{28c0}'), "low on the left: {lines:#?}");
        }
        assert_ne!(cell(5, 15), Some('\u{2800}'), "half as high in between: {lines:#?}");
        assert_ne!(cell(1, 19), Some('\u{2800}'), "high on the right: {lines:#?}");
        assert_eq!(cell(1, 2), Some('\u{2800}'), "nothing above on the left: {lines:#?}");
        assert!(lines[1].contains("5.00") && lines[10].trim_start().starts_with("0 "), "{lines:#?}");
        assert!(lines[11].contains("-5.00") && lines[11].ends_with("5.00"), "{lines:#?}");
    }

    #[test]
    fn constants_jumps_and_huge_ranges_are_drawn_too() {
        let step = [vec![(-1.0, 0.0), (0.0, 0.0)], vec![(0.0, 1.0), (1.0, 1.0)]];
        let lines = drawn(&step, Some(0.5), (-1.0, 1.0));
        assert_eq!(lines.concat().matches('●').count(), 1, "{lines:#?}");
        for pieces in [vec![vec![(0.0, 1.0), (1.0, 1.0)]], vec![vec![(-1e308, -1e308), (1e308, 1e308)]], Vec::new()] {
            assert_eq!(drawn(&pieces, None, (-1e308, 1e308)).len(), ROWS + 2);
        }
    }
}
