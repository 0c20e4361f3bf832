//! Adapters of Burn's wgpu runtime.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use burn::{
    backend::{
        CubeDevice, DispatchDevice, WgpuDevice, WgpuDeviceKind,
        wgpu::{RuntimeOptions, graphics::AutoGraphicsApi, try_init_setup, wgpu},
    },
    tensor::{
        Device,
        wgpu::{WgpuBackend, WgpuInitError},
    },
};

/// The graphics interfaces that `--backend wgpu` tries, best first.
///
/// Named one by one because `Auto` asks OpenGL too wherever the only Vulkan adapter is a software one. OpenGL brings
/// up EGL, which complains on stderr on a machine without a display, and all that it adds are GPUs too old for the
/// others.
#[cfg(not(target_os = "macos"))]
pub(super) const APIS: &[WgpuBackend] = &[WgpuBackend::Vulkan, WgpuBackend::Dx12];
/// `Auto` is Metal there, with a fallback from its own shader language to WGSL that naming Metal forbids.
#[cfg(target_os = "macos")]
pub(super) const APIS: &[WgpuBackend] = &[WgpuBackend::Auto];

/// An adapter that has been opened.
#[derive(Clone)]
pub(super) struct Adapter {
    device: WgpuDevice,
    pub(super) name: String,
    info: wgpu::AdapterInfo,
    /// Bytes.
    pub(super) largest_buffer: u64,
}

/// Burn opens an adapter once in a process, and only then says what it is.
static OPENED: Mutex<Vec<Adapter>> = Mutex::new(Vec::new());

/// The adapters on the first of `apis` that has a hardware GPU, or else on the first that has anything.
pub(super) fn devices(apis: &[WgpuBackend]) -> Vec<Device> {
    // Best first; the kinds that have several adapters enumerate them all.
    let kinds = [
        WgpuDeviceKind::DiscreteGpu(0),
        WgpuDeviceKind::IntegratedGpu(0),
        WgpuDeviceKind::VirtualGpu(0),
        WgpuDeviceKind::Other(0),
        WgpuDeviceKind::Cpu,
    ];
    let mut software = Vec::new();
    for &api in apis {
        let mut found: Vec<CubeDevice> = Vec::new();
        for kind in &kinds {
            let like = CubeDevice::Wgpu(WgpuDevice::new(kind.clone()).on(api));
            for id in CubeDevice::enumerate(like.to_id()) {
                let device = CubeDevice::from_id(id);
                // Software adapters have no number of their own: two of them come as the same device.
                if !found.contains(&device) {
                    found.push(device);
                }
            }
        }
        let devices: Vec<Device> = found.into_iter().map(Device::from).collect();
        match devices.iter().all(is_software) {
            false => return devices,
            true if software.is_empty() => software = devices,
            true => {}
        }
    }
    software
}

pub(super) fn is_software(device: &Device) -> bool {
    wgpu_device(device).is_some_and(|device| device.kind == WgpuDeviceKind::Cpu)
}

/// Opens the adapter, unless it is open already.
pub(super) fn start(device: &Device) -> Result<(), String> {
    let device = wgpu_device(device).ok_or("it is not a device of wgpu")?;
    // A panic while the lock was held leaves the list as it was, which is right.
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if opened.iter().any(|adapter| adapter.device == device) {
        return Ok(());
    }
    let options = RuntimeOptions::try_default().map_err(|error| error.to_string())?;
    match try_init_setup::<AutoGraphicsApi>(&device, options) {
        Ok(setup) => {
            let info = setup.adapter.get_info();
            let limits = setup.adapter.limits();
            let largest_buffer = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
            opened.push(Adapter { device, name: info.name.clone(), info, largest_buffer });
            Ok(())
        }
        // Someone else in this process opened it, through Burn itself.
        Err(WgpuInitError::Registration { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What is known of an open adapter.
pub(super) fn opened(device: &Device) -> Option<Adapter> {
    let device = wgpu_device(device)?;
    let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    opened.iter().find(|adapter| adapter.device == device).cloned()
}

fn wgpu_device(device: &Device) -> Option<WgpuDevice> {
    match device.clone().without_autodiff().as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => Some(device.clone()),
        _ => None,
    }
}

impl Adapter {
    /// Name and version, as far as the driver gives them.
    pub(super) fn driver(&self) -> String {
        format!("{} {}", self.info.driver, self.info.driver_info).trim().to_owned()
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete gpu",
            wgpu::DeviceType::IntegratedGpu => "integrated gpu",
            wgpu::DeviceType::VirtualGpu => "virtual gpu",
            wgpu::DeviceType::Cpu => "software gpu",
            wgpu::DeviceType::Other => "gpu",
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.driver(), self.info.backend)
    }
}
