//! What the whole cluster agrees on: members, quorum system, window, session lifetime. Replicated state, never a local
//! setting; a value of this type is valid by construction.

use crate::{
    ids::{ClusterId, DiskNonce, Index, NodeId, NodeSet},
    replica::quorum::{QuorumError, QuorumSpec, QuorumSystem},
    time::Span,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The widest window that may be configured: bounds what a view change has to recover.
pub const WINDOW_MAX: u64 = 4096;

/// A cluster-wide configuration as an operator writes it down, unchecked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigurationDraft {
    /// The members' ids.
    pub members: Vec<NodeId>,
    /// Which quorum system they use.
    pub quorum: QuorumSpec,
    /// Index i may be assigned only when every index up to i - window is known committed.
    pub window: u64,
    /// No index ever carries two different batches of clients: a new leader leaves a gap of a window of no-ops.
    pub index_exclusivity: bool,
    /// An `Accept` names no floor: that it is of index i says that everything up to i - window is committed.
    pub implicit_commit: bool,
    /// Whether a leader may answer reads alone for a while, relying on clocks.
    pub lease: Option<Lease>,
    /// A session that was silent for this long of log time expires.
    pub session_ttl: Span,
    /// The name of what is replicated: members that execute different things would come to disagree.
    pub application: String,
}

/// What a member grants that acknowledges a heartbeat: for so long, by its own clock, it promises no view of another
/// leader. All members must mean the same by it, so it is no local setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// How long it lasts, by the clock of whoever grants it.
    pub duration: Span,
    /// By how many millionths any member's clock runs too fast or too slow, at most. Reads rely on this.
    pub clock_error_ppm: u32,
}

impl Lease {
    /// The shortest and the longest.
    pub const DURATION: (Span, Span) = (Span::millis(1), Span::secs(3600));
    /// The worst clocks that can be stated: one tenth wrong.
    pub const CLOCK_ERROR_PPM_MAX: u32 = 100_000;

    fn is_within_bounds(&self) -> bool {
        let (shortest, longest) = Self::DURATION;
        (shortest..=longest).contains(&self.duration) && self.clock_error_ppm <= Self::CLOCK_ERROR_PPM_MAX
    }

    /// How long a leader may rely on it by its own clock, from when it sent the heartbeat. With this much on a clock
    /// that is as slow as stated, less than the whole duration has passed on one that is as fast.
    pub fn relied_on(&self) -> Span {
        let (million, error) = (1_000_000, u128::from(self.clock_error_ppm));
        let relied_on = u128::from(self.duration.0) * (million - error) / (million + error);
        Span(u64::try_from(relied_on).expect("no longer than the duration"))
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}ppm", self.duration, self.clock_error_ppm)
    }
}

/// The text is no lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoLease(String);

impl fmt::Display for NoLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no lease, such as 300ms/500ppm: how long, and how wrong clocks are at most", self.0)
    }
}

impl core::error::Error for NoLease {}

impl FromStr for Lease {
    type Err = NoLease;

    fn from_str(text: &str) -> Result<Self, NoLease> {
        let parts = text.strip_suffix("ppm").and_then(|text| text.split_once('/'));
        let lease = parts.and_then(|(duration, ppm)| {
            Some(Lease { duration: duration.parse().ok()?, clock_error_ppm: ppm.parse().ok()? })
        });
        lease.ok_or_else(|| NoLease(text.to_string()))
    }
}

/// A checked configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Configuration {
    draft: ConfigurationDraft,
    system: QuorumSystem,
}

/// Why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigurationError {
    /// A member is named twice.
    Twice(NodeId),
    /// A member's id is too large.
    Id(NodeId),
    /// The quorum system does not fit the members.
    Quorum(QuorumError),
    /// The window is empty or wider than [`WINDOW_MAX`].
    Window(u64),
    /// Sessions would expire at once.
    SessionTtl(Span),
    /// A lease is shorter or longer than can be of use, or its clocks are worse than any.
    Lease(Lease),
    /// The application's name is empty or longer than [`APPLICATION_NAME_MAX`].
    Application(usize),
}

/// The shortest session lifetime: below it a session would expire between two keep-alives.
pub const SESSION_TTL_MIN: Span = Span::millis(100);

