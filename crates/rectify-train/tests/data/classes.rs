//! Any labels, and images in colour.

use super::*;

/// As many pictures as labels, of `size` bytes each.
fn files_with(train: &[u8], test: &[u8]) -> [Vec<u8>; 4] {
    let images = |count: usize| idx(&[count as u32, 1, 2], &(0..2 * count).map(|i| i as u8).collect::<Vec<_>>());
    let labels = |labels: &[u8]| idx(&[labels.len() as u32], labels);
    [images(train.len()), labels(train), images(test.len()), labels(test)]
}

#[test]
fn labels_from_1_to_26_are_26_classes() {
    let letters: Vec<u8> = (1..=26).collect();
    let dataset = load(&folder_of(&files_with(&letters.repeat(3), &[26, 1, 5]))).expect("letters are classes");
    let labels: Vec<u16> = (1..=26).collect();
    assert_eq!((dataset.classes, &dataset.class_labels), (26, &labels));
    assert_eq!(dataset.test.labels(), [25, 0, 4]);
    assert!(dataset.notes.is_empty(), "{:?}", dataset.notes);
    let mut counts = dataset.train.class_counts();
    counts.iter_mut().zip(dataset.validation.class_counts()).for_each(|(train, validation)| *train += validation);
    assert_eq!(counts, [3; 26]);
    let contents = dataset.contents();
    assert_eq!((contents.class_labels, contents.test.class_counts.len()), (labels, 26));
}

#[test]
fn all_256_labels_of_a_byte_are_classes() {
    let all: Vec<u8> = (0..=255).collect();
    let dataset = load(&folder_of(&files_with(&all, &[255]))).expect("a byte has 256 values");
    assert_eq!((dataset.classes, dataset.test.labels()), (256, &[255][..]));
}

#[test]
fn gaps_between_labels_are_closed_and_noted() {
    let dataset = load(&folder_of(&files_with(&[200, 3, 7, 4, 3, 5, 7], &[200, 3]))).expect("any labels are classes");
    assert_eq!(dataset.class_labels, [3, 4, 5, 7, 200]);
    assert_eq!(dataset.test.labels(), [4, 0]);
    let [note] = &dataset.notes[..] else { panic!("{:?}", dataset.notes) };
    for part in [FILES[TRAIN_LABELS], "6, 8 to 199", "5 classes", "3 to 5, 7, 200"] {
        assert!(note.contains(part), "`{part}` is not in: {note}");
    }
    let dataset = load(&folder_of(&files_with(&[3; 5], &[3]))).expect("one class is odd but no error");
    assert_eq!(dataset.classes, 1);
    assert!(dataset.notes[0].contains("all training labels are 3"), "{:?}", dataset.notes);
}

