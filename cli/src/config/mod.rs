//! `ios.toml`: one file for all members of a cluster.
//!
//! ```toml
//! [cluster]                      # what all members must agree on; fixed when the cluster is founded
//! quorum = "majority"            # or another system of the README, as text
//! window = 64
//! index_exclusivity = false
//! implicit_commit = false
//! lease = "off"                  # or how long, and how wrong any clock is at most: "300ms/500ppm"
//! session_ttl = "60s"
//! application = "kv-store"       # or "dummy"
//!
//! [[member]]
//! id = 0
//! peer = "127.0.0.1:8090"        # where the other members reach it
//! client = "127.0.0.1:8080"      # where clients reach it
//! http = "127.0.0.1:12345"       # where it speaks HTTP; it does not unless this is given
//!
//! [node]                         # what each node decides for itself, as are the sections below
//! explicit_commit = false
//! thrifty = false
//! delegate = "none"              # none, forwarder, or how many members take turns
//! participant = "redirect"       # or "forward"
//! participant_read = false
//! max_batch = 1024
//! max_batch_bytes = 1048576
//! batch_interval = "0s"
//! queue_max = 65536
//! reads_max = 65536
//! clients_max = 4096
//! snapshot_interval = 100000     # batches between two snapshots; 0 leaves that to length alone
//! length = 1000000               # most batches in the log; half of it forces a snapshot, all of it refuses requests
//! snapshot_block = 262144        # bytes of a snapshot made, written and sent at once
//!
//! [timing]
//! heartbeat = "50ms"
//! election_timeout = "500ms"
//!
//! [journal]
//! persistence = "dsync"          # or "fsync"
//! segment_bytes = 67108864
//! segment_records = 131072
//! seal = "lazy"                  # or "eager"
//! seal_idle = "5ms"
//!
//! [unsafe]
//! persistence = "none"           # never synced: acknowledged writes do not survive a power loss
//! forget = true                  # no journal at all: a member that stops is gone for good
//! ```
//!
//! Variables of the environment are stronger than the file, for every key but those of members: `IOS_NODE_MAX_BATCH=64`
//! is `max_batch = 64` in `[node]`. What `[cluster]` has must be the same for all members all the same.
//!
//! The prototype's files do as well: [`prototype`] and [`client_file`] say which of their keys means what here.

pub mod command;
mod document;
pub mod ini;
pub mod prototype;
pub mod client_file;

pub use client_file::ClientFile;
pub use document::{ConfigError, Found, Origin};

use document::{Document, Section, Setting, one_of, quoted};
use ios_core::{
    configuration::{Configuration, ConfigurationDraft, ConfigurationError, Lease, NoLease},
    ids::NodeId,
    message,
    options::{self, Delegate, Options, Participant, Seal},
    service::{Application, application::UnknownApplication, kv::Kv},
};
use prototype::Translation;
use runtime::disk::Persistence;
use std::{collections::BTreeMap, net::SocketAddr, path::Path};
use toml::de::DeValue;

/// A checked configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterFile {
    /// Where each member is reached, by ascending id.
    pub members: Vec<Member>,
    /// What all members agree on.
    pub configuration: Configuration,
    /// What each member decides for itself.
    pub options: Options,
    /// What is replicated.
    pub application: Application,
    /// How writes are made durable.
    pub persistence: Persistence,
    /// Most client connections of one node at a time.
    pub clients_max: usize,
}

/// Where a member is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Where the other members connect, as `host:port`.
    pub peer: String,
    /// Where clients connect, as `host:port`.
    pub client: String,
    /// Where it speaks HTTP, as `host:port`, if it does.
    pub http: Option<String>,
}

impl Member {
    fn addresses(&self) -> impl Iterator<Item = &String> {
        [&self.peer, &self.client].into_iter().chain(&self.http)
    }
}

/// Client connections a node takes unless told otherwise.
const CLIENTS_MAX: usize = 4096;

/// Go's ports: the first member listens for peers here, the next one above.
pub const PEER_PORT: u16 = 8090;
/// Go's ports: the first member listens for clients here, the next one above.
pub const CLIENT_PORT: u16 = 8080;
/// Go's port: the first member speaks HTTP here if it is asked to, the next one above.
pub const HTTP_PORT: u16 = 12345;

