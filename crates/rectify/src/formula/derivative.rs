//! φ′ by the rules of calculus, from operands to results: forward mode over the graph, without recursion.
//!
//! What is φ's own is used again, so φ′ has at most a dozen nodes for each of φ's, however it is nested. A part that does
//! not depend on x has no derivative at all, rather than one of 0, so that no 0 · ∞ arises that the rules do not ask for.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::graph::{Binary, Graph, Id, Node, Unary};

/// The node of dφ/dx.
pub(super) fn derivative(graph: &mut Graph, of: Id) -> Id {
    let nodes: Vec<(Id, Node)> = graph.nodes().take_while(|(id, _)| *id <= of).collect();
    // Numbers of nodes are indices here. `None` is the derivative of what does not depend on x.
    let mut slopes: Vec<Option<Id>> = Vec::with_capacity(nodes.len());
    for (id, node) in nodes {
        let slope = |operand: Id| slopes[operand.index()];
        let slope = match node {
            Node::X => Some(graph.constant(1.0)),
            Node::Constant(_) => None,
            Node::Unary(function, a) => slope(a).and_then(|da| unary(graph, function, id, a, da)),
            Node::Binary(function, a, b) => binary(graph, function, id, [a, b], [slope(a), slope(b)]),
            Node::Where(condition, a, b) => either(graph, condition, slope(a), slope(b)),
        };
        slopes.push(slope);
    }
    slopes[of.index()].unwrap_or_else(|| graph.constant(0.0))
}

/// Of `f` = function(a), where a's derivative is `da`.
fn unary(graph: &mut Graph, function: Unary, f: Id, a: Id, da: Id) -> Option<Id> {
    let one = graph.constant(1.0);
    // A quotient, and factors of da.
    let factor = match function {
        Unary::Neg => return Some(graph.unary(Unary::Neg, da)),
        Unary::Sign => return None,
        Unary::Upper => return Some(da),
        Unary::Log => return Some(graph.binary(Binary::Div, da, a)),
        Unary::Log1p => {
            let sum = graph.binary(Binary::Add, one, a);
            return Some(graph.binary(Binary::Div, da, sum));
        }
        Unary::Sqrt => {
            let two = graph.constant(2.0);
            let twice = graph.binary(Binary::Mul, two, f);
            return Some(graph.binary(Binary::Div, da, twice));
        }
        // A choice, and not a product with 0, so that a gradient of ∞ is not NaN.
        Unary::Relu => {
            let zero = graph.constant(0.0);
            let positive = graph.binary(Binary::Greater, a, zero);
            return Some(graph.choose(positive, da, zero));
        }
        Unary::Exp => f,
        Unary::Expm1 => graph.unary(Unary::Exp, a),
        Unary::Abs => graph.unary(Unary::Sign, a),
        Unary::Sin => graph.unary(Unary::Cos, a),
        Unary::Cos => {
            let sine = graph.unary(Unary::Sin, a);
            graph.unary(Unary::Neg, sine)
        }
        Unary::Tanh => {
            let two = graph.constant(2.0);
            let square = graph.binary(Binary::Pow, f, two);
            graph.binary(Binary::Sub, one, square)
        }
        Unary::Sigmoid => {
            let rest = graph.binary(Binary::Sub, one, f);
            graph.binary(Binary::Mul, f, rest)
        }
        Unary::Softplus => graph.unary(Unary::Sigmoid, a),
        Unary::Probability => graph.unary(Unary::Density, a),
        Unary::Density => {
            let product = graph.binary(Binary::Mul, a, f);
            graph.unary(Unary::Neg, product)
        }
        Unary::Erf => {
            let two = graph.constant(2.0);
            let square = graph.binary(Binary::Pow, a, two);
            let negative = graph.unary(Unary::Neg, square);
            let bell = graph.unary(Unary::Exp, negative);
            let scale = graph.constant(FRAC_2_SQRT_PI);
            graph.binary(Binary::Mul, scale, bell)
        }
    };
    Some(graph.binary(Binary::Mul, factor, da))
}

