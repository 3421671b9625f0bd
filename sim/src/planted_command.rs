//! `sim planted`: does the simulator catch what it is there for?

use clap::Args;
use sim::planted::{self, Bench, Spec, Tree, Trial};
use std::path::{Path, PathBuf};

/// What `planted` takes.
#[derive(Args)]
pub struct PlantedArgs {
    /// Only these bugs, by the names of their files without `.toml`
    names: Vec<String>,
    /// Where the bugs are
    #[arg(long, value_name = "DIR", default_value = "sim/planted")]
    dir: PathBuf,
    /// Where the copy of the tree is kept, and built
    #[arg(long, value_name = "DIR", default_value = "target/planted/tree")]
    scratch: PathBuf,
    /// Only see whether every bug can be planted; nothing is built
    #[arg(long)]
    check: bool,
    /// Leave the last bug planted in the copy, to be looked at
    #[arg(long)]
    keep: bool,
    /// Only so many of them, chosen by the key
    #[arg(long, value_name = "N", requires = "by")]
    sample: Option<usize>,
    /// The key of the sample, in hexadecimal, such as a commit's hash
    #[arg(long, value_name = "HEX", value_parser = key, requires = "sample")]
    by: Option<u64>,
    /// Write the table to this file instead of standard output; rows there of bugs not run now stay
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

/// Plants one bug after the other. Whether all were caught, and nothing harmless was.
pub fn planted(args: &PlantedArgs, print: &dyn Fn(&str)) -> Result<bool, String> {
    let root = Path::new(".");
    let specs = planted::load(&args.dir, root, &args.names)?;
    if args.check {
        print(&format!("{} bugs can be planted\n", specs.len()));
        return Ok(true);
    }
    let specs = match (args.sample, args.by) {
        (Some(count), Some(key)) => planted::sample(specs, count, key),
        _ => specs,
    };
    let bench = Bench::new(Tree::new(root, &args.scratch)?, cargo());
    let trials = run(args, &bench, root, &specs);
    if !args.keep {
        // Whatever happened, the copy is the tree again.
        bench.clean()?;
    }
    let trials = trials?;
    if args.table.is_none() {
        print(&planted::page(&trials, "", |_| true));
    }
    Ok(trials.iter().all(|trial| trial.problem().is_none()))
}

/// A bug that cannot be tried keeps none of the others from it. The table is written bug by bug, for all of them
/// together take long.
fn run(args: &PlantedArgs, bench: &Bench, root: &Path, specs: &[Spec]) -> Result<Vec<Trial>, String> {
    let (mut trials, mut problems) = (Vec::new(), Vec::new());
    for spec in specs {
        match bench.run(root, spec) {
            Ok(trial) => {
                eprintln!("{}", planted::verdict(&trial));
                renew(args, &trial)?;
                trials.push(trial);
            }
            Err(problem) => {
                eprintln!("{}: {problem}", spec.name);
                problems.push(format!("{}: {}", spec.name, problem.lines().next().unwrap_or_default()));
            }
        }
    }
    if problems.is_empty() { Ok(trials) } else { Err(problems.join("\n     ")) }
}

/// Puts the row of one trial into the table that is kept.
fn renew(args: &PlantedArgs, trial: &Trial) -> Result<(), String> {
    let Some(file) = &args.table else { return Ok(()) };
    let exists = |name: &str| args.dir.join(format!("{name}.toml")).is_file();
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let page = planted::page(std::slice::from_ref(trial), &before, exists);
    std::fs::write(file, page).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// The cargo that runs this, if one does: another might be of another toolchain.
#[expect(clippy::disallowed_methods, reason = "cargo tells its children in no other way which one it is")]
fn cargo() -> PathBuf {
    std::env::var("CARGO").map_or_else(|_| "cargo".into(), PathBuf::from)
}

/// The first 16 digits are enough of a hash.
fn key(text: &str) -> Result<u64, String> {
    let digits = text.get(..text.len().min(16)).unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is not a hexadecimal number"))
}
