//! Names that people type: which known one is meant, and what to say where there is none.

use std::borrow::Cow;

/// The names of one kind of thing.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// What the things are, for messages: `activation`.
    pub kind: &'a str,
    /// The names.
    pub names: &'a [&'a str],
    /// Other names that mean exactly the same, each with the name.
    pub aliases: &'a [(&'a str, &'a str)],
    /// Names that mean something else or are not exact, each with what to suggest.
    pub hints: &'a [(&'a str, &'a [&'a str])],
}

/// Most suggestions in one message.
const SUGGESTIONS: usize = 3;

impl<'a> Vocabulary<'a> {
    /// The name that is meant by `text`: itself or an alias, whatever its case, spaces, hyphens and underscores.
    ///
    /// ```
    /// # use rectify_train::words::Vocabulary;
    /// let names = &["leaky-relu", "silu"];
    /// let activations = Vocabulary { kind: "activation", names, aliases: &[("swish", "silu")], hints: &[] };
    /// assert_eq!(activations.find(" Leaky_ReLU"), Some("leaky-relu"));
    /// assert_eq!(activations.find("Swish"), Some("silu"));
    /// assert_eq!(activations.find("rleu"), None);
    /// ```
    pub fn find(&self, text: &str) -> Option<&'a str> {
        let text = key(text);
        self.spellings().find(|(spelling, _)| key(spelling) == text).map(|(_, name)| name)
    }

    /// The names that come nearest to `text`: several where they are equally near, none where none is near.
    pub fn nearest(&self, text: &str) -> Vec<&'a str> {
        let text = key(text);
        if let Some((_, names)) = self.hints.iter().find(|(hint, _)| key(hint) == text) {
            return names.to_vec();
        }
        let hinted = self.hints.iter().flat_map(|(hint, names)| names.iter().map(move |name| (*hint, *name)));
        let mut near: Vec<(usize, &str)> = self
            .spellings()
            .chain(hinted)
            .filter_map(|(spelling, name)| {
                let spelling = key(spelling);
                let begins = text.chars().count() > 1 && spelling.starts_with(&text);
                let distance = strsim::damerau_levenshtein(&text, &spelling);
                // A third of the letters may be wrong; beyond that a suggestion is a guess.
                let near = 3 * distance <= spelling.chars().count().max(text.chars().count());
                (begins || near).then_some((if begins { 0 } else { distance }, name))
            })
            .collect();
        near.sort_by_key(|(distance, _)| *distance);
        let best = near.first().map(|(distance, _)| *distance);
        let mut names: Vec<&str> = Vec::new();
        for (_, name) in near.into_iter().take_while(|(distance, _)| Some(*distance) == best) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.truncate(SUGGESTIONS);
        names
    }

    /// ``; did you mean `relu`?`` as the end of a sentence; empty where no name is near.
    pub fn question(&self, text: &str) -> String {
        // A parameter is not part of a name.
        let name = text.split_once(':').map_or(text, |(name, _)| name);
        let near: Vec<String> = self.nearest(name).iter().map(|name| format!("`{name}`")).collect();
        if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
    }

    /// ``unknown activation `rleu`; did you mean `relu`? known are none, relu, …``.
    pub fn unknown(&self, text: &str) -> String {
        let question = self.question(text);
        // After a question no semicolon.
        let and = if question.is_empty() { ";" } else { "" };
        let shown = shown(text);
        format!("unknown {} `{shown}`{question}{and} known are {}", self.kind, self.names.join(", "))
    }

    /// Every spelling with its name.
    fn spellings(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.names.iter().map(|name| (*name, *name)).chain(self.aliases.iter().copied())
    }
}

/// As much of a text as tells which one it is, for a message that repeats it.
///
/// ```
/// # use rectify_train::words::shown;
/// assert_eq!(shown("sigmoid(1.702*x)"), "sigmoid(1.702*x)");
/// assert_eq!(shown(&"x".repeat(200)).chars().count(), 81);
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    const CHARACTERS: usize = 80;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A name without what people spell differently.
fn key(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !['-', '_'].contains(c)).flat_map(char::to_lowercase).collect()
}

/// The entries of a list: what stands between commas, where a comma inside parentheses parts nothing.
///
/// ```
/// # use rectify_train::words::entries;
/// assert_eq!(entries("relu, max(x, 0) ,tanh"), ["relu", "max(x, 0)", "tanh"]);
/// ```
pub fn entries(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = list.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURS: Vocabulary = Vocabulary {
        kind: "colour",
        names: &["red", "dark-green", "light-green", "blue"],
        aliases: &[("navy", "blue"), ("forest-green", "dark-green")],
        hints: &[("teal", &["dark-green", "blue"])],
    };

    #[test]
    fn a_name_is_found_whatever_its_case_spaces_hyphens_and_underscores() {
        for text in ["dark-green", "Dark_Green", " DARK GREEN ", "darkgreen", "forest_Green"] {
            assert_eq!(COLOURS.find(text), Some("dark-green"), "{text}");
        }
        for text in ["", "green", "dark.green", "teal", "dark-green:1"] {
            assert_eq!(COLOURS.find(text), None, "{text}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(COLOURS.nearest("bleu"), ["blue"]);
        assert_eq!(COLOURS.nearest("light"), ["light-green"], "the beginning of a name");
        assert_eq!(COLOURS.nearest("forst-green"), ["dark-green"], "an alias stands for its name");
        assert_eq!(COLOURS.nearest("Teal"), ["dark-green", "blue"], "a hint");
        assert_eq!(COLOURS.nearest("taelish"), Vec::<&str>::new());
        assert_eq!(COLOURS.nearest("tael"), ["dark-green", "blue"], "near to a hint");
        assert!(COLOURS.nearest("ultraviolet").is_empty());
        assert!(COLOURS.nearest("").is_empty());
        assert!(COLOURS.nearest("r").is_empty(), "one letter says nothing");
        let known = "known are red, dark-green, light-green, blue";
        assert_eq!(COLOURS.unknown("Bleu:3"), format!("unknown colour `Bleu:3`; did you mean `blue`? {known}"));
        assert_eq!(COLOURS.unknown("x"), format!("unknown colour `x`; {known}"));
    }

    #[test]
    fn commas_inside_parentheses_part_nothing() {
        assert_eq!(entries("a,b"), ["a", "b"]);
        assert_eq!(entries(" f(x, g(y, z)), b "), ["f(x, g(y, z))", "b"]);
        assert_eq!(entries("a),b"), ["a)", "b"], "a parenthesis too many closes nothing");
        assert_eq!(entries("f(a,b"), ["f(a,b"]);
        assert_eq!(entries(",a,"), ["", "a", ""]);
    }
}
