//! A server's configuration of the prototype, as the `ios.toml` that means the same.
//!
//! | there | here |
//! | --- | --- |
//! | `[servers]` `address = ip:peerport:clientport`, once for each | `[[member]]`, ids from 0 in this order |
//! | older: `[peers]` and `[clients]`, `address = ip:port` each | the same |
//! | `[algorithm]` `DelegateReplication` 0, n, -1 | `[node] delegate` none, n, forwarder |
//! | `QuorumSystem`, `IndexExclusivity`, `ImplicitWindowCommit` | `[cluster] quorum`, `index_exclusivity`, `implicit_commit` |
//! | `ParticipantHandle`, `ParticipantRead` | `[node] participant`, `participant_read` |
//! | `ExplicitCommit`, `ThriftyQuorum` | `[node] explicit_commit`, `thrifty` |
//! | `[performance]` `WindowSize` | `[cluster] window` |
//! | `BatchInterval` in ms, `MaxBatch`, `SnapshotInterval`, `Length` | `[node] batch_interval`, `max_batch`, `snapshot_interval`, `length` |
//! | `[application]` `Name` | `[cluster] application` |
//! | `[unsafe]` `DumpPersistentStorage` | `[unsafe] forget` |
//! | `PersistenceMode` none; fsync, dsync | `[unsafe] persistence`; `[journal] persistence` |
//!
//! An older one had all of `[algorithm]` and `[performance]` in `[options]`, and `ParticipantResponse` for
//! `ParticipantHandle`. What cannot be honoured is an error. What is translated is text, and it is this text that is
//! then read: a file of the prototype cannot come to mean something else than what it is converted to.

use super::{
    ConfigError,
    document::quoted,
    ini::{self, Entry, Known},
};
use std::path::Path;

/// What a section of the prototype's files, and of no other, is called; `unsafe` is in both.
const SECTIONS: [&str; 10] = [
    "servers",
    "peers",
    "clients",
    "addresses",
    "algorithm",
    "performance",
    "options",
    "application",
    "parameters",
    "config",
];

/// Whether a file is in the prototype's form: not if it is called `.toml`; if it has a section that only the prototype
/// has; and else if it is called `.ini` or `.conf` and has no section that only `ios.toml` has.
pub fn is_ini(file: &str, text: &str) -> bool {
    let is_one_of = |name: &str, known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    let has = |known: &[&str]| ini::sections(text).any(|section| is_one_of(section, known));
    match Path::new(file).extension().and_then(|ending| ending.to_str()) {
        Some("toml") => false,
        Some("ini" | "conf") => has(&SECTIONS) || !has(&["cluster", "[member", "node", "timing", "journal"]),
        _ => has(&SECTIONS),
    }
}

/// An `ios.toml` in the making.
#[derive(Default)]
pub struct Translation {
    cluster: Vec<Line>,
    node: Vec<Line>,
    journal: Vec<Line>,
    at_risk: Vec<Line>,
    members: Vec<Line>,
}

/// A line of it, and the line that it is there for.
struct Line {
    text: String,
    from: usize,
}

const ALGORITHM: Known = Known::once(
    "algorithm",
    &[
        "DelegateReplication",
        "QuorumSystem",
        "IndexExclusivity",
        "ParticipantHandle",
        "ParticipantRead",
        "ImplicitWindowCommit",
        "ExplicitCommit",
        "ThriftyQuorum",
    ],
);
const PERFORMANCE: Known =
    Known::once("performance", &["Length", "BatchInterval", "MaxBatch", "WindowSize", "SnapshotInterval"]);
const OPTIONS: Known = Known::once(
    "options",
    &[
        "DelegateReplication",
        "QuorumSystem",
        "IndexExclusivity",
        "ParticipantResponse",
        "ParticipantHandle",
        "ParticipantRead",
        "ImplicitWindowCommit",
        "ExplicitCommit",
        "ThriftyQuorum",
        "Length",
        "BatchInterval",
        "MaxBatch",
        "WindowSize",
        "SnapshotInterval",
        "Application",
    ],
);
const KNOWN: [Known; 8] = [
    Known::list("servers", &["address"]),
    Known::list("peers", &["address"]),
    Known::list("clients", &["address"]),
    ALGORITHM,
    PERFORMANCE,
    Known::once("application", &["Name"]),
    Known::once("unsafe", &["DumpPersistentStorage", "PersistenceMode"]),
    OPTIONS,
];

