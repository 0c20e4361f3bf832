//! Where to compute: a backend by the name that `--backend` takes, and what this machine can run on.

mod remote;
mod survey;
#[cfg(feature = "remote")]
mod transport;
#[cfg(feature = "wgpu")]
mod wgpu;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use burn::{
    backend::DispatchDevice,
    tensor::{DType, Device, Tensor, TensorData},
};

use self::survey::self_test;
pub use self::{
    remote::{ServeError, TOKEN, remote_server, serve},
    survey::{AdapterInfo, BackendInfo, SelfTest, survey},
};
use crate::{experiment::Dtype, words::Vocabulary};

/// What `--backend` can name beside `auto`, in the order that lists have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
enum Backend {
    Flex,
    NdArray,
    Wgpu,
    Cuda,
    Rocm,
    Metal,
    Vulkan,
    Cpu,
}

use Backend::*;

const BACKENDS: &[Backend] = <Backend as strum::VariantArray>::VARIANTS;

/// Every name that `--backend` takes, without adapters' numbers.
pub const NAMES: &[&str] = &["flex", "ndarray", "wgpu", "cuda", "rocm", "metal", "vulkan", "cpu", "auto"];

const VOCABULARY: Vocabulary = Vocabulary {
    kind: "backend",
    names: NAMES,
    aliases: &[("webgpu", "wgpu"), ("hip", "rocm")],
    hints: &[
        ("gpu", &["auto", "wgpu"]),
        ("nvidia", &["cuda", "wgpu"]),
        ("amd", &["rocm", "wgpu"]),
        ("apple", &["metal", "wgpu"]),
        ("mps", &["metal", "wgpu"]),
        ("processor", &["flex"]),
        ("numpy", &["ndarray"]),
    ],
};

/// Why there is no such backend here, and what there is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BackendError {
    /// No backend has this name.
    #[error("unknown backend `{name}`{question} {works}", question = match VOCABULARY.question(.name) {
        question if question.is_empty() => ";".to_owned(),
        question => question,
    })]
    Unknown {
        /// The name as given.
        name: String,
        /// What would work on this machine.
        works: String,
    },
    /// The part behind the colon is wrong.
    #[error("backend `{name}`: {reason}")]
    Index {
        /// The name as given.
        name: String,
        /// What is wrong with it and what would work.
        reason: String,
    },
    /// The name is right, and this program was built without it.
    #[error("backend `{name}` is not compiled in: build with `--features {name}`; {works}")]
    NotCompiledIn {
        /// The backend, which is also the cargo feature's name.
        name: &'static str,
        /// What would work on this machine.
        works: String,
    },
    /// The machine has no adapter, or fewer than asked for, that the backend can use.
    #[error("backend `{name}`: {reason}; {works}")]
    NoAdapter {
        /// The name as given.
        name: String,
        /// What is missing.
        reason: String,
        /// What would work on this machine.
        works: String,
    },
    /// The adapter is there, and its driver refused to open it or gave wrong numbers.
    #[error("backend `{name}` does not start: {reason}; {works}")]
    Driver {
        /// The name as given.
        name: String,
        /// What the driver said.
        reason: String,
        /// What would work on this machine.
        works: String,
    },
    /// The server of a device elsewhere cannot be reached, or refuses.
    #[error("backend `remote:{address}`: {reason}")]
    Remote {
        /// As given, behind `remote:`.
        address: String,
        /// What is wrong and what would work.
        reason: String,
    },
    /// The device cannot compute in this type.
    #[error("{device} computes in {works}, not in {dtype}")]
    Dtype {
        /// The backend or the adapter.
        device: String,
        /// The type asked for.
        dtype: Dtype,
        /// The types that would work.
        works: String,
    },
}

