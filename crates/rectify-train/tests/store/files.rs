//! Files and folders that are written whole or not at all.

use super::*;

#[test]
fn a_file_is_written_whole_with_the_umasks_permissions_and_nothing_beside_it() {
    let place = place();
    let (path, other) = (place.path().join("file"), place.path().join("other"));
    atomic::write(&path, b"old").unwrap();
    atomic::write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        File::create(&other).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }
    fs::create_dir(place.path().join("folder")).unwrap();
    assert!(message(atomic::write(&place.path().join("folder"), b"text")).contains("folder"));
    let nowhere = place.path().join("nowhere/file");
    let error = message(atomic::write(&nowhere, b"text"));
    assert!(error.starts_with(&format!("{}: ", nowhere.display())) && !error.contains("rectify-new"), "{error}");
    assert!(names(place.path()).iter().all(|name| !name.starts_with('.')));
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_is_replaced_without_a_moment_without_one() {
    let place = place();
    let target = place.path().join("state");
    let put = |text: &str| {
        atomic::write_folder(&target, |folder| {
            fs::write(folder.join("file"), text).unwrap();
            Ok(())
        })
        .unwrap()
    };
    put("0");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(target.join("file").exists(), "the folder is away");
                looks += 1;
            }
            looks
        });
        (1..=100).for_each(|i| put(&i.to_string()));
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("the folder was always there") > 0);
    });
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "100");
    assert_eq!(names(place.path()), ["state"]);
}

#[test]
fn a_folder_that_cannot_be_filled_leaves_the_old_one() {
    let place = place();
    let target = place.path().join("checkpoint");
    atomic::write_folder(&target, |folder| atomic::write(&folder.join("file"), b"old")).unwrap();
    let full = |folder: &Path| StoreError::Io { path: folder.join("file"), cause: io::ErrorKind::StorageFull.into() };
    let error = message(atomic::write_folder(&target, |folder| Err(full(folder))));
    assert_eq!(error, format!("disk full: {}", target.display()));
    assert_eq!(fs::read(target.join("file")).unwrap(), b"old");
    assert_eq!(names(place.path()), ["checkpoint"]);
}

#[test]
fn what_the_operating_system_refuses_is_said_in_words() {
    let error = |kind: io::ErrorKind| StoreError::Io { path: "out/file".into(), cause: kind.into() }.to_string();
    assert_eq!(error(io::ErrorKind::StorageFull), "disk full: out/file");
    assert_eq!(error(io::ErrorKind::QuotaExceeded), "disk quota exceeded: out/file");
    assert_eq!(error(io::ErrorKind::ReadOnlyFilesystem), "read-only file system: out/file");
    assert_eq!(error(io::ErrorKind::PermissionDenied), "permission denied: out/file");
    let hostile = StoreError::Io { path: "o'ü/\u{1b}[31m\u{202e}\n".into(), cause: io::ErrorKind::StorageFull.into() };
    assert_eq!(hostile.to_string(), "disk full: o'ü/\\u{1b}[31m\\u{202e}\\n");
}
