//! φ and φ′ in f32 near to 0, on a CPU: eight polynomials in |x|, whose coefficients a permutation of a vector finds for
//! each number. It takes a third of what exponentials and quotients do, and loses less.

#[rustfmt::skip]
mod tables;

pub(crate) use tables::*;

/// With z = |x|, `end` at most, the piece is what the last three bits of z · `scale` + `start` are, shifted by `shift`, and p a polynomial
/// in z − `centre`. A centre is a zero, or such that p and its slope there are f32, nearly, and lose nothing when they are
/// rounded (Gal 1986, *Computing elementary functions: a new approach for achieving high accuracy and good performance*).
pub(crate) struct Pieces {
    pub(crate) side: Side,
    /// Up to which |x| they hold: `end`, or ∞ where the function is constant to rounding from there on.
    pub(crate) bound: f32,
    pub(crate) end: f32,
    pub(crate) scale: f32,
    pub(crate) start: f32,
    pub(crate) shift: u32,
    pub(crate) centre: [f32; 8],
    /// From the highest power's on.
    pub(crate) coefficients: &'static [[f32; 8]],
}

/// What f(x) is made of p.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    /// p with the sign of x.
    Odd,
    /// p.
    Even,
    /// x³ p.
    Cube,
    /// x² p.
    Square,
    /// −p for x < 0, and x − p.
    Gate,
    /// p for x < 0, and 1 − p.
    GateSlope,
}
