//! A program by Burn's own operations: for devices elsewhere, under kernel fusion, and where no kernel applies.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn::{
    backend::{
        Backend, BoolDType, Scalar, TensorMetadata, get_or_init_device_settings,
        tensor::{BoolTensor, FloatTensor},
    },
    tensor::{DType, FloatDType},
};

use super::{
    graph::{Binary, Unary},
    program::{Operation, Program},
};

/// What a register holds.
enum Value<B: Backend> {
    Number(f64),
    Tensor(FloatTensor<B>),
    /// A comparison's result.
    Mask(BoolTensor<B>),
}

// Derived, it would ask for a backend that is `Clone`.
impl<B: Backend> Clone for Value<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Number(number) => Self::Number(*number),
            Self::Tensor(tensor) => Self::Tensor(tensor.clone()),
            Self::Mask(mask) => Self::Mask(mask.clone()),
        }
    }
}

/// The program's result for each element of `x`. In f32 for half types, whose exponentials overflow where the result does
/// not.
pub(crate) fn map<B: Backend>(program: &Program, x: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = x.dtype();
    if matches!(dtype, DType::F16 | DType::BF16) {
        return B::float_cast(map::<B>(program, B::float_cast(x, FloatDType::F32)), dtype.into());
    }
    let machine =
        Machine::<B> { bool_dtype: get_or_init_device_settings::<B>(&x.device()).bool_dtype, like: x.clone() };
    let mut registers = vec![Value::Tensor(x)];
    registers.extend(program.constants().map(Value::Number));
    registers.resize(program.registers, Value::Number(0.0));
    for step in &program.steps {
        // Nobody reads it any more: its memory is free for the result.
        registers[step.output] = Value::Number(0.0);
        let register = |at: usize| registers[at].clone();
        registers[step.output] = match step.operation {
            Operation::Unary(function, a) => Value::Tensor(machine.unary(function, register(a))),
            Operation::Binary(function, a, b) if function.compares() => {
                Value::Mask(machine.compare(function, register(a), register(b)))
            }
            Operation::Binary(function, a, b) => Value::Tensor(machine.binary(function, register(a), register(b))),
            Operation::Where(condition, a, b) => {
                Value::Tensor(machine.choose(register(condition), register(a), register(b)))
            }
        };
    }
    let result = registers.swap_remove(program.result);
    machine.tensor(result)
}

/// The result of `slope` for each element of `kept`, times what `passed` lets through of `grad`.
pub(crate) fn multiply<B: Backend>(
    slope: &Program,
    passed: Option<&Program>,
    kept: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = grad.dtype();
    if matches!(dtype, DType::F16 | DType::BF16) {
        // A slope that is 0 in a half type is not yet one where the gradient is large, as where losses are scaled.
        let [kept, grad] = [kept, grad].map(|half| B::float_cast(half, FloatDType::F32));
        return B::float_cast(multiply::<B>(slope, passed, kept, grad), dtype.into());
    }
    let grad = match passed {
        Some(passed) => map::<B>(passed, grad),
        None => grad,
    };
    B::float_mul(map::<B>(slope, kept), grad)
}

struct Machine<B: Backend> {
    bool_dtype: BoolDType,
    /// Of the shape, type and device that all have.
    like: FloatTensor<B>,
}

impl<B: Backend> Machine<B> {
    fn tensor(&self, value: Value<B>) -> FloatTensor<B> {
        let dtype = self.like.dtype().into();
        match value {
            Value::Number(number) => B::float_full(self.like.shape(), number.into(), &self.like.device(), dtype),
            Value::Tensor(tensor) => tensor,
            Value::Mask(mask) => B::bool_into_float(mask, dtype),
        }
    }

