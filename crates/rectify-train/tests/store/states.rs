//! The state that a killed training goes on from.

use super::*;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Position {
    epoch: usize,
    best: f64,
}

#[test]
fn a_state_comes_back_whole_and_any_damage_names_the_file() {
    let place = place();
    let run = place.path();
    let put = |epoch: usize| {
        save_state(run, &Position { epoch, best: 0.1 + 0.2 }, &mut |folder| {
            atomic::write(&folder.join("weights.bpk"), &[epoch as u8; 300])?;
            atomic::write(&folder.join("optimizer.bpk"), b"moments")
        })
    };
    assert_eq!(load_state::<Position>(run).unwrap(), None);
    put(1).unwrap();
    put(2).unwrap();
    assert_eq!(names(run), ["state"]);
    let (position, folder) = load_state::<Position>(run).unwrap().unwrap();
    assert_eq!(position, Position { epoch: 2, best: 0.1 + 0.2 });
    assert_eq!(fs::read(folder.join("weights.bpk")).unwrap(), [2; 300]);
    for file in ["state.json", "weights.bpk", "optimizer.bpk"] {
        each_damage_is_an_error(&folder.join(file), &|| load_state::<Position>(run).map(drop));
        let (path, away) = (folder.join(file), run.join("away"));
        fs::rename(&path, &away).unwrap();
        assert!(message(load_state::<Position>(run)).contains(file));
        fs::rename(&away, &path).unwrap();
    }

    let full =
        |folder: &Path| StoreError::Io { path: folder.join("weights.bpk"), cause: io::ErrorKind::StorageFull.into() };
    let error = message(save_state(run, &Position { epoch: 3, best: 0.0 }, &mut |folder| Err(full(folder))));
    assert_eq!(error, format!("disk full: {}", run.join("state").display()));
    assert_eq!(load_state::<Position>(run).unwrap().unwrap().0.epoch, 2);
    remove_state(run).unwrap();
    remove_state(run).expect("it is away already");
    assert!(names(run).is_empty());
    assert_eq!(load_state::<Position>(run).unwrap(), None);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    epochs: usize,
    metrics: Mark,
}

#[test]
#[ignore = "a process that the next test starts"]
fn appends_and_saves_until_it_is_killed() {
    let Some(path) = given_folder() else { return };
    let folder = RunFolder::open(&path).expect("a killed process leaves a folder that opens");
    let run = folder.run_path("relu", 0);
    let (epochs, at) = match load_state::<Written>(&run).expect("a state is whole or not there") {
        Some((Written { epochs, metrics }, _)) => (epochs, metrics),
        None => (0, Mark::default()),
    };
    let mut metrics = folder.metrics("relu", 0, &at).expect("what was marked is there");
    begun();
    for next in epochs.. {
        metrics.append(&Line::Epoch(epoch(next))).unwrap();
        metrics.sync().unwrap();
        let written = Written { epochs: next + 1, metrics: metrics.mark() };
        save_state(&run, &written, &mut |folder| {
            fs::write(folder.join("weights.bpk"), vec![next as u8; 100_000]).unwrap();
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_run_that_is_killed_at_any_instant_goes_on_from_its_last_state() {
    let place = place();
    let path = place.path().join("out");
    drop(RunFolder::create(&path, &experiment()).unwrap());
    let mut before = 0;
    for round in 0..15 {
        let child = start("states::appends_and_saves_until_it_is_killed", &path);
        thread::sleep(Duration::from_micros(50_000 + 1_700 * round));
        kill(child);

        let folder = RunFolder::open(&path).expect("a killed process leaves a folder that opens");
        let run = folder.run_path("relu", 0);
        let Some((Written { epochs, metrics: mark }, state)) = load_state::<Written>(&run).unwrap() else {
            assert_eq!(before, 0, "a state was lost");
            continue;
        };
        assert!(epochs >= before, "an older state came back");
        before = epochs;
        assert_eq!(fs::read(state.join("weights.bpk")).unwrap()[0], (epochs - 1) as u8);
        MetricsWriter::open(&run.join("metrics.jsonl"), &mark).unwrap();
        let (lines, note) = metrics::read(&run.join("metrics.jsonl")).unwrap();
        assert_eq!((lines, note), ((0..epochs).map(|i| Line::Epoch(epoch(i))).collect(), None));
        assert_eq!(names(&run), ["metrics.jsonl", "state"]);
    }
    assert!(before > 0, "nothing was ever saved");
}
