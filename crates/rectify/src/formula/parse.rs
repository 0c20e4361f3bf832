//! From text to a graph: tokens, then operator precedence (Pratt 1973, *Top down operator precedence*).

use std::{collections::HashMap, f64::consts, ops::Range};

use super::{
    error::FormulaError,
    graph::{Binary, Graph, Id, Unary},
};
use crate::Activation;

/// Most characters of a formula.
pub(super) const LONGEST: usize = 1000;
/// Most parentheses, signs and powers inside of each other.
pub(super) const DEEPEST: usize = 64;
/// Most characters of a formula's name.
const LONGEST_NAME: usize = 32;

/// Functions of one argument, by all their names.
pub(super) const FUNCTIONS: &[(&str, Unary)] = &[
    ("exp", Unary::Exp),
    ("expm1", Unary::Expm1),
    ("log", Unary::Log),
    ("ln", Unary::Log),
    ("log1p", Unary::Log1p),
    ("sqrt", Unary::Sqrt),
    ("abs", Unary::Abs),
    ("sign", Unary::Sign),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("tanh", Unary::Tanh),
    ("sigmoid", Unary::Sigmoid),
    ("erf", Unary::Erf),
    ("relu", Unary::Relu),
    ("softplus", Unary::Softplus),
];
const FUNCTIONS_OF_TWO: [(&str, Binary); 2] = [("max", Binary::Max), ("min", Binary::Min)];
const CHOICES: [&str; 2] = ["where", "if"];
const CONSTANTS: [(&str, f64); 3] = [("pi", consts::PI), ("π", consts::PI), ("e", consts::E)];

/// A text's parts.
pub(super) struct Parsed {
    pub(super) name: Option<String>,
    /// φ as it was written, without name and parameters.
    pub(super) expression: String,
    pub(super) graph: Graph,
    pub(super) value: Id,
}

/// Reads `name = formula; parameter = number; …`.
pub(super) fn parse(text: &str) -> Result<Parsed, FormulaError> {
    // No more of a text is looked at than may be one.
    let characters: Vec<char> = text.chars().take(LONGEST + 1).collect();
    if characters.len() > LONGEST {
        let reason = format!("a formula has at most {LONGEST} characters, this text has {}", text.chars().count());
        return Err(FormulaError::new(&characters, LONGEST..LONGEST, reason));
    }
    let tokens = tokens(&characters)?;
    let mut segments = tokens.split(|token| token.kind == Kind::Semicolon);
    let first = segments.next().unwrap_or(&[]);
    let mut parser = Parser {
        text: &characters,
        tokens: &[],
        at: 0,
        end: 0,
        depth: 0,
        graph: Graph::default(),
        x: Variable::Forbidden,
        parameters: HashMap::new(),
    };
    for segment in segments.filter(|segment| !segment.is_empty()) {
        parser.parameter(segment)?;
    }
    let (name, body) = parser.named(first)?;
    parser.x = Variable::Allowed;
    let value = parser.whole(body)?;
    if let Some((_, parameter)) = parser.parameters.iter().find(|(_, parameter)| !parameter.used) {
        return Err(parser.error(parameter.place.clone(), "no parameter of this name is in the formula"));
    }
    let expression = match (body.first(), body.last()) {
        (Some(first), Some(last)) => characters[first.place.start..last.place.end].iter().collect(),
        _ => String::new(),
    };
    Ok(Parsed { name, expression, graph: parser.graph, value })
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Number(f64),
    Word(String),
    Operator(&'static str),
    Open,
    Close,
    Comma,
    Semicolon,
}

#[derive(Debug, Clone, PartialEq)]
struct Token {
    kind: Kind,
    place: Range<usize>,
}

/// Longer ones first.
const OPERATORS: [&str; 14] = ["<=", ">=", "==", "!=", "**", "+", "-", "*", "/", "^", "<", ">", "=", "!"];
/// Operators as they are printed.
const SIGNS: [(char, &str); 8] =
    [('−', "-"), ('×', "*"), ('·', "*"), ('⋅', "*"), ('÷', "/"), ('≤', "<="), ('≥', ">="), ('≠', "!=")];

fn tokens(text: &[char]) -> Result<Vec<Token>, FormulaError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = text.get(at) {
        let run = |from: usize, belongs: fn(char) -> bool| {
            from + text[from..].iter().take_while(|character| belongs(**character)).count()
        };
        let digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
        let (kind, end) = match first {
            _ if first.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => (Kind::Open, at + 1),
            ')' => (Kind::Close, at + 1),
            ',' => (Kind::Comma, at + 1),
            ';' => (Kind::Semicolon, at + 1),
            _ if first.is_ascii_digit() || (first == '.' && digit(at + 1)) => {
                let mut end = run(at, |c| c.is_ascii_digit());
                if text.get(end) == Some(&'.') {
                    end = run(end + 1, |c| c.is_ascii_digit());
                }
                if matches!(text.get(end), Some('e' | 'E')) {
                    let sign = usize::from(matches!(text.get(end + 1), Some('+' | '-')));
                    if digit(end + 1 + sign) {
                        end = run(end + 1 + sign, |c| c.is_ascii_digit());
                    }
                }
                let digits: String = text[at..end].iter().collect();
                match digits.parse::<f64>() {
                    Ok(number) if number.is_finite() => (Kind::Number(number), end),
                    _ => return Err(FormulaError::new(text, at..end, format!("numbers end at {:e}", f64::MAX))),
                }
            }
            _ if first.is_alphabetic() || first == '_' => {
                let end = run(at, |c| c.is_alphabetic() || c.is_ascii_digit() || c == '_');
                (Kind::Word(text[at..end].iter().collect()), end)
            }
            _ => {
                let begins = |operator: &&&str| operator.chars().enumerate().all(|(i, c)| text.get(at + i) == Some(&c));
                let sign = SIGNS.iter().find(|(sign, _)| *sign == first).map(|(_, operator)| (*operator, at + 1));
                let operator = || OPERATORS.iter().find(begins).map(|operator| (*operator, at + operator.len()));
                let Some((operator, end)) = sign.or_else(operator) else {
                    return Err(FormulaError::new(text, at..at + 1, meaningless(first)));
                };
                (Kind::Operator(operator), end)
            }
        };
        tokens.push(Token { kind, place: at..end });
        at = end;
    }
    Ok(tokens)
}

