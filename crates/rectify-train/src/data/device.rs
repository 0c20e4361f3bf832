//! A data set on a device: one tensor each for the images and the labels of a part.

use std::{ops::Range, sync::Arc};

use burn::tensor::{DType, Device, Element, ElementConversion, Int, Tensor, TensorData, bf16, f16};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::{Dataset, Samples, samples::Features};
use crate::{backend, network::Shape};

/// Every part of a [`Dataset`] on a device. A clone shares the memory.
#[derive(Debug, Clone)]
pub struct DeviceDataset {
    /// To train on.
    pub train: DeviceSamples,
    /// To choose by.
    pub validation: DeviceSamples,
    /// To judge by.
    pub test: DeviceSamples,
    /// Channels of a picture, or columns of numbers of a table, whose height and width are 1.
    pub channels: usize,
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

/// One part of a data set on a device. A clone shares the memory.
#[derive(Debug, Clone)]
pub struct DeviceSamples {
    images: Images,
    labels: Tensor<1, Int>,
}

/// Standardised pixels, `[samples, channels · height · width]`.
#[derive(Debug, Clone)]
enum Images {
    /// In blocks of columns: one, unless a GPU takes no tensor as large as the whole.
    Blocks(Vec<Tensor<2>>),
    /// As bytes in this process's memory, of which a batch is looked up: a quarter of what numbers take, so that a batch
    /// drawn at random waits less for memory.
    Bytes(Arc<Bytes>),
}

#[derive(Debug)]
struct Bytes {
    pixels: Arc<Vec<u8>>,
    /// Pixels of an image, all channels together.
    width: usize,
    /// By channel.
    scales: Vec<Scale>,
    device: Device,
}

/// The numbers that the bytes of a channel stand for.
#[derive(Debug)]
struct Scale {
    values: [f32; 256],
    /// Factor and summand that give the same numbers, to the bit, where there are such.
    line: Option<[f64; 2]>,
}

impl Scale {
    fn new(values: &[f64; 256]) -> Self {
        let line = [(values[255] - values[0]) / 255.0, values[0]];
        let values = values.map(|value| value as f32);
        let same = (0..=255).all(|pixel| on(line, pixel) == values[usize::from(pixel)]);
        Self { values, line: same.then_some(line) }
    }
}

impl Bytes {
    /// The images at `indices`, in that order.
    ///
    /// # Panics
    ///
    /// If there is no image at an index.
    fn look_up(&self, indices: &[usize]) -> Tensor<2> {
        let mut numbers = Vec::with_capacity(indices.len() * self.width);
        Arch::new().dispatch(LookUp { bytes: self, indices, numbers: &mut numbers });
        Tensor::from_data(TensorData::new(numbers, [indices.len(), self.width]), (&self.device, DType::F32))
    }

    fn image(&self, index: usize) -> Option<&[u8]> {
        let begin = index.checked_mul(self.width)?;
        self.pixels.get(begin..begin.checked_add(self.width)?)
    }
}

/// Images ahead of the one that is looked up whose bytes are asked for: drawn at random, they are in no cache, and waiting
/// for memory took two thirds of the time.
const AHEAD: usize = 2;

/// The numbers of pixels, where it can be by a product and a sum, which vectorise as a look-up does not.
struct LookUp<'a> {
    bytes: &'a Bytes,
    indices: &'a [usize],
    numbers: &'a mut Vec<f32>,
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
impl NullaryFnOnce for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { bytes, indices, numbers } = self;
        let plane = bytes.width / bytes.scales.len();
        // Loops and not `for_each`, whose body the compiler put into a function of its own, without the vectors.
        for (place, &index) in indices.iter().enumerate() {
            if let Some(image) = indices.get(place + AHEAD).and_then(|&ahead| bytes.image(ahead)) {
                prefetch(image);
            }
            let image = bytes.image(index).expect("the caller's indices are of this set's images");
            for (plane, scale) in image.chunks(plane).zip(&bytes.scales) {
                match scale.line {
                    Some(line) => numbers.extend(plane.iter().map(|&pixel| on(line, pixel))),
                    None => numbers.extend(plane.iter().map(|&pixel| scale.values[usize::from(pixel)])),
                }
            }
        }
    }
}