#[test]
fn a_class_that_only_the_test_files_have_is_an_error() {
    let message = load(&folder_of(&files_with(&[1, 2, 3, 5, 1], &[5, 4]))).expect_err("4 is unknown").to_string();
    for part in [FILES[TEST_LABELS], "sample 1", "label 4", "no training sample", "1 to 3, 5"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn classes_do_not_depend_on_the_split_or_on_train_size() {
    // Each label once: what validation has, no training sample has.
    let labels: Vec<u8> = (10..40).collect();
    let folder = folder_of(&files_with(&labels, &[39, 10]));
    let path = folder.path().to_str().expect("temporary paths are UTF-8");
    for train_size in [None, Some(1)] {
        let dataset = Dataset::load(path, train_size).expect("the set is sound");
        assert_eq!((dataset.classes, dataset.test.labels()), (30, &[29, 0][..]));
        assert_eq!(dataset.validation.len(), 3);
        assert_eq!(dataset.train.class_counts().iter().sum::<usize>(), train_size.unwrap_or(27));
        assert_eq!(dataset.validation.class_counts().len(), 30);
    }
}

#[test]
fn a_set_takes_the_classes_of_another_that_has_its_labels() {
    let dataset = || load(&folder_of(&files_with(&[4, 2, 2, 4], &[4, 2]))).expect("the set is sound");
    let taken = dataset().with_classes_of(&[0, 1, 2, 3, 4]).expect("it has both labels");
    assert_eq!((taken.classes, taken.test.labels()), (5, &[4, 2][..]));
    assert_eq!(taken.train.class_counts().len(), 5);
    assert_eq!(dataset().with_classes_of(&[2, 3]).expect_err("there is no 4"), [4]);
}

/// Pictures of 2 × 3 pixels whose bytes tell where each is: 100 · picture + 10 · pixel + channel.
fn colour(dims: [u32; 4], channels_last: bool) -> Vec<u8> {
    let [count, a, b, c] = dims.map(|length| length as u8);
    let (channels, pixels) = if channels_last { (c, a * b) } else { (a, b * c) };
    let byte = |picture: u8, pixel: u8, channel: u8| picture % 2 * 100 + 10 * pixel + channel;
    let mut bytes = Vec::new();
    for picture in 0..count {
        match channels_last {
            true => (0..pixels).for_each(|p| bytes.extend((0..channels).map(|c| byte(picture, p, c)))),
            false => (0..channels).for_each(|c| bytes.extend((0..pixels).map(|p| byte(picture, p, c)))),
        }
    }
    idx(&dims, &bytes)
}

#[test]
fn colour_lies_channel_by_channel_whichever_way_the_file_has_it() {
    let with = |train: Vec<u8>, test: Vec<u8>| {
        let [_, train_labels, _, test_labels] = sound_files();
        load(&folder_of(&[train, train_labels, test, test_labels]))
    };
    let dataset = with(colour([11, 2, 5, 3], true), colour([2, 3, 2, 5], false)).expect("both are in colour");
    assert_eq!((dataset.channels, dataset.height, dataset.width), (3, 2, 5));
    let picture: Vec<u8> = (0..3).flat_map(|channel| (0..10).map(move |pixel| 10 * pixel + channel)).collect();
    let second: Vec<u8> = picture.iter().map(|byte| byte + 100).collect();
    assert_eq!(dataset.test.pixels(), [&picture[..], &second].concat());
    for train in dataset.train.pixels().chunks(30) {
        assert!(train == picture || train == second, "{train:?}");
    }

    for (dims, size) in [
        ([2, 6, 5, 1], (1, 6, 5)),
        ([2, 6, 5, 2], (2, 6, 5)),
        ([2, 6, 5, 4], (4, 6, 5)),
        ([2, 1, 6, 5], (1, 6, 5)),
        ([2, 4, 6, 5], (4, 6, 5)),
        // Both could be the channels: the last is.
        ([2, 3, 6, 3], (3, 3, 6)),
    ] {
        let train = [11, dims[1], dims[2], dims[3]];
        let zeros = |dims: [u32; 4]| idx(&dims, &vec![0; dims.iter().product::<u32>() as usize]);
        let dataset = with(zeros(train), zeros(dims)).expect("it is in colour or grey");
        assert_eq!((dataset.channels, dataset.height, dataset.width), size, "{dims:?}");
    }
    let message = |train, test| with(train, test).expect_err("no such images").to_string();
    let zeros = idx(&[11, 2, 6, 5], &[0; 660]);
    assert!(message(zeros.clone(), zeros).contains("[11, 2, 6, 5]: expected [n, height, width]"));
    let grey = message(colour([11, 2, 5, 3], true), idx(&[2, 2, 5], &[0; 20]));
    assert!(grey.contains("images are 2 × 5, those for training are 2 × 5 × 3 channels"), "{grey}");
}

#[cfg(feature = "flex")]
#[test]
fn networks_learn_from_colour_alone() {
    use std::sync::atomic::AtomicBool;

    use burn::tensor::{DType, Device};
    use rectify_train::{
        experiment::{Experiment, ModelKind},
        network::Model,
        train::train,
    };

    // The class is which of three channels is bright, all of it, so that in grey nothing would be told apart.
    let picture = |class: usize| (0..16).flat_map(move |_| (0..3).map(move |c| if c == class { 200 } else { 20 }));
    let files = |count: usize| {
        let labels: Vec<u8> = (0..count).map(|sample| 5 + (sample % 3) as u8).collect();
        let pixels: Vec<u8> = labels.iter().flat_map(|&label| picture(usize::from(label) - 5)).collect();
        (idx(&[count as u32, 4, 4, 3], &pixels), idx(&[count as u32], &labels))
    };
    let ((train_images, train_labels), (test_images, test_labels)) = (files(120), files(30));
    let folder = folder_of(&[train_images, train_labels, test_images, test_labels]);
    let data = load(&folder).expect("the set is sound").to_device(&Device::flex(), DType::F32);
    assert_eq!(data.test.images().dims(), [30, 48]);
    // One activation that has an explicit backward pass, and one that goes by autodiff.
    for (model, name) in [(ModelKind::Mlp, "relu"), (ModelKind::Cnn, "relu"), (ModelKind::Cnn, "gelu")] {
        let experiment = Experiment {
            model,
            hidden: Some(vec![8]),
            batch_size: 12,
            epochs: Some(5),
            activations: vec![name.parse().expect("known")],
            ..Experiment::default()
        };
        let activation = &experiment.activations[0];
        let network = Model::new(&experiment, activation, data.shape(), 0, &Device::flex().autodiff());
        let (_, run) = train(network, activation, 0, &experiment, &data, &AtomicBool::new(false), &mut |_| {});
        assert_eq!(run.last().and_then(|epoch| epoch.test_accuracy), Some(1.0), "{model} {name}");
    }
}
