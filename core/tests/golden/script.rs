//! The form of a script, and how one is run.

use crate::{cluster::Cluster, commands};

/// Runs a script and returns it with the lines below each command as they came out.
pub fn run(text: &str) -> Result<String, String> {
    let mut shown = String::new();
    let mut cluster = None;
    for (place, line) in text.lines().enumerate() {
        // What an earlier run showed is indented.
        if line.starts_with("    ") {
            continue;
        }
        if place == 0 && (line.is_empty() || line.starts_with(['>', '#'])) {
            return Err("line 1: a script opens with what must happen, in a sentence".to_string());
        }
        shown.push_str(line);
        shown.push('\n');
        let Some(command) = line.strip_prefix("> ") else { continue };
        let lines = perform(&mut cluster, command).map_err(|why| format!("line {}: {why}\n{shown}", place + 1))?;
        for line in lines {
            shown.push_str("    ");
            shown.push_str(&line);
            shown.push('\n');
        }
    }
    Ok(shown)
}

fn perform(cluster: &mut Option<Cluster>, command: &str) -> Result<Vec<String>, String> {
    let (command, quiet) = match command.strip_prefix("quietly ") {
        Some(command) => (command, true),
        None => (command, false),
    };
    let words: Vec<&str> = command.split_whitespace().collect();
    let Some(cluster) = cluster else {
        if words.first() != Some(&"cluster") {
            return Err("the first command is `cluster`".to_string());
        }
        *cluster = Some(Cluster::new(&words[1..])?);
        return Ok(Vec::new());
    };
    let done = commands::perform(cluster, &words);
    let lines = cluster.take_lines();
    done.map_err(|why| format!("{why}\n    {}", lines.join("\n    ")))?;
    Ok(if quiet { Vec::new() } else { lines })
}