impl Translation {
    /// Reads a server's file, which errors will say to be `file`.
    pub fn new(file: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |what: &str| ConfigError { file: file.to_owned(), line: None, what: what.to_owned() };
        let section = |name: &str| ini::sections(text).any(|section| section.eq_ignore_ascii_case(name));
        if section("parameters") || section("addresses") {
            return Err(wrong("this is a client's file of the prototype; members need one with [servers]"));
        }
        let entries = ini::read(file, text, &KNOWN)?;
        let mut translation = Self::default();
        translation.members(&entries)?;
        if translation.members.is_empty() {
            return Err(wrong(
                "no servers are listed; put address = ip:peerport:clientport in [servers], once for each. A file of \
                 addresses and one of settings can be joined: cat addresses.conf server.conf > both.conf",
            ));
        }
        for entry in entries.iter().filter(|entry| entry.key != "address") {
            translation.setting(entry, &entries)?;
        }
        Ok(translation)
    }

    /// As a file, and for each of its lines the line of the prototype's file that it is there for; 0 for none.
    pub fn into_toml(self) -> (String, Vec<usize>) {
        let tables = [
            ("[cluster]", self.cluster),
            ("[node]", self.node),
            ("[journal]", self.journal),
            ("[unsafe]", self.at_risk),
        ];
        let mut lines: Vec<Line> = Vec::new();
        for (heading, table) in tables.into_iter().filter(|(_, table)| !table.is_empty()) {
            lines.push(Line { text: heading.to_owned(), from: 0 });
            lines.extend(table);
            lines.push(Line { text: String::new(), from: 0 });
        }
        lines.extend(self.members);
        let text = lines.iter().map(|line| format!("{}\n", line.text)).collect();
        (text, lines.iter().map(|line| line.from).collect())
    }

    fn members(&mut self, entries: &[Entry<'_>]) -> Result<(), ConfigError> {
        let of = |section: &'static str| entries.iter().filter(move |entry| entry.section == section);
        if let (Some(older), Some(_)) = (of("peers").chain(of("clients")).next(), of("servers").next()) {
            return Err(older.wrong(format!("[{}] beside [servers] says twice where servers are", older.section)));
        }
        for (id, entry) in of("servers").enumerate() {
            let address = entry.text()?;
            let (peer, client) = peer_and_client(address)
                .ok_or_else(|| entry.must_be("ip:peerport:clientport, such as 127.0.0.1:8090:8080"))?;
            self.member(id, entry, &peer, &client);
        }
        let (peers, clients): (Vec<_>, Vec<_>) = (of("peers").collect(), of("clients").collect());
        if let Some(last) = peers.last().or(clients.last()).filter(|_| peers.len() != clients.len()) {
            let (peers, clients) = (peers.len(), clients.len());
            return Err(
                last.wrong(format!("[peers] has {peers} addresses and [clients] {clients}; each server needs both"))
            );
        }
        for (id, (peer, client)) in peers.into_iter().zip(clients).enumerate() {
            self.member(id, peer, peer.text()?, client.text()?);
        }
        Ok(())
    }

    fn member(&mut self, id: usize, entry: &Entry<'_>, peer: &str, client: &str) {
        let blank = if self.members.is_empty() { "" } else { "\n" };
        let text = |text: &str| quoted(text).expect("a text can be written");
        // Lines of one member stand for one line there, and so does the blank one between two.
        let lines = format!("{blank}[[member]]\nid = {id}\npeer = {}\nclient = {}", text(peer), text(client));
        self.members.extend(lines.split('\n').map(|text| Line { text: text.to_owned(), from: entry.line }));
    }

    fn setting(&mut self, entry: &Entry<'_>, all: &[Entry<'_>]) -> Result<(), ConfigError> {
        let add = |table: &mut Vec<Line>, key: &str, value: String| {
            table.push(Line { text: format!("{key} = {value}"), from: entry.line });
        };
        let text = |text: &str| quoted(text).expect("a text can be written");
        let switch = || entry.switch().map(|on| on.to_string());
        let count = |least: i64| entry.number(least, i64::MAX).map(|number| number.to_string());
        match entry.key {
            "DelegateReplication" => add(&mut self.node, "delegate", text(&delegate(entry)?)),
            "QuorumSystem" => add(&mut self.cluster, "quorum", text(entry.text()?)),
            "IndexExclusivity" => add(&mut self.cluster, "index_exclusivity", switch()?),
            "ImplicitWindowCommit" => add(&mut self.cluster, "implicit_commit", switch()?),
            "ParticipantHandle" => {
                add(&mut self.node, "participant", text(if entry.switch()? { "forward" } else { "redirect" }));
            }
            "ParticipantResponse" => add(&mut self.node, "participant", text(entry.text()?)),
            "ParticipantRead" => add(&mut self.node, "participant_read", switch()?),
            "ExplicitCommit" => add(&mut self.node, "explicit_commit", switch()?),
            "ThriftyQuorum" => add(&mut self.node, "thrifty", switch()?),
            "WindowSize" => add(&mut self.cluster, "window", count(1)?),
            "Length" => add(&mut self.node, "length", count(1)?),
            "SnapshotInterval" => add(&mut self.node, "snapshot_interval", count(0)?),
            "BatchInterval" => {
                add(&mut self.node, "batch_interval", text(&format!("{}ms", entry.number(0, 3_600_000)?)))
            }
            "MaxBatch" => self.max_batch(entry, all)?,
            "Name" | "Application" => add(&mut self.cluster, "application", text(entry.text()?)),
            "DumpPersistentStorage" => add(&mut self.at_risk, "forget", switch()?),
            "PersistenceMode" => match persistence(entry)? {
                "none" => add(&mut self.at_risk, "persistence", text("none")),
                mode => add(&mut self.journal, "persistence", text(mode)),
            },
            other => unreachable!("{other} is known and not translated"),
        }
        Ok(())
    }

