//! The command line. Help begins with examples.

use crate::{
    bench::arguments::{BenchRun, BenchSweep},
    chaos::arguments::Chaos,
    config::command::Config,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ios_core::{ids::NodeId, message::ReadMode, time::Span};
use std::{ffi::OsString, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  ios dev -n 3                                    a cluster of three on this machine
  ios                                             talk to it (the same as `ios repl`)
  ios put greeting hello && ios get greeting      one thing at a time
  ios status                                      how its members are
  ios init --id 0 --config ios.toml --data /var/lib/ios
  ios serve --id 0 --config ios.toml --data /var/lib/ios";

const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 error   2 usage or configuration   3 not found or condition false   4 definitely not done
  5 outcome unknown   6 unreachable or no quorum   8 unhealthy
  serve: 10 stopped by its disk   11 by a fault of its own   12 because its state differs from the others'";

/// A reliable distributed agreement service.
#[derive(Parser, Debug)]
#[command(name = "ios", version, before_help = EXAMPLES, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Arguments {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it, the interactive client.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What applies to every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The cluster's configuration file, or one of the prototype's; without it, what listens on this machine on the
    /// default ports
    #[arg(long, global = true, value_name = "FILE", env = "IOS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where clients connect, instead of what the configuration says; any one member will do
    #[arg(long, global = true, value_name = "HOST:PORT,...", value_delimiter = ',', env = "IOS_ENDPOINTS")]
    pub endpoints: Vec<String>,
    /// How answers are printed
    #[arg(short, long, global = true, value_name = "FORMAT", env = "IOS_OUTPUT")]
    pub output: Option<Format>,
    /// How long to wait for an outcome
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = span, env = "IOS_TIMEOUT")]
    pub timeout: Span,
    /// Who may answer a read: leader, participant (any member that serves such reads), or stale (any member, at once,
    /// from a state that may be old; the answer names its revision)
    #[arg(long, global = true, value_name = "MODE", value_parser = read_mode)]
    pub read: Option<ReadMode>,
    /// After how many failed tries a member is told that it might look for another leader; 0 for never [default: 4]
    #[arg(long, global = true, value_name = "N", env = "IOS_BEFORE_FORCE")]
    pub before_force: Option<u32>,
    /// What to log: error, warn, info, debug, trace, or a filter such as runtime=debug
    #[arg(long, global = true, value_name = "LEVEL", env = "IOS_LOG")]
    pub log: Option<String>,
}

