//! When layers are looked at, and that it changes nothing in the training.

use super::*;

#[test]
fn a_probed_step_has_the_figures_of_its_own_batch_however_many_threads_share_it() {
    let (inputs, labels) = inputs_and_labels();
    let reference = Reference::new(sigmoid, sigmoid_slope);
    let pass = reference.pass(&inputs, &labels);
    for threads in [1, 2, 3] {
        // A step on all samples at once, whatever their order.
        let probe_every = ProbeEvery::Steps(1);
        let experiment = Experiment { epochs: Some(1), batch_size: 64, threads, probe_every, ..experiment("sigmoid") };
        let (_, run) = trained(reference.network("sigmoid"), &experiment, &data(&inputs, &labels, 3));
        assert_eq!(run.probes.len(), 1);
        assert_eq!(run.probes[0].step, 1);
        close("loss", run.probes[0].loss, pass.loss);
        gradients_are(1e-5, &run.probes[0].layers, &pass);
        for (l, layer) in run.probes[0].layers.iter().enumerate() {
            close("preactivation_std", layer.preactivation_std, std(&pass.preactivations[l]));
            close("activation_mean", layer.activation_mean, mean(&pass.activations[l]));
            let ratio = 0.1 * norm(&pass.weight_gradients[l]) / norm(&reference.weights[l]);
            close("update_to_weight_ratio", layer.update_to_weight_ratio, ratio);
        }
    }
}

#[test]
fn a_probed_steps_gradients_are_those_before_clipping_whatever_the_optimizer() {
    let (inputs, labels) = inputs_and_labels();
    let reference = Reference::new(sigmoid, sigmoid_slope);
    let pass = reference.pass(&inputs, &labels);
    for optimizer in [OptimizerKind::Sgd, OptimizerKind::Momentum, OptimizerKind::Adam] {
        for clip_norm in [None, Some(1e-3)] {
            let experiment = Experiment {
                epochs: Some(1),
                batch_size: 64,
                optimizer,
                clip_norm,
                probe_every: ProbeEvery::Steps(1),
                ..experiment("sigmoid")
            };
            let (_, run) = trained(reference.network("sigmoid"), &experiment, &data(&inputs, &labels, 3));
            gradients_are(1e-5, &run.probes[0].layers, &pass);
        }
    }
}

#[test]
fn steps_are_probed_as_often_as_asked_for() {
    let (inputs, labels) = inputs_and_labels();
    let experiment =
        Experiment { epochs: Some(2), batch_size: 10, probe_every: ProbeEvery::Steps(3), ..experiment("relu") };
    let (_, run) = trained(Reference::new(relu, step).network("relu"), &experiment, &data(&inputs, &labels, 3));
    assert_eq!(run.probes.iter().map(|probe| probe.step).collect::<Vec<_>>(), [3, 6]);
}

#[test]
fn looking_changes_nothing_in_the_training() {
    let (inputs, labels) = inputs_and_labels();
    // In f32 a layer is one kernel, in f64 Burn's operations; leaky ReLU is apart from its layer.
    for (dtype, name, threads) in
        [(Dtype::F64, "relu", 1), (Dtype::F32, "relu", 1), (Dtype::F32, "tanh", 2), (Dtype::F32, "leaky-relu", 1)]
    {
        let train = |probe_every| {
            let experiment =
                Experiment { epochs: Some(3), batch_size: 16, dtype, threads, probe_every, ..experiment(name) };
            let network = Reference::new(relu, step).network_in(dtype, name);
            let (network, run) = trained(network, &experiment, &data_in(dtype, &inputs, &labels, 3));
            let weights: Vec<f64> = network.hidden[0].parameters().0.into_data().iter().collect();
            let losses: Vec<_> = run.epochs.iter().map(|epoch| (epoch.train_loss, epoch.test_loss)).collect();
            (weights, losses, run.epochs.iter().all(|epoch| epoch.layers.is_empty()), run.probes.len())
        };
        let (weights, losses, no_layers, probes) = train(ProbeEvery::Off);
        assert!(no_layers && probes == 0, "off is off");
        for probe_every in [ProbeEvery::Epoch, ProbeEvery::Steps(1)] {
            let (probed_weights, probed_losses, no_layers, _) = train(probe_every);
            assert!(!no_layers);
            assert_eq!((&weights, &losses), (&probed_weights, &probed_losses), "{name} in {dtype}, {probe_every}");
        }
    }
}