/// The longest name of an application, in bytes.
pub const APPLICATION_NAME_MAX: usize = 64;

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigurationError::Twice(node) => write!(f, "member {node} is listed twice; every node needs its own id"),
            ConfigurationError::Id(node) => write!(f, "member {node}: ids go from 0 to {}", NodeId::LIMIT - 1),
            ConfigurationError::Quorum(error) => error.fmt(f),
            ConfigurationError::Window(window) => write!(f, "window {window} is not within 1 to {WINDOW_MAX}"),
            ConfigurationError::SessionTtl(ttl) => {
                write!(f, "session lifetime {ttl} is below the shortest, {SESSION_TTL_MIN}")
            }
            ConfigurationError::Lease(lease) => write!(
                f,
                "lease {lease} is not within {} to {} and 0 to {}ppm",
                Lease::DURATION.0,
                Lease::DURATION.1,
                Lease::CLOCK_ERROR_PPM_MAX
            ),
            ConfigurationError::Application(length) => {
                write!(f, "an application's name has 1 to {APPLICATION_NAME_MAX} bytes, not {length}")
            }
        }
    }
}

impl core::error::Error for ConfigurationError {}

impl Default for ConfigurationDraft {
    /// One member, majorities, the window and session lifetime of the README.
    fn default() -> Self {
        Self {
            members: Vec::from([NodeId(0)]),
            quorum: QuorumSpec::Majority,
            window: 64,
            index_exclusivity: false,
            implicit_commit: false,
            lease: None,
            session_ttl: Span::secs(60),
            application: "kv-store".to_string(),
        }
    }
}

impl Configuration {
    /// Checks a draft. Members are put in ascending order.
    pub fn new(mut draft: ConfigurationDraft) -> Result<Self, ConfigurationError> {
        draft.members.sort_unstable();
        if let Some(pair) = draft.members.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigurationError::Twice(pair[0]));
        }
        if let Some(large) = draft.members.iter().find(|node| node.0 >= NodeId::LIMIT) {
            return Err(ConfigurationError::Id(*large));
        }
        if !(1..=WINDOW_MAX).contains(&draft.window) {
            return Err(ConfigurationError::Window(draft.window));
        }
        if draft.session_ttl < SESSION_TTL_MIN {
            return Err(ConfigurationError::SessionTtl(draft.session_ttl));
        }
        if let Some(lease) = draft.lease.filter(|lease| !lease.is_within_bounds()) {
            return Err(ConfigurationError::Lease(lease));
        }
        if !(1..=APPLICATION_NAME_MAX).contains(&draft.application.len()) {
            return Err(ConfigurationError::Application(draft.application.len()));
        }
        let members: NodeSet = draft.members.iter().copied().collect();
        let system = QuorumSystem::new(&draft.quorum, members).map_err(ConfigurationError::Quorum)?;
        Ok(Self { draft, system })
    }

    /// What it was made from, members in order.
    pub fn draft(&self) -> &ConfigurationDraft {
        &self.draft
    }

    /// The members' ids, ascending.
    pub fn members(&self) -> &[NodeId] {
        &self.draft.members
    }

    /// The quorums.
    pub fn quorums(&self) -> &QuorumSystem {
        &self.system
    }

    /// The window W.
    pub fn window(&self) -> u64 {
        self.draft.window
    }

    /// Whether no index may ever carry two different batches of clients.
    pub fn index_exclusivity(&self) -> bool {
        self.draft.index_exclusivity
    }

    /// Whether an `Accept` of index i commits what its sender's view holds up to i - window.
    pub fn implicit_commit(&self) -> bool {
        self.draft.implicit_commit
    }

    /// The lease that acknowledging a heartbeat grants, if any.
    pub fn lease(&self) -> Option<Lease> {
        self.draft.lease
    }

    /// After how much silence, in log time, a session expires.
    pub fn session_ttl(&self) -> Span {
        self.draft.session_ttl
    }

    /// Names this configuration: links between nodes with different ones are refused.
    pub fn genesis_hash(&self) -> u64 {
        xxh3_64(&self.encode())
    }

    /// The cluster's id: this first configuration and every first member's disk. `nonces` are in the members' order.
    pub fn cluster_id(&self, nonces: &[DiskNonce]) -> ClusterId {
        assert!(nonces.len() == self.members().len(), "one nonce per first member");
        let mut bytes = self.encode();
        for nonce in nonces {
            bytes.extend_from_slice(&nonce.0.to_le_bytes());
        }
        ClusterId(xxh3_128(&bytes))
    }

    fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.draft).expect("a configuration encodes")
    }
}

