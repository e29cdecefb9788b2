//! Command line in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a supervisor has to be up fast and to stay single-threaded.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == nuncio::sandbox::SUPERVISE) {
        return nuncio::sandbox::supervisor::run();
    }
    ExitCode::SUCCESS
}
