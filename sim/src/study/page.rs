//! A study as one HTML page that needs nothing else: what was found, plots, tables.

use super::{
    Run, Study,
    findings::Finding,
    meter::Figures,
    plot::{Plot, Series, escape},
    setup::{Mode, Setup},
    table::{Table, conditions, millis, tables},
};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222}\
    h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}\
    .plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(24em,1fr));gap:1.2em}\
    .title{font-size:13px;font-weight:600}.tick{font-size:11px;fill:#444}.end{text-anchor:end}.mid{text-anchor:middle}\
    .grid{stroke:#ddd}.legend{font-size:12px;margin:0 0 0 58px}.legend span{margin-right:1em;white-space:nowrap}\
    .key{width:26px;height:10px;margin-right:4px;stroke-width:2}\
    table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}\
    th,td{padding:.15em .7em;text-align:right;border-bottom:1px solid #eee}.word{text-align:left}\
    .fails{color:#b00020;font-weight:600}";

/// The whole page.
pub fn html(study: &Study, findings: &[Finding]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ios: the study</title>\
         <style>{STYLE}</style></head><body>\n<h1>Quorum sizes and ways of replicating</h1>\n<p>{}</p>\n",
        escape(&conditions(study))
    );
    page += "<h2>What was found</h2>\n<ul>\n";
    for Finding { claim, found, holds } in findings {
        let verdict = if *holds { "holds" } else { "<span class=\"fails\">fails</span>" };
        page += &format!("<li>{verdict}: {}: {}</li>\n", escape(claim), escape(found));
    }
    page += "</ul>\n<h2>Modes</h2>\n<ul>\n";
    for mode in &study.plan.modes {
        page += &format!("<li><b>{}</b>: {}</li>\n", mode.name, escape(mode.about));
    }
    page += "</ul>\n<div class=\"plots\">\n";
    for plot in plots(study) {
        page += &format!("<div>{}</div>\n", plot.svg());
    }
    page += "</div>\n";
    for table in tables(study) {
        page += &table_html(&table);
    }
    page + "</body></html>\n"
}

fn table_html(table: &Table) -> String {
    let class = |column: usize| if table.is_text(column) { " class=\"word\"" } else { "" };
    let line = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.enumerate().map(|(at, cell)| format!("<{tag}{}>{}</{tag}>", class(at), escape(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let head = line("th", &mut table.head.iter().copied());
    let rows: String = table.rows.iter().map(|row| line("td", &mut row.iter().map(String::as_str))).collect();
    format!("<h2>{}</h2>\n<table>\n{head}{rows}</table>\n", escape(&table.title))
}

/// What goes up in a plot of the grid.
type Quantity = fn(&Figures) -> f64;

/// The grid from two sides: by cluster size at majorities and at Q2 = 2, by quorum size in the largest cluster.
fn plots(study: &Study) -> Vec<Plot> {
    let Some(largest) = study.plan.nodes.iter().max().filter(|_| study.runs.iter().any(is_cell)) else {
        return Vec::new();
    };
    let throughput: (&str, Quantity) = ("commits/s", Figures::throughput);
    let latency: (&str, Quantity) = ("median latency, ms", |figures| millis(figures.latency[0]));
    let leader: (&str, Quantity) = ("bytes out of the leader, per commit", |it| it.per_commit(it.leader_sent));
    let busiest: (&str, Quantity) = ("bytes of the busiest member, per commit", |it| it.per_commit(it.busiest));
    let messages: (&str, Quantity) = ("messages between members, per commit", |it| it.per_commit(it.messages));
    let mut plots = Vec::new();
    for (up, of) in [throughput, latency, leader, busiest, messages] {
        plots.push(by_nodes(study, "a majority", Setup::majority, up, of));
    }
    for (up, of) in [throughput, latency, leader] {
        plots.push(by_quorum(study, *largest, up, of));
    }
    plots.push(by_nodes(study, "Q2 = 2", |_| 2, throughput.0, throughput.1));
    plots
}

fn is_cell(run: &Run) -> bool {
    run.part == super::Part::Grid
}

fn by_nodes(study: &Study, what: &str, replication: fn(u8) -> u8, up: &str, of: Quantity) -> Plot {
    let series = |mode: &Mode| {
        let point = |nodes: &u8| Some((f64::from(*nodes), of(study.cell(*nodes, replication(*nodes), *mode)?)));
        Series { name: mode.name.to_string(), points: study.plan.nodes.iter().filter_map(point).collect() }
    };
    Plot {
        title: format!("{up}; {what} replicates"),
        across: "members".to_string(),
        up: up.to_string(),
        series: study.plan.modes.iter().map(series).collect(),
    }
}

fn by_quorum(study: &Study, nodes: u8, up: &str, of: Quantity) -> Plot {
    let series = |mode: &Mode| {
        let point = |replication: u8| Some((f64::from(replication), of(study.cell(nodes, replication, *mode)?)));
        Series { name: mode.name.to_string(), points: (1..=Setup::majority(nodes)).filter_map(point).collect() }
    };
    Plot {
        title: format!("{up}; {nodes} members"),
        across: "replication quorum (Q2)".to_string(),
        up: up.to_string(),
        series: study.plan.modes.iter().map(series).collect(),
    }
}
