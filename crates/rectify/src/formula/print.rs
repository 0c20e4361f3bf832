//! A graph as text, with as few parentheses as its meaning allows.

use super::{
    graph::{Binary, Graph, Id, Node, Unary},
    parse::FUNCTIONS,
};

/// Beyond so many characters the rest is left out: as a text, what stands once in a graph is written at each use.
const LONGEST: usize = 2000;

/// How deep a text goes into a graph, for the stack's sake: a formula that is typed is not as deep.
const DEEPEST: usize = 2000;

/// How strongly a text's outermost operator binds.
const COMPARISON: u8 = 1;
const SUM: u8 = 2;
const PRODUCT: u8 = 3;
const SIGN: u8 = 4;
const POWER: u8 = 5;
const ATOM: u8 = 6;

/// The expression at `id`.
pub(super) fn text(graph: &Graph, id: Id) -> String {
    let mut printer = Printer { graph, text: String::new(), depth: 0 };
    printer.print(id, 0);
    if printer.text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| printer.text.is_char_boundary(*end)).unwrap_or(0);
        printer.text.truncate(end);
        printer.text.push('…');
    }
    printer.text
}

struct Printer<'a> {
    graph: &'a Graph,
    text: String,
    depth: usize,
}

impl Printer<'_> {
    /// Writes `id`, in parentheses where it binds less strongly than `least`.
    fn print(&mut self, id: Id, least: u8) {
        if self.text.len() > LONGEST {
            return;
        }
        if self.depth == DEEPEST {
            return self.text.push('…');
        }
        self.depth += 1;
        let node = self.graph.node(id);
        let open = self.strength(node) < least;
        if open {
            self.text.push('(');
        }
        match node {
            Node::X => self.text.push('x'),
            Node::Constant(bits) => self.number(f64::from_bits(bits)),
            Node::Unary(Unary::Neg, a) => {
                self.text.push('-');
                self.print(a, PRODUCT);
            }
            // What formulas have no name for.
            Node::Unary(Unary::Probability, a) => self.around("(0.5 + 0.5*erf(0.7071067811865476*", a, "))"),
            Node::Unary(Unary::Density, a) => self.around("(0.3989422804014327*exp(-0.5*", a, "^2))"),
            Node::Unary(function, a) => {
                let name = FUNCTIONS.iter().find(|(_, known)| *known == function);
                self.call(name.map_or("", |(name, _)| name), &[a]);
            }
            Node::Binary(Binary::Max, a, b) => self.call("max", &[a, b]),
            Node::Binary(Binary::Min, a, b) => self.call("min", &[a, b]),
            Node::Where(condition, a, b) => self.call("where", &[condition, a, b]),
            Node::Binary(Binary::Add, a, b) => self.sum(a, b),
            Node::Binary(Binary::Sub, a, b) => self.infix(a, " - ", b, SUM, PRODUCT),
            Node::Binary(Binary::Mul, a, b) => self.infix(a, "*", b, PRODUCT, PRODUCT),
            Node::Binary(Binary::Div, a, b) => self.infix(a, "/", b, PRODUCT, SIGN),
            Node::Binary(Binary::Pow, a, b) => self.infix(a, "^", b, ATOM, SIGN),
            Node::Binary(Binary::Less, a, b) => self.infix(a, " < ", b, SUM, SUM),
            Node::Binary(Binary::LessEqual, a, b) => self.infix(a, " <= ", b, SUM, SUM),
            Node::Binary(Binary::Greater, a, b) => self.infix(a, " > ", b, SUM, SUM),
            Node::Binary(Binary::GreaterEqual, a, b) => self.infix(a, " >= ", b, SUM, SUM),
            Node::Binary(Binary::Equal, a, b) => self.infix(a, " == ", b, SUM, SUM),
            Node::Binary(Binary::NotEqual, a, b) => self.infix(a, " != ", b, SUM, SUM),
        }
        if open {
            self.text.push(')');
        }
        self.depth -= 1;
    }

    fn strength(&self, node: Node) -> u8 {
        match node {
            Node::Constant(bits) if f64::from_bits(bits).is_sign_negative() => SIGN,
            Node::X | Node::Constant(_) | Node::Where(..) | Node::Binary(Binary::Max | Binary::Min, ..) => ATOM,
            // -a*b is one product; a sum has parentheses.
            Node::Unary(Unary::Neg, a) if self.strength(self.graph.node(a)) == PRODUCT => PRODUCT,
            Node::Unary(Unary::Neg, _) => SIGN,
            Node::Unary(..) => ATOM,
            Node::Binary(Binary::Add | Binary::Sub, ..) => SUM,
            Node::Binary(Binary::Mul | Binary::Div, ..) => PRODUCT,
            Node::Binary(Binary::Pow, ..) => POWER,
            Node::Binary(..) => COMPARISON,
        }
    }

    fn call(&mut self, name: &str, arguments: &[Id]) {
        self.text.push_str(name);
        self.text.push('(');
        for (i, argument) in arguments.iter().enumerate() {
            if i > 0 {
                self.text.push_str(", ");
            }
            self.print(*argument, 0);
        }
        self.text.push(')');
    }

    fn around(&mut self, before: &str, a: Id, after: &str) {
        self.text.push_str(before);
        self.print(a, ATOM);
        self.text.push_str(after);
    }

    fn infix(&mut self, a: Id, operator: &str, b: Id, left: u8, right: u8) {
        self.print(a, left);
        self.text.push_str(operator);
        self.print(b, right);
    }

    /// a + b, or a − |b| where b is negative or has a negative factor.
    fn sum(&mut self, a: Id, b: Id) {
        let negative = |value: f64| value < 0.0;
        match self.graph.node(b) {
            Node::Constant(bits) if negative(f64::from_bits(bits)) => {
                self.print(a, SUM);
                self.text.push_str(" - ");
                self.number(-f64::from_bits(bits));
            }
            Node::Binary(Binary::Mul, factor, rest) if self.graph.value(factor).is_some_and(negative) => {
                self.print(a, SUM);
                self.text.push_str(" - ");
                let factor = -self.graph.value(factor).unwrap_or_default();
                if factor != 1.0 {
                    self.number(factor);
                    self.text.push('*');
                }
                self.print(rest, PRODUCT);
            }
            _ => self.infix(a, " + ", b, SUM, PRODUCT),
        }
    }

    /// Digits that give the same number when read.
    fn number(&mut self, value: f64) {
        let size = value.abs();
        self.text.push_str(&match size == 0.0 || (1e-4..1e6).contains(&size) {
            true => value.to_string(),
            false => format!("{value:e}"),
        });
    }
}
