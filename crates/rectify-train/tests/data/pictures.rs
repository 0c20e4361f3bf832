//! Folders of pictures.

use std::{fs, path::Path};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use rectify_train::data::{DataOptions, Dataset};
use tempfile::TempDir;

fn grey(path: &Path, size: [u32; 2], value: u8) {
    save(
        path,
        DynamicImage::ImageLuma8(GrayImage::from_fn(size[0], size[1], |x, y| Luma([value + x as u8 + 10 * y as u8]))),
    );
}

fn save(path: &Path, image: DynamicImage) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the temporary folder can be written");
    let format =
        if path.extension().is_some_and(|extension| extension == "jpg") { ImageFormat::Jpeg } else { ImageFormat::Png };
    image.save_with_format(path, format).expect("the temporary folder can be written");
}

fn load(folder: &Path, side: Option<usize>) -> Result<Dataset, String> {
    let options = DataOptions { image_size: side, ..DataOptions::default() };
    Dataset::load_with(folder.to_str().expect("UTF-8"), &options).map_err(|error| error.to_string())
}

/// Ten grey pictures of 3 × 2 in each of two classes.
fn two_classes(folder: &Path) {
    for (class, value) in [("dog", 100), ("cat", 0)] {
        for i in 0..10 {
            grey(&folder.join(format!("{class}/{i}.png")), [2, 3], value + i);
        }
    }
}

#[test]
fn class_folders_are_a_data_set_whose_split_is_the_same_every_time() {
    let folder = TempDir::new().expect("there is a temporary folder");
    two_classes(folder.path());
    fs::write(folder.path().join("cat/.hidden"), "").expect("it can be written");
    let set = load(folder.path(), None).expect("it is sound");
    assert_eq!((set.class_names.as_slice(), set.classes), (&["cat".to_owned(), "dog".to_owned()][..], 2));
    assert_eq!([set.channels, set.height, set.width], [1, 3, 2]);
    assert_eq!([set.train.len(), set.validation.len(), set.test.len()], [15, 1, 4]);
    assert_eq!(set.test.class_counts(), [2, 2], "a fifth of each class");
    assert!(set.notes.len() == 1 && set.notes[0].contains("4 pictures, a fifth of each class, are drawn"));
    for samples in [&set.train, &set.validation, &set.test] {
        for (pixels, label) in samples.pixels().chunks(6).zip(samples.labels()) {
            // By row, and of the class that its folder says.
            let first = pixels[0];
            assert_eq!(pixels, [0, 1, 10, 11, 20, 21].map(|offset| first + offset));
            assert_eq!(u16::from(first >= 100), *label);
        }
    }
    let again = load(folder.path(), None).expect("it is sound");
    assert_eq!((again.train, again.test), (set.train, set.test));
}

