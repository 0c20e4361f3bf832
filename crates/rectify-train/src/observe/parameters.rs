//! A module's parameters, their gradients and their updates, by path.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

use super::reduce::{Moved, Norm};

/// Where a visitor of a module is: the fields' names from the module on, joined by dots. An enum's variant is no part of
/// it: whichever it is, it has the place to itself.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub fn enter(&mut self, name: &str, container_type: &str) {
        if !is_enum(container_type) {
            self.0.push(name.to_owned());
        }
    }

    pub fn exit(&mut self, container_type: &str) {
        if !is_enum(container_type) {
            self.0.pop();
        }
    }

    pub fn join(&self) -> String {
        self.0.join(".")
    }
}

/// As Burn's derive of `Module` names them.
fn is_enum(container_type: &str) -> bool {
    container_type.starts_with("Enum:")
}

/// Whether the parameter at `path` belongs to the layer of this name: `hidden.1.linear.weight` to `hidden.1`, and neither
/// `hidden.10.linear.weight` nor `decoder.hidden.1.linear.weight`.
pub(super) fn belongs(path: &str, layer: &str) -> bool {
    path.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The weights of a module (parameters of rank 2 and more), flattened, with their paths.
pub type Weights = Vec<(String, Tensor<1>)>;

/// Reads a module's weights; the tensors are handles, not copies.
pub fn weights<M: Module>(module: &M) -> Weights {
    let weights = collect(module, None).into_iter().filter(|(_, shape, _)| shape.len() > 1);
    weights.map(|(path, _, weight)| (path, weight)).collect()
}

/// A parameter's size.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Of the tensor.
    pub shape: Vec<usize>,
    /// Of all its values.
    pub norm: Norm,
}

/// The sizes of a module's parameters, with their paths.
pub type Parameters = Vec<(String, Parameter)>;

/// Measures a module's parameters.
pub fn parameters<M: Module>(module: &M) -> Parameters {
    let all = collect(module, None).into_iter();
    all.map(|(path, shape, values)| (path, Parameter { shape, norm: Norm::of(values) })).collect()
}

/// Norms of the gradients of a module's weights, with the weights' paths.
pub type WeightGradients = Vec<(String, Norm)>;

/// Measures the gradients of a module's weights.
pub fn weight_gradients<M: Module>(module: &M, gradients: &GradientsParams) -> WeightGradients {
    let weights = collect(module, Some(gradients)).into_iter().filter(|(_, shape, _)| shape.len() > 1);
    weights.map(|(path, _, gradient)| (path, Norm::of(gradient))).collect()
}

/// Path, shape and values of all parameters, or of their gradients.
fn collect<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Vec<(String, Vec<usize>, Tensor<1>)> {
    struct Reader<'a> {
        gradients: Option<&'a GradientsParams>,
        path: Path,
        found: Vec<(String, Vec<usize>, Tensor<1>)>,
    }
    impl ModuleVisitor for Reader<'_> {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }

        fn exit_module(&mut self, _name: &str, container_type: &str) {
            self.path.exit(container_type);
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = match self.gradients {
                Some(gradients) => gradients.get::<D>(param.id),
                None => Some(param.val()),
            };
            if let Some(tensor) = tensor {
                let shape = tensor.dims();
                let values = tensor.without_autodiff().reshape([shape.iter().product::<usize>()]);
                self.found.push((self.path.join(), shape.to_vec(), values));
            }
        }
    }
    let mut reader = Reader { gradients, path: Path::default(), found: Vec::new() };
    module.visit(&mut reader);
    reader.found
}

/// What an update did to each of a module's weights, by path.
pub type Update = Vec<(String, Moved)>;

/// What led from `before` to `after`, both [`weights`] of the same module.
pub fn update_between(before: Weights, after: Weights) -> Update {
    let moved = |((path, before), (_, after))| (path, Moved::between(before, after));
    before.into_iter().zip(after).map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn names_that_look_alike_share_no_parameters() {
        assert!(belongs("hidden.1.linear.weight", "hidden.1"));
        assert!(belongs("weight", "weight"));
        for other in ["hidden.10.linear.weight", "decoder.hidden.1.linear.weight", "hidden", "hidden.1x", "xhidden.1"] {
            assert!(!belongs(other, "hidden.1"), "{other}");
        }
    }
}
