//! `ios config`: what a configuration comes to, whether it is sound, and one to begin with.

use super::{
    CLIENT_PORT, ClusterFile, ConfigError, Found, HTTP_PORT, Origin, PEER_PORT,
    prototype::{self, Translation},
};
use crate::{
    arguments::{Format, Global},
    exit::{Exit, Failure},
    say::{data, line, talk},
};
use clap::{Args, Subcommand, ValueEnum};
use runtime::disk::Persistence;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// What to do with configurations.
#[derive(Subcommand, Clone, Debug)]
pub enum Config {
    /// Print every setting with its value, as a file that means the same
    #[command(before_help = "Examples:\n  ios config show ios.toml\n  ios config show ios.toml --origin\n  \
                             IOS_NODE_MAX_BATCH=64 ios config show --origin --config ios.toml")]
    Show {
        /// The file, if `--config` does not name it
        file: Option<PathBuf>,
        /// Say of each where its value comes from: a line, a variable of the environment, or nowhere
        #[arg(long)]
        origin: bool,
    },
    /// Say whether a configuration is sound; exit 2 if it is not
    #[command(before_help = "Example:\n  ios config check ios.toml")]
    Check {
        /// The file, if `--config` does not name it
        file: Option<PathBuf>,
    },
    /// Print a server's configuration of the prototype as one that means the same
    #[command(before_help = "Examples:\n  ios config convert server3.conf\n  ios config convert server3.conf ios.toml")]
    Convert {
        /// The prototype's file
        file: PathBuf,
        /// Where to, instead of standard output; must not be there yet
        to: Option<PathBuf>,
    },
    /// Print a configuration to begin with
    #[command(before_help = "Examples:\n  ios config example > ios.toml\n  \
                             ios config example -n 5 --preset fpaxos --host 10.0.0.7 > ios.toml")]
    Example(Example),
}

/// Which configuration to begin with.
#[derive(Args, Clone, Debug)]
pub struct Example {
    /// How many members
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub nodes: u8,
    /// Which way to replicate
    #[arg(long, value_enum, default_value_t = Preset::Simple)]
    pub preset: Preset,
    /// The machine they are all on, to begin with
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
}

/// Ways to replicate, by the prototype's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Preset {
    /// The leader sends everything to everyone, and a majority suffices
    Simple,
    /// Whoever takes a request from a client has it stored; the leader only gives it its place
    Delegated,
    /// Two members store what is committed, and the leader asks no others: a new leader needs all but one
    Fpaxos,
}

/// Does it.
pub fn run(global: &Global, config: &Config) -> Result<Exit, Failure> {
    match config {
        Config::Show { file, origin } => show(global, file.as_ref(), *origin),
        Config::Check { file } => check(global, file.as_ref()),
        Config::Convert { file, to } => convert(file, to.as_deref()),
        Config::Example(example) => {
            let text = example.text();
            ClusterFile::parse("the example", &text).map_err(Failure::from)?;
            data(text.as_bytes()).map(|()| Exit::Ok)
        }
    }
}

/// The name of the configuration that is asked about, it, and what every setting of it came to.
fn load(global: &Global, file: Option<&PathBuf>) -> Result<(String, ClusterFile, Vec<Found>), ConfigError> {
    match file.or(global.config.as_ref()) {
        Some(path) => {
            ClusterFile::load_with_origins(path).map(|(file, found)| (path.display().to_string(), file, found))
        }
        None => ClusterFile::built_in_with_origins().map(|(file, found)| ("built-in".to_owned(), file, found)),
    }
}

fn convert(file: &Path, to: Option<&Path>) -> Result<Exit, Failure> {
    let (name, text) = (file.display().to_string(), super::text_of(file)?);
    if !prototype::is_ini(&name, &text) {
        return Err(Failure::new(Exit::Usage, format!("{name} is in the form of ios.toml already")));
    }
    // What is printed has to be sound; mistakes are told with the lines of the file that has them.
    ClusterFile::parse(&name, &text)?;
    let (converted, _) = Translation::new(&name, &text)?.into_toml();
    let converted =
        format!("# Converted from {name}. What is not here has its default: `ios config show`.\n\n{converted}");
    let Some(to) = to else { return data(converted.as_bytes()).map(|()| Exit::Ok) };
    let written = File::create_new(to).and_then(|mut file| file.write_all(converted.as_bytes()));
    written.map_err(|error| Failure::system(&format!("write {}", to.display()), error))?;
    talk(format_args!("wrote {}", to.display()));
    Ok(Exit::Ok)
}