#[test]
fn a_split_that_is_there_is_taken_and_colour_lies_channel_by_channel() {
    let folder = TempDir::new().expect("there is a temporary folder");
    let [train, test] = ["train", "test"].map(|part| folder.path().join(part));
    for i in 0..4 {
        save(&train.join(format!("b/{i}.png")), DynamicImage::ImageRgb8(RgbImage::from_pixel(2, 2, Rgb([1, 2, 3]))));
        grey(&train.join(format!("a/{i}.png")), [2, 2], 9);
    }
    grey(&test.join("a/x.png"), [2, 2], 50);
    let set = load(folder.path(), None).expect("it is sound");
    assert_eq!([set.channels, set.height, set.width], [3, 2, 2]);
    assert_eq!((set.train.len() + set.validation.len(), set.test.len(), set.notes.len()), (8, 1, 0));
    assert_eq!(set.test.pixels(), [50, 51, 60, 61].repeat(3), "grey beside colour has three equal channels");
    let b = set.train.labels().iter().position(|label| *label == 1).expect("there are some");
    assert_eq!(set.train.pixels()[12 * b..][..12], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
}

#[test]
fn pictures_of_any_size_are_resized_if_that_is_asked_for() {
    let folder = TempDir::new().expect("there is a temporary folder");
    two_classes(folder.path());
    let flat = |size: u32| DynamicImage::ImageLuma8(GrayImage::from_pixel(size, size, Luma([200])));
    save(&folder.path().join("dog/large.jpg"), flat(64));
    let error = load(folder.path(), None).expect_err("two sizes");
    assert!(error.contains(": dimensions: ") && error.contains("--image-size N makes all of them N × N"), "{error}");
    let set = load(folder.path(), Some(8)).expect("all are made alike");
    assert_eq!([set.channels, set.height, set.width], [1, 8, 8]);
    let all = [&set.train, &set.validation, &set.test];
    let of_large = |pixels: &[u8]| pixels.iter().all(|pixel| pixel.abs_diff(200) < 3);
    assert!(all.iter().any(|samples| samples.pixels().chunks(64).any(of_large)), "flat stays flat");

    let sheet = folder.path().join("sheet.png");
    set.write_contact_sheet(&sheet).expect("it can be written");
    let read = image::open(&sheet).expect("it is a PNG");
    assert_eq!((read.width(), read.height()), (12 * 10 + 2, 2 * 10 + 2));
}

#[test]
fn what_is_no_picture_is_named() {
    let error = |break_it: &dyn Fn(&Path)| {
        let folder = TempDir::new().expect("there is a temporary folder");
        two_classes(folder.path());
        break_it(folder.path());
        load(folder.path(), None).expect_err("it is refused")
    };
    let write = |name: &'static str, bytes: &'static [u8]| {
        move |folder: &Path| fs::write(folder.join(name), bytes).expect("it can be written")
    };
    for (found, parts) in [
        (error(&write("cat/notes.txt", b"")), ["notes.txt: picture: ", "PNG and JPEG files only", "take it away"]),
        (error(&write("cat/z.png", b"no picture")), ["z.png: picture: ", "not a sound PNG or JPEG", "save it anew"]),
        (
            error(&write("cat/z.png", b"\x89PNG\r\n\x1a\n")),
            ["z.png: picture: ", "not a sound PNG or JPEG", "save it anew"],
        ),
        (
            error(&|folder| fs::create_dir(folder.join("empty")).expect("it can")),
            ["empty: samples: ", "no picture", "put some into it"],
        ),
        (
            error(&|folder| {
                fs::create_dir(folder.join("train")).expect("it can");
                fs::rename(folder.join("cat"), folder.join("train/cat")).expect("it can");
                grey(&folder.join("test/cow/0.png"), [2, 3], 0);
            }),
            ["cow: class: ", "there is no class `cow` in train/; it has cat", "take it away"],
        ),
        (
            error(&|folder| {
                fs::create_dir(folder.join("train")).expect("it can");
                for class in ["cat", "dog"] {
                    fs::rename(folder.join(class), folder.join("train").join(class)).expect("it can");
                }
            }),
            ["test: folder: it is not there", "make it", "move the classes' folders up"],
        ),
    ] {
        assert!(parts.iter().all(|part| found.contains(part)), "{found}");
    }
    let folder = TempDir::new().expect("there is a temporary folder");
    for place in 0..6 {
        grey(&folder.path().join(format!("{place}.png")), [2, 3], 0);
    }
    let flat = load(folder.path(), None).expect_err("nothing tells the classes");
    let class = folder.path().join("CLASS/0.png");
    for part in ["6 pictures lie in the folder itself", "a folder of its own", class.to_str().expect("UTF-8")] {
        assert!(flat.contains(part), "`{part}` is not in: {flat}");
    }
    for split in ["train", "test"] {
        grey(&folder.path().join(format!("split/{split}/0.png")), [2, 3], 0);
    }
    let split = load(&folder.path().join("split"), None).expect_err("nothing tells the classes");
    assert!(split.contains("train: files: 1 picture lies in the folder itself"), "{split}");
    fs::remove_dir_all(folder.path().join("split")).expect("it is there");
    for class in ["cat", "dog"] {
        (0..3).for_each(|place| grey(&folder.path().join(format!("few/{class}/{place}.png")), [2, 3], 0));
    }
    let few = load(&folder.path().join("few"), None).expect_err("none are left to test with");
    for part in
        ["too few pictures: 6 to train on and 0 to test with", "at least 2 and 1 are needed", "one class needs 5"]
    {
        assert!(few.contains(part), "`{part}` is not in: {few}");
    }
    let inside = load(&folder.path().join("."), None).expect_err("it has a folder of classes");
    assert!(inside.contains("and one in") && inside.contains("few"), "{inside}");
    let idx = Dataset::load_with("mnist", &DataOptions { image_size: Some(14), ..DataOptions::default() })
        .expect_err("bytes are not resized")
        .to_string();
    assert!(idx.contains("image_size: only folders of PNG and JPEG files are resized"), "{idx}");
}
