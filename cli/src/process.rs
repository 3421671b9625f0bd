//! One member as a process of its own, under this one: `ios dev` and `ios chaos` start them.
//!
//! A member ends with its parent, however that ends: it holds the reading end of a pipe whose writing end is there.

use crate::exit::Failure;
use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Which member, and from what.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Its id.
    pub id: u8,
    /// Its configuration file.
    pub config: &'a Path,
    /// Its data directory.
    pub data: &'a Path,
    /// Where its log is appended to.
    pub log: &'a Path,
    /// What it logs.
    pub level: &'a str,
    /// Whether a directory that is empty is formatted first.
    pub init: bool,
    /// Whether what is typed at the terminal, such as Ctrl-C, is for the parent alone.
    pub apart: bool,
    /// What its environment has besides.
    pub environment: &'a [(&'static str, OsString)],
}

/// Starts a member.
pub fn start(start: Start<'_>) -> Result<Child, Failure> {
    let Start { id, config, data, log, level, init, apart, environment } = start;
    let file = File::options().create(true).append(true).open(log);
    let file = file.map_err(|error| Failure::system(&format!("write {}", log.display()), error))?;
    let program = std::env::current_exe().map_err(|error| Failure::system("find this program", error))?;
    let mut command = Command::new(program);
    command.args(["serve", "--until-eof", "--id", &id.to_string(), "--log", level]);
    command.args(init.then_some("--init"));
    command.arg("--config").arg(config).arg("--data").arg(data);
    if apart {
        command.process_group(0);
    }
    // What the caller's environment says is about the caller's own cluster.
    command.env_remove("IOS_HTTP").envs(environment.iter().map(|(name, value)| (name, value)));
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(file).spawn();
    spawned.map_err(|error| Failure::system("start a member", error))
}

/// How a process ended, in words.
pub fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no reason given".to_owned(),
    }
}
