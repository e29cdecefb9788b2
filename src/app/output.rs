//! Words for the one who called, on standard output.

use super::{AppError, fault_of};
use std::io::{self, ErrorKind, Write};

/// Prints text and ends the line. Whoever reads may have heard enough, as in `nuncio check | head -1`: that is no
/// failure of what is being said.
pub fn say(text: &str) -> Result<(), AppError> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(fault_of("standard output cannot be written")),
    }
}
