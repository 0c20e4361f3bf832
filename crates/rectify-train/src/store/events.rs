//! TensorBoard's event files, written from the lines of `metrics.jsonl` as they are appended.
//!
//! A file is records: the length of a message and its checksum, the message, its checksum. A message is an `Event` of
//! TensorFlow's `event.proto`, of whose fields five are needed, so they are encoded here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Line, StoreError};
use crate::record::{Epoch, Histogram, Layer};

/// TensorBoard knows its files by `tfevents` in their names.
const FILE: &str = "events.out.tfevents.rectify";
/// What the first message says.
const VERSION: &str = "brain.Event:2";

/// Appends to a run's event file.
///
/// | tag | step by step |
/// |---|---|
/// | `step/batch_loss` | the loss of each step's batch |
/// | `epoch/test_accuracy` and so on | what an epoch measured |
/// | `weight_grad_rms/hidden.0` and so on | what an epoch or a probed step measured of a layer |
/// | `activation/hidden.0`, `preactivation/…`, `preactivation_grad/…` | histograms |
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Opens the file in a run's folder to go on behind the events of the `lines` that its metrics hold: what is there of
    /// them stays with its times, what is not is written, and what follows is cut off.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn open(run_folder: &Path, lines: &[Line]) -> Result<Self, StoreError> {
        let path = run_folder.join(FILE);
        let io = StoreError::io(&path);
        let there = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            there => there.map_err(&io)?,
        };
        let wanted = lines.iter().flat_map(Event::of_line);
        let wanted: Vec<Event> = [Event::version()].into_iter().chain(wanted).collect();
        let ends: Vec<usize> = record_ends(&there).take(wanted.len()).collect();
        let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(&io)?;
        file.set_len(ends.last().map_or(0, |&end| end as u64)).map_err(&io)?;
        let missing: Vec<u8> = wanted[ends.len()..].iter().flat_map(Event::record).collect();
        file.write_all(&missing).map_err(&io)?;
        Ok(Self { path: path.clone(), file })
    }

    /// Appends the events of a line.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; half a record that is then there is cut off by [`open`](Self::open), and readers pass over it.
    pub fn append(&mut self, line: &Line) -> Result<(), StoreError> {
        let records: Vec<u8> = Event::of_line(line).iter().flat_map(Event::record).collect();
        self.file.write_all(&records).map_err(StoreError::io(&self.path))
    }
}

/// Values at a step.
struct Event {
    step: usize,
    /// By tag; empty in the first event, which says the version.
    values: Vec<(String, Value)>,
}

enum Value {
    Scalar(f64),
    Histogram(Histogram),
}

impl Event {
    fn version() -> Self {
        Self { step: 0, values: Vec::new() }
    }

    /// As many for a line whenever it is asked for.
    fn of_line(line: &Line) -> Vec<Self> {
        match line {
            Line::Epoch(epoch) => {
                let of_epoch = Epoch::METRICS
                    .iter()
                    .filter_map(|(name, of)| Some((format!("epoch/{name}"), Value::Scalar(of(epoch)?))));
                vec![Self { step: epoch.step, values: of_epoch.chain(of_layers(&epoch.layers)).collect() }]
            }
            Line::Step(probe) => vec![Self { step: probe.step, values: of_layers(&probe.layers).collect() }],
            Line::Losses(losses) => {
                let loss = |(i, loss): (usize, &f64)| Self {
                    step: losses.step + i,
                    values: vec![("step/batch_loss".to_owned(), Value::Scalar(*loss))],
                };
                losses.losses.iter().enumerate().map(loss).collect()
            }
        }
    }

    /// The event as the file holds it.
    fn record(&self) -> Vec<u8> {
        let message = self.message();
        let length = (message.len() as u64).to_le_bytes();
        [&length[..], &checksum(&length), &message, &checksum(&message)].concat()
    }

    fn message(&self) -> Vec<u8> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut message = Vec::new();
        double(&mut message, 1, now.as_secs_f64());
        varint(&mut message, 2 << 3);
        varint(&mut message, self.step as u64);
        if self.values.is_empty() {
            bytes(&mut message, 3, VERSION.as_bytes());
            return message;
        }
        let mut summary = Vec::new();
        for (tag, value) in &self.values {
            let mut of_tag = Vec::new();
            bytes(&mut of_tag, 1, tag.as_bytes());
            match value {
                Value::Scalar(value) => {
                    varint(&mut of_tag, 2 << 3 | 5);
                    of_tag.extend((*value as f32).to_le_bytes());
                }
                Value::Histogram(histogram) => bytes(&mut of_tag, 5, &of_histogram(histogram)),
            }
            bytes(&mut summary, 1, &of_tag);
        }
        bytes(&mut message, 5, &summary);
        message
    }
}

