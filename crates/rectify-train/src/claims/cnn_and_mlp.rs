//! `cnn-and-mlp`: ReLU is the right default in both.

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    contest::{Contender, Contest},
    lab::{ClaimError, Lab, Rate, Trained},
};
use crate::{
    experiment::{Experiment, ModelKind},
    judge::{
        anytime::median,
        curve::{Curve, arithmetic},
        number::points,
        verdict::{Direction, Hypothesis, Sample},
    },
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cnn-and-mlp",
    statement: "ReLU is the right default in fully connected and in convolutional networks.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; LeCun, Bengio and Hinton 2015, Deep learning \
             (Nature); to the contrary: Ramachandran, Zoph and Le 2017, Searching for activation functions",
    criteria: &[&ACCURACY],
    procedure: Procedure::of::<CnnAndMlp>(),
};

static ACCURACY: Criterion = Criterion {
    quantity: "test accuracy with ReLU less that with sigmoid or tanh, whichever is better, each at its best rate",
    unit: "fraction",
    null_hypothesis: "ReLU is worse by half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "A default need not win; it must not lose by what a user would notice. What was proposed to replace it is a claim \
          of its own, `gelu-and-silu`.",
};

/// The study.
pub struct CnnAndMlp;

impl Study for CnnAndMlp {
    type Settings = Contest;
    type Pilot = Vec<Rate>;
    type Arm = Contender;
    type Outcome = Trained;

    fn settings(plan: &Plan) -> Contest {
        let cnn = Experiment {
            model: ModelKind::Cnn,
            train_size: plan.choose(Some(500), Some(2000), Some(20_000)),
            epochs: Some(plan.choose(1, 3, 5)),
            batch_size: 32,
            ..plan.experiment()
        };
        let mlps = Contest::of(&["relu", "sigmoid", "tanh"], plan);
        Contest { experiments: [mlps.experiments, vec![cnn]].concat(), ..mlps }
    }

    fn pilot(lab: &Lab, contest: &Contest) -> Result<Vec<Rate>, ClaimError> {
        contest.tune(lab)
    }

    fn arms(contest: &Contest, rates: &Vec<Rate>) -> Vec<Contender> {
        contest.contenders(rates)
    }

    fn measure(lab: &Lab, _: &Contest, arm: &Contender, seed: u64) -> Result<Trained, ClaimError> {
        Ok(lab.fit_setup(&arm.setup, seed)?.1)
    }

    fn judge(contest: &Contest, rates: &Vec<Rate>, trials: &Trials<Contender, Trained>) -> Findings {
        let accuracies = |activation: &str, model: ModelKind, dataset: &str| -> Vec<f64> {
            let is = Contender::is(activation, dataset);
            trials.of(|arm| arm.model == model && is(arm)).into_iter().map(|trained| trained.accuracy).collect()
        };
        let mut conditions = Vec::new();
        for model in [ModelKind::Mlp, ModelKind::Cnn] {
            for dataset in &contest.datasets {
                let relu = accuracies("relu", model, dataset);
                let less = |other: &str| -> Vec<f64> {
                    relu.iter().zip(accuracies(other, model, dataset)).map(|(relu, other)| relu - other).collect()
                };
                let others = &contest.activations[1..];
                let middle = |other: &str| median(&accuracies(other, model, dataset)).unwrap_or(0.0);
                let best = others.iter().max_by(|a, b| middle(a).total_cmp(&middle(b)));
                // Which of the others is the better one is known where it leads; on a tie either will do.
                for other in others {
                    let name = format!("{model}, {dataset}, against {other}");
                    let sample = Sample::Effects(less(other));
                    conditions.push(match Some(other) == best {
                        true => Condition::primary(&ACCURACY, name, sample),
                        false => Condition::exploratory(&ACCURACY, name, sample),
                    });
                }
            }
        }
        let figures = [ModelKind::Mlp, ModelKind::Cnn].map(|model| {
            let curve = |activation: &String| {
                let at =
                    |(place, dataset): (usize, &String)| ((place + 1) as f64, accuracies(activation, model, dataset));
                Curve::measured(activation.clone(), arithmetic, contest.datasets.iter().enumerate().map(at))
            };
            Figure {
                title: format!("Test accuracy, {model}: {}", contest.datasets.join(", ")),
                x: "data set".to_owned(),
                y: "test accuracy".to_owned(),
                series: contest.activations.iter().map(curve).collect(),
                ..Figure::default()
            }
        });
        Findings {
            conditions,
            what_was_run: contest.in_words(rates),
            diverged: trials.all().filter(|trained| trained.diverged).count(),
            figures: figures.into(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let effects = judgement.conditions.iter().filter(|c| c.primary).filter_map(|c| c.effect);
        let medians: Vec<f64> = effects.map(|effect| effect.median).collect();
        let (least, most) = medians.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        format!(
            "At best rates ReLU's accuracy less the better of sigmoid's and tanh's is {} to {} points (MLP, CNN).",
            points(least),
            points(most)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::judge::verdict::Verdict;

    fn verdict(relu: f64, in_cnn: f64) -> Verdict {
        let (contest, rates) = (CnnAndMlp::settings(&plan()), rates(12));
        let arms = contest.contenders(&rates);
        let outcome = |arm: &Contender| {
            let accuracy = match (&*arm.activation, arm.model) {
                ("relu", ModelKind::Mlp) => relu,
                ("relu", ModelKind::Cnn) => in_cnn,
                ("tanh", _) => 0.95,
                _ => 0.90,
            };
            Trained { accuracy, loss: 0.1, diverged: false }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = CnnAndMlp::judge(&contest, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn better_and_equal_confirm_worse_refutes_and_a_lost_model_qualifies() {
        assert_eq!(verdict(0.98, 0.98), Verdict::Confirmed);
        assert_eq!(verdict(0.95, 0.95), Verdict::Confirmed);
        // Better than sigmoid is not enough.
        assert_eq!(verdict(0.92, 0.92), Verdict::Refuted);
        assert_eq!(verdict(0.98, 0.92), Verdict::Qualified);
    }
}
