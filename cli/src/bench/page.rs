//! The report as one page that needs nothing else: no script, no network, no second file.

use super::{
    cpu::Servers,
    load::Plan,
    measured::Measured,
    plot::{Axis, Plot, escape},
    report::{many, processor},
};
use crate::exit::Failure;
use std::path::Path;

/// Lines of percentiles on one plot; of more runs an even choice is shown.
const LINES_MAX: usize = 8;
/// Percentiles are drawn up to this many nines, if there were requests enough to tell them.
const NINES_MAX: u32 = 5;

/// Writes a page about one run, or about several that differ in the number of clients.
pub fn write(path: &Path, servers: &Servers, runs: &[(Plan, Measured)]) -> Result<(), Failure> {
    std::fs::write(path, page(servers, runs))
        .map_err(|error| Failure::system(&format!("write {}", path.display()), error))
}

fn page(servers: &Servers, runs: &[(Plan, Measured)]) -> String {
    let mut body = String::new();
    if runs.len() > 1 {
        body.push_str(&by_clients(runs));
    }
    body.push_str(&percentiles(runs));
    for (plan, measured) in runs {
        body.push_str(&section(plan, servers, measured));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>ios bench</title>\n<style>{}</style>\n\
         <h1>ios bench</h1>\n{body}</html>\n",
        include_str!("page.css")
    )
}

fn section(plan: &Plan, servers: &Servers, measured: &Measured) -> String {
    let (sessions, connections) = plan.sessions();
    let pace = match plan.rate {
        Some(rate) => format!("open loop, {rate} requests due a second; latency from when they were due"),
        None => format!("closed loop, resting {} between requests", plan.workload.interval),
    };
    let heading = many(measured.clients, "client");
    let sessions = format!("{} on {}", many(sessions, "session"), many(connections, "connection"));
    let mut rows = vec![
        ("load", format!("{sessions}; {pace}")),
        ("requests", format!("{} % reads", plan.workload.reads)),
        ("done a second", format!("{:.0}, {:.0} kbit/s of keys and values", measured.per_second(), measured.kbps())),
        ("done", measured.done().to_string()),
    ];
    for (name, failures) in [("not done", &measured.not_done), ("unknown", &measured.unknown)] {
        let why = failures.last.as_ref().map_or_else(String::new, |why| format!("; the last: {why}"));
        rows.push((name, format!("{}{why}", failures.count)));
    }
    if measured.behind > 0 {
        rows.push(("due, never begun", measured.behind.to_string()));
    }
    rows.push(("processor time of a request", processor(servers, measured)));
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(value)))
        .collect();
    format!("<h2>{}</h2>\n<table>\n{rows}</table>\n{}{}", escape(&heading), latency(measured), throughput(measured))
}

/// Latency over time, of both kinds together.
fn latency(measured: &Measured) -> String {
    let lines = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)].map(|(name, quantile)| {
        let slices = measured.timeline.slices().filter(|(_, slice)| !slice.is_empty());
        let points = slices.map(|(begin, slice)| (begin.0 as f64 / 1e9, ms(slice.value_at_quantile(quantile))));
        (name.to_owned(), points.collect())
    });
    let all = measured.all();
    Plot {
        title: "Latency by when requests were due".to_owned(),
        x: Axis::linear("seconds", measured.window.0 as f64 / 1e9),
        y: Axis::log("ms", ms(all.min()), ms(all.max())),
        lines: lines.to_vec(),
    }
    .svg()
}

/// Requests done over time.
fn throughput(measured: &Measured) -> String {
    let width = measured.timeline.width().0 as f64 / 1e9;
    let window = measured.window.0 as f64 / 1e9;
    let slices = measured.timeline.slices();
    let points: Vec<(f64, f64)> = slices
        .map(|(begin, slice)| (begin.0 as f64 / 1e9, slice))
        // The last slice may not be a whole one.
        .filter(|(begin, _)| begin + width <= window + 1e-9)
        .map(|(begin, slice)| (begin, slice.len() as f64 / width))
        .collect();
    let most = points.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    Plot {
        title: "Requests done, by when they were due".to_owned(),
        x: Axis::linear("seconds", window),
        y: Axis::linear("a second", most * 1.1),
        lines: vec![("done".to_owned(), points)],
    }
    .svg()
}

/// Latency by the share of requests that took no longer.
fn percentiles(runs: &[(Plan, Measured)]) -> String {
    let step = runs.len().div_ceil(LINES_MAX).max(1);
    let shown: Vec<_> = runs.iter().step_by(step).map(|(_, measured)| (measured.clients, measured.all())).collect();
    let most = shown.iter().map(|(_, all)| all.len()).max().unwrap_or(0);
    let nines = (most.max(10) as f64).log10().floor().min(f64::from(NINES_MAX)) as u32;
    let quantiles = (0..=10 * nines).map(|tenth| 1.0 - 10f64.powf(-f64::from(tenth) / 10.0));
    let lines = shown.iter().map(|(clients, all)| {
        let points = quantiles.clone().map(|quantile| (quantile, ms(all.value_at_quantile(quantile))));
        (many(*clients, "client"), points.collect())
    });
    let filled = || shown.iter().filter(|(_, all)| !all.is_empty());
    let least = filled().map(|(_, all)| ms(all.min())).fold(f64::MAX, f64::min);
    Plot {
        title: "Latency by share of requests".to_owned(),
        x: Axis::nines("of all requests took no longer", nines),
        y: Axis::log("ms", least.min(1e6), filled().map(|(_, all)| ms(all.max())).fold(0.001, f64::max)),
        lines: lines.collect(),
    }
    .svg()
}

/// Throughput and latency against the number of clients.
fn by_clients(runs: &[(Plan, Measured)]) -> String {
    let clients = |measured: &Measured| f64::from(measured.clients);
    let most = runs.iter().map(|(_, measured)| clients(measured)).fold(1.0, f64::max);
    let rates: Vec<_> = runs.iter().map(|(_, measured)| (clients(measured), measured.per_second())).collect();
    let latencies = [("p50", 0.5), ("p99", 0.99)].map(|(name, quantile)| {
        let point = |measured: &Measured| (clients(measured), ms(measured.all().value_at_quantile(quantile)));
        (name.to_owned(), runs.iter().map(|(_, measured)| point(measured)).collect::<Vec<_>>())
    });
    let all = || latencies.iter().flat_map(|(_, points)| points).map(|(_, y)| *y);
    let throughput = Plot {
        title: "Requests done by number of clients".to_owned(),
        x: Axis::linear("clients", most),
        y: Axis::linear("a second", rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.1),
        lines: vec![("done".to_owned(), rates)],
    };
    let latency = Plot {
        title: "Latency by number of clients".to_owned(),
        x: Axis::linear("clients", most),
        y: Axis::log("ms", all().fold(f64::MAX, f64::min), all().fold(0.001, f64::max)),
        lines: latencies.to_vec(),
    };
    throughput.svg() + &latency.svg()
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
