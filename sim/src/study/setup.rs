//! What one run of a study depends on: the cluster, the conditions it works under, and what befalls it.

use ios_core::{
    configuration::{Configuration, ConfigurationDraft, ConfigurationError},
    ids::NodeId,
    options::{Delegate, JournalOptions, Options, Participant},
    replica::quorum::{MEMBERS_MAX, QuorumSpec},
    time::Span,
};

/// How phase 2 is spread over the members.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// What it is called.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// How many times as much may leave the leader for each commit in the largest cluster as in the smallest, where
    /// somebody else sends its batches to everyone; nothing where it sends them itself.
    pub growth_max: Option<f64>,
    /// What it changes in every member's settings.
    set: fn(&mut Options),
}

/// All modes. To study another one, add its row.
pub const MODES: [Mode; 4] = [
    Mode { name: "simple", about: "the leader sends every batch to every member", growth_max: None, set: |_| {} },
    Mode {
        name: "thrifty",
        about: "the leader sends every batch to as many members as suffice, and to the others when those are late",
        growth_max: None,
        set: |options| options.thrifty = true,
    },
    Mode {
        name: "delegated",
        about: "the leader hands every batch to one of the others in turn, which sends it to all",
        growth_max: Some(1.5),
        set: |options| options.delegate = Delegate::Rotate(MEMBERS_MAX as u8),
    },
    Mode {
        name: "forwarder",
        about: "members hand their clients' requests to the leader, and send the batches it makes of them to all; as \
                they execute them in order before they answer, everyone is told at once what is chosen",
        // Batches of clients that are connected to the leader it sends itself.
        growth_max: Some(2.0),
        set: |options| {
            options.delegate = Delegate::Forwarder;
            options.participant = Participant::Forward;
            options.explicit_commit = true;
        },
    },
];

impl PartialEq for Mode {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mode {}

/// What befalls the cluster when measuring begins. `L` is the leader then, `a`, `b`... are those after it by id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing.
    None,
    /// L's process dies, which its peers and clients hear of.
    LeaderKilled,
    /// L's machine loses power, which nobody is told.
    LeaderSilent,
    /// All links between members are cut but those of a.
    QuorumLost,
    /// The same, and L is cut off from everyone.
    Constrained,
    /// Links between members are left only from each to the next: L-a-b-...
    Chained,
    /// Two halves see only themselves and one member between them: L a | b | c d.
    Bridge,
    /// What L sends to members is lost.
    LeaderMute,
    /// What members send to L is lost.
    LeaderDeaf,
    /// a's machine loses power.
    FollowerDead,
    /// a has a tenth of the bandwidth, is ten times as far away, and its disk takes ten times as long.
    FollowerSlow,
}

/// How many times slower a slow follower is.
pub const SLOW: u64 = 10;

impl Trouble {
    /// Those that a leader does not survive, or may not.
    pub const OUTAGES: [Trouble; 8] = [
        Trouble::LeaderKilled,
        Trouble::LeaderSilent,
        Trouble::QuorumLost,
        Trouble::Constrained,
        Trouble::Chained,
        Trouble::Bridge,
        Trouble::LeaderMute,
        Trouble::LeaderDeaf,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::None => "none",
            Trouble::LeaderKilled => "leader killed",
            Trouble::LeaderSilent => "leader without power",
            Trouble::QuorumLost => "quorum lost but for a hub",
            Trouble::Constrained => "leader cut off, a hub left",
            Trouble::Chained => "chained",
            Trouble::Bridge => "bridge",
            Trouble::LeaderMute => "leader mute (one-way)",
            Trouble::LeaderDeaf => "leader deaf (one-way)",
            Trouble::FollowerDead => "follower dead",
            Trouble::FollowerSlow => "follower slow",
        }
    }

    /// Whether a message from one member to another is lost, members being numbered from the leader on.
    pub fn cuts(self, from: u8, to: u8, nodes: u8) -> bool {
        let bridge = nodes / 2;
        match self {
            Trouble::QuorumLost => from != 1 && to != 1,
            Trouble::Constrained => from == 0 || to == 0 || from != 1 && to != 1,
            Trouble::Chained => from.abs_diff(to) > 1,
            Trouble::Bridge => from != bridge && to != bridge && (from < bridge) != (to < bridge),
            Trouble::LeaderMute => from == 0,
            Trouble::LeaderDeaf => to == 0,
            _ => false,
        }
    }
}

