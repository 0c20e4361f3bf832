//! A formula as a graph of operations: what occurs twice stands there once.
//!
//! Nodes are made by constructors that simplify, and an operand is always made before what takes it, so a walk by number
//! needs no recursion.

use std::collections::HashMap;

use crate::number::{Float, Near, Number, all_within};

/// A node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(u16);

impl Id {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The variable.
    X,
    /// A number, by its bits.
    Constant(u64),
    Unary(Unary, Id),
    Binary(Binary, Id, Id),
    /// The second where the first is not 0, otherwise the third.
    Where(Id, Id, Id),
}

/// Functions and operators of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unary {
    Neg,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sqrt,
    Abs,
    Sign,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Erf,
    Relu,
    Softplus,
    /// Φ and its derivative: the normal distribution's. No formula has a name for them.
    Probability,
    Density,
    /// x to half of its digits on a GPU, and x elsewhere: see `number::in_two`. Without a name too.
    Upper,
}

/// Functions and operators of two numbers. A comparison is 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

impl Binary {
    pub(super) fn compares(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual | Self::Equal | Self::NotEqual)
    }
}

impl Unary {
    /// The function, element by element.
    #[inline(always)]
    pub(super) fn each<F: Float>(self, a: &[F], out: &mut [F]) {
        #[inline(always)]
        fn each<F: Float, N: Number + From<F> + Into<F>>(a: &[F], out: &mut [F], f: impl Fn(N) -> N) {
            // No closure around it: the compiler need not inline one of a long function into the code for the processor's
            // vectors, and without their instructions a fused product is a call.
            for (out, a) in out.iter_mut().zip(a) {
                *out = f(N::from(*a)).into();
            }
        }
        match self {
            Self::Neg => each(a, out, F::neg),
            Self::Exp if all_within(a, Near::EXP) => each(a, out, F::Near::exp),
            Self::Expm1 if all_within(a, Near::EXPM1) => each(a, out, F::Near::expm1),
            Self::Tanh if all_within(a, Near::TANH) => each(a, out, F::Near::tanh),
            Self::Sigmoid if all_within(a, Near::SIGMOID) => each(a, out, F::Near::sigmoid),
            Self::Softplus if all_within(a, Near::SOFTPLUS) => each(a, out, F::Near::softplus),
            Self::Exp => each(a, out, F::exp),
            Self::Expm1 => each(a, out, F::expm1),
            Self::Log => each(a, out, F::log),
            Self::Log1p => each(a, out, F::log1p),
            Self::Sqrt => each(a, out, F::sqrt),
            Self::Abs => each(a, out, F::abs),
            Self::Sign => each(a, out, F::sign),
            Self::Sin => each(a, out, F::sin),
            Self::Cos => each(a, out, F::cos),
            Self::Tanh => each(a, out, F::tanh),
            Self::Sigmoid => each(a, out, F::sigmoid),
            Self::Erf => each(a, out, F::erf),
            Self::Relu => each(a, out, F::relu),
            Self::Softplus => each(a, out, F::softplus),
            Self::Probability => each(a, out, |x: F| x.normal().0),
            Self::Density => each(a, out, |x: F| x.normal().1),
            Self::Upper => out.copy_from_slice(a),
        }
    }
}

impl Binary {
    /// The function, element by element.
    #[inline(always)]
    pub(super) fn each<F: Float>(self, a: &[F], b: &[F], out: &mut [F]) {
        #[inline(always)]
        fn each<F: Float>(a: &[F], b: &[F], out: &mut [F], f: impl Fn(F, F) -> F) {
            for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                *out = f(*a, *b);
            }
        }
        match self {
            Self::Add => each(a, b, out, F::add),
            Self::Sub => each(a, b, out, F::sub),
            Self::Mul => each(a, b, out, F::mul),
            Self::Div => each(a, b, out, F::div),
            Self::Pow => each(a, b, out, F::pow),
            Self::Max => each(a, b, out, F::max),
            Self::Min => each(a, b, out, F::min),
            Self::Less => each(a, b, out, |a, b| F::truth(a < b)),
            Self::LessEqual => each(a, b, out, |a, b| F::truth(a <= b)),
            Self::Greater => each(a, b, out, |a, b| F::truth(a > b)),
            Self::GreaterEqual => each(a, b, out, |a, b| F::truth(a >= b)),
            Self::Equal => each(a, b, out, |a, b| F::truth(a == b)),
            Self::NotEqual => each(a, b, out, |a, b| F::truth(a != b)),
        }
    }
}

/// Operations, each after those that it takes.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    numbers: HashMap<Node, Id>,
}

impl Graph {
    pub(super) fn node(&self, id: Id) -> Node {
        self.nodes[id.index()]
    }