    fn unary(&self, function: Unary, a: Value<B>) -> FloatTensor<B> {
        let a = self.tensor(a);
        match function {
            Unary::Neg => B::float_neg(a),
            Unary::Exp => B::float_exp(a),
            // tanh(a / 2) (eᵃ + 1), which is exact near 0, where eᵃ − 1 is not.
            Unary::Expm1 => {
                let half = B::float_tanh(B::float_mul_scalar(a.clone(), 0.5.into()));
                B::float_mul(half, B::float_add_scalar(B::float_exp(a), 1.0.into()))
            }
            Unary::Log => B::float_log(a),
            Unary::Log1p => B::float_log1p(a),
            Unary::Sqrt => B::float_sqrt(a),
            Unary::Abs => B::float_abs(a),
            // Burn's is 0 at NaN on some backends.
            Unary::Sign => {
                let nan = B::float_is_nan(a.clone(), self.bool_dtype);
                B::float_mask_where(B::float_sign(a.clone()), nan, a)
            }
            Unary::Sin => B::float_sin(a),
            Unary::Cos => B::float_cos(a),
            Unary::Tanh => B::float_tanh(a),
            // In a's own type, which Burn's sigmoid is not.
            Unary::Sigmoid => B::float_recip(B::float_add_scalar(B::float_exp(B::float_neg(a)), 1.0.into())),
            Unary::Erf => B::float_erf(a),
            Unary::Upper => a,
            Unary::Probability => {
                let erf = B::float_erf(B::float_mul_scalar(a, FRAC_1_SQRT_2.into()));
                B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
            }
            Unary::Density => {
                let exponent = B::float_mul_scalar(B::float_mul(a.clone(), a), (-0.5).into());
                B::float_mul_scalar(B::float_exp(exponent), (0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI).into())
            }
            Unary::Relu => self.extreme(Binary::LessEqual, Value::Tensor(a), Value::Number(0.0)),
            Unary::Softplus => {
                let above = self.extreme(Binary::LessEqual, Value::Tensor(a.clone()), Value::Number(0.0));
                B::float_add(above, B::float_log1p(B::float_exp(B::float_neg(B::float_abs(a)))))
            }
        }
    }

    fn binary(&self, function: Binary, a: Value<B>, b: Value<B>) -> FloatTensor<B> {
        use Value::{Number, Tensor};
        match (function, a, b) {
            (Binary::Add, Tensor(a), Number(b)) | (Binary::Add, Number(b), Tensor(a)) => {
                B::float_add_scalar(a, b.into())
            }
            (Binary::Sub, Tensor(a), Number(b)) => B::float_sub_scalar(a, b.into()),
            (Binary::Sub, Number(a), Tensor(b)) => B::float_add_scalar(B::float_neg(b), a.into()),
            (Binary::Mul, Tensor(a), Number(b)) | (Binary::Mul, Number(b), Tensor(a)) => {
                B::float_mul_scalar(a, b.into())
            }
            (Binary::Div, Tensor(a), Number(b)) => B::float_div_scalar(a, b.into()),
            (Binary::Pow, Tensor(a), Number(b)) => B::float_powf_scalar(a, b.into()),
            (Binary::Max, a, b) => self.extreme(Binary::Less, a, b),
            (Binary::Min, a, b) => self.extreme(Binary::Greater, a, b),
            (function, a, b) => {
                let (a, b) = (self.tensor(a), self.tensor(b));
                match function {
                    Binary::Add => B::float_add(a, b),
                    Binary::Sub => B::float_sub(a, b),
                    Binary::Mul => B::float_mul(a, b),
                    Binary::Div => B::float_div(a, b),
                    Binary::Pow => B::float_powf(a, b),
                    comparison => self.tensor(Value::Mask(self.compare(comparison, Tensor(a), Tensor(b)))),
                }
            }
        }
    }

    /// b where a `gives_way` to it, or where b is NaN; otherwise a.
    fn extreme(&self, gives_way: Binary, a: Value<B>, b: Value<B>) -> FloatTensor<B> {
        let (a, b) = match (a, b) {
            (a @ Value::Number(_), b) => (b, a),
            operands => operands,
        };
        let mask = self.compare(gives_way, a.clone(), b.clone());
        let a = self.tensor(a);
        match b {
            Value::Number(b) => B::float_mask_fill(a, mask, b.into()),
            b => {
                let b = self.tensor(b);
                let chosen = B::float_mask_where(a, mask, b.clone());
                let nan = B::float_is_nan(b.clone(), self.bool_dtype);
                B::float_mask_where(chosen, nan, b)
            }
        }
    }

