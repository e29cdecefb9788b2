//! Command line in, exit code out.

use clap::Parser;
use nuncio::cli::Cli;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a supervisor has to be up fast and to stay single-threaded.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == nuncio::sandbox::SUPERVISE) {
        return nuncio::sandbox::supervisor::run();
    }
    match nuncio::app::run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not eprintln: it panics where nobody listens any more.
            let _ = writeln!(std::io::stderr(), "nuncio: {error:#}");
            ExitCode::FAILURE
        }
    }
}