fn show(global: &Global, file: Option<&PathBuf>, origin: bool) -> Result<Exit, Failure> {
    let (name, _, settings) = load(global, file)?;
    if global.output == Some(Format::Json) {
        return line(Value::from_iter(settings.iter().map(|found| to_json(&name, found)))).map(|()| Exit::Ok);
    }
    data(to_text(&name, &settings, origin).as_bytes()).map(|()| Exit::Ok)
}

/// The settings of `file` as a file, with or without where they come from.
fn to_text(file: &str, settings: &[Found], origin: bool) -> String {
    let mut text = String::new();
    let mut table = None;
    for found in settings {
        if table != Some((&found.section, found.begins)) {
            let blank = if text.is_empty() { "" } else { "\n" };
            let heading =
                if found.section == "member" { "[[member]]".to_owned() } else { format!("[{}]", found.section) };
            text += &format!("{blank}{heading}\n");
            table = Some((&found.section, found.begins));
        }
        let setting = format!("{} = {}", found.key, found.value);
        text += &match origin {
            true => format!("{setting:<40} # {}\n", whence(file, &found.origin)),
            false => format!("{setting}\n"),
        };
    }
    text
}

fn whence(file: &str, origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Line(number) => format!("{file}:{number}"),
        Origin::Variable(name) => name.clone(),
    }
}

fn to_json(file: &str, found: &Found) -> Value {
    // A TOML integer, boolean or text of ours is read as JSON as it stands, but for texts in single quotes.
    let value = serde_json::from_str(&found.value).unwrap_or_else(|_| Value::from(found.value.trim_matches('\'')));
    json!({ "section": found.section, "key": found.key, "value": value, "origin": whence(file, &found.origin) })
}

fn check(global: &Global, file: Option<&PathBuf>) -> Result<Exit, Failure> {
    let (name, file, _) = load(global, file)?;
    let draft = file.configuration.draft();
    let members =
        if file.members.len() == 1 { "1 member".to_owned() } else { format!("{} members", file.members.len()) };
    for warning in unwise(&file) {
        talk(format_args!("{name}: {warning}"));
    }
    line(format_args!("{name}: {members}, quorum {}, window {}: nothing is wrong", draft.quorum, draft.window))?;
    Ok(Exit::Ok)
}

/// What is allowed, and for trials only.
fn unwise(file: &ClusterFile) -> Vec<String> {
    let mut warnings = Vec::new();
    if file.options.journal.persistence == ios_core::options::Persistence::None {
        warnings.push("[unsafe] forget: a member that stops is gone for good".to_owned());
    }
    if file.persistence == Persistence::None {
        warnings.push("[unsafe] persistence: acknowledged writes do not survive a power loss".to_owned());
    }
    let beyond = |address: &&String| {
        let ip = address.parse().map(|address: SocketAddr| address.ip());
        !ip.is_ok_and(|ip: IpAddr| ip.is_loopback()) && !address.starts_with("localhost:")
    };
    let wide: Vec<&str> = file.members.iter().flat_map(|m| m.addresses()).filter(beyond).map(String::as_str).collect();
    if !wide.is_empty() {
        let all = wide.join(", ");
        warnings.push(format!("whoever reaches {all} may use it: there is neither TLS nor a password"));
    }
    warnings
}