    fn choose(&self, condition: Value<B>, a: Value<B>, b: Value<B>) -> FloatTensor<B> {
        let mask = match condition {
            Value::Mask(mask) => mask,
            condition => B::float_not_equal_elem(self.tensor(condition), 0.0.into(), self.bool_dtype),
        };
        match (a, b) {
            (Value::Number(a), b) => B::float_mask_fill(self.tensor(b), mask, a.into()),
            (a, Value::Number(b)) => B::float_mask_fill(self.tensor(a), B::bool_not(mask), b.into()),
            (a, b) => B::float_mask_where(self.tensor(b), mask, self.tensor(a)),
        }
    }

    fn compare(&self, function: Binary, a: Value<B>, b: Value<B>) -> BoolTensor<B> {
        // A number stands on the right.
        let (function, a, b) = match (function, a, b) {
            (Binary::Less, a @ Value::Number(_), b) => (Binary::Greater, b, a),
            (Binary::LessEqual, a @ Value::Number(_), b) => (Binary::GreaterEqual, b, a),
            (Binary::Greater, a @ Value::Number(_), b) => (Binary::Less, b, a),
            (Binary::GreaterEqual, a @ Value::Number(_), b) => (Binary::LessEqual, b, a),
            (function, a @ Value::Number(_), b) => (function, b, a),
            all => all,
        };
        let (a, dtype) = (self.tensor(a), self.bool_dtype);
        if let Value::Number(b) = b {
            let b: Scalar = b.into();
            return match function {
                Binary::Less => B::float_lower_elem(a, b, dtype),
                Binary::LessEqual => B::float_lower_equal_elem(a, b, dtype),
                Binary::Greater => B::float_greater_elem(a, b, dtype),
                Binary::GreaterEqual => B::float_greater_equal_elem(a, b, dtype),
                Binary::Equal => B::float_equal_elem(a, b, dtype),
                _ => B::float_not_equal_elem(a, b, dtype),
            };
        }
        let b = self.tensor(b);
        match function {
            Binary::Less => B::float_lower(a, b, dtype),
            Binary::LessEqual => B::float_lower_equal(a, b, dtype),
            Binary::Greater => B::float_greater(a, b, dtype),
            Binary::GreaterEqual => B::float_greater_equal(a, b, dtype),
            Binary::Equal => B::float_equal(a, b, dtype),
            _ => B::float_not_equal(a, b, dtype),
        }
    }
}

