//! What arrives on a device.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::*;

fn floats(images: Tensor<2>) -> Vec<f32> {
    images.into_data_as::<f32>().try_to_vec().expect("they are f32 now")
}

fn ints(labels: Tensor<1, Int>) -> Vec<i32> {
    labels.into_data_as::<i32>().try_to_vec().expect("they are i32 now")
}

#[test]
fn batches_hold_standardised_pixels_and_labels() {
    let device = Device::flex();
    let dataset = load(&folder_of(&sound_files())).expect("the set is sound").to_device(&device, DType::F32);
    assert_eq!((dataset.height, dataset.width, dataset.classes), (1, 2, 10));
    assert_eq!((dataset.train.len(), dataset.validation.len(), dataset.test.len()), (10, 1, 2));

    // Mean and deviation are 0.5: black is (0 − 0.5) / 0.5 = −1, white is 1, 51 is (0.2 − 0.5) / 0.5 = −0.6.
    let batch = dataset.train.slice(3..5);
    assert_eq!(batch.images.dims(), [2, 2]);
    assert_eq!(floats(batch.images), [-1.0, 1.0, -1.0, 1.0]);
    let batch = dataset.test.slice(0..2);
    assert_eq!(floats(batch.images), [-0.6, 0.6, 1.0, -1.0]);
    assert_eq!(ints(batch.labels), [9, 3]);

    let order = Tensor::from_data([1, 0, 1], &device);
    let batch = dataset.test.gather(order);
    assert_eq!(floats(batch.images), [1.0, -1.0, -0.6, 0.6, 1.0, -1.0]);
    assert_eq!(ints(batch.labels), [3, 9, 3]);
}

#[test]
fn pixels_are_standardised_to_the_bit() {
    let dataset = Dataset::load("mnist", Some(500)).expect("MNIST is there");
    let standardised = |&pixel: &u8| ((f64::from(pixel) / 255.0 - dataset.mean) / dataset.std) as f32;
    let expected: Vec<f32> = dataset.train.pixels().iter().map(standardised).collect();
    assert_eq!(floats(dataset.to_device(&Device::flex(), DType::F32).train.images()), expected);
}

#[test]
fn gathering_in_order_equals_slicing() {
    let device = Device::flex();
    let train = Dataset::load("mnist", Some(500)).expect("MNIST is there").to_device(&device, DType::F32).train;
    let slice = train.slice(100..300);
    let gathered = train.gather(Tensor::arange(100..300, &device));
    assert_eq!(floats(slice.images), floats(gathered.images));
    assert_eq!(ints(slice.labels), ints(gathered.labels));
}

#[test]
fn standardised_training_pixels_have_mean_0_and_deviation_1() {
    let mnist = Dataset::load("mnist", Some(2000)).expect("MNIST is there").to_device(&Device::flex(), DType::F64);
    let pixels = mnist.train.images().into_data_as::<f64>().try_to_vec::<f64>().expect("they are f64");
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let variance = pixels.iter().map(|pixel| (pixel - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
    assert!(mean.abs() < 1e-10 && (variance - 1.0).abs() < 1e-10, "{mean} {variance}");
}

#[test]
fn images_have_the_dtype_asked_for() {
    let dataset = load(&folder_of(&sound_files())).expect("the set is sound");
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let images = dataset.to_device(&Device::flex(), dtype).test.images();
        assert_eq!(images.dtype(), dtype);
        for (found, expected) in floats(images).into_iter().zip([-0.6, 0.6, 1.0, -1.0]) {
            // Half of the last of bf16's eight significant bits.
            assert!((found - expected).abs() <= 0.5 / 256.0, "{found} {expected} {dtype:?}");
        }
    }
}

#[test]
fn equal_pixels_become_0_and_not_nan() {
    let mut files = sound_files();
    files[TRAIN_IMAGES] = idx(&[11, 1, 2], &[51; 22]);
    let dataset = load(&folder_of(&files)).expect("the set is sound");
    assert_eq!((dataset.mean, dataset.std), (0.2, 0.0));
    let dataset = dataset.to_device(&Device::flex(), DType::F32);
    assert_eq!(floats(dataset.train.images()), [0.0; 20]);
    assert_eq!(floats(dataset.test.images()), [0.0, 0.6, 0.8, -0.2]);
}

#[test]
fn an_epoch_in_shuffled_order_sees_every_sample_once() {
    let device = Device::flex();
    let train = load(&folder_of(&sound_files())).expect("the set is sound").to_device(&device, DType::F32).train;
    let order = Tensor::<1, Int>::from_data(TensorData::new(shuffled(10, 5, 1), [10]), &device);
    let mut seen: Vec<i32> = [0..4, 4..8, 8..10]
        .into_iter()
        .flat_map(|range| ints(train.gather(order.clone().slice(range)).labels))
        .collect();
    let mut all = ints(train.labels());
    assert_ne!(seen, all);
    seen.sort_unstable();
    all.sort_unstable();
    assert_eq!(seen, all);
}
