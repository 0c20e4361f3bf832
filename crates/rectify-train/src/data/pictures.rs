//! Folders of pictures: a folder a class.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use image::{ColorType, DynamicImage, imageops::FilterType};
use rayon::prelude::*;

use super::{DataError, MAX_ELEMENTS, MOST_CLASSES, Samples, error::too_few, samples::Features, shuffled};

/// Seed of the order of samples, and of the test set where none is there. Fixed, so that every experiment has the same.
const SEED: u64 = 0x7069_6374_7572_6573;
/// One in this many pictures of each class is set aside for the test, where no folders part them.
const TEST_SHARE: usize = 5;
/// The pictures of a folder, read.
pub struct Pictures {
    /// By name.
    pub class_names: Vec<String>,
    /// In an order of chance.
    pub train: Samples,
    pub test: Samples,
    /// Channels, rows and columns.
    pub size: [usize; 3],
    pub notes: Vec<String>,
}

/// Folders of classes, with the pictures in each.
type Listing = Vec<(String, Vec<PathBuf>)>;

/// Whether a folder holds class folders with pictures, or `train/` does.
pub fn is_pictures(folder: &Path) -> bool {
    let holds = |folder: &Path| {
        let classes = folders(folder).unwrap_or_default();
        classes.iter().any(|class| files(class).is_ok_and(|files| files.iter().any(|file| is_picture(file))))
    };
    holds(folder) || holds(&folder.join("train"))
}

/// What helps where pictures lie in a folder itself; `None` where none do.
pub fn without_class(folder: &Path) -> Option<String> {
    let pictures: Vec<PathBuf> = files(folder).ok()?.into_iter().filter(|file| is_picture(file)).collect();
    let example = folder.join("CLASS").join(pictures.first()?.file_name()?);
    Some(format!(
        "{} in the folder itself, where nothing tells their classes; put those of each class into a folder of its own, as \
         in `{}`",
        if pictures.len() == 1 { "1 picture lies".to_owned() } else { format!("{} pictures lie", pictures.len()) },
        example.display()
    ))
}

/// Reads the pictures of a folder, all of them `side` pixels wide and high, or as they are.
///
/// # Errors
///
/// A file that is no PNG or JPEG or is damaged, pictures of several sizes, classes that differ between `train/` and
/// `test/`, too few pictures or too many classes.
pub fn read(folder: &Path, side: Option<usize>) -> Result<Pictures, DataError> {
    let wrong = |path: &Path, field, reason| DataError::File { path: path.to_owned(), field, reason };
    let mut notes = Vec::new();
    let (train_folder, test_folder) = (folder.join("train"), folder.join("test"));
    for (there, absent) in [(&train_folder, &test_folder), (&test_folder, &train_folder)] {
        if !absent.is_dir() && folders(there).is_ok_and(|inside| !inside.is_empty()) {
            let reason = format!(
                "it is not there, and {} is; make it, with a folder of pictures for each class, or move the classes' \
                 folders up into {}, and a fifth of each is drawn to test with",
                there.display(),
                folder.display()
            );
            return Err(wrong(absent, "folder", reason));
        }
    }
    let (train, test) = match train_folder.is_dir() && test_folder.is_dir() {
        true => (listing(&train_folder)?, listing(&test_folder)?),
        false => {
            let (train, test) = part(listing(folder)?);
            let count: usize = test.iter().map(|(_, files)| files.len()).sum();
            notes.push(format!(
                "{}: without folders train/ and test/, {count} pictures, a fifth of each class, are drawn to test with, \
                 the same ones every time",
                folder.display()
            ));
            (train, test)
        }
    };
    let names = |listing: &Listing| listing.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let class_names = names(&train);
    if let Some(foreign) = names(&test).into_iter().find(|name| !class_names.contains(name)) {
        let reason = format!(
            "there is no class `{foreign}` in train/; it has {}: take it away, or put some of it into train/",
            class_names.join(", ")
        );
        return Err(wrong(&test_folder.join(foreign), "class", reason));
    }
    if class_names.len() > MOST_CLASSES {
        return Err(wrong(folder, "classes", format!("at most {MOST_CLASSES} folders, found {}", class_names.len())));
    }
    let labelled = |listing: Listing| -> Vec<(PathBuf, u16)> {
        let class = |name: &str| class_names.iter().position(|other| other == name).unwrap_or(0) as u16;
        listing.into_iter().flat_map(|(name, files)| files.into_iter().map(move |file| (file, class(&name)))).collect()
    };
    let (train, test) = (labelled(train), labelled(test));
    if train.len() < 2 || test.is_empty() {
        let reason =
            too_few("pictures", train.len(), test.len(), "in train/ and test/, each with the classes' folders");
        return Err(wrong(folder, "samples", reason));
    }
    // Whoever takes the first of them takes some of every class.
    let order = shuffled(train.len(), SEED, 0);
    let train: Vec<_> = order.into_iter().map(|i| train[i as usize].clone()).collect();

    let all: Vec<&(PathBuf, u16)> = train.iter().chain(&test).collect();
    let decoded: Vec<Result<DynamicImage, DataError>> = all.par_iter().map(|(path, _)| decode(path, side)).collect();
    let mut images = Vec::with_capacity(decoded.len());
    for image in decoded {
        images.push(image?);
    }
    let [width, height] = [images[0].width(), images[0].height()];
    if let Some(i) = images.iter().position(|image| [image.width(), image.height()] != [width, height]) {
        let reason = format!(
            "{} × {}, and {} is {height} × {width}; --image-size N makes all of them N × N",
            images[i].height(),
            images[i].width(),
            all[0].0.display()
        );
        return Err(wrong(&all[i].0, "dimensions", reason));
    }
    let colour = images.iter().any(|image| image.color().has_color());
    let size = [if colour { 3 } else { 1 }, height as usize, width as usize];
    let elements: usize = size.iter().product::<usize>().saturating_mul(images.len());
    if elements > MAX_ELEMENTS {
        let reason = format!("{elements} pixels are more than {MAX_ELEMENTS}; --image-size N makes them smaller");
        return Err(wrong(folder, "dimensions", reason));
    }
    let mut images = images.into_iter();
    let mut samples = |of: &[(PathBuf, u16)]| Samples {
        features: Features::Pixels(Arc::new(
            images.by_ref().take(of.len()).flat_map(|image| pixels(&image, colour)).collect(),
        )),
        labels: of.iter().map(|(_, label)| *label).collect(),
        classes: class_names.len(),
    };
    let (train, test) = (samples(&train), samples(&test));
    Ok(Pictures { class_names, train, test, size, notes })
}

