//! φ and φ′ as programs, for the backends that compute them step by step.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Activation, Properties, Visitor};
use crate::formula::{Program, trace};

/// So many activations are remembered: a launch takes less time than taking down what it computes.
const REMEMBERED: usize = 64;

pub(super) struct Programs {
    pub(super) value: Arc<Program>,
    pub(super) slope: Arc<Program>,
    /// What of a gradient passes, where that is not all of it.
    pub(super) passed: Option<Arc<Program>>,
}

impl Activation {
    /// `CUT` for kernels of ours on a GPU, whose exponents are of numbers that are cut in two; Burn's operations cut none.
    pub(super) fn programs<const CUT: bool>(self) -> Arc<Programs> {
        static KNOWN: Mutex<Vec<((Activation, bool), Arc<Programs>)>> = Mutex::new(Vec::new());
        // A panic cannot leave the list half written.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, programs)) = known.iter().find(|(key, _)| *key == (self, CUT)) {
            return programs.clone();
        }
        let programs = Arc::new(self.visit(Take::<CUT> { ruled: matches!(self, Self::Ruled(_)) }));
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push(((self, CUT), programs.clone()));
        programs
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
