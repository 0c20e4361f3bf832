//! The folder that claims are tested in: `claims.json`, written whenever one is done, and a lock.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{CLAIMS, Claim, ClaimResult, Plan};
use crate::{
    record::Environment,
    store::{self, Evidence, Lock, StoreError},
};

/// The version written to `schema_version` of `claims.json`.
pub const SCHEMA_VERSION: u32 = 2;
const RESULTS: &str = "claims.json";

/// `claims.json`: the claims that were tested, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimsReport {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The day that it was begun, as in 2026-01-31.
    pub date: String,
    /// The machine and the software.
    pub environment: Environment,
    /// How much was spent on each claim, and on which data.
    #[serde(flatten)]
    pub plan: Plan,
    /// The claims asked for.
    pub requested: Vec<String>,
    /// The claims tested so far, in the order that they are listed.
    pub claims: Vec<ClaimResult>,
}

/// A folder with its report, which no other process writes meanwhile.
#[derive(Debug)]
pub struct ClaimsFolder {
    path: PathBuf,
    report: ClaimsReport,
    _lock: Lock,
}

impl ClaimsFolder {
    /// Begins a report in a folder that has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where `path` is a file or holds claims already; [`StoreError::Locked`], [`StoreError::Io`].
    pub fn create(
        path: &Path,
        (date, environment, plan): (String, Environment, Plan),
        claims: &[&'static Claim],
    ) -> Result<Self, StoreError> {
        let taken = |reason| Err(StoreError::Taken { path: path.to_owned(), reason });
        if path.exists() && !path.is_dir() {
            return taken("is a file, not a folder; choose another --out");
        }
        if path.join(RESULTS).exists() {
            return taken("holds claims already; go on with --resume, or choose another --out");
        }
        fs::create_dir_all(path).map_err(|cause| StoreError::Io { path: path.to_owned(), cause })?;
        let report = ClaimsReport {
            schema_version: SCHEMA_VERSION,
            date,
            environment,
            plan,
            requested: claims.iter().map(|claim| claim.id.to_owned()).collect(),
            claims: Vec::new(),
        };
        let folder = Self { path: path.to_owned(), report, _lock: Lock::acquire(path)? };
        folder.write()?;
        Ok(folder)
    }

    /// Opens a folder to go on in it, with further claims.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where no claims are there, [`StoreError::Damaged`], [`StoreError::Newer`],
    /// [`StoreError::Locked`], [`StoreError::Io`].
    pub fn open(path: &Path, further: &[&'static Claim]) -> Result<Self, StoreError> {
        let file = path.join(RESULTS);
        if !file.exists() {
            let reason = format!("holds no claims: it has no {RESULTS}");
            return Err(StoreError::Missing { path: path.to_owned(), reason });
        }
        let lock = Lock::acquire(path)?;
        store::atomic::heal(path)?;
        let text = fs::read(&file).map_err(|cause| StoreError::Io { path: file.clone(), cause })?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: file.clone(),
            reason: format!("not what `rectify claims` writes: {error}"),
        };
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let Version { schema_version: found } = serde_json::from_slice(&text).map_err(damaged)?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: file, found, known: SCHEMA_VERSION });
        }
        if found < SCHEMA_VERSION {
            let reason =
                format!("claims of schema {found}, which were judged by other rules; test them again in a new folder");
            return Err(StoreError::Damaged { path: file, reason });
        }
        let mut report: ClaimsReport = serde_json::from_slice(&text).map_err(damaged)?;
        report.requested.extend(further.iter().map(|claim| claim.id.to_owned()));
        Ok(Self { path: path.to_owned(), report, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the report.
    pub fn results(&self) -> PathBuf {
        self.path.join(RESULTS)
    }

    /// What is known so far.
    pub fn report(&self) -> &ClaimsReport {
        &self.report
    }

    /// The claims that are asked for and not tested yet.
    pub fn pending(&self) -> Vec<&'static Claim> {
        let wanted = |claim: &&&Claim| self.report.requested.iter().any(|id| id == claim.id);
        let tested = |claim: &Claim| self.report.claims.iter().any(|result| result.claim == claim);
        CLAIMS.iter().filter(wanted).copied().filter(|claim| !tested(claim)).collect()
    }

    /// Adds a claim that was tested, writes the report, and removes the pieces of [`Evidence`] that were kept on the way.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the report holds the claim all the same.
    pub fn add(&mut self, result: ClaimResult) -> Result<(), StoreError> {
        self.report.claims.push(result);
        let place = |result: &ClaimResult| CLAIMS.iter().position(|claim| *claim == result.claim);
        self.report.claims.sort_by_key(place);
        self.write()?;
        Evidence::of(&self.path).remove_pieces()
    }

    /// Judges every claim again, from what was measured when it was tested, and writes the report. The claims of which
    /// nothing is there to be judged from stay as they are, and are given back.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names a file that was changed; [`StoreError::Io`].
    pub fn judge_again(&mut self) -> Result<Vec<&'static str>, StoreError> {
        let evidence = Evidence::of(&self.path);
        let mut left = Vec::new();
        for result in &mut self.report.claims {
            match result.claim.judge_again(&evidence)? {
                Some(again) => *result = again,
                None => left.push(result.claim.id),
            }
        }
        self.write()?;
        Ok(left)
    }

    fn write(&self) -> Result<(), StoreError> {
        let path = self.results();
        let text = serde_json::to_vec_pretty(&self.report)
            .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
        store::write(&path, &text)
    }
}
