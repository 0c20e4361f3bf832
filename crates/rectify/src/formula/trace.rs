//! A function that is written for numbers, taken down as a program: it is called once, with a symbol.

use std::{
    cell::RefCell,
    ops::{Add, Div, Mul, Neg, Sub},
};

use super::{
    graph::{Binary, Graph, Id, Unary},
    program::Program,
};
use crate::number::{Exponents, Number, Sealed};

/// What `f` computes, as a program.
pub(crate) fn trace<const CUT: bool>(f: impl FnOnce(Symbol<'_, CUT>) -> Symbol<'_, CUT>) -> Program {
    let (graph, result) = graph(f);
    Program::new(&graph, result)
}

/// What `f` computes, as a graph and the node of its result.
pub(super) fn graph<const CUT: bool>(f: impl FnOnce(Symbol<'_, CUT>) -> Symbol<'_, CUT>) -> (Graph, Id) {
    let graph = RefCell::new(Graph::default());
    let x = graph.borrow_mut().x();
    let result = f(Symbol::Node(&graph, x));
    // A function that is constant has not touched the graph.
    let result = match result {
        Symbol::Node(_, id) => id,
        Symbol::Number(number) => graph.borrow_mut().constant(number),
    };
    (graph.into_inner(), result)
}

/// A number that is not known yet, or one that is. `CUT` where products that are exponents are cut in two; a formula that is
/// read as a text has them as they are written.
#[derive(Clone, Copy)]
pub(crate) enum Symbol<'a, const CUT: bool> {
    Number(f64),
    Node(&'a RefCell<Graph>, Id),
}

impl<const CUT: bool> Symbol<'_, CUT> {
    fn id(self, graph: &RefCell<Graph>) -> Id {
        match self {
            Self::Number(number) => graph.borrow_mut().constant(number),
            Self::Node(_, id) => id,
        }
    }

    fn unary(self, function: Unary) -> Self {
        match self {
            Self::Node(graph, a) => {
                let id = graph.borrow_mut().unary(function, a);
                Self::Node(graph, id)
            }
            Self::Number(a) => {
                let mut result = [0.0];
                function.each(&[a], &mut result);
                Self::Number(result[0])
            }
        }
    }

    fn binary(self, function: Binary, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                let mut result = [0.0];
                function.each(&[a], &[b], &mut result);
                Self::Number(result[0])
            }
            (Self::Node(graph, _), _) | (_, Self::Node(graph, _)) => {
                let (a, b) = (self.id(graph), other.id(graph));
                let id = graph.borrow_mut().binary(function, a, b);
                Self::Node(graph, id)
            }
        }
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident)*) => {
        $(impl<const CUT: bool> $trait for Symbol<'_, CUT> {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                self.binary(Binary::$trait, other)
            }
        })*
    };
}
operator!(Add add Sub sub Mul mul Div div);

impl<const CUT: bool> Neg for Symbol<'_, CUT> {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(Unary::Neg)
    }
}

impl<const CUT: bool> Sealed for Symbol<'_, CUT> {}

impl<const CUT: bool> Number for Symbol<'_, CUT> {
    /// 1 or 0.
    type Mask = Self;
    const EXPONENTS: Exponents = if CUT { Exponents::Cut } else { Exponents::Rounded };

    fn of(value: f64) -> Self {
        Self::Number(value)
    }
    fn less(self, other: Self) -> Self {
        self.binary(Binary::Less, other)
    }
    fn less_equal(self, other: Self) -> Self {
        self.binary(Binary::LessEqual, other)
    }
    fn choose(mask: Self, yes: Self, no: Self) -> Self {
        match mask {
            Self::Number(mask) => {
                if mask != 0.0 {
                    yes
                } else {
                    no
                }
            }
            Self::Node(graph, condition) => {
                let (a, b) = (yes.id(graph), no.id(graph));
                let id = graph.borrow_mut().choose(condition, a, b);
                Self::Node(graph, id)
            }
        }
    }
    fn abs(self) -> Self {
        self.unary(Unary::Abs)
    }
    fn exp(self) -> Self {
        self.unary(Unary::Exp)
    }
    fn log(self) -> Self {
        self.unary(Unary::Log)
    }
    fn sqrt(self) -> Self {
        self.unary(Unary::Sqrt)
    }
    fn sin(self) -> Self {
        self.unary(Unary::Sin)
    }
    fn cos(self) -> Self {
        self.unary(Unary::Cos)
    }
    fn pow(self, other: Self) -> Self {
        self.binary(Binary::Pow, other)
    }
    fn expm1(self) -> Self {
        self.unary(Unary::Expm1)
    }
    fn log1p(self) -> Self {
        self.unary(Unary::Log1p)
    }
    fn tanh(self) -> Self {
        self.unary(Unary::Tanh)
    }
    fn sigmoid(self) -> Self {
        self.unary(Unary::Sigmoid)
    }
    fn softplus(self) -> Self {
        self.unary(Unary::Softplus)
    }
    /// With t = e^(−|x|): t / (1 + t)², on both sides of 0, by one exponential.
    fn sigmoid_slope_times(self, factor: f64) -> Self {
        let t = (-self.abs()).exp();
        let share = Self::of(1.0) / (Self::of(1.0) + t);
        t * share * share * Self::of(factor)
    }
    fn normal(self) -> (Self, Self) {
        (self.unary(Unary::Probability), self.unary(Unary::Density))
    }
    fn upper(self) -> Self {
        self.unary(Unary::Upper)
    }
}