impl ClusterFile {
    /// Reads and checks a file, and what the environment sets in place of it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self::load_with_origins(path)?.0)
    }

    /// The same, with what every setting came to, and whence.
    pub fn load_with_origins(path: &Path) -> Result<(Self, Vec<Found>), ConfigError> {
        Self::parse_with(&path.display().to_string(), &text_of(path)?, &variables())
    }

    /// One node on this machine, on Go's default ports, and what the environment sets.
    pub fn built_in() -> Result<Self, ConfigError> {
        Ok(Self::built_in_with_origins()?.0)
    }

    /// The same, with what every setting came to, and whence.
    pub fn built_in_with_origins() -> Result<(Self, Vec<Found>), ConfigError> {
        Self::parse_with("built-in", &single(), &variables())
    }

    /// One node on this machine, on Go's default ports, whatever the environment says.
    pub fn single() -> Self {
        Self::parse("built-in", &single()).expect("the default is valid")
    }

    /// Checks the text of a file, and of nothing else.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse_with(file, text, &[])?.0)
    }

    /// Checks the text of a file in either form, with variables of the environment that are stronger.
    fn parse_with(file: &str, text: &str, variables: &[(String, String)]) -> Result<(Self, Vec<Found>), ConfigError> {
        if prototype::is_ini(file, text) {
            let (translated, lines) = Translation::new(file, text)?.into_toml();
            return Self::read(Document::parse(file, &translated, variables, Some(&lines))?);
        }
        Self::read(Document::parse(file, text, variables, None)?)
    }

    fn read(document: Document<'_>) -> Result<(Self, Vec<Found>), ConfigError> {
        let mut root = document.root();
        let mut draft = ConfigurationDraft::default();
        let mut application = default_application();
        let cluster = root.section("cluster")?;
        read_cluster(cluster, &mut draft, &mut application)?;
        let members = read_members(&document, root.sections("member")?)?;
        draft.members = members.iter().map(|member| member.id).collect();
        let mut options = Options { client_addresses: client_addresses(&members), ..Options::default() };
        let mut persistence = Persistence::default();
        let clients_max = read_node(root.section("node")?, &mut options)?;
        read_timing(root.section("timing")?, &mut options)?;
        read_journal(root.section("journal")?, &mut options, &mut persistence)?;
        read_unsafe(root.section("unsafe")?, &mut options, &mut persistence)?;
        root.finish()?;
        let configuration = Configuration::new(draft).map_err(|error| {
            let setting = match &error {
                ConfigurationError::Quorum(_) => "quorum",
                ConfigurationError::Window(_) => "window",
                ConfigurationError::SessionTtl(_) => "session_ttl",
                ConfigurationError::Lease(_) => "lease",
                ConfigurationError::Twice(_) | ConfigurationError::Id(_) | ConfigurationError::Application(_) => "",
            };
            document.error_about(&[setting], error.to_string())
        })?;
        options.check().map_err(|error| document.error_about(&[error.name], error.to_string()))?;
        options
            .check_for(&configuration)
            .map_err(|error| document.error_about(&[error.name, "lease"], error.to_string()))?;
        let found = document.found();
        Ok((Self { members, configuration, options, application, persistence, clients_max }, found))
    }

    /// Where members speak HTTP, as whoever asks the wrong one is told.
    pub fn http_addresses(&self) -> BTreeMap<NodeId, String> {
        let all = self.members.iter().filter_map(|member| Some((member.id, member.http.clone()?)));
        all.filter(|(_, address)| !is_everywhere(address)).collect()
    }

    /// Gives a member another address for HTTP than the file does.
    pub fn serve_http(&mut self, id: NodeId, address: String) {
        self.members.iter_mut().filter(|member| member.id == id).for_each(|member| member.http = Some(address.clone()));
    }

    /// A member by id.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }
}

/// The text of a file.
fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the configuration: {error}");
        ConfigError { file: path.display().to_string(), line: None, what }
    })
}

/// One node on this machine, on Go's default ports.
fn single() -> String {
    format!("[[member]]\nid = 0\npeer = \"127.0.0.1:{PEER_PORT}\"\nclient = \"127.0.0.1:{CLIENT_PORT}\"\n")
}

/// Variables of the environment that may be meant for a setting.
fn variables() -> Vec<(String, String)> {
    let all = std::env::vars_os();
    let ours = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    ours.filter(|(name, _)| name.starts_with("IOS_")).collect()
}

