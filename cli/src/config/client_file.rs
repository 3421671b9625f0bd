//! What clients are told by a file: that of a cluster, or a client's file of the prototype.
//!
//! ```ini
//! [servers]                        ; or, older, [addresses] with address = ip:clientport
//! address = 127.0.0.1:8090:8080    ; once for each; --endpoints is stronger
//! [parameters]
//! Timeout = 1000          ; ms until a try is given up for another
//! Backoff = 50            ; ms until the second try; from then on it doubles, as far as 500 ms or this if it is more
//! ConnectRandom = true    ; false is not honoured: any member may be tried first, and tells who leads
//! BeforeForce = 4         ; failed tries after which a member is told to look for another leader; -1 for never
//! Application = kv-store  ; which commands `ios repl` takes
//! ```

use super::{
    ClusterFile, ConfigError,
    ini::{self, Entry, Known},
    prototype,
};
use ios_core::{
    client::ClientOptions,
    service::{Application, application::UnknownApplication},
    time::Span,
};
use std::path::Path;

const KNOWN: [Known; 3] = [
    Known::list("servers", &["address"]),
    Known::list("addresses", &["address"]),
    Known::once("parameters", &["Timeout", "Backoff", "ConnectRandom", "BeforeForce", "Application"]),
];

/// What a file tells clients.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientFile {
    /// Where clients connect; nothing if the file does not say.
    pub endpoints: Vec<String>,
    /// What is replicated, if the file says it.
    pub application: Option<Application>,
    /// How long a try may take.
    pub try_timeout: Option<Span>,
    /// The wait before the second try.
    pub backoff: Option<Span>,
    /// See [`ClientOptions::before_force`].
    pub before_force: Option<u32>,
    /// What is not honoured, and why.
    pub ignored: Option<String>,
}

impl ClientFile {
    /// Reads either kind of file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = super::text_of(path)?;
        if is_clients(&file, &text) {
            return Self::parse(&file, &text);
        }
        let cluster = ClusterFile::load(path)?;
        let endpoints = cluster.members.into_iter().map(|member| member.client).collect();
        Ok(Self { endpoints, application: Some(cluster.application), ..Self::default() })
    }

    /// Reads the text of a client's file.
    fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let mut read = Self::default();
        for entry in ini::read(file, text, &KNOWN)? {
            read.take(&entry)?;
        }
        Ok(read)
    }

    fn take(&mut self, entry: &Entry<'_>) -> Result<(), ConfigError> {
        let millis = || entry.number(1, 3_600_000).map(|number| Some(Span::millis(number as u64)));
        match entry.key {
            "address" => self.endpoints.push(endpoint(entry)?),
            "Timeout" => self.try_timeout = millis()?,
            "Backoff" => self.backoff = millis()?,
            "ConnectRandom" if entry.switch()? => (),
            "ConnectRandom" => {
                let why = "a client tries any member first, and is told who leads";
                self.ignored = Some(entry.wrong(format!("ConnectRandom = false is ignored: {why}")).to_string());
            }
            // There 0 meant the first try after one that had failed, which is 1 here, where 0 is never.
            "BeforeForce" => {
                let tries = entry.number(-1, 1_000_000)?;
                self.before_force = Some(if tries < 0 { 0 } else { tries.max(1) as u32 });
            }
            _ => {
                let wrong = |error: UnknownApplication| entry.wrong(error.to_string());
                self.application = Some(entry.text()?.parse().map_err(wrong)?);
            }
        }
        Ok(())
    }

    /// How a client behaves that was told this; `before_force` is the command line's, and stronger.
    pub fn options(&self, before_force: Option<u32>) -> ClientOptions {
        let default = ClientOptions::default();
        let backoff_min = self.backoff.unwrap_or(default.backoff_min);
        ClientOptions {
            try_timeout: self.try_timeout.unwrap_or(default.try_timeout),
            backoff_min,
            backoff_max: default.backoff_max.max(backoff_min),
            before_force: before_force.or(self.before_force).unwrap_or(default.before_force),
            ..default
        }
    }
}