    /// The prototype put one request in a batch unless it waited for more, and then `MaxBatch` did nothing.
    fn max_batch(&mut self, entry: &Entry<'_>, all: &[Entry<'_>]) -> Result<(), ConfigError> {
        let interval = all.iter().find(|entry| entry.key == "BatchInterval");
        let waits = interval.map_or(Ok(0), |interval| interval.number(0, 3_600_000))? > 0;
        let text = match (entry.number(0, 1 << 20)?, waits) {
            (0, true) => return Err(entry.must_be("from 1 to 1048576 where there is a BatchInterval")),
            (0, false) => "# MaxBatch = 0 did nothing, for want of a BatchInterval".to_owned(),
            (most, _) => format!("max_batch = {most}"),
        };
        self.node.push(Line { text, from: entry.line });
        Ok(())
    }
}

/// Of `ip:peerport:clientport`: where peers connect, and where clients.
pub fn peer_and_client(address: &str) -> Option<(String, String)> {
    let (rest, client) = address.rsplit_once(':')?;
    let (host, peer) = rest.rsplit_once(':')?;
    let are_ports = [peer, client].iter().all(|port| port.parse::<u16>().is_ok());
    let is_host = !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
    (are_ports && is_host).then(|| (format!("{host}:{peer}"), format!("{host}:{client}")))
}

fn delegate(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let most = ios_core::replica::quorum::MEMBERS_MAX as i64;
    Ok(match entry.number(-1, most)? {
        -1 => "forwarder".to_owned(),
        0 => "none".to_owned(),
        members => members.to_string(),
    })
}