    /// All nodes with their numbers, operands first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (Id, Node)> {
        self.nodes.iter().enumerate().map(|(i, node)| (Id(i as u16), *node))
    }

    /// # Panics
    ///
    /// Beyond 65 536 nodes, which a text of bounded length cannot ask for (see `derivative`), but a function in Rust can.
    fn push(&mut self, node: Node) -> Id {
        let next = self.nodes.len();
        *self.numbers.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            Id(u16::try_from(next).expect("a formula has at most 65 536 operations"))
        })
    }

    pub(super) fn value(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    pub(super) fn x(&mut self) -> Id {
        self.push(Node::X)
    }

    pub(super) fn constant(&mut self, value: f64) -> Id {
        self.push(Node::Constant(value.to_bits()))
    }

    pub(super) fn unary(&mut self, function: Unary, a: Id) -> Id {
        if let Some(value) = self.value(a) {
            let mut folded = [0.0];
            function.each(&[value], &mut folded);
            // What is not finite stays visible as what it is.
            if folded[0].is_finite() {
                return self.constant(folded[0]);
            }
        }
        match (function, self.node(a)) {
            (Unary::Neg, Node::Unary(Unary::Neg, inner)) => inner,
            (Unary::Neg, Node::Binary(Binary::Sub, b, c)) => self.binary(Binary::Sub, c, b),
            (Unary::Neg, Node::Binary(Binary::Mul, b, c)) if self.value(b).is_some() => {
                let negative = self.unary(Unary::Neg, b);
                self.binary(Binary::Mul, negative, c)
            }
            _ => self.push(Node::Unary(function, a)),
        }
    }

    pub(super) fn binary(&mut self, function: Binary, a: Id, b: Id) -> Id {
        let values = (self.value(a), self.value(b));
        if let (Some(a), Some(b)) = values {
            let mut folded = [0.0];
            function.each(&[a], &[b], &mut folded);
            if folded[0].is_finite() {
                return self.constant(folded[0]);
            }
        }
        match function {
            Binary::Add => self.add(a, b),
            Binary::Sub => self.sub(a, b),
            Binary::Mul => self.mul(a, b),
            Binary::Div => self.div(a, b),
            Binary::Pow if values.1 == Some(1.0) => a,
            Binary::Pow if values.1 == Some(0.0) => self.constant(1.0),
            _ => self.push(Node::Binary(function, a, b)),
        }
    }

    pub(super) fn choose(&mut self, condition: Id, a: Id, b: Id) -> Id {
        match self.value(condition) {
            _ if a == b => a,
            Some(0.0) => b,
            Some(_) => a,
            None => self.push(Node::Where(condition, a, b)),
        }
    }

    /// The operand of a negation.
    fn negated(&self, id: Id) -> Option<Id> {
        match self.node(id) {
            Node::Unary(Unary::Neg, inner) => Some(inner),
            _ => None,
        }
    }

    /// A number times something else.
    fn multiple(&self, id: Id) -> Option<(f64, Id)> {
        match self.node(id) {
            Node::Binary(Binary::Mul, factor, rest) => self.value(factor).map(|factor| (factor, rest)),
            _ => None,
        }
    }

    fn add(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(0.0), _) => b,
            (_, Some(0.0)) => a,
            _ if a == b => {
                let two = self.constant(2.0);
                self.mul(two, a)
            }
            _ => match (self.negated(a), self.negated(b)) {
                (_, Some(b)) => self.sub(a, b),
                (Some(a), None) => self.sub(b, a),
                _ => self.push(Node::Binary(Binary::Add, a, b)),
            },
        }
    }

    fn sub(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(0.0), _) => self.unary(Unary::Neg, b),
            (_, Some(0.0)) => a,
            _ => match self.negated(b) {
                Some(b) => self.add(a, b),
                None => self.push(Node::Binary(Binary::Sub, a, b)),
            },
        }
    }

    /// 0 times something stays: it is NaN where that is infinite.
    fn mul(&mut self, a: Id, b: Id) -> Id {
        // Numbers stand in front.
        let (a, b) = if self.value(b).is_some() { (b, a) } else { (a, b) };
        match (self.value(a), self.multiple(a), self.multiple(b)) {
            (Some(1.0), ..) => b,
            (Some(-1.0), ..) => self.unary(Unary::Neg, b),
            (Some(factor), _, Some((other, rest))) if (factor * other).is_finite() => {
                let factor = self.constant(factor * other);
                self.mul(factor, rest)
            }
            (None, _, Some((factor, rest))) => {
                let (factor, product) = (self.constant(factor), self.mul(a, rest));
                self.mul(factor, product)
            }
            (None, Some((factor, rest)), None) => {
                let (factor, product) = (self.constant(factor), self.mul(rest, b));
                self.mul(factor, product)
            }
            _ => match (self.negated(a), self.negated(b)) {
                (Some(a), Some(b)) => self.mul(a, b),
                (Some(inner), None) => {
                    let product = self.mul(inner, b);
                    self.unary(Unary::Neg, product)
                }
                (None, Some(inner)) => {
                    let product = self.mul(a, inner);
                    self.unary(Unary::Neg, product)
                }
                (None, None) => self.push(Node::Binary(Binary::Mul, a, b)),
            },
        }
    }

    fn div(&mut self, a: Id, b: Id) -> Id {
        if self.value(b) == Some(1.0) {
            return a;
        }
        if let Some(a) = self.negated(a) {
            let quotient = self.div(a, b);
            return self.unary(Unary::Neg, quotient);
        }
        // (c a) / (d b), where c / d is a whole number or one over it.
        let (numerator, denominator) = (self.multiple(a), self.multiple(b));
        let above = numerator.or_else(|| self.value(a).map(|value| (value, self.constant(1.0))));
        let below = denominator.or_else(|| self.value(b).map(|value| (value, self.constant(1.0))));
        if let (Some((c, a)), Some((d, b))) = (above, below) {
            let whole = |number: f64| number.is_finite() && number.fract() == 0.0 && number != 0.0;
            if whole(c / d) && d != 1.0 {
                let (factor, quotient) = (self.constant(c / d), self.div(a, b));
                return self.mul(factor, quotient);
            }
            if whole(d / c) && c != 1.0 {
                let divisor = self.constant(d / c);
                let below = self.mul(divisor, b);
                return self.div(a, below);
            }
        }
        self.push(Node::Binary(Binary::Div, a, b))
    }
}
