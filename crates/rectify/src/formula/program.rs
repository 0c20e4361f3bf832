//! A graph as steps over registers, each of which holds a block of numbers, or a tensor.

use std::collections::HashMap;

use super::{
    evaluate,
    graph::{Binary, Graph, Id, Node, Unary},
};

/// Largest whole exponent that is written out as products.
const LARGEST_PRODUCT: f64 = 64.0;

/// Steps from x, which is in register 0, and constants, which follow it, to a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Program {
    /// By their bits, which tell programs apart.
    constants: Vec<u64>,
    pub(super) steps: Vec<Step>,
    /// How many there are, x's and the constants' among them.
    pub(super) registers: usize,
    pub(super) result: usize,
    at_nan: u64,
}

/// What a step computes, from registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Where(usize, usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Step {
    pub(super) operation: Operation,
    /// Never one that it reads.
    pub(super) output: usize,
}

impl Operation {
    fn map(self, mut register: impl FnMut(usize) -> usize) -> Self {
        match self {
            Self::Unary(function, a) => Self::Unary(function, register(a)),
            Self::Binary(function, a, b) => Self::Binary(function, register(a), register(b)),
            Self::Where(condition, a, b) => Self::Where(register(condition), register(a), register(b)),
        }
    }

    fn operands(self) -> Vec<usize> {
        let mut operands = Vec::new();
        self.map(|register| {
            operands.push(register);
            register
        });
        operands
    }
}

impl Program {
    /// What computes `of`: only what it depends on.
    pub(super) fn new(graph: &Graph, of: Id) -> Self {
        let mut program = Lowered::new(graph, of).allocated();
        let mut at_nan = [0.0];
        evaluate::map(&program, &[f64::NAN], &mut at_nan);
        program.at_nan = at_nan[0].to_bits();
        program
    }

    pub(super) fn constants(&self) -> impl ExactSizeIterator<Item = f64> {
        self.constants.iter().map(|bits| f64::from_bits(*bits))
    }

    /// The result for NaN.
    #[cfg(feature = "cube")]
    pub(super) fn at_nan(&self) -> f64 {
        f64::from_bits(self.at_nan)
    }
}

/// Steps whose every result has a name of its own: first x, then the constants.
struct Lowered {
    constants: Vec<f64>,
    operations: Vec<Operation>,
    result: usize,
}

impl Lowered {
    fn new(graph: &Graph, of: Id) -> Self {
        let nodes: Vec<(Id, Node)> = graph.nodes().take_while(|(id, _)| *id <= of).collect();
        let mut needed = vec![false; nodes.len()];
        needed[of.index()] = true;
        for (id, node) in nodes.iter().rev().filter(|(_, node)| !matches!(node, Node::X | Node::Constant(_))) {
            let operands: &[Id] = match node {
                Node::Unary(_, a) => &[*a],
                Node::Binary(_, a, b) => &[*a, *b],
                Node::Where(condition, a, b) => &[*condition, *a, *b],
                Node::X | Node::Constant(_) => &[],
            };
            if needed[id.index()] {
                operands.iter().for_each(|operand| needed[operand.index()] = true);
            }
        }
        let nodes: Vec<(Id, Node)> = nodes.into_iter().filter(|(id, _)| needed[id.index()]).collect();

        let mut lowered = Self { constants: Vec::new(), operations: Vec::new(), result: 0 };
        let mut names = HashMap::new();
        // Constants stand before all steps.
        let inverse = |node: &Node| match node {
            Node::Binary(Binary::Pow, _, exponent) => graph.value(*exponent).is_some_and(|value| value < 0.0),
            _ => false,
        };
        if nodes.iter().any(|(_, node)| inverse(node)) {
            lowered.constants.push(1.0);
        }
        for (id, node) in &nodes {
            match node {
                Node::X => names.insert(*id, 0),
                Node::Constant(bits) => {
                    lowered.constants.push(f64::from_bits(*bits));
                    names.insert(*id, lowered.constants.len())
                }
                _ => None,
            };
        }
        for (id, node) in nodes {
            let name = match node {
                Node::X | Node::Constant(_) => continue,
                Node::Unary(function, a) => lowered.push(Operation::Unary(function, names[&a])),
                Node::Binary(Binary::Pow, a, b) => lowered.power(names[&a], names[&b], graph.value(b)),
                Node::Binary(function, a, b) => lowered.push(Operation::Binary(function, names[&a], names[&b])),
                Node::Where(condition, a, b) => lowered.push(Operation::Where(names[&condition], names[&a], names[&b])),
            };
            names.insert(id, name);
        }
        lowered.result = names[&of];
        lowered
    }

    fn push(&mut self, operation: Operation) -> usize {
        self.operations.push(operation);
        self.constants.len() + self.operations.len()
    }

    /// Products for whole exponents, by repeated squaring; a root for ½.
    fn power(&mut self, base: usize, exponent: usize, value: Option<f64>) -> usize {
        let Some(value) = value else { return self.push(Operation::Binary(Binary::Pow, base, exponent)) };
        if value == 0.5 {
            return self.push(Operation::Unary(Unary::Sqrt, base));
        }
        let size = value.abs();
        if value.fract() != 0.0 || !(1.0..=LARGEST_PRODUCT).contains(&size) {
            return self.push(Operation::Binary(Binary::Pow, base, exponent));
        }
        let mut left = size as u32;
        let (mut square, mut product) = (base, None);
        loop {
            if left & 1 == 1 {
                product = Some(match product {
                    None => square,
                    Some(product) => self.push(Operation::Binary(Binary::Mul, product, square)),
                });
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            square = self.push(Operation::Binary(Binary::Mul, square, square));
        }
        let product = product.unwrap_or(base);
        match self.constants.iter().position(|constant| *constant == 1.0) {
            Some(one) if value < 0.0 => self.push(Operation::Binary(Binary::Div, one + 1, product)),
            _ => product,
        }
    }

    /// With registers used again as soon as nobody reads what is in them.
    fn allocated(self) -> Program {
        let kept = 1 + self.constants.len();
        let mut last_use = vec![0; kept + self.operations.len()];
        for (step, operation) in self.operations.iter().enumerate() {
            operation.operands().into_iter().for_each(|operand| last_use[operand] = step);
        }
        last_use[self.result] = usize::MAX;
        // Where each named result is.
        let mut places: Vec<usize> = (0..kept).collect();
        let (mut free, mut registers) = (Vec::new(), kept);
        let mut steps = Vec::with_capacity(self.operations.len());
        for (step, operation) in self.operations.iter().enumerate() {
            let output = free.pop().unwrap_or_else(|| {
                registers += 1;
                registers - 1
            });
            steps.push(Step { operation: operation.map(|name| places[name]), output });
            places.push(output);
            let mut operands = operation.operands();
            operands.sort_unstable();
            operands.dedup();
            free.extend(
                operands.into_iter().filter(|&name| name >= kept && last_use[name] == step).map(|name| places[name]),
            );
        }
        let constants = self.constants.iter().map(|constant| constant.to_bits()).collect();
        Program { constants, steps, registers, result: places[self.result], at_nan: f64::NAN.to_bits() }
    }
}
