//! The table, or the same as JSON.

use super::figures::{Figure, Figures};
use super::machine::Machine;
use anyhow::Result;
use serde_json::json;

pub struct Report {
    machine: Machine,
    rows: Vec<Figures>,
}

impl Report {
    pub fn new(busy: f64) -> Self {
        Self { machine: Machine::new(busy), rows: Vec::new() }
    }

    pub fn add(&mut self, row: Figures) {
        self.rows.push(row);
    }

    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&json!({"machine": self.machine, "rows": self.rows}))?);
            return Ok(());
        }
        let Machine { cores, processor, kernel, busy_before } = &self.machine;
        println!("{cores} cores of {processor}, Linux {kernel}, {:.0} % busy before the bench\n", busy_before * 100.0);
        println!(
            "| what | unit | target | median | lowest to highest | over direct | × direct | × pass-through | goal |"
        );
        println!("|---|---|---|---:|---:|---:|---:|---:|---|");
        for row in &self.rows {
            for figure in &row.of {
                println!("{}", line(row, figure));
            }
        }
        Ok(())
    }
}

fn line(row: &Figures, figure: &Figure) -> String {
    let against = |name: &str| row.figure(name).filter(|_| figure.target != name);
    let ratio = |name: &str| against(name).map_or(String::new(), |other| format!("{:.2}", figure.ratio(other)));
    let over = against("direct").map_or(String::new(), |direct| number(figure.over(direct)));
    let (low, high) = figure.spread();
    let goal = row.goal.filter(|_| figure.target == "nuncio").unwrap_or_default();
    format!(
        "| {} | {} | {} | {} | {} to {} | {over} | {} | {} | {goal} |",
        row.name,
        row.unit,
        figure.target,
        number(figure.median()),
        number(low),
        number(high),
        ratio("direct"),
        ratio("passthrough"),
    )
}

fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