/// Whether a text is a client's file of the prototype.
fn is_clients(file: &str, text: &str) -> bool {
    let has = |name: &str| ini::sections(text).any(|section| section.eq_ignore_ascii_case(name));
    prototype::is_ini(file, text) && (has("parameters") || has("addresses"))
}

fn endpoint(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let address = entry.text()?;
    match prototype::peer_and_client(address) {
        Some((_, client)) => Ok(client),
        None if super::is_address(address) => Ok(address.to_owned()),
        None => Err(entry.must_be("ip:peerport:clientport or ip:clientport, such as 127.0.0.1:8080")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const FILE: &str = "\
[servers]
address = 127.0.0.1:8090:8080
address = 127.0.0.1:8091:8081
[parameters]
Timeout = 1500
Backoff = 700
ConnectRandom = false
BeforeForce = 9
Application = dummy
";

    #[test]
    fn every_key_has_its_effect_or_is_named_with_the_reason_why_not() {
        let file = ClientFile::parse("client.conf", FILE).unwrap();
        assert_eq!(file.endpoints, ["127.0.0.1:8080", "127.0.0.1:8081"]);
        assert_eq!(file.application.as_ref().map(Application::name), Some("dummy"));
        expect![
            "client.conf:7: ConnectRandom = false is ignored: a client tries any member first, and is told who leads"
        ]
        .assert_eq(file.ignored.as_ref().unwrap());
        let told = ClientOptions {
            try_timeout: Span::millis(1500),
            backoff_min: Span::millis(700),
            backoff_max: Span::millis(700),
            before_force: 9,
            ..ClientOptions::default()
        };
        assert_eq!(file.options(None), told);
        assert_eq!(file.options(Some(2)).before_force, 2, "the command line is stronger");
        assert_eq!(told.check(), Ok(()));
        assert_eq!(ClientFile::default().options(None), ClientOptions::default());
    }

    #[test]
    fn never_and_at_once_are_those_of_the_prototype() {
        let told = |tries: i32| {
            let file = ClientFile::parse("client.conf", &format!("[parameters]\nBeforeForce = {tries}")).unwrap();
            file.options(None).before_force
        };
        assert_eq!([-1, 0, 1, 5].map(told), [0, 1, 1, 5]);
    }

    #[test]
    fn older_files_have_addresses_and_random_needs_no_word() {
        let text = "[addresses]\naddress = 127.0.0.1:8080\n[parameters]\nConnectRandom = true\n";
        assert!(is_clients("client.conf", text) && is_clients("client", text) && !is_clients("client.toml", text));
        let file = ClientFile::parse("client.conf", text).unwrap();
        assert_eq!((file.endpoints, file.ignored), (vec!["127.0.0.1:8080".to_owned()], None));
    }

    #[test]
    fn mistakes_are_said_with_their_line() {
        let check = |text: &str, error: Expect| {
            error.assert_eq(&ClientFile::parse("client.conf", text).unwrap_err().to_string());
        };
        check(
            "[parameters]\nTimeuot = 3",
            expect![[r#"client.conf:2: unknown key "Timeuot" in [parameters]; did you mean "Timeout"?"#]],
        );
        check(
            "[parameters]\nTimeout = 0",
            expect![[r#"client.conf:2: Timeout in [parameters] must be a whole number from 1 to 3600000, not "0""#]],
        );
        check(
            "[parameters]\nApplication = kv",
            expect![[r#"client.conf:2: there is no application "kv"; choose kv-store or dummy"#]],
        );
        check(
            "[servers]\naddress = 127.0.0.1",
            expect![[
                r#"client.conf:2: address in [servers] must be ip:peerport:clientport or ip:clientport, such as 127.0.0.1:8080, not "127.0.0.1""#
            ]],
        );
    }
}