/// How answers are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Columns with a heading
    Table,
    /// One JSON value
    Json,
    /// What the interactive client would print
    Simple,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Format a data directory for one member of a new cluster
    #[command(before_help = "Example:\n  ios init --id 0 --config ios.toml --data /var/lib/ios")]
    Init(Place),
    /// Run one member
    #[command(before_help = "Examples:\n  ios serve --id 0 --config ios.toml --data /var/lib/ios\n  \
                             ios serve --id 0 --init        a cluster of one, data in ./ios-data-0")]
    Serve(Serve),
    /// Run a whole cluster on this machine
    #[command(before_help = "Examples:\n  ios dev -n 3\n  ios dev -n 5 --base-port 9000 --data ./cluster")]
    Dev(Dev),
    /// Run a whole cluster on this machine, break it again and again, and judge what its clients saw
    #[command(before_help = "Examples:\n  ios chaos\n  ios chaos -n 5 --for 5m --seed 7\n  \
                             ios chaos --cycles 1 --faults kill,partition,disk-error --dir ./chaos")]
    Chaos(Chaos),
    /// Talk to a cluster, line by line
    #[command(before_help = "Examples:\n  ios repl\n  printf 'update A 1\\nget A\\n' | ios repl")]
    Repl(Repl),
    /// Read a key
    Get {
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: OsString,
    },
    /// Write a key
    Put {
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: OsString,
        /// Its new value
        #[arg(allow_hyphen_values = true)]
        value: OsString,
    },
    /// Remove a key, if it is there
    Delete {
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: OsString,
    },
    /// Tell whether a key is there
    Exists {
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: OsString,
    },
    /// Count the keys
    Count,
    /// List keys and values in order
    Ls {
        /// Only keys that begin so
        #[arg(allow_hyphen_values = true)]
        prefix: Option<OsString>,
    },
    /// Write a key if it has a certain value
    Cas {
        /// The key
        #[arg(allow_hyphen_values = true)]
        key: OsString,
        /// The value it must have
        #[arg(allow_hyphen_values = true)]
        old: OsString,
        /// The value it gets
        #[arg(allow_hyphen_values = true)]
        new: OsString,
    },
    /// Show how each member is, and what to do where something is wrong
    Status,
    /// Make the leader hand its place to another member, and go on as a follower
    #[command(before_help = "Examples:\n  ios transfer           to the member that answers it soonest\n  \
                             ios transfer --to 2")]
    Transfer {
        /// To which member
        #[arg(long, value_name = "ID")]
        to: Option<u8>,
    },
    /// Explain a quorum system: sizes, failures survived, load; or why it is unsafe
    #[command(before_help = "Examples:\n  ios quorum majority -n 3\n  ios quorum fixed:2 -n 5\n  \
                             ios quorum weighted:3,1,1,1/q2=4/q1=3 -n 4\n  ios quorum grid:2x3 -n 6\n  \
                             ios quorum explicit:q2=0+1,1+2/q1=1,0+2 -n 3")]
    Quorum(Quorum),
    /// Show, check, or begin a configuration
    #[command(subcommand)]
    Config(Config),
    /// Show what lies in the data directory of a member that does not run
    #[command(before_help = "Examples:\n  ios inspect /var/lib/ios\n  ios inspect ios-data-0 -o json")]
    Inspect {
        /// The directory
        data: PathBuf,
    },
    /// Say what is wrong with the data directory of a member that does not run; exit 8 if something is
    #[command(before_help = "Example:\n  ios fsck /var/lib/ios")]
    Fsck {
        /// The directory
        data: PathBuf,
    },
    /// Print a script that completes commands and options for a shell
    #[command(before_help = "Examples:\n  source <(ios completion bash)\n  \
                             ios completion fish > ~/.config/fish/completions/ios.fish")]
    Completion {
        /// Which
        shell: Shell,
    },
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Print the version
    Version,
}

impl Command {
    /// Whether it can do something with `--read`.
    pub fn reads(&self) -> bool {
        use Command::{Count, Exists, Get, Ls, Repl};
        let measures = matches!(self, Command::Bench(Bench::Run(_) | Bench::Sweep(_)));
        measures || matches!(self, Repl(_) | Get { .. } | Exists { .. } | Count | Ls { .. })
    }
}

/// A member and its data directory.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Which member
    #[arg(long, value_name = "N", default_value = "0", value_parser = node)]
    pub id: NodeId,
    /// Its data directory; ./ios-data-N if not given
    #[arg(long, value_name = "DIR", env = "IOS_DATA")]
    pub data: Option<PathBuf>,
}

/// How to run one member.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Which one, and where.
    #[command(flatten)]
    pub place: Place,
    /// Format the data directory first if it is empty or missing
    #[arg(long)]
    pub init: bool,
    /// Speak HTTP here too, whatever the configuration says: metrics, health, and commands in words
    #[arg(long, value_name = "HOST:PORT", env = "IOS_HTTP")]
    pub http: Option<String>,
    /// Stop in good order when standard input ends, as under a parent that holds a pipe
    #[arg(long)]
    pub until_eof: bool,
}

