//! What the CPU kernels have in common: float types, threads, ways of writing, and the processor's vectors.
#![cfg_attr(not(feature = "flex"), allow(dead_code, unused_imports, reason = "NdArray's kernels use some of it"))]

#[cfg(feature = "flex")]
mod computed;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod halves;
#[cfg(feature = "ndarray")]
pub(crate) mod ndarray;
mod parts;
mod real;
mod vectors;

#[cfg(feature = "flex")]
pub(crate) use computed::{COMPUTED_BLOCK, Computed};
#[cfg(feature = "flex")]
pub(crate) use flex::{by_dtype, dense, is_dense, tensor};
#[cfg(feature = "flex")]
pub(crate) use halves::{Half, SIXTEEN, Work, dispatch, narrow, narrow_into, widen, widen_into};
#[cfg(test)]
pub(crate) use parts::STREAM_FROM;
pub(crate) use parts::{
    BLOCK, COSTLY_PART, IN_PLACE_FROM, PART, Shared, Way, by_parts, copy, finish_stream, fresh, fresh_in_blocks,
    in_parts, on_threads, rows, stream, way,
};
pub(crate) use real::{Real, select};
pub(crate) use vectors::{LANES, arch, fill};