/// What all runs of a study have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conditions {
    /// Rate of each machine's uplink, and of its downlink.
    pub bits_per_second: u64,
    /// From a machine to the switch, one way.
    pub hop: Span,
    /// How long one disk operation takes.
    pub sync: Span,
    /// Clients, each of which always waits for one request.
    pub outstanding: u8,
    /// Bytes of the value that each request puts.
    pub payload: usize,
    /// Most requests in one batch.
    pub batch: usize,
    /// Batches between two snapshots.
    pub snapshot_interval: u64,
    /// Bytes of a log segment, and most records in it.
    pub segment: (u64, u32),
    /// For how long is measured.
    pub measured: Span,
}

impl Default for Conditions {
    /// As in the evaluation of Flexible Paxos, with a disk.
    fn default() -> Self {
        Self {
            bits_per_second: 10_000_000,
            hop: Span::millis(5),
            sync: Span::micros(500),
            outstanding: 10,
            payload: 464,
            batch: 1,
            snapshot_interval: Options::default().snapshot_interval,
            segment: (4 << 20, 8 << 10),
            measured: Span::secs(10),
        }
    }
}

/// One run, before it happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// How many members.
    pub nodes: u8,
    /// How many of them are a replication quorum; what remains and one more recover.
    pub replication: u8,
    /// How phase 2 is spread.
    pub mode: Mode,
    /// What befalls them.
    pub trouble: Trouble,
    /// Where they work.
    pub conditions: Conditions,
    /// Keys every choice.
    pub seed: u64,
}

impl Setup {
    /// The largest cluster that can be studied.
    pub const NODES_MAX: u8 = MEMBERS_MAX as u8;

    /// How many members a majority is: larger replication quorums gain nothing.
    pub fn majority(nodes: u8) -> u8 {
        nodes / 2 + 1
    }

    /// What the members agree on.
    pub fn configuration(&self) -> Result<Configuration, ConfigurationError> {
        Configuration::new(ConfigurationDraft {
            members: (0..self.nodes).map(NodeId).collect(),
            quorum: QuorumSpec::Fixed(i64::from(self.replication)),
            ..ConfigurationDraft::default()
        })
    }

    /// What every member is set to.
    pub fn options(&self) -> Options {
        let (segment_bytes, segment_records) = self.conditions.segment;
        let journal = JournalOptions { segment_bytes, segment_records, ..JournalOptions::default() };
        let client_addresses = (0..self.nodes).map(|id| (NodeId(id), NodeId(id).to_string())).collect();
        let mut options = Options {
            max_batch: self.conditions.batch,
            snapshot_interval: self.conditions.snapshot_interval,
            journal,
            client_addresses,
            ..Options::default()
        };
        (self.mode.set)(&mut options);
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of members, by letters, that can talk both ways.
    fn pairs(trouble: Trouble, nodes: u8) -> String {
        let letter = |place: u8| char::from(b"Labcdefgh"[usize::from(place)]);
        let mut text = String::new();
        for from in 0..nodes {
            for to in from + 1..nodes {
                if !trouble.cuts(from, to, nodes) && !trouble.cuts(to, from, nodes) {
                    text += &format!("{}{} ", letter(from), letter(to));
                }
            }
        }
        text.trim_end().to_string()
    }

    #[test]
    fn partial_partitions_leave_the_links_they_are_known_for() {
        assert_eq!(pairs(Trouble::None, 3), "La Lb ab");
        assert_eq!(pairs(Trouble::QuorumLost, 5), "La ab ac ad");
        assert_eq!(pairs(Trouble::Constrained, 5), "ab ac ad");
        assert_eq!(pairs(Trouble::Chained, 5), "La ab bc cd");
        assert_eq!(pairs(Trouble::Bridge, 5), "La Lb ab bc bd cd");
        assert_eq!(pairs(Trouble::LeaderMute, 3), "ab");
        assert!(Trouble::LeaderDeaf.cuts(1, 0, 3) && !Trouble::LeaderDeaf.cuts(0, 1, 3));
    }
}
