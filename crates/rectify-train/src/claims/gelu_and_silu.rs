//! `gelu-and-silu`: do GELU and SiLU beat ReLU at equal tuning?

use super::{
    Claim, Condition, ConditionResult, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    contest::{Contender, Contest},
    lab::{ClaimError, Lab, Rate, Trained},
};
use crate::judge::{
    curve::Curve,
    number::points,
    verdict::{Direction, Hypothesis, Sample},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "gelu-and-silu",
    statement: "GELU and SiLU reach a higher accuracy than ReLU at equal tuning.",
    source: "Hendrycks and Gimpel 2016, Gaussian error linear units; Ramachandran, Zoph and Le 2017, Searching for \
             activation functions; Elfwing, Uchibe and Doya 2018, Sigmoid-weighted linear units",
    criteria: &[&BETTER],
    procedure: Procedure::of::<GeluAndSilu>(),
};

static BETTER: Criterion = Criterion {
    quantity: "test accuracy with GELU or SiLU less that with ReLU, each at its best rate, seed by seed",
    unit: "fraction",
    null_hypothesis: "They gain no more than a quarter of a percentage point.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.0025),
    why: "Ramachandran, Zoph and Le report gains of 0.6 to 0.9 points on ImageNet; a quarter of a point is what two runs \
          of one setting differ by here.",
};

/// The study.
pub struct GeluAndSilu;

impl Study for GeluAndSilu {
    type Settings = Contest;
    type Pilot = Vec<Rate>;
    type Arm = Contender;
    type Outcome = Trained;

    fn settings(plan: &Plan) -> Contest {
        Contest::of(&["relu", "gelu", "silu"], plan)
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
        let mut conditions = Vec::new();
        for dataset in &contest.datasets {
            for activation in &contest.activations[1..] {
                let gains =
                    trials.pairs(is(activation, dataset), is("relu", dataset), |a, relu| a.accuracy - relu.accuracy);
                let name = format!("{activation}, {dataset}");
                conditions.push(Condition::primary(&BETTER, name, Sample::Effects(gains)));
            }
        }
        // The grid is a result, too: how accuracy depends on the rate.
        let figures =
            contest.datasets.iter().map(|dataset| {
                let all = contest.contenders(rates);
                let curves = all.iter().zip(rates).filter(|(arm, _)| arm.dataset == *dataset).map(|(arm, rate)| {
                    Curve { name: arm.activation.clone(), points: rate.tried.clone(), ..Curve::default() }
                });
                Figure {
                    title: format!("Validation accuracy by learning rate, pilot seeds, {dataset}"),
                    x: "learning rate".to_owned(),
                    y: "validation accuracy".to_owned(),
                    log_x: true,
                    series: curves.collect(),
                    ..Figure::default()
                }
            });
        Findings {
            conditions,
            what_was_run: contest.in_words(rates),
            diverged: trials.all().filter(|trained| trained.diverged).count(),
            figures: figures.collect(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let range = |activation: &str| {
            let of = |c: &&ConditionResult| c.primary && c.condition.starts_with(activation);
            let effects = judgement.conditions.iter().filter(of).filter_map(|c| c.effect);
            effects.map(|effect| points(effect.median)).collect::<Vec<_>>().join(" and ")
        };
        format!("At equal tuning GELU gains {} points on ReLU, SiLU {}.", range("gelu"), range("silu"))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::judge::verdict::Verdict;

    fn verdict(gelu: f64, silu: f64) -> Verdict {
        let (contest, rates) = (GeluAndSilu::settings(&plan()), rates(6));
        let arms = contest.contenders(&rates);
        let outcome = |arm: &Contender| {
            let gain = match &*arm.activation {
                "gelu" => gelu,
                "silu" => silu,
                _ => 0.0,
            };
            Trained { accuracy: 0.95 + gain, loss: 0.1, diverged: false }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = GeluAndSilu::judge(&contest, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_gain_of_both_confirms_of_one_qualifies_and_of_none_refutes() {
        assert_eq!(verdict(0.006, 0.006), Verdict::Confirmed);
        assert_eq!(verdict(0.006, 0.0), Verdict::Qualified);
        assert_eq!(verdict(0.001, -0.01), Verdict::Refuted);
    }
}
