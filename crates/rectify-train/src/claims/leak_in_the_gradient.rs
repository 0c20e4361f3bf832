//! `leak-in-the-gradient`: is a leak in the backward pass alone better than ReLU, or noise?

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    contest::{Contender, Contest},
    lab::{ClaimError, Lab, Rate, Trained},
};
use crate::judge::{
    curve::{Curve, arithmetic},
    number::points,
    verdict::{Direction, Hypothesis, Sample},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "leak-in-the-gradient",
    statement: "ReLU learns better if its backward pass alone lets a little of the gradient through where it is off.",
    source: "Horuz et al. 2025, The resurrection of the ReLU; on gradients that are not those of the function: Bengio, \
             Léonard and Courville 2013, Estimating or propagating gradients through stochastic neurons for conditional \
             computation",
    criteria: &[&GAIN],
    procedure: Procedure::of::<LeakInTheGradient>(),
};

static GAIN: Criterion = Criterion {
    quantity: "test accuracy with a leak of 0.01 in the gradient less that with plain ReLU, each at its best rate",
    unit: "fraction",
    null_hypothesis: "The leak gains no more than a quarter of a percentage point.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.0025),
    why: "A quarter of a point is what two runs of one setting differ by here: less is noise to whoever looks at one run.",
};

/// The study.
pub struct LeakInTheGradient;

impl Study for LeakInTheGradient {
    type Settings = Contest;
    type Pilot = Vec<Rate>;
    type Arm = Contender;
    type Outcome = Trained;

    fn settings(plan: &Plan) -> Contest {
        // Plain ReLU, the leak that is judged and, where there is time for it, a larger one.
        let two = &["relu", "relu:leaky=0.01"][..];
        Contest::of(plan.choose(two, two, &["relu", "relu:leaky=0.01", "relu:leaky=0.1"]), plan)
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
        let is = Contender::is;
        let gains = |rule: &str, dataset: &str| {
            trials.pairs(is(rule, dataset), is("relu", dataset), |leak, relu| leak.accuracy - relu.accuracy)
        };
        let mut conditions = Vec::new();
        for dataset in &contest.datasets {
            for (place, rule) in contest.activations[1..].iter().enumerate() {
                let (name, sample) = (format!("{rule}, {dataset}"), Sample::Effects(gains(rule, dataset)));
                conditions.push(match place {
                    0 => Condition::primary(&GAIN, name, sample),
                    _ => Condition::exploratory(&GAIN, name, sample),
                });
            }
        }
        let curve = |dataset: &String| {
            let slope = |rule: &String| rule.rsplit('=').next().and_then(|slope| slope.parse().ok()).unwrap_or(0.0);
            let at =
                |rule: &String| (slope(rule), trials.of(is(rule, dataset)).into_iter().map(|t| t.accuracy).collect());
            Curve::measured(dataset.clone(), arithmetic, contest.activations.iter().map(at))
        };
        Findings {
            conditions,
            what_was_run: contest.in_words(rates),
            diverged: trials.all().filter(|trained| trained.diverged).count(),
            figures: vec![Figure {
                title: "Test accuracy by the slope of the leak in the gradient".to_owned(),
                x: "slope".to_owned(),
                y: "test accuracy".to_owned(),
                series: contest.datasets.iter().map(curve).collect(),
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let effects = judgement.conditions.iter().filter(|c| c.primary).filter_map(|c| c.effect);
        let gains: Vec<String> = effects.map(|effect| points(effect.median)).collect();
        match judgement.conditions.iter().any(|c| c.primary && c.leans == Some(true)) {
            true => format!("A leak of 0.01 in the gradient alone gains {} points.", gains.join(" and ")),
            false => format!("A leak of 0.01 in the gradient alone gains {} points: noise.", gains.join(" and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::judge::verdict::Verdict;

    fn verdict(gain: f64) -> Verdict {
        let (contest, rates) = (LeakInTheGradient::settings(&plan()), rates(4));
        let arms = contest.contenders(&rates);
        let outcome = |arm: &Contender| {
            let accuracy = if arm.activation == "relu" { 0.95 } else { 0.95 + gain };
            Trained { accuracy, loss: 0.1, diverged: false }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = LeakInTheGradient::judge(&contest, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_gain_confirms_and_noise_refutes() {
        assert_eq!(verdict(0.01), Verdict::Confirmed);
        assert_eq!(verdict(0.001), Verdict::Refuted);
        assert_eq!(verdict(-0.01), Verdict::Refuted);
    }
}
