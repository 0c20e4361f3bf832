//! Networks on disk.

use super::*;

const SHAPE: Shape = Shape { channels: 1, height: 4, width: 5, classes: 3 };

fn checkpoint(activation: &str, seed: u64) -> (Checkpoint, Model) {
    let activation: Activation = activation.parse().unwrap();
    let experiment = experiment();
    let model = Model::new(&experiment, &activation, SHAPE, seed, &Device::flex().autodiff());
    let Shape { channels, height, width, classes } = SHAPE;
    let (class_labels, mean, std) = (vec![2, 3, 5], 0.1 + 0.2, 1.0 / 3.0);
    let class_names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let steps = 7;
    (
        Checkpoint {
            experiment,
            activation,
            seed,
            steps,
            channels,
            height,
            width,
            classes,
            class_labels,
            feature_names: Vec::new(),
            channel_means: vec![mean],
            channel_stds: vec![std],
            class_names,
            mean,
            std,
        },
        model,
    )
}

fn save(experiment: &Path, activation: &str, seed: u64) -> PathBuf {
    let run = experiment.join("runs").join(run_name(activation, seed));
    fs::create_dir_all(&run).unwrap();
    let (checkpoint, model) = checkpoint(activation, seed);
    checkpoint.save(&run, model).unwrap()
}

fn weights(model: Model) -> Vec<u8> {
    match model.valid() {
        Model::Mlp(mlp) => {
            let mut bytes = Vec::new();
            for dense in &mlp.hidden {
                let (weight, bias) = dense.parameters();
                bytes.extend_from_slice(weight.into_data().as_bytes());
                bytes.extend_from_slice(bias.into_data().as_bytes());
            }
            bytes.extend_from_slice(mlp.output.weight.val().into_data().as_bytes());
            bytes
        }
        Model::Cnn(_) => unreachable!("the experiment's model is an MLP"),
    }
}

#[test]
fn a_checkpoint_gives_the_same_network_and_any_damage_names_the_file() {
    let place = place();
    let folder = save(place.path(), "relu", 3);
    assert_eq!(save(place.path(), "relu", 3), folder, "it is replaced");
    let saved = SavedCheckpoint::open(&folder).unwrap();
    let (expected, model) = checkpoint("relu", 3);
    assert_eq!(saved.checkpoint, expected);
    assert_eq!(weights(saved.load_model(&Device::flex()).unwrap()), weights(model));
    let load = || SavedCheckpoint::open(&folder)?.load_model(&Device::flex()).map(drop);
    each_damage_is_an_error(&folder.join("model.bpk"), &load);
    each_damage_is_an_error(&folder.join("checkpoint.json"), &load);
}

#[test]
fn a_checkpoint_of_before_has_no_hash_and_what_is_wrong_with_it_is_still_an_error() {
    let place = place();
    let folder = save(place.path(), "relu", 0);
    let (file, model) = (folder.join("checkpoint.json"), folder.join("model.bpk"));
    let (sound, sound_model) = (checkpoint("relu", 0).0, fs::read(&model).unwrap());
    let load = |checkpoint: &Checkpoint| {
        fs::write(&file, serde_json::to_vec_pretty(checkpoint).unwrap()).unwrap();
        SavedCheckpoint::open(&folder)?.load_model(&Device::flex()).map(weights)
    };
    assert_eq!(load(&sound).unwrap(), weights(checkpoint("relu", 0).1));
    for length in 0..sound_model.len() {
        fs::write(&model, &sound_model[..length]).unwrap();
        let error = message(load(&sound));
        assert!(error.contains("model.bpk"), "{length} bytes: {error}");
    }
    fs::write(&model, &sound_model).unwrap();
    let hidden = |hidden: &[usize]| Checkpoint {
        experiment: Experiment { hidden: Some(hidden.to_vec()), ..experiment() },
        ..sound.clone()
    };
    let of_type = |dtype| Checkpoint { experiment: Experiment { dtype, ..experiment() }, ..sound.clone() };
    let cnn = Experiment { model: ModelKind::Cnn, ..experiment() };
    // No memory holds some of these.
    for other in [
        of_type(Dtype::F64),
        of_type(Dtype::F16),
        hidden(&[4]),
        hidden(&[3, 3]),
        hidden(&[]),
        hidden(&[65_536; 1000]),
        Checkpoint { height: usize::MAX, width: usize::MAX, ..sound.clone() },
        Checkpoint { experiment: cnn.clone(), ..sound.clone() },
        Checkpoint { experiment: cnn, height: usize::MAX, ..sound.clone() },
    ] {
        let error = message(load(&other));
        assert!(error.contains("model.bpk"), "{error}");
    }
    for other in [Checkpoint { classes: usize::MAX, ..sound.clone() }, Checkpoint { height: 0, ..sound }] {
        let error = message(load(&other));
        assert!(error.contains("checkpoint.json"), "{error}");
    }
}

#[test]
fn a_checkpoint_is_found_from_its_run_and_from_an_experiment_that_has_one() {
    let place = place();
    let out = place.path().join("out");
    let said = |path: &Path, parts: &[&str]| {
        let error = message(find(path));
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{part} is not in: {error}"));
    };
    said(&out, &["No such file"]);
    fs::create_dir(&out).unwrap();
    said(&out, &["holds no checkpoint.json", "not the folder of a run"]);

    let folder = RunFolder::create(&out, &experiment()).unwrap();
    folder.metrics("tanh", 0, &Mark::default()).unwrap();
    let tanh = folder.run_path("tanh", 0);
    said(&out, &["no run has a checkpoint yet", "tanh-seed0: running"]);
    said(&tanh, &["this run has no checkpoint (running)"]);
    drop(folder);
    said(&out, &["tanh-seed0: stopped before its end"]);

    let relu = save(&out, "relu", 0);
    let run = relu.parent().unwrap();
    for path in [&out, run, &relu] {
        assert_eq!(find(path).unwrap(), relu);
    }
    said(&relu.join("checkpoint.json"), &["is a file", "relu-seed0/checkpoint"]);
    said(&tanh, &["this run has no checkpoint", "those with a checkpoint are:\n  ", "runs/relu-seed0"]);
    said(&out.join("runs/relu-seed9"), &["No such file", "runs/relu-seed0"]);
    (1..30).for_each(|seed| drop(save(&out, "relu", seed)));
    said(&out, &["holds 30 checkpoints; name one of them:", "runs/relu-seed1\n", "and 10 more"]);
}