/// What is said of a character that begins nothing.
fn meaningless(character: char) -> String {
    let instead = match character {
        '²' => "; write `^2`",
        '³' => "; write `^3`",
        '√' => "; write `sqrt(x)`",
        '|' => "; the size of a number is `abs(x)`",
        '[' | ']' | '{' | '}' => "; parentheses are round",
        _ => "",
    };
    let shown = if character.is_control() { character.escape_debug().to_string() } else { character.to_string() };
    format!("`{shown}` means nothing in a formula{instead}")
}

struct Parameter {
    value: Id,
    place: Range<usize>,
    used: bool,
}

#[derive(PartialEq)]
enum Variable {
    Allowed,
    Forbidden,
}

struct Parser<'a> {
    text: &'a [char],
    /// Of the segment that is read.
    tokens: &'a [Token],
    at: usize,
    /// Where the segment ends in the text.
    end: usize,
    depth: usize,
    graph: Graph,
    /// Whether x may stand here.
    x: Variable,
    parameters: HashMap<String, Parameter>,
}

/// How strongly an operator binds to its left and to its right.
fn binding(operator: &str) -> Option<(Binary, u8, u8)> {
    Some(match operator {
        "<" => (Binary::Less, 1, 2),
        "<=" => (Binary::LessEqual, 1, 2),
        ">" => (Binary::Greater, 1, 2),
        ">=" => (Binary::GreaterEqual, 1, 2),
        "==" => (Binary::Equal, 1, 2),
        "!=" => (Binary::NotEqual, 1, 2),
        "+" => (Binary::Add, 3, 4),
        "-" => (Binary::Sub, 3, 4),
        "*" => (Binary::Mul, 5, 6),
        "/" => (Binary::Div, 5, 6),
        // From right to left, and before a sign: −x² is −(x²).
        "^" | "**" => (Binary::Pow, 9, 8),
        _ => return None,
    })
}

/// A sign takes products' operands, but no product.
const SIGN: u8 = 7;

impl<'a> Parser<'a> {
    fn error(&self, place: Range<usize>, reason: impl Into<String>) -> FormulaError {
        FormulaError::new(self.text, place, reason)
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    /// The place of the token that comes next, or of the segment's end.
    fn here(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |token| token.place.clone())
    }

