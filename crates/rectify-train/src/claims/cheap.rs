//! `cheap`: ReLU and its derivative cost less.

use std::{fs, time::Instant};

use burn::tensor::{DType, Device, Distribution, Tensor};
use rectify::FusedActivation;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, describe},
};
use crate::{
    activation::Activation,
    experiment::Experiment,
    judge::{
        curve::{Curve, geometric},
        number::{number, percent},
        verdict::{Direction, Hypothesis, Sample},
    },
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cheap",
    statement: "ReLU and its derivative cost less than sigmoid and tanh, as there is no exponential to compute.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3; whether it matters: Amdahl \
             1967, Validity of the single processor approach to achieving large scale computing capabilities",
    criteria: &[&PER_ELEMENT, &PER_STEP],
    procedure: Procedure::of::<Cheap>(),
};

static PER_ELEMENT: Criterion = Criterion {
    quantity: "time per element, forward and backward, of sigmoid or tanh over ReLU's, each as a layer computes it",
    unit: "ratio",
    null_hypothesis: "They take the same time.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.1),
    why: "A tenth is what the same code's time moves by between runs.",
};
static PER_STEP: Criterion = Criterion {
    quantity: "share of a whole training step that ReLU saves",
    unit: "fraction",
    null_hypothesis: "The step takes as long with either, within a twentieth.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "Less than a twentieth of the time is no reason to choose an activation, however much cheaper its own part is.",
};

/// Part of the time for which a thread that was ready had to wait for a core, from which on a time is worth nothing.
const BUSY: f64 = 0.02;

/// Trainings of which the fastest gives a step's time: what disturbs a time only adds to it.
const TRAININGS: usize = 5;

/// The study.
pub struct Cheap;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    activations: Vec<String>,
    /// Elements of a tensor: from one that stays in a core's cache to one that does not. The middle one decides.
    sizes: Vec<usize>,
    deciding_size: usize,
}

/// What is timed.
#[derive(Debug, Clone, PartialEq)]
pub enum Arm {
    /// A function, forward and backward.
    Elements {
        /// The function.
        activation: String,
        /// Elements of the tensor.
        size: usize,
    },
    /// A whole training step.
    Step {
        /// The function.
        activation: String,
    },
}

/// A time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Time {
    /// Nanoseconds an element, forward; nanoseconds of a step.
    forward: f64,
    /// Nanoseconds an element, backward; 0 of a step.
    backward: f64,
    /// Part of the time that the thread waited for a core; `None` where the system does not tell.
    waited: Option<f64>,
}

impl Time {
    fn total(&self) -> f64 {
        self.forward + self.backward
    }

    fn is_disturbed(&self) -> bool {
        self.waited.is_some_and(|waited| waited > BUSY)
    }
}

impl Study for Cheap {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Time;
    const TIMED: bool = true;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment { train_size: Some(40 * 128), epochs: Some(1), ..plan.experiment() };
        let activations = ["relu", "sigmoid", "tanh"].map(str::to_owned).into();
        let sizes = plan.choose(
            vec![1 << 16],
            vec![1 << 12, 1 << 16, 1 << 20, 1 << 22],
            vec![1 << 12, 1 << 16, 1 << 20, 1 << 24],
        );
        Settings { experiment, activations, sizes, deciding_size: 1 << 16 }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let elements = settings.sizes.iter().flat_map(|&size| {
            settings.activations.iter().map(move |activation| Arm::Elements { activation: activation.clone(), size })
        });
        let steps = settings.activations.iter().map(|activation| Arm::Step { activation: activation.clone() });
        elements.chain(steps).collect()
    }

    /// A seed is a repetition: all arms in turn.
    fn measure(lab: &Lab, settings: &Settings, arm: &Arm, _: u64) -> Result<Time, ClaimError> {
        let before = scheduled();
        let time = match arm {
            Arm::Elements { activation, size } => times(in_a_layer(activation), *size, lab.device()),
            Arm::Step { activation } => {
                let setup = Setup::new(settings.experiment.clone(), activation);
                let (training, data) = (setup.training(0), lab.data(&setup.experiment)?);
                let mut least = f64::INFINITY;
                for _ in 0..TRAININGS {
                    let (_, run) = lab.train(lab.network(&training, &data), &training, &data)?;
                    let seconds = run.last().map_or(f64::NAN, |epoch| epoch.seconds);
                    least = least.min(1e9 * seconds / run.steps as f64);
                }
                Time { forward: least, backward: 0.0, waited: None }
            }
        };
        let waited = before.zip(scheduled()).map(|(before, after)| {
            let (ran, waited) = (after.0 - before.0, after.1 - before.1);
            waited / (ran + waited)
        });
        Ok(Time { waited, ..time })
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Time>) -> Findings {
        let elements = |name: &str, of: usize| {
            let name = name.to_owned();
            move |arm: &Arm| matches!(arm, Arm::Elements { activation, size, .. } if *activation == name && *size == of)
        };
        let step = |name: &str| {
            let name = name.to_owned();
            move |arm: &Arm| matches!(arm, Arm::Step { activation } if *activation == name)
        };
        let undisturbed = |effects: Vec<f64>| {
            let known = effects.iter().filter(|effect| !effect.is_nan()).count();
            match 2 * known < effects.len() {
                true => Sample::Void("other programs took the cores; time it on an idle machine".to_owned()),
                false => Sample::Effects(effects),
            }
        };
        let clean =
            |a: &Time, b: &Time, effect: f64| if a.is_disturbed() || b.is_disturbed() { f64::NAN } else { effect };
        let dearer = |other: &str, size: usize| {
            let ratio = |other: &Time, relu: &Time| clean(other, relu, other.total() / relu.total());
            undisturbed(trials.pairs(elements(other, size), elements("relu", size), ratio))
        };
        let mut conditions = Vec::new();
        for other in &settings.activations[1..] {
            let sample = dearer(other, settings.deciding_size);
            let name = format!("{other}, 2^{} f32", settings.deciding_size.ilog2());
            conditions.push(Condition::primary(&PER_ELEMENT, name, sample));
            let saved = |relu: &Time, other: &Time| clean(relu, other, 1.0 - relu.forward / other.forward);
            let sample = undisturbed(trials.pairs(step("relu"), step(other), saved));
            conditions.push(Condition::primary(&PER_STEP, format!("{other}, whole step"), sample));
        }
        for other in &settings.activations[1..] {
            for &size in settings.sizes.iter().filter(|size| **size != settings.deciding_size) {
                let name = format!("{other}, 2^{} f32", size.ilog2());
                conditions.push(Condition::exploratory(&PER_ELEMENT, name, dearer(other, size)));
            }
        }
        let figure = |title: &str, of: fn(&Time) -> f64| Figure {
            title: title.to_owned(),
            x: "elements".to_owned(),
            y: "ns an element".to_owned(),
            log_x: true,
            log_y: true,
            series: settings
                .activations
                .iter()
                .map(|activation| {
                    let at = |&size: &usize| {
                        (size as f64, trials.of(elements(activation, size)).into_iter().map(of).collect())
                    };
                    Curve::measured(activation.clone(), geometric, settings.sizes.iter().map(at))
                })
                .collect(),
        };
        let told = trials.all().any(|time| time.waited.is_some());
        Findings {
            conditions,
            what_was_run: format!(
                "on one thread, in turn, as layers compute them: {}; training steps of {}{}",
                settings.activations.join(", "),
                describe(&settings.experiment),
                if told { "" } else { "; this system does not tell whether other programs took the core" }
            ),
            diverged: 0,
            figures: vec![figure("Forward", |time| time.forward), figure("Backward", |time| time.backward)],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |what: &str| judgement.primary_effect(what);
        if of("sigmoid, 2^").is_none() || of("tanh, whole").is_none() {
            return "Not timed: other programs took the cores.".to_owned();
        }
        format!(
            "Sigmoid costs {} times ReLU, tanh {} times; of a training step ReLU saves {} % and {} %.",
            number(of("sigmoid, 2^")),
            number(of("tanh, 2^")),
            percent(of("sigmoid, whole"), 0),
            percent(of("tanh, whole"), 0)
        )
    }
}

