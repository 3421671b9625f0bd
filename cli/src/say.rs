//! What is printed: data on stdout, talk on stderr.
//!
//! Not with the standard macros, which panic when nobody listens: a reader that has had enough is no fault, and a full
//! disk under a log file must not keep a node from saying how it ends.

use crate::exit::Failure;
use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Prints data as it is. Whoever closed the other end has read what was wanted.
pub fn data(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        told => told.map_err(|error| Failure::system("write to standard output", error)),
    }
}

/// Prints data that is a line.
pub fn line(text: impl Display) -> Result<(), Failure> {
    data(format!("{text}\n").as_bytes())
}

/// Tells whoever looks on. If nobody can be told, there is nobody to tell that either.
pub fn talk(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
