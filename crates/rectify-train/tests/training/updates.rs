//! Optimizers, held against their formulas.

use super::*;

#[test]
fn sgd_steps_against_the_gradient_with_the_l2_penalty_in_it() {
    let experiment = Experiment { weight_decay: DECAY, ..regression() };
    agrees_with(experiment, SEVEN_DIGITS, |_, w, g| {
        for (w, g) in w.iter_mut().zip(g) {
            *w -= RATE * (g + DECAY * *w);
        }
    });
}

#[test]
fn schedules_lower_the_rate_of_each_step() {
    // Of three steps: cosine's factors are (1 + cos(π k / 3)) / 2, and 0, 1/3 and 2/3 are before a half, before a half,
    // and before three quarters.
    for (schedule, factors) in [(Schedule::Cosine, [1.0, 0.75, 0.25]), (Schedule::Step, [1.0, 1.0, 0.1])] {
        agrees_with(Experiment { schedule, ..regression() }, SEVEN_DIGITS, |step, w, g| {
            for (w, g) in w.iter_mut().zip(g) {
                *w -= RATE * factors[step - 1] * g;
            }
        });
    }
    let factors = |schedule: Schedule| [0, 4, 5, 7, 8, 9, 10].map(|step| schedule.factor(step, 10));
    assert_eq!(factors(Schedule::Step), [1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.01]);
    assert_eq!(factors(Schedule::Constant), [1.0; 7]);
    assert_eq!(Schedule::Cosine.factor(10, 10), 0.0);
}

#[test]
fn momentum_adds_up_gradients_without_dampening() {
    let experiment = Experiment { optimizer: OptimizerKind::Momentum, momentum: Some(0.8), ..regression() };
    let mut velocity = [0.0; 8];
    agrees_with(experiment, SEVEN_DIGITS, |_, w, g| {
        for ((w, g), v) in w.iter_mut().zip(g).zip(&mut velocity) {
            *v = 0.8 * *v + g;
            *w -= RATE * *v;
        }
    });
}

/// Kingma and Ba 2015, algorithm 1: the direction with bias correction, β = (0.9, 0.999), ε = 1e-8.
fn adam(step: usize, moments: &mut [f64; 2], gradient: f64) -> f64 {
    let (power, [m, v]) = (step as i32, moments);
    *m = 0.9 * *m + 0.1 * gradient;
    *v = 0.999 * *v + 0.001 * gradient * gradient;
    *m / (1.0 - 0.9_f64.powi(power)) / ((*v / (1.0 - 0.999_f64.powi(power))).sqrt() + 1e-8)
}

#[test]
fn adam_steps_as_in_its_paper_with_the_l2_penalty_in_the_gradient() {
    let experiment = Experiment { optimizer: OptimizerKind::Adam, weight_decay: DECAY, ..regression() };
    let mut moments = [[0.0; 2]; 8];
    agrees_with(experiment, ADAMS_DIGITS, |step, w, g| {
        for ((w, g), moments) in w.iter_mut().zip(g).zip(&mut moments) {
            *w -= RATE * adam(step, moments, g + DECAY * *w);
        }
    });
}

#[test]
fn adamw_decays_weights_beside_the_step_and_by_the_learning_rate() {
    let experiment = Experiment { optimizer: OptimizerKind::AdamW, weight_decay: 0.1, ..regression() };
    let mut moments = [[0.0; 2]; 8];
    agrees_with(experiment, ADAMS_DIGITS, |step, w, g| {
        for ((w, g), moments) in w.iter_mut().zip(g).zip(&mut moments) {
            *w = *w * (1.0 - RATE * 0.1) - RATE * adam(step, moments, *g);
        }
    });
}

#[test]
fn clipping_bounds_the_norm_of_the_whole_gradient_and_keeps_its_direction() {
    let data = six_samples();
    let initial = parameters(&trained(&Experiment { steps: Some(0), ..regression() }, &data, 0).0);
    let whole = gradient(&initial);
    let length = whole.iter().map(|g| g * g).sum::<f64>().sqrt();
    for bound in [0.01, 0.5 * length, 2.0 * length] {
        let experiment = Experiment { steps: Some(1), lr: Some(1.0), clip_norm: Some(bound), ..regression() };
        let after = parameters(&trained(&experiment, &data, 0).0);
        for ((before, after), g) in initial.iter().zip(after).zip(&whole) {
            let expected = g * (bound / length).min(1.0);
            assert!((before - after - expected).abs() < 1e-7, "moved by {}, not {expected}", before - after);
        }
    }
}
