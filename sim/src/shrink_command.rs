//! `sim shrink`: makes a scenario that fails as small as it gets.

use crate::failing::write;
use clap::Args;
use sim::{
    shrink::{BUDGET, Shrunk, shrink},
    world::World,
};
use std::path::PathBuf;

/// What `shrink` takes.
#[derive(Args)]
pub struct ShrinkArgs {
    /// A scenario that fails
    file: PathBuf,
    /// Where the small one goes, instead of standard output; others that it came across go beside it
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// How many events may be simulated
    #[arg(long, value_name = "EVENTS", default_value_t = BUDGET)]
    budget: u64,
}

/// Shrinks the scenario, tells on standard error what became of it, and writes it.
pub fn run(args: &ShrinkArgs, print: &dyn Fn(&str)) -> Result<(), String> {
    let name = args.file.display();
    let shrunk = shrink(&crate::read(&args.file)?, args.budget, &mut World::default())
        .ok_or_else(|| format!("{name} violates nothing: there is nothing to shrink"))?;
    eprint!("{}", describe(&shrunk));
    // Where it lay says nothing to whoever reads the small one.
    let origin = args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy();
    let text = shrunk.scenario.with_story(&shrunk.story(&origin));
    let Some(out) = &args.output else {
        print(&text);
        return Ok(());
    };
    write(out, &text)?;
    for (oracle, scenario) in &shrunk.others {
        let beside = out.with_extension(format!("{oracle}.ios"));
        write(&beside, &scenario.with_story(&format!("Found while {name} was made small.")))?;
        eprintln!("saved as {}", beside.display());
    }
    Ok(())
}

/// Says how small it became, and what else was found.
fn describe(shrunk: &Shrunk) -> String {
    let Shrunk { violation, sizes: (before, after), events, runs, cut_short, others, .. } = shrunk;
    let mut text = format!(
        "{violation}\nshrunk from {} lines and {} words to {} and {} in {runs} runs; {events} events\n",
        before.lines, before.words, after.lines, after.words
    );
    if *cut_short {
        text += "the budget ran out before the last step: --budget N allows more simulated events\n";
    }
    for oracle in others.keys() {
        text += &format!("found on the way: a violation of {oracle}\n");
    }
    text
}