fn read_cluster(
    mut section: Section<'_>,
    draft: &mut ConfigurationDraft,
    application: &mut Application,
) -> Result<(), ConfigError> {
    section.set("quorum", &mut draft.quorum)?;
    section.set("window", &mut draft.window)?;
    section.set("index_exclusivity", &mut draft.index_exclusivity)?;
    section.set("implicit_commit", &mut draft.implicit_commit)?;
    let mut lease = LeaseSetting(draft.lease);
    section.set("lease", &mut lease)?;
    draft.lease = lease.0;
    section.set("session_ttl", &mut draft.session_ttl)?;
    section.set("application", application)?;
    draft.application = application.name().to_owned();
    section.finish()
}

fn read_members(document: &Document<'_>, sections: Vec<Section<'_>>) -> Result<Vec<Member>, ConfigError> {
    let mut members: Vec<Member> = Vec::new();
    for mut section in sections {
        let line = section.line();
        let id = NodeId(section.require("id", 0u8)?);
        let peer = section.require("peer", String::new())?;
        let client = section.require("client", String::new())?;
        let mut http = HttpAddress(None);
        section.set("http", &mut http)?;
        let HttpAddress(http) = http;
        section.finish()?;
        let member = Member { id, peer, client, http };
        check_addresses(&member, &members).map_err(|what| document.error_at(line, what))?;
        if members.iter().any(|other| other.id == id) {
            let what = format!("member {id} is listed twice; every node needs its own id");
            return Err(document.error_at(line, what));
        }
        members.push(member);
    }
    if members.is_empty() {
        let example = "[[member]] with id, peer = \"host:port\" and client = \"host:port\"";
        return Err(document.error(format!("no members are listed; each needs a table {example}")));
    }
    members.sort_by_key(|member| member.id);
    Ok(members)
}

/// What is wrong with the addresses of a member, next to those of others.
fn check_addresses(member: &Member, others: &[Member]) -> Result<(), String> {
    let Member { id, peer, client, http } = member;
    for address in member.addresses() {
        if !is_address(address) {
            return Err(format!("\"{address}\" is no address; write host:port, such as \"127.0.0.1:8090\""));
        }
        if let Some(other) = others.iter().find(|other| other.addresses().any(|taken| taken == address)) {
            return Err(format!("member {id} has address {address}, which member {} has too", other.id));
        }
    }
    if peer == client {
        return Err(format!("member {id} listens on {peer} for peers and for clients; give each an address"));
    }
    match http.as_ref().filter(|http| [peer, client].contains(http)) {
        Some(http) => Err(format!("member {id} listens on {http} for HTTP and for others; give each an address")),
        None => Ok(()),
    }
}

/// Reads what is the core's business into `options`, and returns the most client connections.
fn read_node(mut section: Section<'_>, options: &mut Options) -> Result<usize, ConfigError> {
    let mut clients_max = ClientsMax(CLIENTS_MAX);
    section.set("clients_max", &mut clients_max)?;
    section.set("explicit_commit", &mut options.explicit_commit)?;
    section.set("thrifty", &mut options.thrifty)?;
    section.set("delegate", &mut options.delegate)?;
    section.set("participant", &mut options.participant)?;
    section.set("participant_read", &mut options.participant_read)?;
    section.set("max_batch", &mut options.max_batch)?;
    section.set("max_batch_bytes", &mut options.max_batch_bytes)?;
    section.set("batch_interval", &mut options.batch_interval)?;
    section.set("queue_max", &mut options.queue_max)?;
    section.set("reads_max", &mut options.reads_max)?;
    section.set("snapshot_interval", &mut options.snapshot_interval)?;
    section.set("length", &mut options.length)?;
    section.set("snapshot_block", &mut options.snapshot_block)?;
    section.finish()?;
    Ok(clients_max.0)
}

fn read_timing(mut section: Section<'_>, options: &mut Options) -> Result<(), ConfigError> {
    section.set("heartbeat", &mut options.heartbeat)?;
    section.set("election_timeout", &mut options.election_timeout)?;
    section.finish()
}

fn read_journal(
    mut section: Section<'_>,
    options: &mut Options,
    persistence: &mut Persistence,
) -> Result<(), ConfigError> {
    section.set("persistence", persistence)?;
    let journal = &mut options.journal;
    section.set("segment_bytes", &mut journal.segment_bytes)?;
    section.set("segment_records", &mut journal.segment_records)?;
    section.set("seal", &mut journal.seal)?;
    section.set("seal_idle", &mut journal.seal_idle)?;
    section.finish()
}

