//! `/metrics`: the node as numbers, in the text format of Prometheus.
//!
//! Names keep their meaning: a number that changes its meaning gets another name. Lengths of time are whole
//! microseconds and say so in their names.

use super::vitals::{ROLES, Traffic, Vitals};
use std::fmt::{Display, Write};

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text.
struct Page(String);

impl Page {
    /// Opens a metric: what it is, and that it is a gauge, a counter or a histogram.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.add(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, value: impl Display) {
        self.add(format_args!("{name} {value}\n"));
    }

    /// One sample of several, told apart by a label whose value needs no escaping.
    fn labelled(&mut self, name: &str, label: &str, what: impl Display, value: impl Display) {
        self.add(format_args!("{name}{{{label}=\"{what}\"}} {value}\n"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, value);
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }
}

/// The whole page.
pub(super) fn page(vitals: &Vitals<'_>, traffic: Traffic<'_>) -> String {
    let mut page = Page(String::with_capacity(8 << 10));
    page.family("ios_build_info", "gauge", "The version that runs, as a label.");
    page.labelled("ios_build_info", "version", super::VERSION, 1);
    protocol(&mut page, vitals);
    connections(&mut page, vitals, traffic);
    disk(&mut page, vitals);
    page.family("ios_notes_total", "counter", "What happened inside the node, by kind, since it started.");
    for (name, count) in vitals.counters.iter() {
        page.labelled("ios_notes_total", "note", name, count);
    }
    page.0
}

fn protocol(page: &mut Page, vitals: &Vitals<'_>) {
    let status = &vitals.status;
    page.gauge("ios_node", "The id of this member.", status.node.0);
    page.gauge("ios_incarnation", "How often this member has been started.", status.incarnation.0);
    page.gauge("ios_members", "Members of the cluster.", status.members.len());
    page.family("ios_role", "gauge", "What the node is doing: 1 for that, 0 for all else.");
    for role in ROLES {
        page.labelled("ios_role", "role", role, u8::from(role == status.role));
    }
    page.gauge("ios_view_round", "The round of the view the node is in.", status.view.round);
    page.gauge("ios_view_node", "The member whose view that is.", status.view.node.0);
    let leader = status.leader.map_or(-1, |leader| i16::from(leader.0));
    page.gauge("ios_leader", "The member it follows, itself if it leads; -1 for none.", leader);
    page.gauge("ios_floor", "Everything up to this index is known to be committed.", status.floor);
    page.gauge("ios_applied", "Everything up to this index is executed.", status.applied);
    page.gauge("ios_last", "The last index of which anything is held.", status.last);
    page.gauge("ios_revision", "The revision of the service's state.", status.revision);
    page.gauge("ios_sessions", "Open sessions of clients, in the whole cluster.", status.sessions);
    page.gauge("ios_unknown_entries", "Entries known by name only, awaiting repair.", status.unknown);
    let hollow = u8::from(status.hollow);
    page.gauge("ios_hollow", "1 while records are lost that cannot be named and are not repaired.", hollow);
}

fn connections(page: &mut Page, vitals: &Vitals<'_>, traffic: Traffic<'_>) {
    page.gauge("ios_client_connections", "Connections to the client port.", vitals.clients);
    page.gauge("ios_http_connections", "Connections to the HTTP port.", traffic.connections);
    page.gauge("ios_peer_links_up", "Links to other members that carry messages.", vitals.links_up);
    let help = "Messages to other members that were dropped because a link was too slow.";
    page.counter("ios_peer_messages_dropped_total", help, vitals.dropped);
    let help = "Connections to the HTTP port that were refused because there were too many.";
    page.counter("ios_http_connections_refused_total", help, traffic.refused);
    page.family("ios_http_responses_total", "counter", "Answers given by HTTP, by status.");
    for (status, count) in traffic.responses {
        page.labelled("ios_http_responses_total", "code", status, count);
    }
}

fn disk(page: &mut Page, vitals: &Vitals<'_>) {
    let help = "Disk operations asked for and not complete.";
    page.gauge("ios_disk_operations_outstanding", help, vitals.disk_outstanding);
    let (name, rounds) = ("ios_disk_round_microseconds", vitals.rounds);
    page.family(name, "histogram", "How long it took to make a round of records durable, in microseconds.");
    let bucket = format!("{name}_bucket");
    for (bound, count) in rounds.buckets() {
        page.labelled(&bucket, "le", bound, count);
    }
    page.labelled(&bucket, "le", "+Inf", rounds.count());
    page.sample(&format!("{name}_sum"), rounds.sum_us());
    page.sample(&format!("{name}_count"), rounds.count());
}
