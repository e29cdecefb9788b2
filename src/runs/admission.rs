//! How many runs may be in flight, over all and for each principal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts runs. A permit lives as long as its run.
#[derive(Debug)]
pub struct Admission {
    max_runs: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Principals with a run in flight, so never more entries than runs.
    by_principal: HashMap<Arc<str>, usize>,
}

/// Why a run was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    ServerFull { max: usize },
    PrincipalFull { max: usize },
}

#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    principal: Arc<str>,
}

impl Admission {
    pub fn new(max_runs: usize) -> Arc<Self> {
        Arc::new(Self { max_runs, counts: Mutex::default() })
    }

    /// Lets a run in, or says which limit is met. `own_max` is the principal's own limit, if it has one.
    pub fn enter(self: &Arc<Self>, principal: &Arc<str>, own_max: Option<usize>) -> Result<Permit, Refusal> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.max_runs {
            return Err(Refusal::ServerFull { max: self.max_runs });
        }
        let own = counts.by_principal.get(principal).copied().unwrap_or(0);
        if let Some(max) = own_max.filter(|max| own >= *max) {
            return Err(Refusal::PrincipalFull { max });
        }
        counts.all = counts.all.saturating_add(1);
        counts.by_principal.insert(Arc::clone(principal), own.saturating_add(1));
        Ok(Permit { admission: Arc::clone(self), principal: Arc::clone(principal) })
    }

    pub fn max_runs(&self) -> usize {
        self.max_runs
    }

    pub fn in_flight(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        let left = counts.by_principal.get(&self.principal).copied().unwrap_or(0).saturating_sub(1);
        match left {
            0 => counts.by_principal.remove(&self.principal),
            left => counts.by_principal.insert(Arc::clone(&self.principal), left),
        };
    }
}
