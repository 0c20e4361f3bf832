//! Records as a training leaves them, for tests of what reads records.

use rectify_train::record::{DataRecord, Epoch, Layer, Run, Status};

/// A run of two looks at two hidden layers, as a sound network has them, changed by `change` after training.
pub fn looked_at(change: impl Fn(&mut Layer)) -> Run {
    let layer = |i: usize| Layer {
        layer: format!("hidden.{i}"),
        units: 64,
        weight_grad_rms: Some(1e-3),
        weight_grad_norm: Some(0.1),
        update_to_weight_ratio: Some(1e-3),
        weight_rms: Some(0.17),
        dead_fraction: Some(0.0),
        unit_nonzero_fraction: vec![0.5; 64],
        ..Layer::default()
    };
    let mut after: Vec<Layer> = (0..2).map(layer).collect();
    change(&mut after[0]);
    let epoch = |epoch: usize, layers| Epoch { epoch, step: 200 * epoch, layers, ..Epoch::default() };
    Run {
        status: Status::Completed,
        steps: 200,
        epochs: vec![epoch(0, (0..2).map(layer).collect()), epoch(1, after)],
        ..Run::new("relu", 0)
    }
}

/// A small data set of ten classes, as many samples of each.
pub const TEN_CLASSES: DataRecord = DataRecord {
    train: 1000,
    validation: 100,
    test: 100,
    classes: 10,
    majority_fraction: 0.1,
    duplicates: None,
    mean: 0.1,
    std: 0.3,
};
