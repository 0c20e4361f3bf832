//! Rules and configurations as text and in files.

use burn::config::Config;
use proptest::prelude::*;
use rectify::{
    Activation, ConfigError, Gelu, GradientRule, HardShrink, HardTanh, LeakyRelu, Relu, ReluConfig, Surrogate,
};

/// Any rule in its range.
fn rules() -> impl Strategy<Value = GradientRule> {
    prop_oneof![
        (0.0..=1.0).prop_map(|at_zero| GradientRule::Heaviside { at_zero }),
        prop::num::f64::NORMAL.prop_map(|slope| GradientRule::Leaky { slope }),
        Just(GradientRule::Surrogate(Surrogate::BSilu)),
        (prop::num::f64::POSITIVE | prop::num::f64::SUBNORMAL)
            .prop_filter("alpha is positive", |alpha| alpha.is_finite() && *alpha > 0.0)
            .prop_map(|alpha| GradientRule::Surrogate(Surrogate::NeLu { alpha })),
        Just(GradientRule::Guided),
        Just(GradientRule::Deconv),
    ]
}

proptest! {
    #[test]
    fn a_rule_read_back_from_its_text_is_the_same(rule in rules()) {
        prop_assert_eq!(rule.to_string().parse::<GradientRule>(), Ok(rule));
    }

    // Of 15 digits at most: Burn reads longer numbers in JSON to within their last bit.
    #[test]
    fn a_config_read_back_from_its_file_is_the_same(millionths in 1..=1_000_000, kind in 0..3, sign in -1..=1) {
        let number = f64::from(millionths) / 1e6;
        let rule = match kind {
            0 => GradientRule::Heaviside { at_zero: number },
            1 => GradientRule::Leaky { slope: f64::from(sign) * number },
            _ => GradientRule::Surrogate(Surrogate::NeLu { alpha: number }),
        };
        let file = tempfile::NamedTempFile::new()?;
        ReluConfig::new().with_rule(rule).save(file.path())?;
        let config = ReluConfig::load(file.path()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(config.rule, rule);
        prop_assert_eq!(config.init().map(|relu| relu.rule()), Ok(rule));
    }

    #[test]
    fn text_that_is_no_rule_is_refused_with_the_rules_that_are(text in ".*") {
        match text.parse::<GradientRule>() {
            Ok(rule) => prop_assert!(rule.check().is_ok()),
            Err(ConfigError::UnknownRule(told)) => prop_assert_eq!(told, text),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused_by_name_from_text_and_from_a_config(value in prop::num::f64::ANY) {
        let cases = [
            ("heaviside", "at_zero must be in 0..=1", GradientRule::Heaviside { at_zero: value }),
            ("leaky", "slope must be finite", GradientRule::Leaky { slope: value }),
            ("nelu", "alpha must be positive and finite", GradientRule::Surrogate(Surrogate::NeLu { alpha: value })),
        ];
        for (name, message, rule) in cases {
            let in_range = match rule {
                GradientRule::Heaviside { .. } => (0.0..=1.0).contains(&value),
                GradientRule::Leaky { .. } => value.is_finite(),
                _ => value > 0.0 && value < f64::INFINITY,
            };
            let config = ReluConfig::new().with_rule(rule).init();
            let text = format!("{name}={value}").parse::<GradientRule>();
            prop_assert_eq!(config.is_ok(), in_range);
            prop_assert_eq!(text.is_ok(), in_range);
            if !in_range {
                let expected = format!("{message}, got {value}");
                prop_assert_eq!(config.unwrap_err().to_string(), expected.clone());
                prop_assert_eq!(text.unwrap_err().to_string(), expected);
            }
        }
    }
}

#[test]
fn rules_have_the_names_of_the_command_line() {
    let named = [
        ("heaviside=0.5", GradientRule::Heaviside { at_zero: 0.5 }),
        ("leaky=0.01", GradientRule::Leaky { slope: 0.01 }),
        ("leaky=-3", GradientRule::Leaky { slope: -3.0 }),
        ("bsilu", GradientRule::Surrogate(Surrogate::BSilu)),
        ("nelu=0.1", GradientRule::Surrogate(Surrogate::NeLu { alpha: 0.1 })),
        ("guided", GradientRule::Guided),
        ("deconv", GradientRule::Deconv),
    ];
    for (text, rule) in named {
        assert_eq!(text.parse(), Ok(rule));
        assert_eq!(rule.to_string(), text);
    }
}

#[test]
fn a_name_without_its_number_or_with_one_too_many_is_refused() {
    for text in ["", "heaviside", "heaviside=", "heaviside=x", "leaky", "nelu", "bsilu=1", "guided=", "relu", "Guided"]
    {
        let error = text.parse::<GradientRule>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "unknown gradient rule `{text}`; known are heaviside=VALUE, leaky=SLOPE, bsilu, nelu=ALPHA, guided, \
                 deconv"
            )
        );
    }
}

#[test]
fn the_default_is_zero_at_zero_everywhere() {
    let rule = GradientRule::Heaviside { at_zero: 0.0 };
    assert_eq!(GradientRule::default(), rule);
    assert_eq!(ReluConfig::new().rule, rule);
    assert_eq!(Relu::default().rule(), rule);
    assert_eq!(ReluConfig::new().init(), Ok(Relu::default()));
}

#[test]
fn a_config_of_a_file_that_is_out_of_range_is_refused_by_init() {
    let config =
        ReluConfig::load_binary(br#"{ "rule": { "Heaviside": { "at_zero": 1.5 } } }"#).expect("it is a config");
    assert_eq!(config.init().unwrap_err().to_string(), "at_zero must be in 0..=1, got 1.5");
    assert!(ReluConfig::load_binary(br#"{ "rule": "Sigmoid" }"#).is_err());
}

#[test]
fn a_rule_that_says_nothing_of_a_function_is_refused_with_the_reason() {
    let with = |function: Activation, rule: GradientRule| match function.with_rule(rule) {
        Ok(_) => "",
        Err(ConfigError::NoRule { why, .. }) => why,
        Err(error) => panic!("{error}"),
    };
    let (leaky, guided) = (GradientRule::Leaky { slope: 0.1 }, GradientRule::Guided);
    let slope = |negative_slope| Activation::from(LeakyRelu { negative_slope });
    assert_eq!(with(Gelu.into(), guided), "it is not made of straight pieces");
    assert_eq!(
        with(HardTanh::default().into(), GradientRule::Surrogate(Surrogate::BSilu)),
        "surrogates are made for ReLU"
    );
    assert_eq!(with(slope(0.1), leaky), "no piece of it is flat");
    let fine = [with(slope(0.0), leaky), with(slope(0.1), guided), with(HardTanh::default().into(), leaky)];
    assert_eq!(fine, [""; 3]);
    // Kinks nearer to each other than a probe's distance.
    let narrow = Activation::from(HardShrink { lambda: 1e-7 }).with_rule(GradientRule::Heaviside { at_zero: 0.5 });
    assert_eq!(narrow.map(|narrow| [narrow.slope(-1e-7), narrow.slope(1e-7)]), Ok([0.5; 2]));
    // Another rule takes the place of the first.
    let ruled = HardTanh::default();
    let twice = Activation::from(ruled).with_rule(guided).and_then(|ruled| ruled.with_rule(leaky));
    assert_eq!(twice, Activation::from(ruled).with_rule(leaky));
    let wrong = Activation::from(ruled).with_rule(GradientRule::Heaviside { at_zero: 2.0 });
    assert!(matches!(wrong, Err(ConfigError::OutOfRange { field: "at_zero", .. })), "{wrong:?}");
}
