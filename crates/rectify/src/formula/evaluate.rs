//! A program on a CPU: block after block, each step over a whole block, so that what is between steps stays in the first
//! cache and each step is a loop that vectorises.

use super::{
    graph::{Binary, Unary},
    program::{Operation, Program},
};
#[cfg(feature = "flex")]
use crate::host;
use crate::number::Float;

/// Elements of a block: a register of f32 has 1 KiB, so some twenty of them fit into the first cache.
const BLOCK: usize = 256;

/// Angles beyond this are reduced by the platform's functions, which are slower and exact for all.
const LARGEST_ANGLE: f64 = 1e6;

/// A type that tensors hold, and the one that their formulas are computed in. Both slices are of the same length.
pub(super) trait Stored: Copy {
    type Wide: Float;
    fn widen(from: &[Self], to: &mut [Self::Wide]);
    fn narrow(from: &[Self::Wide], to: &mut [Self]);
}

macro_rules! stored {
    ($($stored:ty, $wide:ty, $widen:expr, $narrow:expr;)*) => {
        $(impl Stored for $stored {
            type Wide = $wide;
            #[inline(always)]
            fn widen(from: &[Self], to: &mut [$wide]) {
                $widen(from, to);
            }
            #[inline(always)]
            fn narrow(from: &[$wide], to: &mut [Self]) {
                $narrow(from, to);
            }
        })*
    };
}

fn copy<F: Float>(from: &[F], to: &mut [F]) {
    to.copy_from_slice(from);
}

stored! {
    f32, f32, copy, copy;
    f64, f64, copy, copy;
}
#[cfg(feature = "flex")]
stored! {
    half::f16, f32, host::widen, host::narrow;
    half::bf16, f32, host::widen, host::narrow;
}

/// The registers of one thread.
struct Registers<N>(Vec<Vec<N>>);

impl<N: Float> Registers<N> {
    fn of(program: &Program) -> Self {
        let constants = program.constants().map(|value| vec![N::of(value); BLOCK]);
        let others = program.registers - 1 - program.constants().len();
        let empty = || vec![N::ZERO; BLOCK];
        Self([empty()].into_iter().chain(constants).chain((0..others).map(|_| empty())).collect())
    }

    /// Computes the first `len` results from as many numbers in register 0.
    #[inline(always)]
    fn run(&mut self, program: &Program, len: usize) -> &[N] {
        for step in &program.steps {
            let mut output = std::mem::take(&mut self.0[step.output]);
            let register = |at: usize| &self.0[at][..len];
            let out = &mut output[..len];
            match step.operation {
                Operation::Unary(function @ (Unary::Sin | Unary::Cos), a)
                    if !register(a).iter().all(|x| x.abs() <= N::of(LARGEST_ANGLE)) =>
                {
                    exact_angle(function, register(a), out);
                }
                Operation::Unary(function, a) => function.each(register(a), out),
                Operation::Binary(Binary::Pow, a, b) => power(register(a), register(b), out),
                Operation::Binary(function, a, b) => function.each(register(a), register(b), out),
                Operation::Where(condition, a, b) => {
                    let values = register(a).iter().zip(register(b));
                    for ((out, condition), (a, b)) in out.iter_mut().zip(register(condition)).zip(values) {
                        *out = if *condition != N::ZERO { *a } else { *b };
                    }
                }
            }
            self.0[step.output] = output;
        }
        &self.0[program.result][..len]
    }
}

/// For numbers whose multiples of π / 2 f64's precision does not reach.
#[inline(never)]
fn exact_angle<N: Float>(function: Unary, a: &[N], out: &mut [N]) {
    for (out, a) in out.iter_mut().zip(a) {
        let exact = if function == Unary::Sin { f64::sin(a.wide()) } else { f64::cos(a.wide()) };
        *out = N::of(exact);
    }
}

/// Number by number: the platform's function is not inlined.
#[inline(never)]
fn power<N: Float>(a: &[N], b: &[N], out: &mut [N]) {
    Binary::Pow.each(a, b, out);
}

/// The program's result for each number of `input`.
///
/// # Panics
///
/// Where `output` is shorter.
#[inline(always)]
pub(super) fn map<S: Stored>(program: &Program, input: &[S], output: &mut [S]) {
    let mut registers = Registers::of(program);
    for begin in (0..input.len()).step_by(BLOCK) {
        let len = BLOCK.min(input.len() - begin);
        let block = begin..begin + len;
        S::widen(&input[block.clone()], &mut registers.0[0][..len]);
        S::narrow(registers.run(program, len), &mut output[block]);
    }
}

/// [`map`] where each result takes the place of its number.
#[cfg(any(feature = "flex", feature = "ndarray"))]
#[inline(always)]
pub(super) fn map_in_place<S: Stored>(program: &Program, elements: &mut [S]) {
    let mut registers = Registers::of(program);
    for block in elements.chunks_mut(BLOCK) {
        S::widen(block, &mut registers.0[0][..block.len()]);
        S::narrow(registers.run(program, block.len()), block);
    }
}

/// Multiplies each of `grad` with the program's result for the number of `input` at the same place.
///
/// # Panics
///
/// Where `input` is shorter.
#[cfg(any(feature = "flex", feature = "ndarray"))]
#[inline(always)]
pub(super) fn multiply<S: Stored>(program: &Program, input: &[S], grad: &mut [S]) {
    let mut registers = Registers::of(program);
    let mut wide = [S::Wide::ZERO; BLOCK];
    for (i, block) in grad.chunks_mut(BLOCK).enumerate() {
        let input = &input[i * BLOCK..][..block.len()];
        let wide = &mut wide[..block.len()];
        S::widen(input, &mut registers.0[0][..block.len()]);
        S::widen(block, wide);
        let slopes = registers.run(program, block.len());
        wide.iter_mut().zip(slopes).for_each(|(grad, slope)| *grad = *grad * *slope);
        S::narrow(wide, block);
    }
}