/// Opens a backend: `flex`, `ndarray`, `wgpu`, `cuda`, `rocm`, `metal`, `vulkan`, `cpu` or `auto`, and of those with
/// several adapters any but the first by its number, as in `wgpu:1`; or a device elsewhere, `remote:HOST:PORT`.
///
/// The device comes without autodiff. Opening twice gives the same device.
///
/// # Errors
///
/// [`BackendError`] names what would work on this machine.
pub fn open(name: &str) -> Result<Device, BackendError> {
    let unknown = || BackendError::Unknown { name: name.to_owned(), works: works() };
    let (word, index) = word_and_index(name);
    if word.trim().eq_ignore_ascii_case("remote") {
        return remote::open(name, index);
    }
    let word = VOCABULARY.find(word).ok_or_else(unknown)?;
    if word == "auto" && index.is_none() {
        return Ok(choose()?.device);
    }
    let backend = BACKENDS.iter().copied().find(|backend| backend.name() == word).ok_or_else(unknown)?;
    let index = match index {
        None => 0,
        Some(_) if !backend.has_adapters() => {
            let reason = format!("`{word}` is the processor and takes no number");
            return Err(BackendError::Index { name: name.to_owned(), reason });
        }
        Some(index) => index.parse().map_err(|_| {
            let reason = format!("`{index}` is not the number of an adapter; `{word}:0` is the first");
            BackendError::Index { name: name.to_owned(), reason }
        })?,
    };
    backend.open(index)
}

/// A backend's name in its usual spelling, whatever the case and spaces of the one given; a name that is none as it is.
pub fn canonical(name: String) -> String {
    let (word, index) = word_and_index(&name);
    match (VOCABULARY.find(word), index) {
        (Some(word), Some(index)) => format!("{word}:{index}"),
        (Some(word), None) => word.to_owned(),
        (None, _) => name,
    }
}

fn word_and_index(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((word, index)) => (word, Some(index.trim())),
        None => (name, None),
    }
}

/// Keeps what GPU drivers say to stderr to themselves. For the first line of `main`.
///
/// On Linux, Mesa's Vulkan layer for choosing a device looks for a Wayland display whenever adapters are listed, and
/// libwayland complains if there can be none. Without a display the layer has nothing to choose by, so it is left out.
///
/// # Safety
///
/// It sets an environment variable: no other thread may be running (see [`std::env::set_var`]).
pub unsafe fn silence_drivers() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the caller's promise.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// The GPU's name, driver and interface, or where a device elsewhere is; `None` on this machine's processor.
pub fn adapter_name(device: &Device) -> Option<String> {
    #[cfg(feature = "remote")]
    if transport::is_remote(device) {
        return transport::opened().map(|address| format!("a device at {address}"));
    }
    #[cfg(feature = "wgpu")]
    if let Some(adapter) = wgpu::opened(device) {
        return Some(adapter.to_string());
    }
    #[cfg(feature = "cube")]
    if !is_processor(device) {
        return device.identity().map(|identity| identity.name);
    }
    let _ = device;
    None
}

/// Whether `device` computes in `dtype`.
///
/// # Errors
///
/// [`BackendError::Dtype`] names the types that it does compute in.
pub fn supports(device: &Device, dtype: Dtype) -> Result<(), BackendError> {
    match computes(device, dtype) {
        true => Ok(()),
        false => Err(BackendError::Dtype {
            device: adapter_name(device).unwrap_or_else(|| processor_backend(device).to_owned()),
            dtype,
            works: match dtypes(device).as_slice() {
                [init @ .., last] if !init.is_empty() => format!("{} and {last}", list(init)),
                all => list(all),
            },
        }),
    }
}

/// What `auto` takes.
struct Choice {
    backend: Backend,
    device: Device,
    why: String,
}