fn persistence<'e>(entry: &'e Entry<'_>) -> Result<&'e str, ConfigError> {
    match entry.text()? {
        mode @ ("none" | "fsync" | "dsync") => Ok(mode),
        mode @ ("osync" | "o_sync") => Err(entry.wrong(format!(
            "there is no PersistenceMode {mode}; use dsync, after which data is as durable and only times of files may \
             be old, or fsync"
        ))),
        "direct" => Err(entry.wrong(
            "there is no PersistenceMode direct, which goes round the page cache; use dsync, which is as durable",
        )),
        _ => Err(entry.must_be("none, fsync or dsync")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterFile;
    use expect_test::{Expect, expect};
    use ios_core::{
        options::{self, Delegate, Participant},
        time::Span,
    };
    use runtime::disk::Persistence;

    const SERVERS: &str = "[servers]\naddress = 127.0.0.1:8090:8080\naddress = 127.0.0.1:8091:8081\n";

    fn file(text: &str) -> ClusterFile {
        ClusterFile::parse("server.conf", text).unwrap()
    }

    fn check(text: &str, error: Expect) {
        error.assert_eq(&ClusterFile::parse("server.conf", text).unwrap_err().to_string());
    }

    /// Every key there is, none at its default.
    const EVERY_KEY: &str = "\
; two servers
[Servers]
address = 10.0.0.1:8090:8080
address = \"[::1]:8091:8081\"
[algorithm]
DelegateReplication = 1
QuorumSystem = \"non-strict majority\"
IndexExclusivity = true
ParticipantHandle = yes
ParticipantRead
ImplicitWindowCommit = on
explicitcommit = 1
THRIFTYQUORUM = true
[performance]
Length = 1000
BatchInterval = 12
MaxBatch = 34
WindowSize = 5
SnapshotInterval = 6
[application]
Name = dummy
[unsafe]
PersistenceMode = fsync
";

    #[test]
    fn every_key_has_its_effect_and_is_converted_to_what_means_the_same() {
        let file = file(EVERY_KEY);
        let options = &file.options;
        assert!(options.participant_read && options.explicit_commit && options.thrifty);
        assert_eq!((options.delegate, options.participant), (Delegate::Rotate(1), Participant::Forward));
        assert_eq!((options.batch_interval, options.max_batch), (Span::millis(12), 34));
        assert_eq!((options.length, options.snapshot_interval), (1000, 6));
        let draft = file.configuration.draft();
        assert!(draft.index_exclusivity && draft.implicit_commit);
        assert_eq!((draft.quorum.to_string().as_str(), draft.window), ("non-strict-majority", 5));
        assert_eq!((file.application.name(), file.persistence), ("dummy", Persistence::Fsync));
        let places: Vec<(&str, &str)> = file.members.iter().map(|m| (m.peer.as_str(), m.client.as_str())).collect();
        assert_eq!(places, [("10.0.0.1:8090", "10.0.0.1:8080"), ("[::1]:8091", "[::1]:8081")]);

        let (toml, _) = Translation::new("server.conf", EVERY_KEY).unwrap().into_toml();
        assert_eq!(ClusterFile::parse("ios.toml", &toml).unwrap(), file);
        expect![[r#"
            [cluster]
            quorum = "non-strict majority"
            index_exclusivity = true
            implicit_commit = true
            window = 5
            application = "dummy"

            [node]
            delegate = "1"
            participant = "forward"
            participant_read = true
            explicit_commit = true
            thrifty = true
            length = 1000
            batch_interval = "12ms"
            max_batch = 34
            snapshot_interval = 6

            [journal]
            persistence = "fsync"

            [[member]]
            id = 0
            peer = "10.0.0.1:8090"
            client = "10.0.0.1:8080"

            [[member]]
            id = 1
            peer = "[::1]:8091"
            client = "[::1]:8081"
        "#]]
        .assert_eq(&toml);
    }

    #[test]
    fn every_mode_there_is_or_an_error_that_says_what_to_take() {
        let mode = |name: &str| file(&format!("{SERVERS}[unsafe]\nPersistenceMode = {name}")).persistence;
        assert_eq!((mode("none"), mode("dsync")), (Persistence::None, Persistence::Dsync));
        check(
            &format!("{SERVERS}[unsafe]\nPersistenceMode = osync"),
            expect![
                "server.conf:5: there is no PersistenceMode osync; use dsync, after which data is as durable and only \
                 times of files may be old, or fsync"
            ],
        );
        check(
            &format!("{SERVERS}[unsafe]\nPersistenceMode = direct"),
            expect![
                "server.conf:5: there is no PersistenceMode direct, which goes round the page cache; use dsync, which \
                 is as durable"
            ],
        );
        check(
            &format!("{SERVERS}[unsafe]\nPersistenceMode = sync"),
            expect![[r#"server.conf:5: PersistenceMode in [unsafe] must be none, fsync or dsync, not "sync""#]],
        );
        let forgets = file(&format!("{SERVERS}[unsafe]\nDumpPersistentStorage = true"));
        assert_eq!(forgets.options.journal.persistence, options::Persistence::None);
        let keeps = file(&format!("{SERVERS}[unsafe]\nDumpPersistentStorage = false"));
        assert_eq!(keeps.options.journal.persistence, options::Persistence::Durable);
    }

    #[test]
    fn delegates_and_batches_are_those_of_the_prototype() {
        let delegate = |n: i32| file(&format!("{SERVERS}[algorithm]\nDelegateReplication = {n}")).options.delegate;
        assert_eq!([0, 2, -1].map(delegate), [Delegate::None, Delegate::Rotate(2), Delegate::Forwarder]);
        check(
            &format!("{SERVERS}[algorithm]\nDelegateReplication = -2"),
            expect![[
                r#"server.conf:5: DelegateReplication in [algorithm] must be a whole number from -1 to 16, not "-2""#
            ]],
        );
        let unbounded = file(&format!("{SERVERS}[performance]\nBatchInterval = 0\nMaxBatch = 0"));
        assert_eq!((unbounded.options.batch_interval, unbounded.options.max_batch), (Span::ZERO, 1024));
        check(
            &format!("{SERVERS}[performance]\nMaxBatch = 0\nBatchInterval = 5"),
            expect![[
                r#"server.conf:5: MaxBatch in [performance] must be from 1 to 1048576 where there is a BatchInterval, not "0""#
            ]],
        );
    }

    #[test]
    fn older_files_list_peers_and_clients_apart_and_have_options() {
        let older = file(
            "[peers]\naddress = 127.0.0.1:8090\naddress = 127.0.0.1:8091\n[clients]\naddress = 127.0.0.1:8080\n\
             address = 127.0.0.1:8081\n[options]\nLength = 500\nWindowSize = 3\nParticipantResponse = forward\n\
             Application = kv-store\n",
        );
        assert_eq!(older.members, file(SERVERS).members);
        assert_eq!((older.options.length, older.configuration.window()), (500, 3));
        assert_eq!(older.options.participant, Participant::Forward);
        check(
            "[peers]\naddress = 127.0.0.1:8090\naddress = 127.0.0.1:8091\n[clients]\naddress = 127.0.0.1:8080\n",
            expect!["server.conf:3: [peers] has 2 addresses and [clients] 1; each server needs both"],
        );
        check(
            &format!("{SERVERS}[clients]\naddress = 127.0.0.1:8080\n"),
            expect!["server.conf:5: [clients] beside [servers] says twice where servers are"],
        );
        check(
            &format!("{SERVERS}[options]\nWindowSize = 3\n[performance]\nWindowSize = 4"),
            expect!["server.conf:7: duplicate key"],
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line_of_the_prototypes_file() {
        check(
            &format!("{SERVERS}[performance]\nWindowsSize = 3"),
            expect![[r#"server.conf:5: unknown key "WindowsSize" in [performance]; did you mean "WindowSize"?"#]],
        );
        check(
            &format!("{SERVERS}[algorithms]\nWindowSize = 3"),
            expect![[r#"server.conf:4: unknown section [algorithms]; did you mean "algorithm"?"#]],
        );
        check(
            "[servers]\naddress = 127.0.0.1:8080\n",
            expect![[
                r#"server.conf:2: address in [servers] must be ip:peerport:clientport, such as 127.0.0.1:8090:8080, not "127.0.0.1:8080""#
            ]],
        );
        // These are found in the translation.
        check(
            &format!("{SERVERS}\n[performance]\nWindowSize = 5000"),
            expect!["server.conf:6: window 5000 is not within 1 to 4096"],
        );
        check(
            &format!("[algorithm]\nQuorumSystem = fixed:3\n{SERVERS}"),
            expect![
                "server.conf:2: quorum system fixed:3 of 2 members is impossible: no replication quorum can have that \
                 many members, so nothing could ever be chosen; K must be from 1 to 2"
            ],
        );
        check(
            &format!("{SERVERS}address = 127.0.0.1:8091:8082\n"),
            expect!["server.conf:4: member n2 has address 127.0.0.1:8091, which member n1 has too"],
        );
        check(
            "[application]\nName = kv-store\n",
            expect![
                "server.conf: no servers are listed; put address = ip:peerport:clientport in [servers], once for each. \
                 A file of addresses and one of settings can be joined: cat addresses.conf server.conf > both.conf"
            ],
        );
        check(
            &format!("{SERVERS}[parameters]\nTimeout = 3"),
            expect!["server.conf: this is a client's file of the prototype; members need one with [servers]"],
        );
    }

    #[test]
    fn a_form_is_known_by_the_ending_and_by_the_sections() {
        assert!(is_ini("a.conf", SERVERS) && is_ini("a", SERVERS) && is_ini("a.ini", "# nothing yet"));
        assert!(!is_ini("a.toml", SERVERS), "its errors are those of TOML");
        assert!(!is_ini("a.conf", "[[member]]\nid = 0") && !is_ini("a.conf", "[cluster]\n"));
        assert!(!is_ini("a", "[unsafe]\nforget = true") && is_ini("a.conf", "[unsafe]\n"));
    }
}
