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
            Unary::Sign => B::float_sign(a),
            Unary::Sin => B::float_sin(a),
            Unary::Cos => B::float_cos(a),
            Unary::Tanh => B::float_tanh(a),
            // In a's own type, which Burn's sigmoid is not.
            Unary::Sigmoid => B::float_recip(B::float_add_scalar(B::float_exp(B::float_neg(a)), 1.0.into())),
            Unary::Erf => B::float_erf(a),
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
