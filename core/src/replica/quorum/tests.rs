//! Every quorum system of up to seven members, set by set.

use super::*;
use alloc::{
    format,
    string::{String, ToString},
    vec,
};

fn members(n: u8) -> NodeSet {
    (0..n).map(NodeId).collect()
}

/// Checks by definition, over all sets, that each phase has quorums and that they meet.
fn check(spec: &QuorumSpec, n: u8) {
    let system = QuorumSystem::new(spec, members(n)).unwrap();
    let recovery: Vec<_> = subsets(members(n)).filter(|set| system.has_recovery_quorum(*set)).collect();
    let replication: Vec<_> = subsets(members(n)).filter(|set| system.has_replication_quorum(*set)).collect();
    assert!(!recovery.is_empty() && !replication.is_empty(), "{spec} of {n} has quorums");
    for q1 in &recovery {
        for q2 in &replication {
            assert!(!q1.intersection(*q2).is_empty(), "{spec} of {n}: {q1} misses {q2}");
        }
    }
}

#[test]
fn every_recovery_quorum_meets_every_replication_quorum_up_to_seven_members() {
    for n in 1..=7_u8 {
        let mut specs = vec![QuorumSpec::Majority, QuorumSpec::NonStrictMajority, QuorumSpec::AllIn, QuorumSpec::OneIn];
        specs.extend((1..=i64::from(n)).map(QuorumSpec::Fixed));
        for replication in 1..=u32::from(n) {
            for recovery in u32::from(n) + 1 - replication..=u32::from(n) {
                specs.push(QuorumSpec::Weighted { weights: vec![1; n.into()], replication, recovery });
            }
        }
        for rows in (1..=n).filter(|rows| n % rows == 0) {
            let grid = |transposed| QuorumSpec::Grid { rows, columns: n / rows, transposed };
            specs.extend([grid(false), grid(true)]);
        }
        for spec in specs {
            check(&spec, n);
        }
    }
}

#[test]
fn weights_and_sets_are_safe_exactly_when_no_two_quorums_miss_each_other() {
    let mut verdicts = [0; 2];
    let mut judge = |spec: QuorumSpec, n: u8, q2: &dyn Fn(NodeSet) -> bool, q1: &dyn Fn(NodeSet) -> bool| {
        let disjoint = subsets(members(n)).any(|set| q2(set) && q1(members(n).difference(set)));
        verdicts[usize::from(disjoint)] += 1;
        match QuorumSystem::new(&spec, members(n)) {
            Ok(_) => assert!(!disjoint, "{spec}"),
            Err(QuorumError::Disjoint { replication, recovery, .. }) => {
                assert!(disjoint && replication.intersection(recovery).is_empty(), "{spec}");
                assert!(q2(replication) && q1(recovery), "{spec}: {replication} and {recovery} are quorums");
            }
            Err(error) => panic!("{error}"),
        }
    };
    for weights in [[1, 1, 1, 1], [3, 1, 1, 1], [2, 2, 2, 0], [5, 3, 2, 2]] {
        let weigh = |set: NodeSet| set.iter().map(|node| u32::from(weights[usize::from(node.0)])).sum::<u32>();
        for replication in 0..=total(&weights) {
            for recovery in 0..=total(&weights) {
                let spec = QuorumSpec::Weighted { weights: weights.to_vec(), replication, recovery };
                judge(spec, 4, &|set| weigh(set) >= replication, &|set| weigh(set) >= recovery);
            }
        }
    }
    // Every choice of two sets of three members for one phase, and of one for the other.
    let all: Vec<NodeSet> = subsets(members(3)).collect();
    for (one, two, three) in all.iter().flat_map(|a| all.iter().flat_map(|b| all.iter().map(|c| (*a, *b, *c)))) {
        let spec = QuorumSpec::Explicit { replication: vec![one, two], recovery: vec![three] };
        let contains = |set: NodeSet, quorum: NodeSet| quorum.difference(set).is_empty();
        judge(spec, 3, &|set| contains(set, one) || contains(set, two), &|set| contains(set, three));
    }
    assert!(verdicts[0] > 100 && verdicts[1] > 100, "both verdicts are common: {verdicts:?}");
}

