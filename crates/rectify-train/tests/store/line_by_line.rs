//! Metrics: lines that are appended, and torn.

use super::*;

#[test]
fn metrics_are_flat_lines_that_come_back_to_the_bit() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let mark = write_lines(&path, &lines());
    assert_eq!(metrics::read(&path).unwrap(), (lines(), None));
    mark.verify(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let beginnings = [r#"{"kind":"epoch","epoch":0,"step":0,"#, r#"{"kind":"losses","step":1,"losses":[2.3,"#];
    for (line, beginning) in text.lines().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
}

#[test]
fn metrics_of_the_first_version_are_read() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let text = "{\"epoch\":{\"epoch\":0,\"step\":0,\"seconds\":0.0,\"train_loss\":2.5,\"layers\":[]}}\n\
                {\"step\":{\"step\":7,\"loss\":2.25,\"layers\":[]}}\n";
    fs::write(&path, text).unwrap();
    let epoch = Epoch { train_loss: Some(2.5), ..Epoch::default() };
    let step = StepProbe { step: 7, loss: Some(2.25), layers: Vec::new() };
    assert_eq!(metrics::read(&path).unwrap(), (vec![Line::Epoch(epoch), Line::Step(step)], None));
}

#[test]
fn a_torn_last_line_is_dropped_with_a_note_wherever_it_was_torn() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    write_lines(&path, &lines());
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for length in last + 1..whole.len() - 1 {
        fs::write(&path, &whole[..length]).unwrap();
        let (read, note) = metrics::read(&path).unwrap();
        assert_eq!(read, lines()[..3], "{length} bytes");
        let note = note.expect("a line was dropped");
        assert!(note.contains("metrics.jsonl") && note.contains("line 4"), "{note}");
    }
    // Only the line's end is missing: nothing is lost.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(metrics::read(&path).unwrap(), (lines(), None));
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_with_file_and_number() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    write_lines(&path, &lines());
    let whole = fs::read_to_string(&path).unwrap();
    let deep = "[".repeat(100_000);
    let replacements = [
        "",
        "nonsense",
        "{}",
        r#"{"kind":"epoch"}"#,
        r#"{"kind":"relu"}"#,
        "\u{0}\u{0}",
        &deep,
        r#"{"kind":"losses","#,
    ];
    for replacement in replacements {
        let mut text: Vec<&str> = whole.lines().collect();
        text[1] = replacement;
        fs::write(&path, text.join("\n") + "\n").unwrap();
        let error = message(metrics::read(&path));
        assert!(error.contains("metrics.jsonl: line 2 "), "{error}");
    }
}

#[test]
fn metrics_that_go_on_at_a_mark_end_as_if_nothing_had_happened() {
    let place = place();
    let (path, whole) = (place.path().join("metrics.jsonl"), place.path().join("whole.jsonl"));
    let lines = lines();
    let end = write_lines(&whole, &lines);
    for kept in 0..lines.len() {
        let mut writer = MetricsWriter::open(&path, &Mark::default()).unwrap();
        lines[..kept].iter().for_each(|line| writer.append(line).unwrap());
        let mark = writer.mark();
        // What came after the mark was lost, and half a line with it.
        writer.append(&Line::Epoch(epoch(9))).unwrap();
        drop(writer);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"kind\":").unwrap();

        let mut writer = MetricsWriter::open(&path, &mark).unwrap();
        lines[kept..].iter().for_each(|line| writer.append(line).unwrap());
        assert_eq!(writer.mark(), end);
        assert_eq!(fs::read(&path).unwrap(), fs::read(&whole).unwrap());
    }
}

#[test]
fn metrics_that_changed_before_their_mark_are_an_error_and_stay() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let mark = write_lines(&path, &lines());
    each_damage_is_an_error(&path, &|| mark.verify(&path));
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"behind the mark").unwrap();
    let mut changed = fs::read(&path).unwrap();
    changed[20] ^= 1;
    for damaged in [&changed[..], &changed[..100]] {
        fs::write(&path, damaged).unwrap();
        let error = message(MetricsWriter::open(&path, &mark));
        assert!(error.contains("metrics.jsonl") && error.contains("torn"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}
