//! What was found, missed and wrongly alarmed, by cause and by detector.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Planted;
use crate::judge::{diagnose::cause::confidence, statistics::wilson};

/// Of one cause or detector.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Score {
    /// Trainings with this cause planted; of a detector, in which it found something.
    pub planted: usize,
    /// Those with the cause among the first two; of a detector, those with any fault planted.
    pub found: usize,
    /// Healthy trainings in which it was named; of a detector, in which it found something above `info`.
    pub false_alarms: usize,
    /// Trainings with another fault in which this cause was named first.
    pub mistaken: usize,
    /// Repairs tried.
    pub repairable: usize,
    /// Repairs that helped.
    pub repaired: usize,
}

/// Over a set of trainings.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    /// By cause.
    pub causes: BTreeMap<&'static str, Score>,
    /// By detector.
    pub detectors: BTreeMap<&'static str, Score>,
    /// Faults planted, and those with the right cause among the first two, with the 95 % interval of the share.
    pub found: (usize, usize, (f64, f64)),
    /// Healthy trainings, and those with any warning, with the interval.
    pub alarmed: (usize, usize, (f64, f64)),
    /// Repairs tried, and those that helped, with the interval.
    pub repaired: (usize, usize, (f64, f64)),
    /// By cause, the trainings in which it was named, at whatever place, and those in which it was right. What confidences
    /// are taken from.
    pub named: BTreeMap<&'static str, (usize, usize)>,
    /// Causes named over all trainings, those that were right, and how many the confidences expect to be.
    pub calibration: (usize, usize, f64),
}

/// Counts.
pub fn scores(all: &[&Planted]) -> Scores {
    let mut causes: BTreeMap<&'static str, Score> = BTreeMap::new();
    let mut detectors: BTreeMap<&'static str, Score> = BTreeMap::new();
    let mut named: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    for planted in all {
        if let Some(cause) = planted.planted {
            let score = causes.entry(cause).or_default();
            score.planted += 1;
            score.found += usize::from(is_found(planted));
            if let Some(repair) = &planted.repair {
                score.repairable += 1;
                score.repaired += usize::from(repair.repaired);
            }
        }
        for cause in &planted.causes {
            let (times, rights) = named.entry(cause).or_default();
            (*times, *rights) = (*times + 1, *rights + usize::from(planted.planted == Some(*cause)));
            causes.entry(cause).or_default().false_alarms += usize::from(planted.planted.is_none());
        }
        if let Some(first) = planted.causes.first() {
            let right = planted.planted == Some(*first);
            causes.entry(first).or_default().mistaken += usize::from(planted.planted.is_some() && !right);
        }
        let mut found = planted.findings.clone();
        found.sort_unstable();
        found.dedup();
        for detector in found {
            let score = detectors.entry(detector).or_default();
            score.planted += 1;
            match planted.planted {
                Some(_) => score.found += 1,
                None => score.false_alarms += 1,
            }
        }
    }
    let share = |of: &dyn Fn(&Planted) -> bool, which: &dyn Fn(&Planted) -> bool| {
        let all: Vec<&&Planted> = all.iter().filter(|planted| of(planted)).collect();
        let hits = all.iter().filter(|planted| which(planted)).count();
        (all.len(), hits, wilson(hits, all.len()))
    };
    let calibration = named.iter().fold((0, 0, 0.0), |(all, right, expected), (cause, (times, rights))| {
        (all + times, right + rights, expected + *times as f64 * confidence(cause).unwrap_or(0.0))
    });
    Scores {
        causes,
        detectors,
        found: share(&|planted| planted.planted.is_some(), &is_found),
        alarmed: share(&|planted| planted.planted.is_none(), &|planted| !planted.healthy),
        repaired: share(&|planted| planted.repair.is_some(), &|planted| {
            planted.repair.as_ref().is_some_and(|repair| repair.repaired)
        }),
        named,
        calibration,
    }
}

/// Whether the planted cause is among the first two.
pub fn is_found(planted: &Planted) -> bool {
    planted.planted.is_some_and(|cause| planted.causes.iter().take(2).any(|named| *named == cause))
}