/// A hardware GPU that passes the self-test, otherwise the processor, otherwise whatever there is.
fn choose() -> Result<Choice, BackendError> {
    let mut passed_over = Vec::new();
    for backend in [Cuda, Rocm, Metal, Vulkan, Wgpu] {
        for (index, device) in backend.devices().into_iter().enumerate() {
            let flag = backend.flag(index);
            if is_software(&device) {
                passed_over.push(format!("{flag} is a GPU in software"));
                continue;
            }
            match backend.start(&device).and_then(|()| self_test(&device)) {
                Ok(_) => {
                    let name = adapter_name(&device).unwrap_or_else(|| flag.clone());
                    let why = format!("{flag}, {name}, is a GPU and passed its self-test");
                    return Ok(Choice { backend, device, why });
                }
                Err(reason) => passed_over.push(format!("{flag} failed its self-test ({reason})")),
            }
        }
    }
    let no_gpu = match passed_over.is_empty() {
        true => "there is no GPU that it could use".to_owned(),
        false => passed_over.join(", "),
    };
    [Flex, NdArray, Cpu, Vulkan, Wgpu]
        .into_iter()
        .find_map(|backend| Some((backend, backend.open(0).ok()?)))
        .map(|(backend, device)| {
            let why = match backend.has_adapters() {
                true => "it is the only backend here".to_owned(),
                false => format!("it is the fastest on the processor, and {no_gpu}"),
            };
            Choice { backend, device, why }
        })
        .ok_or_else(|| BackendError::NoAdapter { name: "auto".to_owned(), reason: no_gpu, works: works() })
}

impl Backend {
    fn name(self) -> &'static str {
        self.into()
    }

    fn compiled_in(self) -> bool {
        match self {
            Flex => cfg!(feature = "flex"),
            NdArray => cfg!(feature = "ndarray"),
            Wgpu => cfg!(feature = "wgpu"),
            Cuda => cfg!(feature = "cuda"),
            Rocm => cfg!(feature = "rocm"),
            Metal => cfg!(feature = "metal"),
            Vulkan => cfg!(feature = "vulkan"),
            Cpu => cfg!(feature = "cpu"),
        }
    }

    /// Whether a number can follow the name.
    fn has_adapters(self) -> bool {
        !matches!(self, Flex | NdArray | Cpu)
    }

    fn flag(self, index: usize) -> String {
        match index {
            0 => self.name().to_owned(),
            _ => format!("{}:{index}", self.name()),
        }
    }

    /// What must be on the machine for it to find an adapter.
    fn needs(self) -> &'static str {
        match self {
            Flex | NdArray | Cpu => "it needs nothing but a processor",
            Wgpu => {
                "it found no GPU with a Vulkan, Metal or DirectX 12 driver; a GPU in software does too \
                 (Debian's package mesa-vulkan-drivers)"
            }
            Vulkan => "it found no GPU with a Vulkan driver",
            Metal => "it found no Apple GPU",
            Cuda => "it found no NVIDIA GPU with the CUDA driver",
            Rocm => "it found no AMD GPU with ROCm",
        }
    }

    /// The devices that it finds, best first, none of them opened yet.
    fn devices(self) -> Vec<Device> {
        #[allow(unreachable_patterns)] // Where every backend is compiled in.
        match self {
            #[cfg(feature = "flex")]
            Flex => vec![Device::flex()],
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)] // Upstream deprecates it; it stays as long as Burn ships it.
            NdArray => vec![Device::ndarray()],
            #[cfg(feature = "wgpu")]
            Wgpu => wgpu::devices(wgpu::APIS),
            #[cfg(feature = "metal")]
            Metal => wgpu::devices(&[burn::tensor::wgpu::WgpuBackend::Metal]),
            #[cfg(feature = "vulkan")]
            Vulkan => wgpu::devices(&[burn::tensor::wgpu::WgpuBackend::Vulkan]),
            #[cfg(feature = "cuda")]
            Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            #[cfg(feature = "rocm")]
            Rocm => Device::enumerate(burn::tensor::DeviceType::Rocm).into_vec(),
            #[cfg(feature = "cpu")]
            Cpu => vec![Device::cpu()],
            _ => Vec::new(),
        }
    }

    fn open(self, index: usize) -> Result<Device, BackendError> {
        if !self.compiled_in() {
            return Err(BackendError::NotCompiledIn { name: self.name(), works: works() });
        }
        let mut devices = self.devices();
        if index >= devices.len() {
            let reason = match devices.len() {
                0 => self.needs().to_owned(),
                1 => format!("the machine has 1 adapter, `{}`", self.flag(0)),
                count => format!("the machine has {count} adapters, `{}` to `{}`", self.flag(0), self.flag(count - 1)),
            };
            return Err(BackendError::NoAdapter { name: self.flag(index), reason, works: works() });
        }
        let device = devices.swap_remove(index);
        self.start(&device).map_err(|reason| BackendError::Driver {
            name: self.flag(index),
            reason,
            works: works(),
        })?;
        Ok(device)
    }

    /// Opens the device, so that what its driver says is heard here and not in the middle of a training.
    fn start(self, device: &Device) -> Result<(), String> {
        #[cfg(feature = "wgpu")]
        if matches!(self, Wgpu | Metal | Vulkan) {
            return wgpu::start(device);
        }
        #[cfg(feature = "cube")]
        if self.has_adapters() || self == Cpu {
            // Burn opens these lazily and panics where the driver refuses; `identity` opens them.
            return caught(|| {
                device.identity();
                Ok(())
            });
        }
        let _ = device;
        Ok(())
    }
}

