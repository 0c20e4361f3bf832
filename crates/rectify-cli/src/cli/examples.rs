//! What every command's help begins with.

pub const COMPARE: &str = "\
Examples:
  rectify compare
  rectify compare --activations relu,gelu,tanh --hidden 64,64 --seeds 5";

pub const TRAIN: &str = "\
Examples:
  rectify train
  rectify train --dataset fashion-mnist --model cnn --epochs 3 --out runs/cnn";

pub const PREDICT: &str = "\
Examples:
  rectify predict seven.png
  rectify predict samples/ --checkpoint runs/cnn --saliency maps/";

pub const CLAIMS: &str = "\
Examples:
  rectify claims dying vanishing
  rectify claims --quick";

pub const EVAL: &str = "\
Examples:
  rectify eval runs/cnn
  rectify eval runs/cnn --contact-sheet worst.png";

pub const DIAGNOSE: &str = "\
Examples:
  rectify diagnose runs/2026-01-31-compare-mnist
  rectify diagnose runs/cnn --repair";

pub const REPORT: &str = "\
Examples:
  rectify report runs/2026-01-31-compare-mnist
  rectify report runs/part0 runs/part1 --out runs/joined";

pub const EXPORT: &str = "\
Examples:
  rectify export runs/cnn --metrics metrics.csv
  rectify export runs/cnn --weights cnn.safetensors";

pub const PLOT: &str = "\
Examples:
  rectify plot relu 'x*sigmoid(1.702*x)'
  rectify plot relu sigmoid tanh --range=-5..10 --out hinge.svg";

pub const GRADCHECK: &str = "\
Examples:
  rectify gradcheck
  rectify gradcheck --activations gelu,'max(x,0.1*x)' --dtype f64";

pub const SERVE: &str = "\
Examples:
  rectify serve
  rectify serve --backend wgpu --listen 0.0.0.0:3000 --key server.key";

pub const BACKENDS: &str = "\
Examples:
  rectify backends
  rectify backends --format json";

pub const DATA: &str = "\
Examples:
  rectify data
  rectify data mnist --samples 20 --out samples";

pub const COMPLETIONS: &str = "\
Examples:
  rectify completions bash > ~/.local/share/bash-completion/completions/rectify
  rectify completions zsh > ~/.zfunc/_rectify";

pub const MAN: &str = "\
Examples:
  rectify man compare | man -l -
  rectify man --out ~/.local/share/man/man1";
