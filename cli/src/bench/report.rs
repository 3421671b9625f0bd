//! What is printed of measurements: tables for people, JSON for programs.

use super::{cpu::Servers, load::Plan, measured::Measured};
use crate::{
    arguments::{Format, Global},
    exit::Failure,
    say::{data, line},
    verbs::columns,
};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The percentiles that are told.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// From 100 ns to a minute, to one part in a thousand.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("the bounds make sense")
}

/// Prints times, a row each.
pub fn times(global: &Global, rows: &[(&str, &Histogram<u64>)]) -> Result<(), Failure> {
    if global.output == Some(Format::Json) {
        return line(Value::from_iter(rows.iter().map(|(name, times)| times_json(name, times))));
    }
    data(times_table(rows).as_bytes())
}

/// Prints one run.
pub fn run(global: &Global, plan: &Plan, servers: &Servers, measured: &Measured) -> Result<(), Failure> {
    if global.output == Some(Format::Json) {
        return line(run_json(plan, servers, measured));
    }
    let rows = [("put", &measured.puts), ("get", &measured.gets)];
    let rows: Vec<_> = rows.into_iter().filter(|(_, times)| !times.is_empty()).collect();
    let mut text = times_table(&rows);
    let mut say = |sentence: String| {
        text.push_str(&sentence);
        text.push('\n');
    };
    say(format!(
        "{:.0} requests done a second, {:.0} kbit/s of keys and values, in {:.3} s",
        measured.per_second(),
        measured.kbps(),
        measured.window.0 as f64 / 1e9
    ));
    let (not_done, unknown) = (&measured.not_done, &measured.unknown);
    say(format!("done {}, not done {}, unknown {}", measured.done(), not_done.count, unknown.count));
    for (what, failures) in [("not done", not_done), ("unknown", unknown)] {
        if let Some(why) = &failures.last {
            say(format!("the last {what}: {why}"));
        }
    }
    if measured.sent_again > 0 {
        say(format!("sent more than once: {}", measured.sent_again));
    }
    if measured.behind > 0 {
        say(format!(
            "due and never begun, for all {} clients were busy: {}; with more --clients the servers would see them",
            measured.clients, measured.behind
        ));
    }
    say(format!("processor time of a request: {}", processor(servers, measured)));
    data(text.as_bytes())
}

/// Prints runs with different numbers of clients.
pub fn sweep(global: &Global, servers: &Servers, runs: &[(Plan, Measured)]) -> Result<(), Failure> {
    if global.output == Some(Format::Json) {
        return line(Value::from_iter(runs.iter().map(|(plan, measured)| run_json(plan, servers, measured))));
    }
    let mut heading = vec!["CLIENTS", "DONE/s", "kbit/s"];
    let quantiles = QUANTILES.map(|(name, _)| format!("{name} us"));
    heading.extend(quantiles.iter().map(String::as_str));
    heading.extend(["NOT DONE", "UNKNOWN", "SERVERS us", "CLIENT us"]);
    let rows: Vec<Vec<String>> = runs.iter().map(|(_, measured)| sweep_row(measured)).collect();
    data(columns(&heading, &rows).as_bytes())
}

fn sweep_row(measured: &Measured) -> Vec<String> {
    let all = measured.all();
    let (client, servers) = measured.processor_us();
    let mut row = vec![measured.clients.to_string()];
    row.extend([measured.per_second(), measured.kbps()].map(|number| format!("{number:.0}")));
    row.extend(QUANTILES.map(|(_, at)| (all.value_at_quantile(at) / 1000).to_string()));
    row.extend([measured.not_done.count, measured.unknown.count].map(|count| count.to_string()));
    row.push(servers.map_or_else(|| "not known".to_owned(), |us| format!("{us:.1}")));
    row.push(format!("{client:.1}"));
    row
}

/// So many of them, in words.
pub fn many(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What a request cost in processor time, as far as that is known.
pub fn processor(servers: &Servers, measured: &Measured) -> String {
    let (client, by_servers) = measured.processor_us();
    let by_servers = match (by_servers, servers.coverage()) {
        (Some(us), Some((found, members))) => format!("{us:.1} us ({found} of {members} members are on this machine)"),
        (Some(us), None) => format!("{us:.1} us"),
        (None, _) => "not known".to_owned(),
    };
    format!("servers {by_servers}, load generator {client:.1} us")
}

fn times_table(rows: &[(&str, &Histogram<u64>)]) -> String {
    let mut heading = vec!["TIMES IN us", "COUNT"];
    heading.extend(QUANTILES.map(|(name, _)| name));
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, times)| {
            let mut row = vec![(*name).to_owned(), times.len().to_string()];
            row.extend(QUANTILES.map(|(_, at)| (times.value_at_quantile(at) / 1000).to_string()));
            row
        })
        .collect();
    columns(&heading, &rows)
}

fn times_json(name: &str, times: &Histogram<u64>) -> Value {
    let mut row = json!({"name": name, "count": times.len(), "mean_ns": times.mean() as u64});
    for (quantile, at) in QUANTILES {
        row[format!("{quantile}_ns")] = times.value_at_quantile(at).into();
    }
    row
}

fn run_json(plan: &Plan, servers: &Servers, measured: &Measured) -> Value {
    let (sessions, connections) = plan.sessions();
    let (client_us, servers_us) = measured.processor_us();
    let coverage = servers.coverage().map(|(found, members)| json!({"found": found, "members": members}));
    json!({
        "clients": measured.clients,
        "sessions": sessions,
        "connections": connections,
        "reads_percent": plan.workload.reads,
        "rate": plan.rate,
        "window_ns": measured.window.0,
        "done": measured.done(),
        "not_done": measured.not_done.count,
        "not_done_last": measured.not_done.last,
        "unknown": measured.unknown.count,
        "unknown_last": measured.unknown.last,
        "sent_again": measured.sent_again,
        "behind": measured.behind,
        "done_in_window": measured.done_in_window,
        "per_second": measured.per_second(),
        "kbps": measured.kbps(),
        "latency": [times_json("put", &measured.puts), times_json("get", &measured.gets)],
        "client_us_per_request": client_us,
        "servers_us_per_request": servers_us,
        "servers_found": coverage,
    })
}
