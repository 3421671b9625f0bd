//! The binary `ios`: nodes, clients and what operators need, in one.
//!
//! Data goes to stdout, talk to stderr, and the exit code says how it went ([`exit::Exit`]).

mod arguments;
mod serve;
mod process;
mod dev;
mod chaos;
mod repl;
mod verbs;
mod status;
mod bench;
mod quorum;
mod inspect;
mod cluster;
mod config;
mod exit;
mod say;
mod logging;
mod suggest;
mod transfer;

use arguments::{Arguments, Bench, Command};
use clap::{CommandFactory, Parser};
use exit::{Exit, Failure};
use ios_core::ids::NodeId;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = run(arguments);
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say::talk(format_args!("ios: {failure}"));
            failure.exit.into()
        }
    }
}

fn run(Arguments { global, command }: Arguments) -> Result<Exit, Failure> {
    let serves = matches!(command, Some(Command::Serve(_)));
    logging::start(global.log.as_deref().unwrap_or(if serves { "info" } else { "error" }))?;
    let Some(command) = command else { return repl::run(&global, &arguments::Repl::default()) };
    if global.read.is_some() && !command.reads() {
        return Err(Failure::new(Exit::Usage, "--read says who may answer a read, and this command is none"));
    }
    match command {
        Command::Init(place) => serve::init(&global, &place),
        Command::Serve(serve) => serve::serve(&global, &serve),
        Command::Dev(dev) => dev::run(&global, &dev),
        Command::Chaos(chaos) => chaos::run(&global, &chaos),
        Command::Repl(repl) => repl::run(&global, &repl),
        Command::Status => status::run(&global),
        Command::Transfer { to } => transfer::run(&global, to.map(NodeId)),
        Command::Bench(Bench::Disk(measure)) => bench::disk(&global, &measure),
        Command::Bench(Bench::Put(put)) => bench::put(&global, &put),
        Command::Bench(Bench::Run(run)) => bench::run(&global, &run),
        Command::Bench(Bench::Sweep(sweep)) => bench::sweep(&global, &sweep),
        Command::Quorum(asked) => quorum::run(&global, &asked),
        Command::Config(config) => config::command::run(&global, &config),
        Command::Inspect { data } => inspect::inspect(&global, &data),
        Command::Fsck { data } => inspect::fsck(&global, &data),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "ios", &mut script);
            say::data(&script)?;
            Ok(Exit::Ok)
        }
        Command::Version => {
            say::line(format_args!("ios {}", env!("CARGO_PKG_VERSION")))?;
            Ok(Exit::Ok)
        }
        verb => verbs::run(&global, &verb),
    }
}