/// Flex has kernels of its own, and Burn's operations give it the same numbers.
#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::Flex;
    use burn_flex::FlexTensor;
    use half::f16;

    use super::*;
    use crate::{
        Formula, Gelu,
        formula::{evaluate, trace},
        host::tensor,
        number::Number,
    };

    fn numbers() -> Vec<f64> {
        (-60..=60).map(|i| f64::from(i) * 0.125).chain([f64::NAN]).collect()
    }

    fn kernels(program: &Program, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        evaluate::map(program, x, &mut y);
        y
    }

    #[track_caller]
    fn assert_close(what: &str, x: &[f64], found: &FlexTensor, expected: &[f64], rounding: f64) {
        for ((x, found), expected) in x.iter().zip(found.storage::<f64>()).zip(expected) {
            let close = (found - expected).abs() <= rounding * expected.abs().max(1.0);
            let same = found == expected || (found.is_nan() && expected.is_nan());
            assert!(close || same, "{what} at {x} is {found}, and the kernels give {expected}");
        }
    }

    #[test]
    fn every_function_and_its_derivative_have_the_kernels_numbers() {
        let functions = ["-x", "exp(x)", "expm1(x)", "log(x)", "log1p(x)", "sqrt(x)", "abs(x)", "sign(x)", "sin(x)"]
            .into_iter()
            .chain(["cos(x)", "tanh(x)", "sigmoid(x)", "erf(x)", "relu(x)", "softplus(x)", "2"]);
        // With a number on either side, and with none.
        let operators = ["x + 2", "x - 2", "2 - x", "3*x", "x/3", "3/x", "x^2.5", "2.5^x", "x^x", "x*exp(x) + sin(x)"]
            .into_iter()
            .chain(["x - exp(x)", "sin(x)/exp(x)", "max(x, 1)", "max(1, x)", "max(x, sin(x))", "min(x, 1)"])
            .chain(["min(1, x)", "min(sin(x), x)"]);
        let comparisons = ["x < 1", "1 < x", "x <= 1", "1 <= x", "x > 1", "1 > x", "x >= 1", "1 >= x", "x == 1"]
            .into_iter()
            .chain(["1 == x", "x != 1", "1 != x", "x < abs(x)", "x <= abs(x)", "abs(x) > x", "abs(x) >= x"])
            .chain(["x == abs(x)", "x != abs(x)", "(x < 1) + (x > 0)", "(x < 1) < (x > 0)"]);
        let choices = ["where(x < 1, 2, x)", "where(x < 1, x, 2)", "where(x < 1, x, sin(x))", "where(x, x^2, cos(x))"]
            .into_iter()
            .chain(["where(x - 1, 2, 3)"]);
        let x = numbers();
        for text in functions.chain(operators).chain(comparisons).chain(choices) {
            let formula = Formula::new(text).unwrap_or_else(|error| panic!("{error}"));
            for (what, program) in [("value", formula.program()), ("slope", formula.slope_program())] {
                let found = map::<Flex>(program, tensor(x.clone(), [x.len()]));
                assert_close(&format!("the {what} of {text}"), &x, &found, &kernels(program, &x), 1e-9);
            }
        }
        // Φ and its derivative have no name in a formula.
        let gelu = Formula::of(Gelu);
        for program in [gelu.program(), gelu.slope_program()] {
            let found = map::<Flex>(program, tensor(x.clone(), [x.len()]));
            assert_close("gelu", &x, &found, &kernels(program, &x), 1e-9);
        }
    }

    #[test]
    fn half_types_are_computed_in_f32_and_rounded_once() {
        // e^(3 x) overflows in f16 where the sigmoid of it does not.
        let formula = Formula::new("exp(3*x)/(1 + exp(3*x))").unwrap_or_else(|error| panic!("{error}"));
        let x: Vec<f16> = numbers().into_iter().map(f16::from_f64).collect();
        let found = map::<Flex>(formula.program(), tensor(x.clone(), [x.len()]));
        for (x, found) in x.iter().zip(found.storage::<f16>()) {
            let expected = f16::from_f64(formula.value(x.to_f64()));
            let same = found.to_bits().abs_diff(expected.to_bits()) <= 1 || (found.is_nan() && expected.is_nan());
            assert!(same, "{x}: {found}, not {expected}");
        }
    }

    #[test]
    fn a_backward_pass_lets_through_what_its_gate_does() {
        let formula = Formula::new("sin(x)").unwrap_or_else(|error| panic!("{error}"));
        let gate = trace::<false>(|grad| grad.at_least(0.0));
        let (x, grad) = (numbers(), numbers().into_iter().rev().collect::<Vec<f64>>());
        let pass = |passed: Option<&Program>| {
            let [x, grad] = [&x, &grad].map(|values| tensor(values.clone(), [values.len()]));
            multiply::<Flex>(formula.slope_program(), passed, x, grad)
        };
        let slopes = kernels(formula.slope_program(), &x);
        let times = |of: fn(f64) -> f64| -> Vec<f64> {
            slopes.iter().zip(&grad).map(|(slope, grad)| slope * of(*grad)).collect()
        };
        assert_close("all of it", &x, &pass(None), &times(|grad| grad), 1e-12);
        let positive = times(|grad| if grad < 0.0 { 0.0 } else { grad });
        assert_close("what is positive", &x, &pass(Some(&gate)), &positive, 1e-12);
    }
}