/// What would work here, as the end of an error's sentence.
fn works() -> String {
    let flags: Vec<String> = BACKENDS
        .iter()
        .flat_map(|&backend| (0..backend.devices().len()).map(move |index| backend.flag(index)))
        .collect();
    match flags.is_empty() {
        true => "nothing that is compiled in works on this machine".to_owned(),
        false => format!("this machine can run {}, auto", list(flags)),
    }
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn dtypes(device: &Device) -> Vec<Dtype> {
    [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16].into_iter().filter(|&dtype| computes(device, dtype)).collect()
}

/// Whether what a training needs comes out right.
///
/// That Burn supports the type on the device is not enough: WGSL has arithmetic in f64 where the adapter has, but no
/// exp, log or tanh, and asked for them the device gives nonsense.
fn computes(device: &Device, dtype: Dtype) -> bool {
    let dtype = DType::from(dtype);
    let [a, b, c, d] = [1.0f64, 0.5, 0.25, 2.0];
    let product = [a * a + b * c, a * b + b * d, c * a + d * c, c * b + d * d];
    let expected = product.into_iter().zip([a, b, c, d]).map(|(product, x)| product + x.tanh());
    let right = || {
        let x = Tensor::<2>::from_data(TensorData::from([[a, b], [c, d]]), (device, dtype));
        let y = x.clone().exp().log().matmul(x.clone()) + x.tanh();
        let found = y.try_into_vec_as::<f64>().map_err(|error| error.to_string())?;
        // Rough, as bf16 has three digits: this tells numbers from nonsense.
        Ok(found.into_iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.05 * expected))
    };
    device.supports_dtype(dtype) && caught(right).unwrap_or(false)
}

/// Whether the device is a GPU that the processor plays.
fn is_software(device: &Device) -> bool {
    #[cfg(feature = "wgpu")]
    return wgpu::is_software(device);
    #[cfg(not(feature = "wgpu"))]
    {
        let _ = device;
        false
    }
}

/// The name of the backend that computes on a processor.
fn processor_backend(device: &Device) -> &'static str {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => Flex.name(),
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => NdArray.name(),
        _ => Cpu.name(),
    }
}

/// Whether the device is the processor itself.
#[cfg(feature = "cube")]
fn is_processor(device: &Device) -> bool {
    use burn::backend::CubeDevice;

    match device.clone().without_autodiff().as_dispatch() {
        DispatchDevice::Cube(cube) => matches!(cube, CubeDevice::Cpu(_)),
        _ => true,
    }
}

/// Runs something that a broken driver can make panic, as Burn's lazy start and its launches do.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // Unwind safe: nothing that `run` touches is used again after it failed.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(message.unwrap_or("the driver failed without a word").to_owned())
    })
}
