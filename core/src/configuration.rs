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
use core::fmt;
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
    /// A session that was silent for this long of log time expires.
    pub session_ttl: Span,
    /// The name of what is replicated: members that execute different things would come to disagree.
    pub application: String,
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
        check(|draft| draft.application.clear(), "1 to 64 bytes, not 0");
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
