//! Arrays of NdArray as slices.

use burn_ndarray::SharedArray;

/// What `work` makes of the elements, in any order, in place. An array that somebody else holds is copied first.
pub(crate) fn map<E: Copy>(x: SharedArray<E>, work: impl FnOnce(&mut [E])) -> SharedArray<E> {
    let mut x = if x.as_slice_memory_order().is_some() { x } else { standard(x) };
    work(elements(&mut x));
    x
}

/// What `work` makes of `grad`, in place, with the elements of `kept` at the same places. Both have the same shape.
pub(crate) fn zip<E: Copy>(
    kept: SharedArray<E>,
    grad: SharedArray<E>,
    work: impl FnOnce(&[E], &mut [E]),
) -> SharedArray<E> {
    let alike = kept.strides() == grad.strides() && grad.as_slice_memory_order().is_some();
    let (kept, mut grad) = if alike { (kept, grad) } else { (standard(kept), standard(grad)) };
    // The same strides and shape: as gapless as `grad`.
    let kept = kept.as_slice_memory_order().expect("an array in standard layout is a slice");
    work(kept, elements(&mut grad));
    grad
}

/// In the order of the indices, without gaps.
fn standard<E: Copy>(x: SharedArray<E>) -> SharedArray<E> {
    if x.is_standard_layout() { x } else { x.as_standard_layout().into_owned().into_shared() }
}

fn elements<E: Copy>(x: &mut SharedArray<E>) -> &mut [E] {
    x.as_slice_memory_order_mut().expect("its caller has seen that it is a slice, or made it one")
}