/// Channel by channel, in each row by row. Transparency is left out.
fn pixels(image: &DynamicImage, colour: bool) -> Vec<u8> {
    if !colour {
        return image.to_luma8().into_raw();
    }
    let interleaved = image.to_rgb8().into_raw();
    (0..3).flat_map(|channel| interleaved.iter().skip(channel).step_by(3).copied()).collect()
}

fn decode(path: &Path, side: Option<usize>) -> Result<DynamicImage, DataError> {
    let io = |cause| DataError::Io { path: path.to_owned(), cause };
    // By its contents, as names lie.
    let reader = image::io::Reader::open(path).and_then(image::io::Reader::with_guessed_format).map_err(io)?;
    let wrong = |reason: String| DataError::File { path: path.to_owned(), field: "picture", reason };
    let image = reader
        .decode()
        .map_err(|error| wrong(format!("not a sound PNG or JPEG: {error}; save it anew, or take it away")))?;
    if matches!(image.color(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err(wrong("its pixels are floats; save it with 8 or 16 bits a channel".to_owned()));
    }
    Ok(match side {
        // An area under a triangle is averaged where it shrinks.
        Some(side) => image.resize_exact(side as u32, side as u32, FilterType::Triangle),
        None => image,
    })
}

/// The class folders in a folder and their pictures, by name.
fn listing(folder: &Path) -> Result<Listing, DataError> {
    let io = |path: &Path, cause| DataError::Io { path: path.to_owned(), cause };
    let mut classes = Vec::new();
    for class in folders(folder).map_err(|cause| io(folder, cause))? {
        let wrong = |path: &Path, field, reason: &str| DataError::File {
            path: path.to_owned(),
            field,
            reason: reason.to_owned(),
        };
        let name = class.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| wrong(&class, "class", "its name is not UTF-8; give it another"))?.to_owned();
        let files = files(&class).map_err(|cause| io(&class, cause))?;
        if let Some(odd) = files.iter().find(|file| !is_picture(file)) {
            return Err(wrong(
                odd,
                "picture",
                "a class folder holds PNG and JPEG files only, and hidden ones are passed over: take it away",
            ));
        }
        if files.is_empty() {
            return Err(wrong(&class, "samples", "this class has no picture; put some into it, or take it away"));
        }
        classes.push((name, files));
    }
    if let (true, Some(reason)) = (classes.is_empty(), without_class(folder)) {
        return Err(DataError::File { path: folder.to_owned(), field: "files", reason });
    }
    Ok(classes)
}

/// Sets the test's share of each class aside.
fn part(all: Listing) -> (Listing, Listing) {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (class, (name, files)) in all.into_iter().enumerate() {
        let aside = files.len() / TEST_SHARE;
        let order = shuffled(files.len(), SEED, class + 1);
        let take = |of: &[u32]| of.iter().map(|i| files[*i as usize].clone()).collect::<Vec<_>>();
        let (tested, trained) = order.split_at(aside);
        test.push((name.clone(), take(tested)));
        train.push((name, take(trained)));
    }
    (train, test)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    entries(folder).map(|all| all.into_iter().filter(|path| path.is_dir()).collect())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    entries(folder).map(|all| all.into_iter().filter(|path| !path.is_dir()).collect())
}

/// What is in a folder, by name; hidden entries are passed over.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

fn is_picture(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}
