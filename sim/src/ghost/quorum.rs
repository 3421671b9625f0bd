//! Which sets suffice, worked out here from each system's definition: an oracle that borrowed the core's would share
//! its mistakes.

use ios_core::{
    configuration::Configuration,
    ids::{NodeId, NodeSet},
    replica::quorum::QuorumSpec,
};

/// Who suffices for what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quorums {
    members: NodeSet,
    replication: Rule,
    recovery: Rule,
}

/// When members suffice.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Rule {
    /// So many of them.
    AtLeast(usize),
    /// They weigh so much; weights are by id.
    Weighs(Vec<u64>, u64),
    /// For one column of the grid, they have all its members.
    Column { rows: u8, columns: u8 },
    /// For one row of the grid, they have all its members.
    Row { rows: u8, columns: u8 },
    /// They have all members of one of these.
    OneOf(Vec<NodeSet>),
}

impl Quorums {
    /// Those of a configuration, whose members are `0..n`.
    pub fn new(configuration: &Configuration) -> Self {
        let members: NodeSet = configuration.members().iter().copied().collect();
        let n = members.len();
        let more_than_half = n / 2 + 1;
        let (replication, recovery) = match &configuration.draft().quorum {
            QuorumSpec::Majority => (Rule::AtLeast(more_than_half), Rule::AtLeast(more_than_half)),
            QuorumSpec::NonStrictMajority => (Rule::AtLeast(n.div_ceil(2)), Rule::AtLeast(more_than_half)),
            QuorumSpec::AllIn => (Rule::AtLeast(n), Rule::AtLeast(1)),
            QuorumSpec::OneIn => (Rule::AtLeast(1), Rule::AtLeast(n)),
            QuorumSpec::Fixed(k) => {
                let k = usize::try_from(*k).expect("a checked configuration has a size within its members");
                (Rule::AtLeast(k), Rule::AtLeast(n + 1 - k))
            }
            QuorumSpec::Weighted { weights, replication, recovery } => {
                let weights: Vec<u64> = weights.iter().copied().map(u64::from).collect();
                (Rule::Weighs(weights.clone(), (*replication).into()), Rule::Weighs(weights, (*recovery).into()))
            }
            QuorumSpec::Grid { rows, columns, transposed } => {
                let (rows, columns) = (*rows, *columns);
                let (column, row) = (Rule::Column { rows, columns }, Rule::Row { rows, columns });
                if *transposed { (row, column) } else { (column, row) }
            }
            QuorumSpec::Explicit { replication, recovery } => {
                (Rule::OneOf(replication.clone()), Rule::OneOf(recovery.clone()))
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
        self.replication.holds(nodes.intersection(self.members))
    }

    /// Whether promises of these suffice to lead.
    pub fn recover(&self, nodes: NodeSet) -> bool {
        self.recovery.holds(nodes.intersection(self.members))
    }
}

impl Rule {
    fn holds(&self, nodes: NodeSet) -> bool {
        let at = |row: u8, column: u8, columns: u8| nodes.contains(NodeId(row * columns + column));
        match self {
            Rule::AtLeast(count) => nodes.len() >= *count,
            Rule::Weighs(weights, least) => {
                nodes.iter().map(|node| weights[usize::from(node.0)]).sum::<u64>() >= *least
            }
            Rule::Column { rows, columns } => {
                (0..*columns).any(|column| (0..*rows).all(|row| at(row, column, *columns)))
            }
            Rule::Row { rows, columns } => (0..*rows).any(|row| (0..*columns).all(|column| at(row, column, *columns))),
            Rule::OneOf(sets) => sets.iter().any(|set| set.iter().all(|node| nodes.contains(node))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Profile, generate};
    use ios_core::configuration::ConfigurationDraft;

    fn check(configuration: &Configuration) {
        let (ours, theirs) = (Quorums::new(configuration), configuration.quorums());
        let (members, quorum) = (configuration.members(), &configuration.draft().quorum);
        for bits in 0_u32..1 << members.len() {
            let set: NodeSet = members.iter().copied().filter(|id| bits >> id.0 & 1 == 1).collect();
            assert_eq!(ours.replicate(set), theirs.has_replication_quorum(set), "{quorum} of {members:?}: {set}");
            assert_eq!(ours.recover(set), theirs.has_recovery_quorum(set), "{quorum} of {members:?}: {set}");
        }
    }

    #[test]
    fn they_agree_with_the_core_on_every_set_of_up_to_six_members() {
        for n in 1..=6_u8 {
            let members: Vec<NodeId> = (0..n).map(NodeId).collect();
            let fixed = (1..=i64::from(n)).map(QuorumSpec::Fixed);
            let named = [QuorumSpec::Majority, QuorumSpec::NonStrictMajority, QuorumSpec::AllIn, QuorumSpec::OneIn];
            for quorum in fixed.chain(named) {
                let draft = ConfigurationDraft { members: members.clone(), quorum, ..Default::default() };
                check(&Configuration::new(draft).unwrap());
            }
        }
    }

    #[test]
    fn they_agree_with_the_core_on_what_the_generator_makes() {
        for seed in 0..1000 {
            check(&generate(Profile::Swarm, seed).cluster.configuration().unwrap());
        }
    }
}