/// Asks for bytes that are read soon, without waiting for them.
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    const LINE: usize = 64;
    for line in bytes.chunks(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 processor has the instruction, which reads nothing into the program whatever the address.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

#[inline(always)]
fn on([factor, summand]: [f64; 2], pixel: u8) -> f32 {
    (f64::from(pixel) * factor + summand) as f32
}

/// The largest tensor that every WebGPU adapter takes, in bytes (`maxStorageBufferBindingSize`).
pub(crate) const LARGEST_ON_GPU: usize = 1 << 27;

/// Samples of one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Standardised pixels, `[samples, channels · height · width]`.
    pub images: Tensor<2>,
    /// Classes, `[samples]`.
    pub labels: Tensor<1, Int>,
}

impl Dataset {
    /// Copies the set to a device as numbers of a float `dtype`, standardised with the training set's figures by channel
    /// or by column: (pixel / 255 − mean) / std, (number − mean) / std.
    ///
    /// If all training values are equal, `std` is 0 and 1 takes its place, so that they become 0 and not NaN.
    pub fn to_device(&self, device: &Device, dtype: DType) -> DeviceDataset {
        let stds = self.channel_stds.iter().map(|&std| if std > 0.0 { std } else { 1.0 });
        let moments: Vec<(f64, f64)> = self.channel_means.iter().copied().zip(stds).collect();
        let of_channel = |&(mean, std): &(f64, f64)| std::array::from_fn(|pixel| (pixel as f64 / 255.0 - mean) / std);
        let standardised: Vec<[f64; 256]> = moments.iter().map(of_channel).collect();
        let width = self.channels * self.height * self.width;
        let copy = |samples: &Samples| match &samples.features {
            Features::Pixels(_) => DeviceSamples::new(samples, width, &standardised, device, dtype),
            Features::Numbers(numbers) => {
                let rows = numbers.iter().zip(moments.iter().cycle());
                let numbers: Vec<f64> = rows.map(|(number, (mean, std))| (number - mean) / std).collect();
                let data = TensorData::new(numbers, [samples.len(), width]).convert_dtype(dtype);
                let images = Images::Blocks(vec![Tensor::from_data(data, (device, dtype))]);
                DeviceSamples { images, labels: labels(samples, device) }
            }
        };
        // Of the others, batches are slices: views of numbers that are there.
        let train = match (dtype, &self.train.features) {
            (DType::F32, Features::Pixels(pixels)) if backend::adapter_name(device).is_none() => {
                DeviceSamples::bytes(&self.train, pixels, width, &standardised, device)
            }
            _ => copy(&self.train),
        };
        DeviceDataset {
            train,
            validation: copy(&self.validation),
            test: copy(&self.test),
            channels: self.channels,
            height: self.height,
            width: self.width,
            classes: self.classes,
        }
    }
}

impl DeviceDataset {
    /// What a model has to fit.
    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, height: self.height, width: self.width, classes: self.classes }
    }
}

impl DeviceSamples {
    fn new(samples: &Samples, pixels: usize, values: &[[f64; 256]], device: &Device, dtype: DType) -> Self {
        let largest = if backend::adapter_name(device).is_some() { LARGEST_ON_GPU } else { usize::MAX };
        let columns = (largest / (samples.len() * dtype.size())).clamp(1, pixels);
        let blocks = (0..pixels).step_by(columns).map(|begin| {
            let block = begin..pixels.min(begin + columns);
            // In the wanted type at once, as a conversion would hold every pixel twice.
            let images = match dtype {
                DType::F64 => look_up::<f64>(samples.pixels(), pixels, block, values),
                DType::F16 => look_up::<f16>(samples.pixels(), pixels, block, values),
                DType::BF16 => look_up::<bf16>(samples.pixels(), pixels, block, values),
                _ => look_up::<f32>(samples.pixels(), pixels, block, values),
            };
            Tensor::from_data(images, (device, dtype))
        });
        Self { images: Images::Blocks(blocks.collect()), labels: labels(samples, device) }
    }

    fn bytes(samples: &Samples, pixels: &Arc<Vec<u8>>, width: usize, values: &[[f64; 256]], device: &Device) -> Self {
        let scales = values.iter().map(Scale::new).collect();
        let bytes = Bytes { pixels: Arc::clone(pixels), width, scales, device: device.clone() };
        Self { images: Images::Bytes(Arc::new(bytes)), labels: labels(samples, device) }
    }

