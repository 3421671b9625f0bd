//! `sim diagram`: draws the run of a scenario as a page.

use clap::Args;
use ios_core::time::Span;
use sim::{
    diagram::{SHOWN_MAX, Window, diagram, html},
    scenario::Scenario,
};
use std::path::PathBuf;

/// What `diagram` takes.
#[derive(Args)]
pub struct DiagramArgs {
    /// The scenario
    file: PathBuf,
    /// Where the page goes
    #[arg(short, long, value_name = "OUT.html")]
    output: PathBuf,
    /// Show nothing that was over before this time of the run, such as 600ms
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    from: u64,
    /// Show nothing that began after this time of the run
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<u64>,
    /// Show no more than the last N events
    #[arg(long, value_name = "N", default_value_t = SHOWN_MAX,
        value_parser = |text: &str| text.parse::<usize>().ok().filter(|most| *most > 0).ok_or("a number above 0"))]
    most: usize,
}

/// Runs the scenario and writes its page. Returns what to say about it.
pub fn draw(args: &DiagramArgs) -> Result<String, String> {
    let (name, output) = (args.file.display(), args.output.display());
    let window = Window { from: args.from, to: args.to.unwrap_or(u64::MAX), most: args.most };
    if window.from > window.to {
        return Err("--from is later than --to".into());
    }
    let text = std::fs::read_to_string(&args.file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let scenario: Scenario = text.parse().map_err(|error| format!("{name}: {error}"))?;
    let (diagram, _) = diagram(&name.to_string(), &text, &scenario, window);
    std::fs::write(&args.output, html(&diagram)).map_err(|error| format!("cannot write {output}: {error}"))?;
    let verdict = match diagram.verdict.oracle {
        Some(oracle) => format!("VIOLATION of {oracle}: {}", diagram.verdict.text),
        None => "ok".to_string(),
    };
    let left_out = diagram.left_out.map_or(String::new(), |text| format!("  {text}\n"));
    Ok(format!("{name}: {verdict}\n  drawn in {output}\n{left_out}"))
}

fn time(text: &str) -> Result<u64, String> {
    text.parse().map(|span: Span| span.0).map_err(|error: ios_core::time::BadSpan| error.to_string())
}
