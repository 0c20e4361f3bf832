//! Weights as a safetensors file, by the names and layouts of PyTorch's `nn.Sequential`.

use std::{collections::HashMap, fs, io, path::Path};

use burn::tensor::{DType, Device, Element, TensorData, bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    experiment::ExperimentError,
    network::{SequentialModule, Weights, sequential},
    store::{SavedCheckpoint, StoreError},
};

/// A network for PyTorch.
pub struct Exported {
    /// The file: a tensor for each parameter, `0.weight`, `0.bias`, `2.weight`, ….
    pub safetensors: Vec<u8>,
    /// The `nn.Sequential` that loads it.
    pub modules: Vec<SequentialModule>,
}

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum WeightsExportError {
    /// It is no `nn.Sequential`.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Its checkpoint cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A checkpoint's network, in its own type.
///
/// # Errors
///
/// A network with skips; a checkpoint that is damaged.
pub fn export_weights(saved: &SavedCheckpoint) -> Result<Exported, WeightsExportError> {
    let checkpoint = &saved.checkpoint;
    let modules = sequential(&checkpoint.experiment, &checkpoint.activation, checkpoint.shape())?;
    let mut weights = Weights::of(&saved.load_model(&Device::flex())?);
    let mut tensors = Vec::new();
    for (name, parameter) in names(&modules) {
        let damaged = |reason: String| StoreError::Damaged { path: saved.folder.clone(), reason };
        let values = weights.remove(&parameter.path).ok_or_else(|| damaged(format!("it has no {}", parameter.path)))?;
        let values = if parameter.transposed { transposed(values) } else { values };
        let dtype = safetensors_type(values.dtype())
            .ok_or_else(|| damaged(format!("{} is of type {:?}", parameter.path, values.dtype())))?;
        tensors.push((name, dtype, values));
    }
    let views = tensors.iter().map(|(name, dtype, values)| {
        let view = TensorView::new(*dtype, values.shape().to_vec(), values.as_bytes());
        (name, view.expect("the values are those of a tensor"))
    });
    // What tells libraries that rows and columns are as PyTorch has them.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let safetensors = safetensors::serialize(views, Some(format))
        .map_err(|error| StoreError::Damaged { path: saved.folder.clone(), reason: error.to_string() })?;
    Ok(Exported { safetensors, modules })
}

/// The weights of a safetensors file for a network of these modules.
///
/// # Errors
///
/// [`StoreError`] with the file, and the tensor that is missing, none of the network's, or of another type or size.
pub fn read_weights(path: &Path, modules: &[SequentialModule]) -> Result<Weights, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned(), reason: "No such file".to_owned() },
        _ => StoreError::Io { path: path.to_owned(), cause },
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(format!("not a safetensors file: {error}")))?;
    let mut weights = Weights::default();
    let mut known = Vec::new();
    for (name, parameter) in names(modules) {
        let tensor = file
            .tensor(&name)
            .map_err(|_| damaged(format!("has no tensor `{name}`, {}; it has {}", layout(modules), list(&file))))?;
        let dtype = burn_type(tensor.dtype()).ok_or_else(|| {
            damaged(format!("`{name}` is of type {:?}; F16, BF16, F32 and F64 are read", tensor.dtype()))
        })?;
        let values = TensorData::from_bytes_vec(tensor.data().to_vec(), tensor.shape().to_vec(), dtype);
        let values = match parameter.transposed {
            true if tensor.shape().len() != 2 => {
                let (found, layout) = (tensor.shape(), layout(modules));
                let reason = format!("its tensor `{name}` is {found:?}, and the network's is [out, in], {layout}");
                return Err(damaged(reason));
            }
            true => transposed(values),
            false => values,
        };
        weights.insert(parameter.path.clone(), values);
        known.push(name);
    }
    // PyTorch counts batches for a mean that is not used here.
    let foreign = file
        .names()
        .into_iter()
        .find(|name| !known.iter().any(|known| known == name) && !name.ends_with("num_batches_tracked"));
    match foreign {
        Some(name) => Err(damaged(format!("has a tensor `{name}` that the network has not, {}", layout(modules)))),
        None => Ok(weights),
    }
}

/// The parameters of a `Sequential`, by their names in it.
fn names(modules: &[SequentialModule]) -> impl Iterator<Item = (String, &crate::network::SequentialParameter)> {
    let of_module = |(place, module)| -> Vec<_> {
        let module: &SequentialModule = module;
        module.parameters.iter().map(|parameter| (format!("{place}.{}", parameter.name), parameter)).collect()
    };
    modules.iter().enumerate().flat_map(of_module)
}

fn layout(modules: &[SequentialModule]) -> String {
    let modules: Vec<&str> = modules.iter().map(|module| module.python.as_str()).collect();
    format!("which is nn.Sequential({})", modules.join(", "))
}

fn list(file: &SafeTensors) -> String {
    let mut names: Vec<String> = file.names().into_iter().map(|name| format!("`{name}`")).collect();
    names.sort();
    names.truncate(20);
    names.join(", ")
}

/// A matrix with rows for columns.
fn transposed(values: TensorData) -> TensorData {
    match values.dtype() {
        DType::F64 => transposed_as::<f64>(values),
        DType::F16 => transposed_as::<f16>(values),
        DType::BF16 => transposed_as::<bf16>(values),
        _ => transposed_as::<f32>(values),
    }
}

fn transposed_as<E: Element>(values: TensorData) -> TensorData {
    let [rows, columns] = [values.shape()[0], values.shape()[1]];
    let numbers: Vec<E> = values.iter().collect();
    let turned = (0..columns).flat_map(|column| numbers.iter().skip(column).step_by(columns).copied());
    TensorData::new(turned.collect::<Vec<E>>(), [columns, rows])
}

fn safetensors_type(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        _ => return None,
    })
}

fn burn_type(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return None,
    })
}
