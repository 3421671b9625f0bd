//! Quorum sizes, worked out here from their definition: an oracle that borrowed the core's would share its mistakes.

use ios_core::{configuration::Configuration, ids::NodeSet, replica::quorum::QuorumSpec};

/// How many members it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quorums {
    members: NodeSet,
    replication: usize,
    recovery: usize,
}

impl Quorums {
    /// Those of a configuration.
    pub fn new(configuration: &Configuration) -> Self {
        let members: NodeSet = configuration.members().iter().copied().collect();
        let n = members.len();
        let more_than_half = n / 2 + 1;
        let (replication, recovery) = match configuration.draft().quorum {
            QuorumSpec::Majority => (more_than_half, more_than_half),
            QuorumSpec::NonStrictMajority => (n.div_ceil(2), more_than_half),
            QuorumSpec::AllIn => (n, 1),
            QuorumSpec::OneIn => (1, n),
            QuorumSpec::Fixed(k) => {
                let k = usize::try_from(k).expect("a checked configuration has a size within its members");
                (k, n + 1 - k)
            }
        };
        Self { members, replication, recovery }
    }

    /// Everyone who has a vote.
    pub fn members(&self) -> NodeSet {
        self.members
    }

    /// Whether these suffice to choose a batch.
    pub fn replicate(&self, nodes: NodeSet) -> bool {
        nodes.intersection(self.members).len() >= self.replication
    }

    /// Whether promises of these suffice to lead.
    pub fn recover(&self, nodes: NodeSet) -> bool {
        nodes.intersection(self.members).len() >= self.recovery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::{configuration::ConfigurationDraft, ids::NodeId};

    #[test]
    fn they_agree_with_the_core_on_every_set_of_up_to_six_members() {
        for n in 1..=6_u8 {
            let members: Vec<NodeId> = (0..n).map(NodeId).collect();
            let fixed = (1..=i64::from(n)).map(QuorumSpec::Fixed);
            let named = [QuorumSpec::Majority, QuorumSpec::NonStrictMajority, QuorumSpec::AllIn, QuorumSpec::OneIn];
            for quorum in fixed.chain(named) {
                let draft = ConfigurationDraft { members: members.clone(), quorum, ..Default::default() };
                let configuration = Configuration::new(draft).unwrap();
                let (ours, theirs) = (Quorums::new(&configuration), configuration.quorums());
                for bits in 0_u32..1 << n {
                    let set: NodeSet = members.iter().copied().filter(|id| bits >> id.0 & 1 == 1).collect();
                    assert_eq!(ours.replicate(set), theirs.has_replication_quorum(set), "{quorum} of {n}: {set}");
                    assert_eq!(ours.recover(set), theirs.has_recovery_quorum(set), "{quorum} of {n}: {set}");
                }
            }
        }
    }
}