fn in_a_layer(name: &str) -> FusedActivation {
    let activation: Activation = name.parse().expect("claims name known activations");
    activation.fused().expect("the settings name functions that a layer can have")
}

/// Nanoseconds that this thread has run, and that it waited for a core though it could have run; Linux tells.
fn scheduled() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Times a function and its derivative, as a layer computes them, on normal numbers: as many passes as take about a
/// millisecond or more.
fn times(layer: FusedActivation, elements: usize, device: &Device) -> Time {
    let normal = || Tensor::<1>::random([elements], Distribution::Normal(0.0, 1.0), (device, DType::F32));
    let passes = ((1 << 20) / elements).max(1);
    let total = (passes * elements) as f64;
    let (x, grad) = (normal(), normal());
    let forward = seconds(device, || {
        for _ in 0..passes {
            std::hint::black_box(layer.forward_kept(x.clone()));
        }
    });
    let (_, kept) = layer.forward_kept(x);
    let backward = seconds(device, || {
        for _ in 0..passes {
            std::hint::black_box(layer.backward(kept.clone(), grad.clone()));
        }
    });
    Time { forward: 1e9 * forward / total, backward: 1e9 * backward / total, waited: None }
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

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn judged(element: f64, step: f64, waited: f64) -> Judgement {
        let settings = Cheap::settings(&plan());
        let arms = Cheap::arms(&settings, &());
        let time = |arm: &Arm| {
            let forward = match arm {
                Arm::Elements { activation, .. } if activation != "relu" => element,
                Arm::Step { activation } if activation != "relu" => step,
                _ => 1.0,
            };
            Time { forward, backward: forward, waited: Some(waited) }
        };
        let seeds = vec![arms.iter().map(time).collect::<Vec<_>>(); 8];
        let findings = Cheap::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions)
    }

    #[test]
    fn cheaper_elements_and_steps_confirm_dearer_ones_refute_and_cheap_elements_alone_qualify() {
        assert_eq!(judged(3.0, 1.2, 0.0).verdict, Verdict::Confirmed);
        assert_eq!(judged(1.0, 1.0, 0.0).verdict, Verdict::Refuted);
        assert_eq!(judged(0.5, 0.9, 0.0).verdict, Verdict::Refuted);
        assert_eq!(judged(3.0, 1.01, 0.0).verdict, Verdict::Qualified);
    }

    #[test]
    fn a_busy_machine_is_no_evidence_and_says_so() {
        let judgement = judged(3.0, 1.2, 0.3);
        assert_eq!(judgement.verdict, Verdict::NotSettled);
        assert!(judgement.needs().unwrap().contains("idle machine"));
        assert!(Cheap::sentence(&judgement).contains("other programs"));
    }

    #[test]
    fn linux_tells_how_long_a_thread_waited() {
        if cfg!(target_os = "linux") {
            // The kernel counts at its ticks.
            let begun = Instant::now();
            while begun.elapsed().as_millis() < 50 {
                std::hint::spin_loop();
            }
            let (ran, _) = scheduled().unwrap();
            assert!(ran > 0.0);
        }
    }
}
