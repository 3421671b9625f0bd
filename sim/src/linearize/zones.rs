//! Polynomial check of one key whose values are all different, after Gibbons and Korach, *Testing shared memories*
//! (1997).
//!
//! A write and the reads of its value form a cluster, for nothing may come between them. A cluster spans from its first
//! end to its last begin. If the end is first, the key holds the value during all of this *forward* zone; if not, all
//! of
//! the cluster fits into any moment of the *backward* zone. An order exists if and only if no read ends before its
//! write
//! begins, no two forward zones overlap, and no backward zone lies within a forward one.
//!
//! A write of unknown outcome never ends; if nobody saw its value, it is left out.

use super::component::{Act, Component, NONE, Part};

/// A value's write and reads.
#[derive(Clone, Copy)]
struct Cluster {
    write: u32,
    /// Of operations in the cluster: which ends first, which begins last. None for the value in the beginning.
    first: u32,
    last: u32,
    first_end: u64,
    last_begin: u64,
    /// The last begin among reads.
    reads: bool,
}

/// Orders a component, or names operations that contradict each other. `None` if this check does not apply.
pub fn order(component: &Component<'_>) -> Option<Result<Vec<usize>, Vec<usize>>> {
    let clusters = clusters(component)?;
    if let Err(lonely) = clusters {
        return Some(Err(vec![component.ops[lonely as usize].id]));
    }
    let clusters = clusters.ok()?;
    let id = |op: u32| component.ops[op as usize].id;
    for cluster in clusters.iter().filter(|cluster| cluster.write != NONE && cluster.first_end != u64::MAX) {
        if cluster.first_end < component.ops[cluster.write as usize].earliest {
            return Some(Err(vec![id(cluster.first), id(cluster.write)]));
        }
    }
    let members = |cluster: &Cluster| {
        let mut members: Vec<usize> =
            [cluster.write, cluster.first, cluster.last].into_iter().filter(|op| *op != NONE).map(id).collect();
        members.sort_unstable();
        members.dedup();
        members
    };
    let contradict = |one: &Cluster, two: &Cluster| {
        let mut both = members(one);
        both.extend(members(two));
        both.sort_unstable();
        both.dedup();
        Some(Err(both))
    };
    let mut forward: Vec<&Cluster> = clusters.iter().filter(|cluster| cluster.first_end < cluster.last_begin).collect();
    forward.sort_unstable_by_key(|cluster| cluster.first_end);
    for pair in forward.windows(2) {
        if pair[1].first_end < pair[0].last_begin {
            return contradict(pair[0], pair[1]);
        }
    }
    // The value in the beginning comes before whatever begins with the first event.
    let start = |cluster: &Cluster| if cluster.write == NONE { 0 } else { cluster.first_end + 1 };
    let mut placed: Vec<((u64, u8, u64), &Cluster)> =
        forward.iter().map(|cluster| ((start(cluster), 0, 0), *cluster)).collect();
    for cluster in clusters.iter().filter(|cluster| cluster.first_end >= cluster.last_begin && !cluster.is_idle()) {
        let begin = cluster.last_begin;
        let before = forward.partition_point(|zone| start(zone) < begin + 1);
        match before.checked_sub(1).map(|at| forward[at]).filter(|zone| begin < zone.last_begin) {
            Some(zone) if cluster.first_end < zone.last_begin => return contradict(zone, cluster),
            Some(zone) => placed.push(((start(zone), 1, begin), cluster)),
            None if cluster.write == NONE => placed.push(((0, 0, 0), cluster)),
            None => placed.push(((begin + 1, 0, 0), cluster)),
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    Some(Ok(line_up(component, &placed.into_iter().map(|(_, cluster)| *cluster).collect::<Vec<_>>())))
}

impl Cluster {
    const EMPTY: Cluster =
        Cluster { write: NONE, first: NONE, last: NONE, first_end: u64::MAX, last_begin: 0, reads: false };

    /// Nobody saw it, and it need not have happened; or there is nothing of it.
    fn is_idle(&self) -> bool {
        self.first_end == u64::MAX
    }
}

/// The clusters by value; the error is a read of what nobody wrote. `None` if there are other operations than reads and
/// writes, or two writes of one value.
fn clusters(component: &Component<'_>) -> Option<Result<Vec<Cluster>, u32>> {
    if !component.is_cell || component.values.appends() {
        return None;
    }
    let mut clusters = vec![Cluster::EMPTY; component.values.count()];
    clusters[component.initial[0] as usize].first_end = 0;
    let mut initial_read = false;
    let mut unseen = Vec::new();
    for (at, op) in (0u32..).zip(&component.ops) {
        let Part::Key(_, act) = component.parts[op.parts.0 as usize] else { return None };
        let (value, write) = match act {
            Act::Is(value) => (value, false),
            Act::Put(value) => (value, true),
            Act::Nothing => continue,
            _ => return None,
        };
        let cluster = if write && component.values.is_junk(value) {
            unseen.push(Cluster::EMPTY);
            unseen.last_mut()?
        } else {
            &mut clusters[value as usize]
        };
        if write {
            if cluster.write != NONE || value == component.initial[0] {
                return None;
            }
            cluster.write = at;
        }
        initial_read |= value == component.initial[0];
        cluster.reads |= !write;
        if op.deadline < cluster.first_end {
            (cluster.first_end, cluster.first) = (op.deadline, at);
        }
        if op.earliest >= cluster.last_begin {
            (cluster.last_begin, cluster.last) = (op.earliest, at);
        }
    }
    let initial = component.initial[0] as usize;
    if !initial_read {
        clusters[initial] = Cluster::EMPTY;
    }
    let lonely = |(value, cluster): (usize, &Cluster)| {
        (cluster.reads && cluster.write == NONE && value != initial).then_some(cluster.first)
    };
    if let Some(read) = clusters.iter().enumerate().find_map(lonely) {
        return Some(Err(read));
    }
    clusters.extend(unseen);
    Some(Ok(clusters))
}

/// Writes and reads of clusters in their order.
fn line_up(component: &Component<'_>, clusters: &[Cluster]) -> Vec<usize> {
    let mut place = vec![NONE; component.values.count()];
    for (at, cluster) in (0..).zip(clusters) {
        let op = if cluster.write == NONE { cluster.last } else { cluster.write };
        if let Some(Part::Key(_, Act::Is(value) | Act::Put(value))) = parts(component, op)
            && !component.values.is_junk(*value)
        {
            place[*value as usize] = at;
        }
    }
    let mut reads = vec![Vec::new(); clusters.len()];
    for op in &component.ops {
        if let Part::Key(_, Act::Is(value)) = component.parts[op.parts.0 as usize] {
            reads[place[value as usize] as usize].push(op.id);
        }
    }
    let mut order = Vec::with_capacity(component.ops.len());
    for (cluster, mut reads) in clusters.iter().zip(reads) {
        order.extend((cluster.write != NONE).then(|| component.ops[cluster.write as usize].id));
        reads.sort_unstable();
        order.append(&mut reads);
    }
    order
}

fn parts<'a, 'h>(component: &'a Component<'h>, op: u32) -> Option<&'a Part<'h>> {
    component.parts.get(component.ops.get(op as usize)?.parts.0 as usize)
}