    /// The name in front of `=`, where there is one, and what comes behind.
    fn named(&mut self, tokens: &'a [Token]) -> Result<(Option<String>, &'a [Token]), FormulaError> {
        let Some(at) = tokens.iter().position(|token| token.kind == Kind::Operator("=")) else {
            return Ok((None, tokens));
        };
        let (name, equals) = (&tokens[..at], &tokens[at].place);
        let (Some(first), Some(last)) = (name.first(), name.last()) else {
            return Err(self.error(equals.clone(), "a name is missing before `=`"));
        };
        let place = first.place.start..last.place.end;
        let text: String = self.text[place.clone()].iter().collect();
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == ' ';
        if !text.chars().all(plain) || !text.starts_with(char::is_alphabetic) {
            let reason = "a name is letters, digits, `-` and `_`; to compare write `==`";
            return Err(self.error(place, reason));
        }
        if place.len() > LONGEST_NAME {
            return Err(self.error(place, format!("a name has at most {LONGEST_NAME} characters")));
        }
        if text == "x" {
            return Err(self.error(place, "`x` is the variable and no name"));
        }
        Ok((Some(text), &tokens[at + 1..]))
    }

    /// `name = number`.
    fn parameter(&mut self, tokens: &'a [Token]) -> Result<(), FormulaError> {
        let place = tokens[0].place.clone();
        let [Token { kind: Kind::Word(name), .. }, Token { kind: Kind::Operator("="), .. }, value @ ..] = tokens else {
            return Err(self.error(place, "behind a semicolon stands a parameter, as in `b = 2`"));
        };
        let reserved = name == "x"
            || CHOICES.contains(&name.as_str())
            || CONSTANTS.iter().any(|(constant, _)| constant == name)
            || FUNCTIONS.iter().any(|(function, _)| function == name)
            || FUNCTIONS_OF_TWO.iter().any(|(function, _)| function == name);
        if reserved {
            return Err(self.error(place, format!("`{name}` has its own meaning; call the parameter otherwise")));
        }
        if self.parameters.contains_key(name) {
            return Err(self.error(place, format!("the parameter `{name}` is given twice")));
        }
        let whole = value.first().zip(value.last()).map(|(first, last)| first.place.start..last.place.end);
        let value = self.whole(value)?;
        if self.graph.value(value).is_none() {
            return Err(self.error(whole.unwrap_or(place), "a parameter's value is a finite number"));
        }
        self.parameters.insert(name.clone(), Parameter { value, place, used: false });
        Ok(())
    }

    /// An expression that all these tokens are.
    fn whole(&mut self, tokens: &'a [Token]) -> Result<Id, FormulaError> {
        (self.tokens, self.at) = (tokens, 0);
        self.end = tokens.last().map_or(self.text.len(), |token| token.place.end);
        let value = self.expression(0)?;
        match self.peek() {
            None => Ok(value),
            Some(token) => Err(self.error(token.place.clone(), self.unexpected(token))),
        }
    }

