//! What a machine can run on, each adapter tried.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::{BACKENDS, Backend, adapter_name, caught, choose, dtypes, is_software};
use crate::experiment::Dtype;

/// One backend, for `rectify backends`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendInfo {
    /// As `--backend` takes it.
    pub name: &'static str,
    /// Whether this program was built with it.
    pub compiled_in: bool,
    /// What it can run on, best first. Empty where it is not compiled in or the machine has nothing for it.
    pub adapters: Vec<AdapterInfo>,
    /// What it lacks, where there is no adapter.
    pub missing: Option<String>,
    /// Why `auto` takes it; `None` for all others.
    pub auto: Option<String>,
}

/// Something that a backend can run on: a GPU, a software GPU, or the processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterInfo {
    /// What to give to `--backend`.
    pub flag: String,
    /// The adapter's own name.
    pub name: String,
    /// The driver's name and version; `None` where the interface does not say.
    pub driver: Option<String>,
    /// `processor`, `discrete gpu`, `integrated gpu`, `virtual gpu`, `software gpu` or `gpu`.
    pub kind: &'static str,
    /// Whether a GPU's work is done by the processor.
    pub software: bool,
    /// The whole memory in bytes; `None` where the interface does not say, as WebGPU's.
    pub memory_bytes: Option<u64>,
    /// The largest tensor in bytes; `None` where nothing but memory limits it.
    pub largest_tensor_bytes: Option<u64>,
    /// The float types that it computes in.
    pub dtypes: Vec<Dtype>,
    /// Whether ReLU and its gradient came out right on it just now.
    pub self_test: SelfTest,
}

/// Outcome of computing ReLU and its gradient at known points.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum SelfTest {
    /// The numbers were right.
    Passed {
        /// Milliseconds of forward, backward and reading back, with the kernels already compiled.
        milliseconds: f64,
    },
    /// They were not, or there were none.
    Failed {
        /// What came instead.
        reason: String,
    },
}

/// What this machine can run on, and which of it `auto` takes.
///
/// Opens every adapter of every backend that is compiled in, and tries each.
pub fn survey() -> Vec<BackendInfo> {
    let choice = choose();
    BACKENDS
        .iter()
        .map(|&backend| {
            let adapters: Vec<_> =
                backend.devices().iter().enumerate().map(|(index, device)| backend.describe(index, device)).collect();
            let missing = match adapters.is_empty() {
                true if !backend.compiled_in() => Some(format!("build with `--features {}`", backend.name())),
                true => Some(backend.needs().to_owned()),
                false => None,
            };
            let auto = choice.as_ref().ok().filter(|choice| choice.backend == backend).map(|choice| choice.why.clone());
            BackendInfo { name: backend.name(), compiled_in: backend.compiled_in(), adapters, missing, auto }
        })
        .collect()
}

impl Backend {
    fn describe(self, index: usize, device: &Device) -> AdapterInfo {
        let flag = self.flag(index);
        let started = self.start(device);
        if !self.has_adapters() {
            let memory = RefreshKind::nothing()
                .with_cpu(CpuRefreshKind::nothing())
                .with_memory(MemoryRefreshKind::nothing().with_ram());
            let machine = System::new_with_specifics(memory);
            return AdapterInfo {
                flag,
                name: machine.cpus().first().map_or_else(String::new, |cpu| cpu.brand().trim().to_owned()),
                driver: None,
                kind: "processor",
                software: false,
                memory_bytes: Some(machine.total_memory()),
                largest_tensor_bytes: None,
                dtypes: dtypes(device),
                self_test: started.and_then(|()| self_test(device)).into(),
            };
        }
        let mut info = AdapterInfo {
            name: flag.clone(),
            flag,
            driver: None,
            kind: "gpu",
            software: is_software(device),
            memory_bytes: None,
            largest_tensor_bytes: None,
            dtypes: Vec::new(),
            self_test: SelfTest::Failed { reason: String::new() },
        };
        if let Err(reason) = started {
            info.self_test = SelfTest::Failed { reason };
            return info;
        }
        info.dtypes = dtypes(device);
        info.self_test = self_test(device).into();
        if let Some(name) = adapter_name(device) {
            info.name = name;
        }
        #[cfg(feature = "wgpu")]
        if let Some(adapter) = super::wgpu::opened(device) {
            info.driver = Some(adapter.driver());
            info.kind = adapter.kind();
            info.largest_tensor_bytes = Some(adapter.largest_buffer);
            info.name = adapter.name;
        }
        info
    }
}

impl From<Result<f64, String>> for SelfTest {
    fn from(result: Result<f64, String>) -> Self {
        match result {
            Ok(milliseconds) => Self::Passed { milliseconds },
            Err(reason) => Self::Failed { reason },
        }
    }
}

/// ReLU and its gradient where the answer is known; milliseconds of the second time.
pub(super) fn self_test(device: &Device) -> Result<f64, String> {
    const INPUT: [f32; 4] = [f32::NAN, -2.0, -0.0, 3.0];
    const OUTPUT: [f32; 4] = [f32::NAN, 0.0, 0.0, 3.0];
    const GRADIENT: [f32; 4] = [f32::NAN, 0.0, 0.0, 1.0];

    let device = device.clone().autodiff();
    let once = || -> Result<(), String> {
        // The dtype is given, as another default may be set on the device.
        let x = Tensor::<1>::from_data(TensorData::from(INPUT), (&device, DType::F32)).require_grad();
        let y = rectify::relu(x.clone());
        let gradients = y.clone().sum().backward();
        let gradient = x.grad(&gradients).ok_or("there was no gradient")?;
        for (what, tensor, expected) in [("relu", y.without_autodiff(), OUTPUT), ("its gradient", gradient, GRADIENT)] {
            let found = tensor.try_into_vec_as::<f32>().map_err(|error| error.to_string())?;
            // NaN equals NaN here, and −0.0 is not 0.0.
            let bits = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
            if !found.iter().map(bits).eq(expected.iter().map(bits)) {
                return Err(format!("{what} at {INPUT:?} is {expected:?} and came out as {found:?}"));
            }
        }
        Ok(())
    };
    caught(|| {
        once()?;
        let start = Instant::now();
        once()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    })
}
