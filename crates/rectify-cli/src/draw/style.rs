//! One look per activation, the same in every figure.

/// How an activation's lines are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Red, green, blue.
    pub rgb: [u8; 3],
    /// The line's pattern.
    pub dash: Dash,
}

/// A line's pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// ────
    Solid,
    /// ─ ─ ─
    Dashed,
    /// · · · ·
    Dotted,
}

/// Okabe and Ito's colours, which colour-blind people can tell apart, without the yellow that white paper swallows.
const COLOURS: [[u8; 3]; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [0, 0, 0]];

impl Style {
    /// The look of the activation at `index` in its experiment: a colour each, then the colours again with dashes and
    /// with dots. More than 21 activations share looks.
    pub fn of(index: usize) -> Self {
        let dash = [Dash::Solid, Dash::Dashed, Dash::Dotted][index / COLOURS.len() % 3];
        Self { rgb: COLOURS[index % COLOURS.len()], dash }
    }

    /// The colour as CSS spells it.
    pub fn css(self) -> String {
        let [r, g, b] = self.rgb;
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_one_activations_look_different() {
        let styles: Vec<Style> = (0..21).map(Style::of).collect();
        for (i, style) in styles.iter().enumerate() {
            assert!(!styles[..i].contains(style), "{i} looks like one before it: {style:?}");
        }
        assert_eq!(Style::of(21), styles[0]);
    }
}