    /// Where the samples are.
    pub fn device(&self) -> Device {
        self.labels.device()
    }

    /// All images, `[samples, channels · height · width]`; a copy where they are held as bytes or, on a
    /// GPU, in blocks.
    pub fn images(&self) -> Tensor<2> {
        match &self.images {
            Images::Blocks(blocks) => join(blocks.clone()),
            Images::Bytes(bytes) => bytes.look_up(&Vec::from_iter(0..self.len())),
        }
    }

    /// All classes, `[samples]`.
    pub fn labels(&self) -> Tensor<1, Int> {
        self.labels.clone()
    }

    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set's samples are never empty")]
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// Neighbouring samples, without a copy where they are held as numbers and the backend has views (flex).
    ///
    /// # Panics
    ///
    /// If the range is empty or reaches beyond [`len`](Self::len).
    pub fn slice(&self, range: Range<usize>) -> Batch {
        let len = self.len();
        assert!(range.start < range.end && range.end <= len, "range {range:?} of {len} samples");
        let images = match &self.images {
            Images::Blocks(blocks) => join(blocks.iter().map(|block| block.clone().slice(range.clone())).collect()),
            Images::Bytes(bytes) => bytes.look_up(&Vec::from_iter(range.clone())),
        };
        Batch { images, labels: self.labels.clone().slice(range) }
    }

    /// The samples at `indices`, in that order, on the same device. One copy.
    ///
    /// Indices that reach beyond [`len`](Self::len) are a mistake of the caller's, and what it does depends on the
    /// backend: a panic on CPUs, undefined values on GPUs.
    pub fn gather(&self, indices: Tensor<1, Int>) -> Batch {
        let images = match &self.images {
            Images::Blocks(blocks) => {
                join(blocks.iter().map(|block| block.clone().select(0, indices.clone())).collect())
            }
            Images::Bytes(bytes) => {
                // A negative one is none either, and panics as one beyond the last does.
                let place = |index: i64| usize::try_from(index).unwrap_or(usize::MAX);
                bytes.look_up(&indices.clone().into_data().iter().map(place).collect::<Vec<_>>())
            }
        };
        Batch { images, labels: self.labels.clone().select(0, indices) }
    }
}

impl From<Batch> for DeviceSamples {
    fn from(batch: Batch) -> Self {
        Self { images: Images::Blocks(vec![batch.images]), labels: batch.labels }
    }
}

fn labels(samples: &Samples, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = samples.labels().iter().map(|&label| i32::from(label)).collect();
    Tensor::from_data(TensorData::new(labels, [samples.len()]), device)
}

fn join(mut blocks: Vec<Tensor<2>>) -> Tensor<2> {
    match blocks.len() {
        1 => blocks.remove(0),
        _ => Tensor::cat(blocks, 1),
    }
}

/// Some columns of the pixels as numbers; `values` are by channel.
fn look_up<E: Element>(pixels: &[u8], width: usize, columns: Range<usize>, values: &[[f64; 256]]) -> TensorData {
    let plane = width / values.len();
    let values: Vec<[E; 256]> = values.iter().map(|values| values.map(|value| value.elem())).collect();
    // Allocated once in its full size: collected, every number would be held twice for a moment.
    let mut numbers = vec![E::from_elem(0.0); pixels.len() / width * columns.len()];
    let rows = numbers.par_chunks_mut(columns.len()).zip(pixels.par_chunks(width));
    rows.with_min_len(1 << 7).for_each(|(numbers, row)| {
        for (channel, values) in values.iter().enumerate() {
            // What of the columns is of this channel.
            let begin = columns.start.max(channel * plane);
            let end = columns.end.min((channel + 1) * plane);
            if begin >= end {
                continue;
            }
            let numbers = &mut numbers[begin - columns.start..end - columns.start];
            for (number, &pixel) in numbers.iter_mut().zip(&row[begin..end]) {
                *number = values[usize::from(pixel)];
            }
        }
    });
    TensorData::new(numbers, [pixels.len() / width, columns.len()])
}
