//! `ios bench`: what a disk, a put and many clients cost and get, here or at any cluster.
//!
//! | command | what it does | where |
//! | --- | --- | --- |
//! | `disk`, `put` | one synced write; one put at a time next to it | [`probe`] |
//! | `run` | many clients at once, in a closed or an open loop | [`load`] |
//! | `sweep` | the same for one number of clients after the other | here |
//!
//! If no cluster is named one is started in this process ([`local`]) and removed. What a run has shown
//! ([`measured`]) is printed ([`report`]), drawn ([`page`]) and kept as the prototype kept it ([`csv`]). What is not
//! done is counted apart and never as throughput.

pub mod arguments;
mod probe;
mod workload;
mod load;
mod measured;
mod timeline;
mod cpu;
mod report;
mod csv;
mod page;
mod plot;
mod local;

pub use probe::{disk, put};

use crate::{
    arguments::Global,
    cluster::{client_file, endpoints_of, resolve},
    exit::{Exit, Failure},
};
use arguments::{BenchRun, BenchSweep, Load};
use cpu::Servers;
use csv::Tables;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ios_core::{client::ClientOptions, time::Span};
use load::Plan;
use local::{LocalCluster, Room};
use measured::Measured;
use std::io::{IsTerminal, stderr};
use workload::Workload;

/// Measures many clients at once.
pub fn run(global: &Global, bench: &BenchRun) -> Result<Exit, Failure> {
    let workload = Workload::new(&bench.load)?;
    if bench.rate.is_some() && workload.interval > Span::ZERO {
        let message =
            "with --rate requests come when they are due, so no client rests: the workload's interval must be 0";
        return Err(Failure::new(Exit::Usage, message));
    }
    on_cluster(global, &bench.load, |target| {
        let servers = &target.servers;
        let mut tables = bench.load.csv.as_deref().map(Tables::open).transpose()?;
        let plan = plan(global, &bench.load, &workload, target, bench.clients, bench.rate);
        let runs = [one(plan, servers, tables.as_mut())?];
        let [(plan, measured)] = &runs;
        report::run(global, plan, servers, measured)?;
        write_page(&bench.load, servers, &runs)?;
        verdict(&runs)
    })
}

/// Measures one number of clients after the other.
pub fn sweep(global: &Global, bench: &BenchSweep) -> Result<Exit, Failure> {
    let workload = Workload::new(&bench.load)?;
    if bench.clients_min > bench.clients_max {
        let message = format!("--clients-min {} is above --clients-max {}", bench.clients_min, bench.clients_max);
        return Err(Failure::new(Exit::Usage, message));
    }
    on_cluster(global, &bench.load, |target| {
        let servers = &target.servers;
        let mut tables = bench.load.csv.as_deref().map(Tables::open).transpose()?;
        let mut runs = Vec::new();
        for clients in (bench.clients_min..=bench.clients_max).step_by(bench.clients_step as usize) {
            let plan = plan(global, &bench.load, &workload, target, clients, None);
            runs.push(one(plan, servers, tables.as_mut())?);
        }
        report::sweep(global, servers, &runs)?;
        write_page(&bench.load, servers, &runs)?;
        verdict(&runs)
    })
}

/// A cluster to measure, and how its clients behave.
struct Target {
    endpoints: Vec<String>,
    servers: Servers,
    client: ClientOptions,
}

/// Does something with the cluster that the command line names, or with one made for it.
fn on_cluster(
    global: &Global,
    load: &Load,
    measure: impl FnOnce(&Target) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let file = client_file(global)?;
    let client = file.options(global.before_force);
    if LocalCluster::is_wanted(global) {
        let room = Room::make(&load.data)?;
        let cluster = LocalCluster::start(load.nodes, &room)?;
        let outcome = measure(&Target { endpoints: cluster.endpoints(), servers: Servers::Here, client });
        cluster.stop()?;
        return outcome;
    }
    let endpoints = endpoints_of(global, &file)?;
    endpoints.iter().try_for_each(|text| resolve(text).map(drop))?;
    let servers = Servers::find(&endpoints);
    measure(&Target { endpoints, servers, client })
}

fn plan(global: &Global, load: &Load, workload: &Workload, target: &Target, clients: u32, rate: Option<u64>) -> Plan {
    Plan {
        clients,
        connections: load.connections,
        workload: workload.clone(),
        rate,
        warm_up: load.warm_up,
        read: global.read.unwrap_or_default(),
        timeout: global.timeout,
        endpoints: target.endpoints.clone(),
        client: target.client.clone(),
    }
}

/// One run, with a bar for whoever looks on.
fn one(plan: Plan, servers: &Servers, mut tables: Option<&mut Tables>) -> Result<(Plan, Measured), Failure> {
    let bar = bar(plan.clients);
    let measured = load::run(&plan, servers, tables.as_deref_mut(), &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let measured = measured?;
    if let Some(tables) = tables {
        tables.run(plan.clients, measured.window, measured.per_second(), measured.kbps())?;
    }
    Ok((plan, measured))
}

/// On a terminal only, and without colours, so that nobody has to ask for none.
fn bar(clients: u32) -> ProgressBar {
    let target = if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {percent:>3} %").expect("the template is one");
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style.progress_chars("=> "));
    bar.with_message(report::many(clients, "client"))
}

fn write_page(load: &Load, servers: &Servers, runs: &[(Plan, Measured)]) -> Result<(), Failure> {
    match &load.html {
        Some(path) => page::write(path, servers, runs),
        None => Ok(()),
    }
}

/// A run in which nothing was done has measured nothing.
fn verdict(runs: &[(Plan, Measured)]) -> Result<Exit, Failure> {
    match runs.iter().find(|(_, measured)| measured.done() == 0) {
        Some((plan, _)) => Err(Failure::new(Exit::Error, format!("with {} clients nothing was done", plan.clients))),
        None => Ok(Exit::Ok),
    }
}
