//! Samples, and what is said of them.

use serde::Serialize;
use std::time::Duration;

/// One figure of one target over all rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figure {
    pub target: String,
    pub rounds: Vec<f64>,
}

/// A row of the report: the same figure of several targets, measured in turn.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub name: String,
    pub unit: &'static str,
    pub of: Vec<Figure>,
    /// What is wished for, in words.
    pub goal: Option<&'static str>,
}

impl Figures {
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, of: Vec::new(), goal: None }
    }

    pub fn goal(self, goal: &'static str) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// A row of one target that is measured once.
    pub fn once(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        let mut figures = Self::new(name, unit);
        figures.add("nuncio", value);
        figures
    }

    pub fn add(&mut self, target: &str, value: f64) {
        match self.of.iter_mut().find(|figure| figure.target == target) {
            Some(figure) => figure.rounds.push(value),
            None => self.of.push(Figure { target: target.to_owned(), rounds: vec![value] }),
        }
    }

    pub fn figure(&self, target: &str) -> Option<&Figure> {
        self.of.iter().find(|figure| figure.target == target)
    }
}

impl Figure {
    pub fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// The lowest and the highest of all rounds.
    pub fn spread(&self) -> (f64, f64) {
        let fold = |start: f64, pick: fn(f64, f64) -> f64| self.rounds.iter().copied().fold(start, pick);
        (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
    }

    /// How many times the other's, round by round.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.with(other, |own, other| own / other)
    }

    /// How much more than the other's, round by round.
    pub fn over(&self, other: &Self) -> f64 {
        self.with(other, |own, other| own - other)
    }

    fn with(&self, other: &Self, join: fn(f64, f64) -> f64) -> f64 {
        let joined: Vec<f64> = self.rounds.iter().zip(&other.rounds).map(|(own, other)| join(*own, *other)).collect();
        median(&joined)
    }
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len().saturating_sub(1)) as f64 * at).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
