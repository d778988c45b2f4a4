//! Compares what runs report with the truth, and prints docs/measurement.md's tables.
//!
//! `measure [--quick] [--disk DIRECTORY] [--only WORD]`, as root. Exit status: 0 where every bound holds, 1 where one is
//! missed, 2 where nothing could be measured. The truth is the program's own: its clocks, and the number of bytes that it
//! touched. Nothing depends on how busy the machine is: CPU time is compared with CPU time, and wall time with the time
//! that the program saw and the time that passed around the run.

#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

mod arguments;
mod boxes;
mod cases;
mod charges;
mod embedder;
mod table;

use std::process::ExitCode;

use arguments::Arguments;
use cases::{Case, Measured};
use embedder::Embedder;

fn main() -> ExitCode {
    let arguments = match Arguments::parse() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            println!("measure: {wrong}");
            return ExitCode::from(2);
        }
    };
    let mut embedder = Embedder::default();
    let mut rows: Vec<(Case, Vec<Measured>)> = arguments
        .cases()
        .into_iter()
        .map(|case| (case, Vec::new()))
        .collect();
    let mut columns = Vec::new();
    for mib in arguments.embedder_mib() {
        let resident_mb = embedder.grow_to(mib);
        for boxes in [1, 2] {
            columns.push(format!("{resident_mb} MB, {boxes}"));
            for (case, cells) in &mut rows {
                cells.push(case.measure(&arguments, boxes));
            }
        }
    }
    let missed = table::print(&columns, &rows);
    charges::print(&arguments);
    if missed == 0 {
        println!("\nEvery bound holds.");
        ExitCode::SUCCESS
    } else {
        println!("\n{missed} cells are beyond their bound.");
        ExitCode::FAILURE
    }
}
