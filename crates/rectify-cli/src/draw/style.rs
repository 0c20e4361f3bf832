//! One look per activation, the same in every figure, and one per layer.

/// How lines are drawn.
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

    /// The colour for SVG within a page, where black is the text's colour: it is light on a dark page.
    pub fn ink(self) -> String {
        if self.rgb == [0, 0, 0] { "currentColor".to_owned() } else { self.css() }
    }

    /// The look of the layer at `index` of `count`: from orange at the input to blue at the output.
    pub fn of_layer(index: usize, count: usize) -> Self {
        let t = index as f64 / (count.max(2) - 1) as f64;
        let [first, last] = [COLOURS[4], COLOURS[0]];
        let rgb = [0, 1, 2].map(|i| (f64::from(first[i]) * (1.0 - t) + f64::from(last[i]) * t).round() as u8);
        Self { rgb, dash: Dash::Solid }
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

    #[test]
    fn layers_go_from_orange_to_blue() {
        assert_eq!(Style::of_layer(0, 5).css(), "#e69f00");
        assert_eq!(Style::of_layer(4, 5).css(), "#0072b2");
        assert_eq!(Style::of_layer(0, 1).css(), "#e69f00");
        let between = Style::of_layer(1, 3).rgb;
        assert!(between[0] > 0 && between[2] > 0, "{between:?}");
    }

    #[test]
    fn black_is_the_texts_colour_in_a_page() {
        assert_eq!((Style::of(6).ink().as_str(), Style::of(6).css().as_str()), ("currentColor", "#000000"));
        assert_eq!(Style::of(0).ink(), Style::of(0).css());
    }
}
