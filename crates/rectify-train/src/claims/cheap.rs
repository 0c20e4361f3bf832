//! `cheap`: ReLU and its derivative cost less.

use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, geometric,
    lab::{ClaimError, Lab},
};
use crate::{
    activation::{Activation, ActivationLayer},
    backend,
    experiment::Experiment,
    judge::verdict::{Direction, Hypothesis},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cheap",
    statement: "ReLU and its derivative cost less than sigmoid and tanh, as there is no exponential to compute.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3; whether it matters: Amdahl \
             1967, Validity of the single processor approach to achieving large scale computing capabilities",
    parts: &[&PER_ELEMENT, &PER_STEP],
    run,
};

static PER_ELEMENT: Part = Part {
    quantity: "time per element, sigmoid's or tanh's over ReLU's",
    unit: "ratio",
    null_hypothesis: "They take the same time.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.1),
    why: "A tenth is what the same code's time moves by between runs on a busy machine.",
};
static PER_STEP: Part = Part {
    quantity: "share of a whole training step that ReLU saves",
    unit: "fraction",
    null_hypothesis: "The step takes as long with either.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "Less than a twentieth of the time is no reason to choose an activation, however much cheaper its own part is.",
};

/// Times of ReLU and of another function for the same work, a pair a repetition, taken in turn.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was timed, such as `tanh backward, 2^20 f32, flex`.
    pub condition: String,
    /// (ReLU, the other): nanoseconds per element, or seconds a step.
    pub times: Vec<(f64, f64)>,
}

/// The evidence from times per element and from times of whole steps.
pub fn conditions(elements: &[Measured], steps: &[Measured]) -> Vec<Condition> {
    let per_element = elements.iter().map(|m| {
        Condition::new(&PER_ELEMENT, &m.condition, m.times.iter().map(|(relu, other)| other / relu).collect())
    });
    let per_step = steps.iter().map(|m| {
        Condition::new(&PER_STEP, &m.condition, m.times.iter().map(|(relu, other)| 1.0 - relu / other).collect())
    });
    per_element.chain(per_step).collect()
}

const ACTIVATIONS: [&str; 3] = ["relu", "sigmoid", "tanh"];
/// Steps of a training whose time is taken.
const STEPS: usize = 40;
/// Elements of a tensor: from one that stays in a processor's cache to one that does not.
const SIZES: [usize; 3] = [1 << 14, 1 << 18, 1 << 22];

/// On one thread of its own: trainings side by side would disturb each other's times.
fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    lab.alone(&|| measure(lab))
}