impl Example {
    /// The file.
    fn text(&self) -> String {
        let Self { nodes, preset, host } = self;
        let (quorum, thrifty, delegate, participant) = match preset {
            Preset::Simple => ("majority".to_owned(), false, "none", "redirect"),
            Preset::Delegated => ("majority".to_owned(), false, "forwarder", "forward"),
            Preset::Fpaxos => (format!("fixed:{}", 2.min(*nodes)), true, "none", "redirect"),
        };
        let mut text = format!(
            "# One file for all members. What is not here has its default: `ios config show` prints every setting.\n\
             \n\
             [cluster]                       # all members must agree on it, and it is fixed with the first start\n\
             quorum = \"{quorum}\"             # `ios quorum {quorum} -n {nodes}` says what it survives\n\
             \n\
             [node]                          # what each member decides for itself\n\
             thrifty = {thrifty}\n\
             delegate = \"{delegate}\"\n\
             participant = \"{participant}\"\n"
        );
        for id in 0..u16::from(*nodes) {
            let (peer, client, http) = (PEER_PORT + id, CLIENT_PORT + id, HTTP_PORT + id);
            text += &format!(
                "\n[[member]]\nid = {id}\npeer = \"{host}:{peer}\"\nclient = \"{host}:{client}\"\n\
                 http = \"{host}:{http}\"\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(nodes: u8, preset: Preset) -> ClusterFile {
        let text = Example { nodes, preset, host: "127.0.0.1".to_owned() }.text();
        ClusterFile::parse("example", &text).unwrap()
    }

    #[test]
    fn every_preset_is_sound_for_any_number_of_members() {
        for nodes in 1..=10 {
            for preset in [Preset::Simple, Preset::Delegated, Preset::Fpaxos] {
                assert_eq!(example(nodes, preset).members.len(), usize::from(nodes));
            }
        }
    }

    #[test]
    fn presets_differ_in_what_they_are_named_for() {
        let simple = example(5, Preset::Simple);
        assert_eq!(simple.options.delegate, ios_core::options::Delegate::None);
        assert_eq!(example(5, Preset::Delegated).options.delegate, ios_core::options::Delegate::Forwarder);
        let fpaxos = example(5, Preset::Fpaxos);
        assert!(fpaxos.options.thrifty && !simple.options.thrifty);
        assert_eq!(fpaxos.configuration.draft().quorum.to_string(), "fixed:2");
    }

    #[test]
    fn what_is_shown_means_the_same_with_and_without_origins() {
        let text = Example { nodes: 3, preset: Preset::Delegated, host: "127.0.0.1".to_owned() }.text()
            + "[unsafe]\npersistence = \"none\"\n";
        let variables = [("IOS_NODE_MAX_BATCH", "7"), ("IOS_CLUSTER_QUORUM", "all-in"), ("IOS_LOG", "info")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (file, found) = ClusterFile::parse_with("x.toml", &text, &variables).unwrap();
        assert_eq!((file.options.max_batch, file.persistence), (7, Persistence::None));
        let shown = to_text("x.toml", &found, true);
        for origin in [false, true] {
            assert_eq!(ClusterFile::parse("shown", &to_text("x.toml", &found, origin)).unwrap(), file);
        }
        let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap();
        assert!(line("max_batch ").ends_with("= 7                            # IOS_NODE_MAX_BATCH"), "{shown}");
        assert!(
            line("quorum").ends_with("# IOS_CLUSTER_QUORUM") && line("delegate").ends_with("# x.toml:8"),
            "{shown}"
        );
        assert!(line("window").ends_with("# default"), "{shown}");
    }

    #[test]
    fn a_variable_is_refused_like_a_line_of_the_file() {
        let refused = |name: &str, value: &str| {
            let variables = [(name.to_owned(), value.to_owned())];
            ClusterFile::parse_with("x.toml", &super::super::single(), &variables).unwrap_err().to_string()
        };
        assert_eq!(
            refused("IOS_NODE_MAX_BACH", "7"),
            "IOS_NODE_MAX_BACH: no setting has this variable; did you mean IOS_NODE_MAX_BATCH?"
        );
        assert_eq!(
            refused("IOS_TIMING_HEARTBEAT", "soon"),
            "IOS_TIMING_HEARTBEAT: heartbeat in [timing] must be a length of time in quotes, such as \"50ms\": \
             \"soon\": a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns"
        );
    }

    #[test]
    fn a_variable_out_of_range_is_named_and_a_number_may_be_a_text() {
        let read = |name: &str, value: &str| {
            let variables = [(name.to_owned(), value.to_owned())];
            ClusterFile::parse_with(
                "x.toml",
                &Example { nodes: 3, preset: Preset::Simple, host: "h".into() }.text(),
                &variables,
            )
        };
        for (name, value) in
            [("IOS_CLUSTER_QUORUM", "fixed:9"), ("IOS_NODE_MAX_BATCH", "0"), ("IOS_CLUSTER_WINDOW", "0")]
        {
            let refused = read(name, value).unwrap_err();
            assert_eq!((refused.file.as_str(), refused.line), (name, None), "{refused}");
        }
        let (file, _) = read("IOS_NODE_DELEGATE", "2").unwrap();
        assert_eq!(file.options.delegate, ios_core::options::Delegate::Rotate(2));
    }

    #[test]
    fn what_is_for_trials_only_is_told() {
        let warned = |text: &str| {
            let member = "[[member]]\nid = 0\npeer = \"127.0.0.1:1\"\nclient = \"CLIENT:2\"\n";
            let client = if text.contains("wide") { "10.0.0.1" } else { "127.0.0.1" };
            let text = format!("{}\n{}", text.replace("wide", ""), member.replace("CLIENT", client));
            unwise(&ClusterFile::parse("ios.toml", &text).unwrap()).len()
        };
        assert_eq!((warned(""), warned("wide")), (0, 1));
        assert_eq!((warned("[unsafe]\nforget = true"), warned("[unsafe]\npersistence = \"none\"")), (1, 1));
    }
}