/// How to run a local cluster.
#[derive(Args, Clone, Debug)]
pub struct Dev {
    /// How many members
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub nodes: u8,
    /// The first member's port for clients; the ports for peers begin 10 above, those for HTTP 4265
    #[arg(long, value_name = "PORT", default_value_t = crate::config::CLIENT_PORT)]
    pub base_port: u16,
    /// Where data is kept; a temporary directory, removed at the end, if not given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// How to talk.
#[derive(Args, Clone, Debug, Default)]
pub struct Repl {
    /// What the cluster replicates, which decides what can be said: kv-store or dummy
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,
}

/// Which quorum system.
#[derive(Args, Clone, Debug)]
pub struct Quorum {
    /// As in the configuration file: majority, non-strict-majority, all-in, one-in, fixed:K, weighted:..., grid:...,
    /// explicit:...
    #[arg(value_name = "SPEC")]
    pub spec: String,
    /// How many members
    #[arg(short, long, value_name = "N")]
    pub nodes: u8,
}

/// What to measure.
#[derive(Subcommand, Clone, Debug)]
pub enum Bench {
    /// What one synced write costs on a disk
    #[command(before_help = "Example:\n  ios bench disk --data /var/lib --size 4096 --count 2000")]
    Disk(Measure),
    /// What one put costs, next to one synced write of the same disk in the same run
    #[command(before_help = "Examples:\n  ios bench put\n  ios bench put --nodes 1 --count 5000\n  \
                             ios bench put --endpoints 10.0.0.1:8080,10.0.0.2:8080")]
    Put(BenchPut),
    /// What many clients get: throughput, percentiles of latency, processor time; in a closed or an open loop
    #[command(before_help = "Examples:\n  ios bench run --clients 256\n  \
                             ios bench run --clients 256 --reads 90 --read stale --seconds 10\n  \
                             ios bench run --rate 5000 --clients 500 --html report.html\n  \
                             ios bench run --workload workload.conf --csv . --config ios.toml")]
    Run(BenchRun),
    /// The same for one number of clients after the other
    #[command(before_help = "Examples:\n  ios bench sweep --clients-min 1 --clients-max 201 --clients-step 50\n  \
                             ios bench sweep --seconds 3 --csv results --html sweep.html --endpoints 10.0.0.1:8080")]
    Sweep(BenchSweep),
}

/// How much to measure.
#[derive(Args, Clone, Debug)]
pub struct Measure {
    /// On whose disk; a temporary directory is made in it and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 2000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
    /// Bytes each
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub size: u32,
}

/// How to measure puts.
#[derive(Args, Clone, Debug)]
pub struct BenchPut {
    /// How much.
    #[command(flatten)]
    pub measure: Measure,
    /// Members of the cluster that is started for it, unless endpoints are given
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub nodes: u8,
}

fn node(text: &str) -> Result<NodeId, String> {
    match text.parse() {
        Ok(id) if id < NodeId::LIMIT => Ok(NodeId(id)),
        _ => Err(format!("a member's id is a number from 0 to {}", NodeId::LIMIT - 1)),
    }
}

fn read_mode(text: &str) -> Result<ReadMode, String> {
    let modes = [ReadMode::Leader, ReadMode::Participant, ReadMode::Stale];
    let named = modes.into_iter().find(|mode| mode.to_string() == text);
    named.ok_or_else(|| "choose leader, participant or stale".to_owned())
}

fn span(text: &str) -> Result<Span, String> {
    match text.parse() {
        Ok(Span::ZERO) => Err("must be longer than nothing".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_help_calls_a_default_is_one() {
        let help = Arguments::command().render_help().to_string();
        let before_force = ios_core::client::ClientOptions::default().before_force;
        assert!(help.contains(&format!("0 for never [default: {before_force}]")), "{help}");
    }

    #[test]
    fn values_may_begin_with_a_hyphen() {
        let arguments = Arguments::try_parse_from(["ios", "cas", "-k", "-1", "--2"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::Cas { key, old, new })
            if key == "-k" && old == "-1" && new == "--2"));
    }
}