/// Which configuration governs which index. The only way to ask for quorums.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigurationHistory {
    genesis: Configuration,
}

impl ConfigurationHistory {
    /// The history of a cluster that has never been reconfigured.
    pub fn new(genesis: Configuration) -> Self {
        Self { genesis }
    }

    /// The configuration that governs `index`. Until reconfiguration exists, the first one governs all.
    pub fn configuration_at(&self, _index: Index) -> &Configuration {
        &self.genesis
    }

    /// Every configuration there has been, each with the first index it governs: what a snapshot holds of it.
    pub fn entries(&self) -> Vec<(Index, ConfigurationDraft)> {
        Vec::from([(Index::ZERO.next(), self.genesis.draft().clone())])
    }

    /// The configuration this cluster began with.
    pub fn genesis(&self) -> &Configuration {
        &self.genesis
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn check(change: impl FnOnce(&mut ConfigurationDraft), problem: &str) {
        let mut draft = ConfigurationDraft { members: vec![NodeId(2), NodeId(0), NodeId(1)], ..Default::default() };
        change(&mut draft);
        let error = Configuration::new(draft).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn each_rule_refuses_with_its_own_sentence() {
        check(|draft| draft.members[1] = NodeId(2), "n2 is listed twice");
        check(|draft| draft.members[1] = NodeId(64), "0 to 63");
        check(|draft| draft.members.clear(), "1 to 16 members");
        check(|draft| draft.quorum = QuorumSpec::Fixed(4), "impossible");
        check(|draft| draft.window = 0, "window 0");
        check(|draft| draft.session_ttl = Span::ZERO, "session lifetime 0s");
        let lease = |text: &str| text.parse().ok();
        check(|draft| draft.lease = lease("999us/0ppm"), "lease 999us/0ppm is not within 1ms to 3600s");
        check(|draft| draft.lease = lease("1s/100001ppm"), "0 to 100000ppm");
        check(|draft| draft.application.clear(), "1 to 64 bytes, not 0");
    }

    #[test]
    fn a_lease_reads_back_and_is_relied_on_for_less_than_it_lasts_on_any_clock() {
        for text in ["300ms/500ppm", "1s/0ppm", "1ms/100000ppm", "3600s/37ppm"] {
            let lease: Lease = text.parse().unwrap();
            assert_eq!(lease.to_string(), text);
            let error = i128::from(lease.clock_error_ppm);
            let million = 1_000_000;
            // Real time until a clock with this error shows that so much has passed.
            let real = |span: Span, error: i128| i128::from(span.0) * million * million / (million + error);
            for (leader, member) in [(-error, error), (error, -error), (0, error), (-error, 0), (-error, -error)] {
                assert!(real(lease.relied_on(), leader) <= real(lease.duration, member), "{text}: {leader} {member}");
            }
            let more = Span(lease.relied_on().0 + 2);
            assert!(real(more, -error) > real(lease.duration, error), "{text}: it could be relied on for longer");
        }
        for text in ["300ms", "300ms/500", "300/5ppm", "/5ppm", "1s/-1ppm", "off"] {
            assert_eq!(text.parse::<Lease>(), Err(NoLease(text.to_string())));
        }
    }

    #[test]
    fn the_cluster_id_depends_on_every_disk() {
        let draft = ConfigurationDraft { members: vec![NodeId(1), NodeId(0)], ..Default::default() };
        let configuration = Configuration::new(draft).unwrap();
        assert_eq!(configuration.members(), [NodeId(0), NodeId(1)]);
        let one = configuration.cluster_id(&[DiskNonce(1), DiskNonce(2)]);
        let other = configuration.cluster_id(&[DiskNonce(1), DiskNonce(3)]);
        assert_ne!(one, other);
        let dummy = ConfigurationDraft { application: "dummy".to_string(), ..configuration.draft().clone() };
        assert_ne!(Configuration::new(dummy).unwrap().genesis_hash(), configuration.genesis_hash());
    }
}