    /// What to say of a token that does not go on with an expression.
    fn unexpected(&self, token: &Token) -> &'static str {
        match token.kind {
            Kind::Close => "no parenthesis is open here",
            Kind::Comma => "a comma stands only between the arguments of a function",
            Kind::Operator("=") => "`=` stands only behind a name; to compare write `==`",
            Kind::Operator("<" | "<=" | ">" | ">=" | "==" | "!=") => {
                "comparisons do not chain; multiply them: `(0 < x)*(x < 1)`"
            }
            Kind::Number(_) | Kind::Word(_) | Kind::Open => "an operator is missing before this; a product has a `*`",
            Kind::Operator(_) | Kind::Semicolon => "this does not belong here",
        }
    }

    /// An expression whose operators bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Id, FormulaError> {
        if self.depth > DEEPEST {
            let reason = format!("parentheses, signs and powers go at most {DEEPEST} deep");
            return Err(self.error(self.here(), reason));
        }
        self.depth += 1;
        let mut left = self.operand()?;
        let mut compared = false;
        while let Some(Token { kind: Kind::Operator(operator), .. }) = self.peek() {
            let Some((function, _, to_right)) = binding(operator).filter(|(_, to_left, _)| *to_left >= least) else {
                break;
            };
            if function.compares() && compared {
                break;
            }
            compared = function.compares();
            self.at += 1;
            let right = self.expression(to_right)?;
            left = self.graph.binary(function, left, right);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Id, FormulaError> {
        let here = self.here();
        match self.next().map(|token| &token.kind) {
            Some(Kind::Number(number)) => Ok(self.graph.constant(*number)),
            Some(Kind::Word(word)) if self.peek().is_some_and(|token| token.kind == Kind::Open) => {
                self.call(word, here)
            }
            Some(Kind::Word(word)) => self.word(word, here),
            Some(Kind::Operator("-")) => {
                let operand = self.expression(SIGN)?;
                Ok(self.graph.unary(Unary::Neg, operand))
            }
            Some(Kind::Operator("+")) => self.expression(SIGN),
            Some(Kind::Open) => {
                let inner = self.expression(0)?;
                self.close(here)?;
                Ok(inner)
            }
            Some(_) => Err(self.error(here, "a number, `x`, a function or a parenthesis is missing before this")),
            None => Err(self.error(here, "a number, `x`, a function or a parenthesis is missing here")),
        }
    }

    /// The parenthesis that closes what was opened at `open`.
    fn close(&mut self, open: Range<usize>) -> Result<(), FormulaError> {
        match self.next() {
            Some(Token { kind: Kind::Close, .. }) => Ok(()),
            Some(token) => Err(self.error(token.place.clone(), self.unexpected(token))),
            None => Err(self.error(open, "this parenthesis is not closed")),
        }
    }

    /// A word that is no function: x, a constant or a parameter.
    fn word(&mut self, word: &str, place: Range<usize>) -> Result<Id, FormulaError> {
        if word == "x" {
            return match self.x {
                Variable::Allowed => Ok(self.graph.x()),
                Variable::Forbidden => Err(self.error(place, "a parameter is a number: `x` is not")),
            };
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|(name, _)| *name == word) {
            return Ok(self.graph.constant(*value));
        }
        if let Some(parameter) = self.parameters.get_mut(word) {
            parameter.used = true;
            return Ok(parameter.value);
        }
        let function = arity(word).is_some();
        let reason = match function {
            true => format!("`{word}` is a function: its argument stands in parentheses behind it"),
            false if self.x == Variable::Forbidden => {
                format!("`{word}` has no value yet: a parameter may be made of those that stand before it")
            }
            false => {
                format!("`{word}` has no value; the variable is `x`, and a parameter is given as in `; {word} = 2`")
            }
        };
        Err(self.error(place, reason))
    }

    /// A function with its arguments, of which the opening parenthesis comes next.
    fn call(&mut self, word: &str, place: Range<usize>) -> Result<Id, FormulaError> {
        let Some(arity) = arity(word) else {
            return Err(self.error(place, self.unknown(word)));
        };
        let open = self.here();
        self.at += 1;
        let mut arguments = vec![self.expression(0)?];
        while self.peek().is_some_and(|token| token.kind == Kind::Comma) {
            self.at += 1;
            arguments.push(self.expression(0)?);
        }
        self.close(open)?;
        let graph = &mut self.graph;
        let unary = FUNCTIONS.iter().find(|(name, _)| *name == word);
        let binary = FUNCTIONS_OF_TWO.iter().find(|(name, _)| *name == word);
        match (&arguments[..], unary, binary) {
            (&[a], Some((_, function)), _) => Ok(graph.unary(*function, a)),
            (&[a, b], _, Some((_, function))) => Ok(graph.binary(*function, a, b)),
            (&[condition, a, b], None, None) => Ok(graph.choose(condition, a, b)),
            (given, ..) => {
                let (given, plural) = (given.len(), if arity == 1 { "" } else { "s" });
                Err(self.error(place, format!("`{word}` takes {arity} argument{plural}, got {given}")))
            }
        }
    }

    /// What is said of a word before a parenthesis that is no function.
    fn unknown(&self, word: &str) -> String {
        let is_number =
            word == "x" || CONSTANTS.iter().any(|(name, _)| *name == word) || self.parameters.contains_key(word);
        if is_number {
            return format!("`{word}` is no function; a product has a `*`, as in `{word}*(x + 1)`");
        }
        let lower = word.to_lowercase();
        if arity(&lower).is_some() {
            return format!("unknown function `{word}`; `{lower}` is one");
        }
        let functions: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).chain(["max", "min", "where"]).collect();
        let functions = functions.join(", ");
        match Activation::all().iter().any(|activation| activation.name() == lower.replace('-', "_")) {
            true => format!("`{word}` is an activation by itself and no function of a formula; these are {functions}"),
            false => format!("unknown function `{word}`; known are {functions}"),
        }
    }
}

/// How many arguments a function takes; `None` where there is no such function.
fn arity(word: &str) -> Option<usize> {
    if FUNCTIONS.iter().any(|(name, _)| *name == word) {
        Some(1)
    } else if FUNCTIONS_OF_TWO.iter().any(|(name, _)| *name == word) {
        Some(2)
    } else {
        CHOICES.contains(&word).then_some(3)
    }
}
