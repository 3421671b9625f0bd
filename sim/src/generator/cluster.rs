//! The cluster of a seed, what its clients ask, and the links, disks and clocks it works with.

use super::draw::{Draw, two_digits};
use crate::scenario::{Cluster, Disk, Links, Percent, Workload};
use ios_core::{
    ids::{NodeId, NodeSet},
    journal::segment_bytes_min,
    options::{Delegate, Participant, Seal},
    replica::quorum::QuorumSpec,
    time::Span,
};

pub(super) fn cluster(draw: &mut Draw) -> Cluster {
    let mut cluster = Cluster { nodes: *draw.pick(&[1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7]), ..Cluster::default() };
    let nodes = u64::from(cluster.nodes);
    cluster.quorum = match draw.range(0, 12) {
        0..=3 => QuorumSpec::Majority,
        4 => QuorumSpec::NonStrictMajority,
        5 => QuorumSpec::AllIn,
        6 => QuorumSpec::OneIn,
        7..=9 => QuorumSpec::Fixed(draw.range(1, nodes) as i64),
        10 => weighted(draw, nodes),
        11 => grid(draw, cluster.nodes),
        _ => explicit(draw, cluster.nodes),
    };
    cluster.window = if draw.one_in(4) { 1 } else { draw.log(1, 64) };
    cluster.index_exclusivity = draw.one_in(3);
    cluster.implicit_commit = draw.one_in(3);
    cluster.clients = draw.log(1, 6) as u8;
    cluster.told = if draw.one_in(4) { 1 } else { cluster.told };
    if draw.one_in(3) {
        cluster.session_ttl = Span(draw.log_time(Span::millis(200).0, Span::secs(5).0));
    }
    cluster.client_retry = Span(draw.log_time(Span::millis(40).0, Span::millis(500).0));
    let deadline = draw.log_time(Span::millis(200).0, Span::secs(8).0);
    cluster.client_deadline = Span(deadline.max(cluster.client_retry.0));

    let options = &mut cluster.options;
    options.heartbeat = Span(draw.log_time(Span::millis(10).0, Span::millis(60).0));
    options.election_timeout = options.heartbeat.times(draw.range(4, 12));
    options.max_batch = if draw.one_in(3) { 1 } else { draw.log(1, 64) as usize };
    options.max_batch_bytes = if draw.one_in(4) { draw.log(1, 256) as usize } else { options.max_batch_bytes };
    options.batch_interval = if draw.one_in(3) { Span(draw.log_time(100_000, 5_000_000)) } else { Span::ZERO };
    options.explicit_commit = draw.coin();
    options.thrifty = draw.one_in(3);
    options.participant = if draw.one_in(3) { Participant::Forward } else { Participant::Redirect };
    options.delegate = match draw.range(0, 5) {
        0..=2 => Delegate::None,
        3..=4 => Delegate::Rotate(draw.range(1, nodes) as u8),
        _ => Delegate::Forwarder,
    };
    options.participant_read = draw.coin();
    options.queue_max = if draw.one_in(5) { draw.log(1, 16) as usize } else { options.queue_max };
    options.reads_max = if draw.one_in(5) { draw.log(1, 16) as usize } else { options.reads_max };
    options.snapshot_interval = if draw.one_in(4) { 0 } else { draw.log(1, 64) };
    options.length = if draw.one_in(3) { draw.log(32, 512) } else { options.length };
    options.snapshot_block = draw.log(64, 1024) as u32;
    let journal = &mut options.journal;
    journal.segment_records = draw.log(16, 128) as u32;
    journal.segment_bytes = segment_bytes_min(journal.segment_records) + draw.log(1 << 12, 1 << 16);
    journal.seal = if draw.one_in(3) { Seal::Eager } else { Seal::Lazy };
    journal.seal_idle = Span(draw.log_time(Span::millis(1).0, Span::millis(20).0));
    cluster
}

/// Thresholds that together exceed the whole, by one or by more: with equal weights this is any legal pair of sizes.
fn weighted(draw: &mut Draw, nodes: u64) -> QuorumSpec {
    let equal = draw.coin();
    let mut weights: Vec<u16> = (0..nodes).map(|_| if equal { 1 } else { draw.range(0, 4) as u16 }).collect();
    // Somebody must have a say.
    weights[0] = weights[0].max(1);
    let total = weights.iter().copied().map(u64::from).sum();
    let replication = draw.range(1, total);
    let least = total + 1 - replication;
    let recovery = if draw.coin() { least } else { draw.range(least, total) };
    QuorumSpec::Weighted { weights, replication: replication as u32, recovery: recovery as u32 }
}

