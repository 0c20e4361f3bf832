//! φ and φ′ as programs, for the backends that compute them step by step.

use std::sync::Arc;

use super::{Activation, Properties, Visitor};
use crate::{
    formula::{Program, trace},
    remembered::Remembered,
};

pub(super) struct Programs {
    pub(super) value: Arc<Program>,
    pub(super) slope: Arc<Program>,
    /// What of a gradient passes, where that is not all of it.
    pub(super) passed: Option<Arc<Program>>,
}

impl Activation {
    /// `CUT` for kernels of ours on a GPU, whose exponents are of numbers that are cut in two; Burn's operations cut none.
    pub(super) fn programs<const CUT: bool>(self) -> Arc<Programs> {
        // A launch takes less time than taking down what it computes.
        static KNOWN: Remembered<(Activation, bool), Programs> = Remembered::new();
        KNOWN.get((self, CUT), || self.visit(Take::<CUT> { ruled: matches!(self, Self::Ruled(_)) }))
    }
}

struct Take<const CUT: bool> {
    ruled: bool,
}

impl<const CUT: bool> Visitor for Take<CUT> {
    type Output = Programs;

    fn visit<F: Properties>(self, function: F) -> Programs {
        let passed = || Arc::new(trace::<CUT>(|g| function.passed(g)));
        Programs {
            value: Arc::new(trace::<CUT>(|x| function.value(x))),
            slope: Arc::new(trace::<CUT>(|x| function.slope(x))),
            passed: self.ruled.then(passed),
        }
    }
}