fn of_layers(layers: &[Layer]) -> impl Iterator<Item = (String, Value)> {
    layers.iter().flat_map(|layer| {
        let name = &layer.layer;
        let numbers = Layer::METRICS
            .iter()
            .filter_map(move |(metric, of)| Some((format!("{metric}/{name}"), Value::Scalar(of(layer)?))));
        let histograms = [
            ("activation", &layer.histogram),
            ("preactivation", &layer.preactivation_histogram),
            ("preactivation_grad", &layer.preactivation_grad_histogram),
        ];
        let histograms = histograms.into_iter().filter_map(move |(kind, histogram)| {
            Some((format!("{kind}/{name}"), Value::Histogram(histogram.clone()?)))
        });
        numbers.chain(histograms)
    })
}

/// A `HistogramProto`; its sums are those of the bins' middles.
fn of_histogram(histogram: &Histogram) -> Vec<u8> {
    let Histogram { low, high, counts } = histogram;
    let width = (high - low) / counts.len().max(1) as f64;
    let middle = |bin: usize| low + (bin as f64 + 0.5) * width;
    let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
        counts.iter().enumerate().map(|(bin, &count)| count as f64 * of(middle(bin))).sum()
    };
    let mut message = Vec::new();
    double(&mut message, 1, *low);
    double(&mut message, 2, *high);
    double(&mut message, 3, counts.iter().sum::<u64>() as f64);
    double(&mut message, 4, sum(&|x| x));
    double(&mut message, 5, sum(&|x| x * x));
    let limits: Vec<u8> = (1..=counts.len()).flat_map(|bin| (low + bin as f64 * width).to_le_bytes()).collect();
    let counts: Vec<u8> = counts.iter().flat_map(|&count| (count as f64).to_le_bytes()).collect();
    bytes(&mut message, 6, &limits);
    bytes(&mut message, 7, &counts);
    message
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn double(message: &mut Vec<u8>, field: u64, value: f64) {
    varint(message, field << 3 | 1);
    message.extend(value.to_le_bytes());
}

fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend(value);
}

/// CRC-32C, turned and shifted as TensorFlow's records have it.
fn checksum(of: &[u8]) -> [u8; 4] {
    crc32c::crc32c(of).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Where each record of a file ends, until one is torn or wrong.
fn record_ends(file: &[u8]) -> impl Iterator<Item = usize> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        let (length, rest) = file.get(begin..)?.split_first_chunk::<8>()?;
        let (length_checksum, rest) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (message, rest) = rest.split_at_checked(size)?;
        let (message_checksum, _) = rest.split_first_chunk::<4>()?;
        if *length_checksum != checksum(length) || *message_checksum != checksum(message) {
            return None;
        }
        begin += 16 + size;
        Some(begin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StepLosses;

    fn losses(step: usize, losses: &[f64]) -> Line {
        Line::Losses(StepLosses { step, losses: losses.to_vec() })
    }

    #[test]
    fn a_file_goes_on_behind_the_lines_that_are_kept_and_what_is_torn_is_cut_off() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(FILE);
        let all = [losses(1, &[0.5, 0.25]), losses(3, &[0.125])];
        let mut writer = EventWriter::open(place.path(), &[]).unwrap();
        all.iter().for_each(|line| writer.append(line).unwrap());
        let whole = fs::read(&path).unwrap();
        assert_eq!(record_ends(&whole).count(), 4, "the version and three steps");
        assert_eq!(record_ends(&whole).last(), Some(whole.len()));

        // Killed in the middle of a record: what was whole keeps its times.
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        EventWriter::open(place.path(), &all[..1]).unwrap();
        let kept = fs::read(&path).unwrap();
        assert!(whole.starts_with(&kept) && record_ends(&kept).count() == 3);
        // And what its metrics have more is written.
        EventWriter::open(place.path(), &all).unwrap();
        let again = fs::read(&path).unwrap();
        assert!(again.len() == whole.len() && again.starts_with(&kept));
        // A damaged one is written anew from there.
        fs::write(&path, b"no events").unwrap();
        EventWriter::open(place.path(), &all).unwrap();
        assert_eq!(record_ends(&fs::read(&path).unwrap()).count(), 4);
    }
}