fn read_unsafe(
    mut section: Section<'_>,
    options: &mut Options,
    persistence: &mut Persistence,
) -> Result<(), ConfigError> {
    let mut unsafe_persistence = UnsafePersistence(*persistence);
    section.set("persistence", &mut unsafe_persistence)?;
    *persistence = unsafe_persistence.0;
    let mut forget = false;
    section.set("forget", &mut forget)?;
    if forget {
        options.journal.persistence = options::Persistence::None;
    }
    section.finish()
}

/// What each member tells clients about where all of them are. An address that means "all of this machine" is good for
/// listening only, so it is kept from them.
fn client_addresses(members: &[Member]) -> BTreeMap<NodeId, String> {
    let told = members.iter().filter(|member| !is_everywhere(&member.client));
    told.map(|member| (member.id, member.client.clone())).collect()
}

fn is_everywhere(text: &str) -> bool {
    text.parse().is_ok_and(|address: SocketAddr| address.ip().is_unspecified())
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':').filter(|_| message::is_address(text));
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Where a member speaks HTTP, if it does.
struct HttpAddress(Option<String>);

impl Setting for HttpAddress {
    const EXPECTED: &'static str = String::EXPECTED;
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        String::read(value).map(|address| HttpAddress(Some(address)))
    }
    fn write(&self) -> Option<String> {
        self.0.as_ref().and_then(quoted)
    }
}

impl Setting for Persistence {
    const EXPECTED: &'static str = "\"dsync\" or \"fsync\" (\"none\" only in [unsafe])";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        one_of(value, &[("dsync", Persistence::Dsync), ("fsync", Persistence::Fsync)])
    }
    fn write(&self) -> Option<String> {
        match self {
            Persistence::Dsync => quoted("dsync"),
            Persistence::Fsync => quoted("fsync"),
            Persistence::None => None,
        }
    }
}

/// The persistence mode that needs to be asked for in a section called unsafe.
struct UnsafePersistence(Persistence);

impl Setting for UnsafePersistence {
    const EXPECTED: &'static str = "\"none\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        one_of(value, &[("none", Persistence::None)]).map(UnsafePersistence)
    }
    fn write(&self) -> Option<String> {
        if self.0 == Persistence::None { quoted("none") } else { None }
    }
}

impl Setting for Delegate {
    const EXPECTED: &'static str = "\"none\", \"forwarder\", or how many members take turns, such as \"2\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().ok_or_else(String::new)?.parse()
    }
    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl Setting for Participant {
    const EXPECTED: &'static str = "\"redirect\" or \"forward\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().ok_or_else(String::new)?.parse()
    }
    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl Setting for Seal {
    const EXPECTED: &'static str = "\"lazy\" or \"eager\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        one_of(value, &[("lazy", Seal::Lazy), ("eager", Seal::Eager)])
    }
    fn write(&self) -> Option<String> {
        quoted(match self {
            Seal::Lazy => "lazy",
            Seal::Eager => "eager",
        })
    }
}

/// A lease, or none.
struct LeaseSetting(Option<Lease>);

impl Setting for LeaseSetting {
    const EXPECTED: &'static str = "\"off\", or a length of time and an error of clocks such as \"300ms/500ppm\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str().ok_or_else(String::new)? {
            "off" => Ok(LeaseSetting(None)),
            text => text.parse().map(|lease| LeaseSetting(Some(lease))).map_err(|error: NoLease| error.to_string()),
        }
    }
    fn write(&self) -> Option<String> {
        self.0.as_ref().map_or_else(|| quoted("off"), quoted)
    }
}

impl Setting for Application {
    const EXPECTED: &'static str = "\"kv-store\" or \"dummy\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().ok_or_else(String::new)?.parse().map_err(|error: UnknownApplication| error.to_string())
    }
    fn write(&self) -> Option<String> {
        quoted(self.name())
    }
}

/// Connections from clients; without any a node would be of no use.
struct ClientsMax(usize);

impl Setting for ClientsMax {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match usize::read(value)? {
            number @ 1..=1_000_000 => Ok(ClientsMax(number)),
            number => Err(format!("{number} is out of range")),
        }
    }
    fn write(&self) -> Option<String> {
        self.0.write()
    }
}

fn default_application() -> Application {
    Application::Kv(Kv::default())
}

#[cfg(test)]
mod tests;