fn measure(lab: &Lab) -> Result<Outcome, ClaimError> {
    let repetitions = lab.choose(3, 15, 30);
    let sizes = lab.choose(&SIZES[..1], &SIZES[..], &SIZES[..]);
    // The CPU's two backends are different code; a GPU is compared with nothing.
    let backends = if lab.backend() == "flex" { vec!["flex", "ndarray"] } else { vec![lab.backend()] };
    let mut elements = Vec::new();
    let mut figures = Vec::new();
    let mut timed_on = Vec::new();
    for backend in backends {
        // Timed where it is compiled in; what was run says where that was.
        let Ok(device) = backend::open(backend) else { continue };
        timed_on.push(backend);
        let timed: Vec<(usize, Vec<Vec<Times>>)> =
            sizes.iter().map(|&size| (size, in_turn(repetitions, |i| times(&activation(i), size, &device)))).collect();
        type Direction = (&'static str, fn(&Times) -> f64);
        let directions: [Direction; 2] = [("forward", |times| times.forward), ("backward", |times| times.backward)];
        for (direction, time) in directions {
            for (size, times) in &timed {
                for (i, name) in ACTIVATIONS.iter().enumerate().skip(1) {
                    elements.push(Measured {
                        condition: format!("{name} {direction}, 2^{} f32, {backend}", size.ilog2()),
                        times: times[0].iter().zip(&times[i]).map(|(relu, other)| (time(relu), time(other))).collect(),
                    });
                }
            }
            let curve = |(i, name): (usize, &&str)| {
                let at = |(size, times): &(usize, Vec<Vec<Times>>)| (*size as f64, times[i].iter().map(time).collect());
                Curve::measured(*name, geometric, timed.iter().map(at))
            };
            figures.push(Figure {
                title: format!("{direction}, {backend}"),
                x: "elements".to_owned(),
                y: "ns an element".to_owned(),
                log_x: true,
                log_y: true,
                series: ACTIVATIONS.iter().enumerate().map(curve).collect(),
            });
        }
    }

    let experiment = Experiment { train_size: Some(STEPS * 128), epochs: Some(1), ..lab.experiment() };
    let trainings = lab.trainings(&experiment, &ACTIVATIONS, 0..1);
    let step_times = in_turn(repetitions, |i| seconds_a_step(lab, &trainings[i])).into_iter();
    let step_times: Vec<Vec<f64>> =
        step_times.map(|times| times.into_iter().collect::<Result<_, _>>()).collect::<Result<_, _>>()?;
    let steps: Vec<Measured> = ACTIVATIONS
        .iter()
        .enumerate()
        .skip(1)
        .map(|(i, name)| Measured {
            condition: format!(
                "{name}, whole step, mlp {} × 128, batch 128, {}",
                experiment.hidden().len(),
                lab.backend()
            ),
            times: step_times[0].iter().copied().zip(step_times[i].iter().copied()).collect(),
        })
        .collect();
    figures.push(Figure {
        title: "A whole training step".to_owned(),
        x: "repetition".to_owned(),
        y: "ms".to_owned(),
        series: ACTIVATIONS
            .iter()
            .zip(&step_times)
            .map(|(name, times)| {
                let points = times.iter().enumerate().map(|(i, seconds)| ((i + 1) as f64, 1e3 * seconds)).collect();
                Curve { name: (*name).to_owned(), points, ..Curve::default() }
            })
            .collect(),
        ..Figure::default()
    });
    Ok(Outcome {
        conditions: conditions(&elements, &steps),
        what_was_run: format!(
            "{repetitions} repetitions in turn on one thread: tensors of {sizes:?} \
             f32 on {}; training steps of {}",
            timed_on.join(" and "),
            Training::describe(&experiment)
        ),
        figures,
    })
}

fn activation(i: usize) -> Activation {
    ACTIVATIONS[i].parse().expect("claims name known activations")
}

/// `times(i)` for every activation in turn, `repetitions` times after one that does not count. By activation.
fn in_turn<T>(repetitions: usize, times: impl Fn(usize) -> T) -> Vec<Vec<T>> {
    let mut by_activation: Vec<Vec<T>> = ACTIVATIONS.map(|_| Vec::new()).into();
    for repetition in 0..=repetitions {
        for (i, of) in by_activation.iter_mut().enumerate() {
            let time = times(i);
            if repetition > 0 {
                of.push(time);
            }
        }
    }
    by_activation
}

/// Nanoseconds an element.
struct Times {
    forward: f64,
    backward: f64,
}

/// Times a function and its derivative on normal numbers, as many passes as take about a millisecond or more.
fn times(activation: &Activation, elements: usize, device: &Device) -> Times {
    let layer = activation.init(device);
    let tensor =
        |device: &Device| Tensor::<1>::random([elements], Distribution::Normal(0.0, 1.0), (device, DType::F32));
    let passes = ((1 << 20) / elements).max(1);
    let total = (passes * elements) as f64;
    let x = tensor(device);
    let forward = seconds(device, || {
        for _ in 0..passes {
            std::hint::black_box(layer.forward(x.clone()));
        }
    });
    let tracked = device.clone().autodiff();
    let outputs: Vec<Tensor<1>> =
        (0..passes).map(|_| ActivationLayer::forward(&layer, tensor(&tracked).require_grad())).collect();
    let backward = seconds(device, || {
        for y in &outputs {
            std::hint::black_box(y.backward());
        }
    });
    Times { forward: 1e9 * forward / total, backward: 1e9 * backward / total }
}

/// Seconds that `work` takes until the device has done it.
fn seconds(device: &Device, work: impl FnOnce()) -> f64 {
    // A device that cannot wait has nothing to wait for.
    let _ = device.sync();
    let started = Instant::now();
    work();
    let _ = device.sync();
    started.elapsed().as_secs_f64()
}

/// Seconds of a training step, over a few dozen: batch, forward, backward and update.
fn seconds_a_step(lab: &Lab, training: &Training) -> Result<f64, ClaimError> {
    let data = lab.data(&training.experiment)?;
    let (_, run) = lab.train(lab.network(training, &data), training, &data, &mut |_| {})?;
    Ok(run.last().map_or(f64::NAN, |epoch| epoch.seconds) / run.steps as f64)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(element: f64, step: f64) -> Verdict {
        let measured = |other: f64| Measured {
            condition: "tanh".to_owned(),
            times: around(other).map(|other| (1.0, other)).to_vec(),
        };
        CLAIM.judge(conditions(&[measured(element)], &[measured(step)])).verdict
    }

    #[test]
    fn cheaper_elements_and_steps_confirm_dearer_ones_refute_and_cheap_elements_alone_qualify() {
        assert_eq!(verdict(3.0, 1.2), Verdict::Confirmed);
        assert_eq!(verdict(1.0, 1.0), Verdict::Refuted);
        assert_eq!(verdict(0.5, 0.9), Verdict::Refuted);
        assert_eq!(verdict(3.0, 1.01), Verdict::Qualified);
    }
}
