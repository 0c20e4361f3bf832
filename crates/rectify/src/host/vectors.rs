//! Which of the processor's vectors the kernels use.

use std::sync::OnceLock;

use bytemuck::Pod;
use pulp::Arch;

/// Some kernels take whole multiples of this; what is left over is filled up, so that none works number by number.
pub(crate) const LANES: usize = 64;

/// The longest vectors that the processor has, or shorter ones where the variable `RECTIFY_VECTORS` asks for them: `avx2`,
/// or `none` for what every processor has. Tests and benchmarks so reach each path on one machine.
#[inline]
pub(crate) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var("RECTIFY_VECTORS").as_deref() {
        Ok("none") => Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
        _ => Arch::new(),
    })
}

/// Fewer than [`LANES`] numbers, and zeros behind them.
pub(crate) fn fill<E: Pod>(numbers: &[E]) -> [E; LANES] {
    let mut filled = [E::zeroed(); LANES];
    filled[..numbers.len()].copy_from_slice(numbers);
    filled
}