#[test]
fn unsafe_and_impossible_systems_are_refused_with_their_own_sentence() {
    let error = |text: &str, n| {
        QuorumSystem::new(&text.parse().unwrap(), members(n)).map(|_| String::new()).unwrap_err().to_string()
    };
    for k in [-1, 0, 6, i64::MIN, i64::MAX] {
        let error = error(&format!("fixed:{k}"), 5);
        assert!(error.contains("K must be from 1 to 5"), "{error}");
    }
    for (text, sentence) in [
        ("weighted:3,1,1/q2=4/q1=3", "is one of 3 members, but there are 4"),
        ("weighted:3,1,1,1/q2=7/q1=1", "a quorum must weigh 7, and all members together weigh 6"),
        (
            "weighted:3,1,1,1/q2=3/q1=3",
            "the replication quorum {n0} and the recovery quorum {n1 n2 n3} have no member in common",
        ),
        ("weighted:1,1,1,1/q2=0/q1=4", "the replication quorum {} and the recovery quorum {n0 n1 n2 n3}"),
        ("grid:2x3", "is one of 6 members, but there are 4"),
        ("grid:0x0", "is one of 0 members, but there are 4"),
        ("explicit:q2=0+4/q1=0", "names n4, which is not a member"),
        ("explicit:q2=0+1,2+3/q1=0+2,2", "the replication quorum {n0 n1} and the recovery quorum {n2}"),
    ] {
        let error = error(text, 4);
        assert!(error.contains(sentence) && error.contains(text), "{error}");
    }
    assert_eq!(QuorumSystem::new(&QuorumSpec::Majority, NodeSet::EMPTY), Err(QuorumError::Members(0)));
    assert_eq!(QuorumSystem::new(&QuorumSpec::Majority, members(17)), Err(QuorumError::Members(17)));
    let many = QuorumSpec::Explicit { replication: vec![members(1); SETS_MAX + 1], recovery: vec![members(1)] };
    assert_eq!(QuorumSystem::new(&many, members(1)), Err(QuorumError::Sets(SETS_MAX + 1)));
    let none = QuorumSpec::Explicit { replication: vec![members(1)], recovery: vec![] };
    assert_eq!(QuorumSystem::new(&none, members(1)), Err(QuorumError::Sets(0)));
}

#[test]
fn votes_of_strangers_do_not_count() {
    let strangers: NodeSet = [NodeId(0), NodeId(7), NodeId(8)].into_iter().collect();
    for text in ["majority", "weighted:1,1,1/q2=2/q1=2", "grid:3x1", "explicit:q2=0+1/q1=1"] {
        let system = QuorumSystem::new(&text.parse().unwrap(), members(3)).unwrap();
        assert!(!system.has_replication_quorum(strangers), "{text}");
    }
}

#[test]
fn members_fill_weights_and_grids_by_ascending_id() {
    let sparse: NodeSet = [1, 4, 9, 12].into_iter().map(NodeId).collect();
    let set = |ids: &[u8]| ids.iter().copied().map(NodeId).collect::<NodeSet>();
    let grid = QuorumSystem::new(&"grid:2x2".parse().unwrap(), sparse).unwrap();
    assert!(grid.has_recovery_quorum(set(&[1, 4])) && !grid.has_recovery_quorum(set(&[1, 9])), "rows");
    assert!(grid.has_replication_quorum(set(&[4, 12])) && !grid.has_replication_quorum(set(&[1, 4])), "columns");
    let weighted = QuorumSystem::new(&"weighted:1,1,1,5/q2=5/q1=4".parse().unwrap(), sparse).unwrap();
    assert!(weighted.has_replication_quorum(set(&[12])) && !weighted.has_recovery_quorum(set(&[1, 4, 9])));
}

#[test]
fn f22_no_quorum_of_nobody_nor_of_more_than_there_are() {
    for n in 1..=MEMBERS_MAX as u8 {
        let new = |k: i64| QuorumSystem::new(&QuorumSpec::Fixed(k), members(n));
        for k in [i64::MIN, -1, 0, i64::from(n) + 1, i64::MAX] {
            let error = QuorumError::Size { spec: QuorumSpec::Fixed(k), members: n.into() };
            assert_eq!(new(k), Err(error), "fixed:{k} of {n}");
        }
        for k in 1..=i64::from(n) {
            assert!(new(k).is_ok(), "fixed:{k} of {n}");
        }
    }
}