/// Of `f` = function(a, b).
fn binary(graph: &mut Graph, function: Binary, f: Id, [a, b]: [Id; 2], slopes: [Option<Id>; 2]) -> Option<Id> {
    let [da, db] = slopes;
    match function {
        Binary::Add => match slopes {
            [Some(da), Some(db)] => Some(graph.binary(Binary::Add, da, db)),
            [one, other] => one.or(other),
        },
        Binary::Sub => match slopes {
            [Some(da), Some(db)] => Some(graph.binary(Binary::Sub, da, db)),
            [da, db] => da.or_else(|| db.map(|db| graph.unary(Unary::Neg, db))),
        },
        Binary::Mul => {
            let left = da.map(|da| graph.binary(Binary::Mul, da, b));
            let right = db.map(|db| graph.binary(Binary::Mul, a, db));
            sum(graph, left, right)
        }
        // (a′ − f b′) / b.
        Binary::Div => {
            let falling = db.map(|db| graph.binary(Binary::Mul, f, db));
            let above = match (da, falling) {
                (Some(da), Some(falling)) => Some(graph.binary(Binary::Sub, da, falling)),
                (da, falling) => da.or_else(|| falling.map(|falling| graph.unary(Unary::Neg, falling))),
            };
            above.map(|above| graph.binary(Binary::Div, above, b))
        }
        // b a^(b − 1) a′ + ln(a) aᵇ b′, of which the second is 0 at a = 0.
        Binary::Pow => {
            let of_base = da.map(|da| {
                let one = graph.constant(1.0);
                let less = graph.binary(Binary::Sub, b, one);
                let power = graph.binary(Binary::Pow, a, less);
                let scaled = graph.binary(Binary::Mul, b, power);
                graph.binary(Binary::Mul, scaled, da)
            });
            let of_exponent = db.map(|db| {
                let log = graph.unary(Unary::Log, a);
                let scaled = graph.binary(Binary::Mul, log, f);
                let whole = graph.binary(Binary::Mul, scaled, db);
                let zero = graph.constant(0.0);
                let at_zero = graph.binary(Binary::Equal, a, zero);
                graph.choose(at_zero, zero, whole)
            });
            sum(graph, of_base, of_exponent)
        }
        Binary::Max => extreme(graph, Binary::Greater, [a, b], slopes),
        Binary::Min => extreme(graph, Binary::Less, [a, b], slopes),
        Binary::Less
        | Binary::LessEqual
        | Binary::Greater
        | Binary::GreaterEqual
        | Binary::Equal
        | Binary::NotEqual => None,
    }
}

/// The derivative of the operand that is taken, and at a tie the mean of both.
fn extreme(graph: &mut Graph, beats: Binary, [a, b]: [Id; 2], slopes: [Option<Id>; 2]) -> Option<Id> {
    if slopes == [None, None] {
        return None;
    }
    let zero = graph.constant(0.0);
    let [da, db] = slopes.map(|slope| slope.unwrap_or(zero));
    let half = graph.constant(0.5);
    let total = graph.binary(Binary::Add, da, db);
    let mean = graph.binary(Binary::Mul, half, total);
    let (wins, ties) = (graph.binary(beats, a, b), graph.binary(Binary::Equal, a, b));
    let others = graph.choose(ties, mean, db);
    Some(graph.choose(wins, da, others))
}

fn either(graph: &mut Graph, condition: Id, da: Option<Id>, db: Option<Id>) -> Option<Id> {
    if (da, db) == (None, None) {
        return None;
    }
    let zero = graph.constant(0.0);
    Some(graph.choose(condition, da.unwrap_or(zero), db.unwrap_or(zero)))
}

fn sum(graph: &mut Graph, a: Option<Id>, b: Option<Id>) -> Option<Id> {
    match (a, b) {
        (Some(a), Some(b)) => Some(graph.binary(Binary::Add, a, b)),
        (a, b) => a.or(b),
    }
}
