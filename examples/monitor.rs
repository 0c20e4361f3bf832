//! A small transformer in a loop of its own, with a monitor on: five lines, marked by `monitor`.
//!
//!     cargo run --release --example monitor
//!
//! It is trained twice: as it should be, and with a bias that leaves every unit of its feed-forward layer dead.

use std::error::Error;

use burn::{
    module::{Module, Param},
    nn::{
        Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig,
        attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig},
        loss::CrossEntropyLossConfig,
    },
    optim::{AdamConfig, GradientsParams},
    tensor::{Device, Int, Tensor, TensorData},
};
use rectify_train::{
    judge::diagnose::Diagnosis,
    monitor::{Monitor, Tapped, Taps},
};

const TOKENS: usize = 6;
const LENGTH: usize = 8;
const BATCH: usize = 32;

#[derive(Module, Debug)]
struct Transformer {
    embedding: Embedding,
    attention: MultiHeadAttention,
    norm: LayerNorm,
    up: Linear,
    activation: Tapped,
    down: Linear,
    head: Linear,
}

impl Transformer {
    fn new(taps: &Taps, bias: f32, device: &Device) -> Result<Self, Box<dyn Error>> {
        device.seed(0);
        let mut up = LinearConfig::new(16, 32).init(device);
        up.bias = Some(Param::from_tensor(Tensor::full([32], bias, device)));
        Ok(Self {
            embedding: EmbeddingConfig::new(TOKENS, 16).init(device),
            attention: MultiHeadAttentionConfig::new(16, 2).init(device),
            norm: LayerNormConfig::new(16).init(device),
            up,
            // In place of an activation module, so that the monitor sees what passes.
            activation: taps.tap("up", &"relu".parse()?, device),
            down: LinearConfig::new(32, 16).init(device),
            head: LinearConfig::new(16, TOKENS).init(device),
        })
    }

    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let x = self.embedding.forward(tokens);
        let x = self.norm.forward(x.clone() + self.attention.forward(MhaInput::self_attn(x)).context);
        let x = x.clone() + self.down.forward(self.activation.forward(self.up.forward(x)));
        self.head.forward(x.mean_dim(1).squeeze_dim(1))
    }
}

/// Sequences, and the token that each has most of.
fn batch(step: usize, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let hash = |n: usize| ((n as u32).wrapping_mul(2_654_435_761) >> 16) as usize;
    let sequence = |i: usize| {
        let most = hash(step * BATCH + i) % TOKENS;
        let token = |at: usize| if at.is_multiple_of(2) { most } else { hash(step * 1000 + i * LENGTH + at) % TOKENS };
        (most, (0..LENGTH).map(token).collect::<Vec<_>>())
    };
    let (labels, tokens): (Vec<usize>, Vec<Vec<usize>>) = (0..BATCH).map(sequence).unzip();
    let data = |values: Vec<usize>| values.into_iter().map(|value| value as i32).collect::<Vec<_>>();
    (
        Tensor::from_data(TensorData::new(data(tokens.concat()), [BATCH, LENGTH]), device),
        Tensor::from_data(TensorData::new(data(labels), [BATCH]), device),
    )
}

fn train(bias: f32) -> Result<Diagnosis, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let taps = Taps::default();
    let mut model = Transformer::new(&taps, bias, &device)?;
    let mut optimizer = AdamConfig::new().init();
    let mut monitor = Monitor::new(&model).taps(&taps).batch_size(BATCH).class_counts(&[100; TOKENS]);
    for step in 1..=300 {
        let (tokens, labels) = batch(step, &device);
        let loss = CrossEntropyLossConfig::new().init(&device).forward(model.forward(tokens), labels);
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &model);
        monitor.step(step, &loss, &model, &gradients);
        model = optimizer.step(3e-3, model, gradients);
    }
    Ok(monitor.diagnosis())
}

pub fn main() -> Result<(), Box<dyn Error>> {
    println!("as it should be:\n{}\n\nwith a bias of -20:\n{}", train(0.0)?, train(-20.0)?);
    Ok(())
}

#[test]
fn the_sound_one_is_healthy_and_the_dead_layer_is_found() {
    let sound = train(0.0).unwrap();
    assert!(sound.healthy, "{sound}");
    let dead = train(-20.0).unwrap();
    let found = dead.findings.iter().find(|finding| finding.detector == "dead-units");
    assert_eq!(found.map(|finding| finding.layers.as_slice()), Some(&["up".to_owned()][..]), "{dead}");
}
