//! A folder that one process works in.

use super::*;

#[test]
fn a_second_lock_is_refused_with_the_firsts_process_and_a_stale_one_does_not_block() {
    let place = place();
    let file = place.path().join("lock");
    fs::write(&file, r#"{"process":1,"host":"elsewhere"}"#).unwrap();
    assert!(!is_locked(place.path()));
    let lock = Lock::acquire(place.path()).expect("nobody holds it");
    assert!(is_locked(place.path()));
    let error = message(Lock::acquire(place.path()));
    assert!(error.contains(&format!("in use by process {} on ", std::process::id())), "{error}");
    assert!(error.contains(place.path().to_str().unwrap()), "{error}");
    drop(lock);
    assert!(!file.exists());
    assert!(!is_locked(place.path()));
    Lock::acquire(place.path()).expect("it is free again");
}

#[test]
#[ignore = "a process that the next test starts"]
fn holds_a_lock_until_it_is_killed() {
    let Some(folder) = given_folder() else { return };
    let _lock = Lock::acquire(&folder).expect("nobody holds it");
    begun();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_process_is_kept_out_while_another_works_and_let_in_when_that_is_killed() {
    let place = place();
    let other = start("locks::holds_a_lock_until_it_is_killed", place.path());
    let error = message(Lock::acquire(place.path()));
    assert!(error.contains(&format!("process {} on ", other.id())), "{error}");
    kill(other);
    assert!(place.path().join("lock").exists(), "it was killed before it could clear up");
    Lock::acquire(place.path()).expect("a killed process holds nothing");
}
