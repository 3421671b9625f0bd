//! `sim check`: judges histories of other systems, and of this one.

use clap::Args;
use sim::{
    history::{
        History,
        foreign::{self, Format, Model},
    },
    linearize::{Verdict, decide, narrow, picture},
};
use std::path::PathBuf;

/// What `check` takes.
#[derive(Args)]
pub struct CheckArgs {
    /// Histories: lines of Jepsen's log, EDN maps, or lines of JSON
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How the files are written, instead of finding out: jepsen, edn, json
    #[arg(long, value_parser = format)]
    format: Option<Format>,
    /// What the operations are about, instead of finding out: register, kv, kv-append, lock, transactions
    #[arg(long, value_parser = model)]
    model: Option<Model>,
    /// Print one JSON object a file
    #[arg(long)]
    json: bool,
}

/// How many files came out how.
#[derive(Default)]
pub struct Checked {
    /// Not linearizable.
    pub illegal: usize,
    /// Not decided.
    pub undecided: usize,
}

/// Judges every file. All are read first: a misspelt file is told before anything is judged.
pub fn check(args: &CheckArgs, print: &dyn Fn(&str)) -> Result<Checked, String> {
    let mut histories = Vec::new();
    for file in &args.files {
        let name = file.display();
        let bytes = std::fs::read(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("{name}: line {line}: expected text in UTF-8, found other bytes")
        })?;
        let read = foreign::read(&text, args.format, args.model);
        histories.push(read.map_err(|error| format!("{name}: {error}"))?);
    }
    let mut checked = Checked::default();
    for (file, (history, model)) in args.files.iter().zip(&histories) {
        let (verdict, micros) = timed(history);
        checked.illegal += usize::from(matches!(verdict, Verdict::Illegal(_)));
        checked.undecided += usize::from(matches!(verdict, Verdict::Unknown { .. }));
        let name = file.display().to_string();
        print(&if args.json {
            json(&name, *model, history, &verdict, micros)
        } else {
            text(&name, *model, history, &verdict, micros)
        });
    }
    Ok(checked)
}

#[expect(clippy::disallowed_types, reason = "how long a verdict took is real time; no verdict depends on it")]
fn timed(history: &History) -> (Verdict, u128) {
    let began = std::time::Instant::now();
    let verdict = decide(history);
    let micros = began.elapsed().as_micros();
    match verdict {
        // Whoever reads about a contradiction can wait until it is small.
        Verdict::Illegal(illegal) => (Verdict::Illegal(narrow(history, illegal)), micros),
        verdict => (verdict, micros),
    }
}

fn text(name: &str, model: Model, history: &History, verdict: &Verdict, micros: u128) -> String {
    let operations = history.operations().len();
    let about = format!("{}, {operations} operations", model.name());
    match verdict {
        Verdict::Ok { layer, .. } => format!("{name}: ok ({about}, {layer}, {micros} us)\n"),
        Verdict::Unknown { why } => format!("{name}: undecided ({about}, {micros} us): {why}\n"),
        Verdict::Illegal(illegal) => {
            let picture = picture::draw(history, &illegal.operations);
            let picture: String = picture.lines().map(|line| format!("    {line}\n")).collect();
            let layer = illegal.layer;
            let told = illegal.describe(history).replace('\n', "\n  ");
            format!("{name}: illegal ({about}, {layer}, {micros} us)\n  {told}\n{picture}")
        }
    }
}

fn json(name: &str, model: Model, history: &History, verdict: &Verdict, micros: u128) -> String {
    let mut object = serde_json::json!({
        "file": name,
        "model": model.name(),
        "operations": history.operations().len(),
        "micros": micros as u64,
    });
    match verdict {
        Verdict::Ok { layer, .. } => {
            object["verdict"] = "ok".into();
            object["layer"] = layer.to_string().into();
        }
        Verdict::Unknown { why } => {
            object["verdict"] = "undecided".into();
            object["why"] = why.as_str().into();
        }
        Verdict::Illegal(illegal) => {
            object["verdict"] = "illegal".into();
            object["layer"] = illegal.layer.to_string().into();
            object["why"] = illegal.why.as_str().into();
            object["contradiction"] = illegal.operations.clone().into();
        }
    }
    format!("{object}\n")
}

fn format(text: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|format| format.name() == text);
    found.ok_or_else(|| format!("formats are {}", Format::ALL.map(Format::name).join(", ")))
}

fn model(text: &str) -> Result<Model, String> {
    let found = Model::ALL.into_iter().find(|model| model.name() == text);
    found.ok_or_else(|| format!("models are {}", Model::ALL.map(Model::name).join(", ")))
}
