//! Logs go to stderr: as text where somebody reads them, as JSON where a machine does.

use crate::exit::{Exit, Failure};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Starts logging what `filter` lets through.
pub fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::new(Exit::Usage, format!("--log {filter}: {error}; use a level such as debug")))?;
    // A log that cannot be written must not end what it is about.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    if io::stderr().is_terminal() {
        log.init()
    } else {
        log.json().init()
    }
    Ok(())
}
