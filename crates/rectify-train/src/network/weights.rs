//! The parameters of a network by their paths in it, on the host.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

/// Values of parameters by their path in a module, as in `hidden.0.linear.weight`. An enum's variants are no part of it:
/// the same layer has the same path in an MLP by itself and in a [`Model`](super::Model).
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, TensorData>);

/// Why weights are not those of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// The network has a parameter that is not there.
    #[error("there is no `{0}`, which the network has")]
    Missing(String),
    /// There is a parameter that the network has not.
    #[error("the network has no `{0}`")]
    Unknown(String),
    /// A parameter is of another size.
    #[error("`{path}` is {found:?}, and the network's is {expected:?}")]
    Shape {
        /// The parameter.
        path: String,
        /// Its dimensions in the network.
        expected: Vec<usize>,
        /// Those that were found.
        found: Vec<usize>,
    },
}

impl Weights {
    /// Of a module.
    pub fn of(module: &impl Module) -> Self {
        let mut reader = Reader { path: Path::default(), weights: Self::default() };
        module.visit(&mut reader);
        reader.weights
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, path: &str) -> Option<TensorData> {
        self.0.remove(path)
    }

    /// Adds a parameter, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, values: TensorData) {
        self.0.insert(path.into(), values);
    }

    /// Leaves only parameters whose path is so.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|path, _| keep(path));
    }

    /// The module with these values, in its own type. Parameters for which `stays` holds need not be here, and are then as
    /// they were.
    ///
    /// # Errors
    ///
    /// The first parameter that is missing, of another size, or none of the module's.
    pub fn load<M: Module>(&self, module: M, stays: impl Fn(&str) -> bool) -> Result<M, WeightsError> {
        let mut writer = Writer { path: Path::default(), left: self.0.clone(), stays, wrong: None };
        let module = module.map(&mut writer);
        match (writer.wrong, writer.left.into_keys().next()) {
            (Some(wrong), _) => Err(wrong),
            (None, Some(unknown)) => Err(WeightsError::Unknown(unknown)),
            (None, None) => Ok(module),
        }
    }
}

/// Where a walk through a module is.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.push(name.to_owned());
        }
    }

    fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.pop();
        }
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

struct Reader {
    path: Path,
    weights: Weights,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.weights.insert(self.path.name(), param.val().into_data());
    }
}

struct Writer<F> {
    path: Path,
    left: BTreeMap<String, TensorData>,
    stays: F,
    wrong: Option<WeightsError>,
}

impl<F: Fn(&str) -> bool> ModuleMapper for Writer<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.name();
        let expected = param.val().dims().to_vec();
        match self.left.remove(&path) {
            None if (self.stays)(&path) => param,
            None => {
                self.wrong.get_or_insert(WeightsError::Missing(path));
                param
            }
            Some(found) if **found.shape() != *expected => {
                let found = found.shape().to_vec();
                self.wrong.get_or_insert(WeightsError::Shape { path, expected, found });
                param
            }
            Some(values) => {
                let (id, device, dtype) = (param.id, param.val().device(), param.val().dtype());
                let values = Tensor::from_data(values.convert_dtype(dtype), (&device, dtype));
                param.transform_for_load(values, id)
            }
        }
    }
}
