//! The examples, each with its own tests, in one program.

#![allow(dead_code, reason = "an example's `main` is for people")]

#[path = "../../../examples/guided_backprop.rs"]
mod guided_backprop;
#[path = "../../../examples/monitor.rs"]
mod monitor;
#[path = "../../../examples/own_function.rs"]
mod own_function;
#[path = "../../../examples/own_network.rs"]
mod own_network;
#[path = "../../../examples/plain_mlp.rs"]
mod plain_mlp;
#[path = "../../../examples/rule_in_cnn.rs"]
mod rule_in_cnn;

#[test]
fn a_network_of_ones_own_trains() {
    own_network::main().unwrap();
}