fn grid(draw: &mut Draw, nodes: u8) -> QuorumSpec {
    let divisors: Vec<u8> = (1..=nodes).filter(|rows| nodes.is_multiple_of(*rows)).collect();
    let rows = *draw.pick(&divisors);
    QuorumSpec::Grid { rows, columns: nodes / rows, transposed: draw.coin() }
}

/// A few sets for one phase, and for the other what takes one member of each of them, so that all pairs meet.
fn explicit(draw: &mut Draw, nodes: u8) -> QuorumSpec {
    let sets = |draw: &mut Draw| {
        let one = |draw: &mut Draw| {
            let least = NodeId(draw.range(0, u64::from(nodes) - 1) as u8);
            (0..nodes).map(NodeId).filter(|node| *node == least || draw.coin()).collect::<NodeSet>()
        };
        (0..draw.range(1, 4)).map(|_| one(draw)).collect::<Vec<_>>()
    };
    let one = sets(draw);
    let across = |draw: &mut Draw| {
        let meet = |set: &NodeSet| *draw.pick(&set.iter().collect::<Vec<_>>());
        one.iter().map(meet).collect::<NodeSet>()
    };
    let other = (0..draw.range(1, 4)).map(|_| across(draw)).collect();
    if draw.coin() {
        QuorumSpec::Explicit { replication: one, recovery: other }
    } else {
        QuorumSpec::Explicit { replication: other, recovery: one }
    }
}

/// Three times in four clients pace themselves so that their operations fill the run, else they hurry.
pub(super) fn workload(draw: &mut Draw, cluster: &Cluster, run: Span) -> Workload {
    let ops = draw.log(16, 300);
    let in_flight = if draw.one_in(3) { 1 } else { draw.log(1, 16) };
    let pace = run.0 * u64::from(cluster.clients) * in_flight / ops;
    let think = if draw.one_in(4) { Span::millis(1).0 } else { (pace * 3 / 2).max(1) };
    Workload {
        ops: ops as u32,
        keys: draw.log(1, 16) as u32,
        reads: Percent(*draw.pick(&[0, 10, 30, 50, 90])),
        participant: Percent(match cluster.options.participant_read {
            true => *draw.pick(&[10, 50, 100]),
            // Whoever asks for what is not served is told so.
            false if draw.one_in(8) => 10,
            false => 0,
        }),
        stale: Percent(*draw.pick(&[0, 0, 20, 50])),
        deletes: Percent(*draw.pick(&[0, 5, 20])),
        cas: Percent(*draw.pick(&[0, 10, 40])),
        multi: Percent(*draw.pick(&[0, 5, 30])),
        value: draw.log(1, 200) as u32,
        think: (Span::ZERO, Span(two_digits(think))),
        in_flight: in_flight as u8,
    }
}

/// Delays stay well below the election timeout: a cluster that cannot elect anyone tests little.
pub(super) fn links(draw: &mut Draw, timeout: Span, faults: bool) -> Links {
    let low = draw.log_time(50_000, (timeout.0 / 40).max(100_000));
    let mut links = Links { delay: (Span(low), Span(low * draw.range(1, 4))), ..Links::default() };
    if faults {
        for rate in [&mut links.drop, &mut links.duplicate, &mut links.reorder, &mut links.late] {
            *rate = if draw.coin() { draw.log(1_000, 200_000) as u32 } else { 0 };
        }
        let late = draw.log_time(timeout.0, timeout.0 * 8);
        links.late_by = (Span(late / 2), Span(late));
    }
    links
}

pub(super) fn disk(draw: &mut Draw, timeout: Span, faults: bool) -> Disk {
    let low = draw.log_time(20_000, timeout.0 / 80);
    let mut disk = Disk { latency: (Span(low), Span(low * draw.range(1, 4))), ..Disk::default() };
    disk.lost = *draw.pick(&[0, 100_000, 500_000, 900_000, 1_000_000]);
    disk.torn = *draw.pick(&[0, 200_000, 500_000, 1_000_000]);
    if faults {
        disk.slow = draw.log(1_000, 100_000) as u32;
        disk.slow_by = (Span(timeout.0 / 20), Span(draw.log_time(timeout.0 / 10, timeout.0 * 2)));
    }
    disk
}

/// At most 500 millionths: quartz is within 100, and the oracle of log time wants the bound stated.
pub(super) fn clocks(draw: &mut Draw, nodes: u8) -> Vec<(NodeId, i32)> {
    let mut clocks = Vec::new();
    for node in 0..nodes {
        if draw.coin() {
            let ppm = draw.log(10, 500) as i32;
            clocks.push((NodeId(node), if draw.coin() { ppm } else { -ppm }));
        }
    }
    clocks
}
