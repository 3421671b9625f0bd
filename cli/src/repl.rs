//! The interactive client: Go's greeting, prompt and replies.
//!
//! On a terminal it edits lines, remembers them and completes verbs. Otherwise it is a filter: one answer for each
//! line, no greeting, no prompt, and it ends with its input.

use crate::{
    arguments::{Global, Repl},
    cluster::Connection,
    config::{ClientFile, ClusterFile},
    exit::{Exit, Failure},
    say::{self, line},
};
use ios_core::service::{Application, application::UnknownApplication};
use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::{Hinter, HistoryHinter},
    history::FileHistory,
    validate::Validator,
};
use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

const PROMPT: &str = "Enter command: ";
/// Verbs that the Go client had; its greeting names no others.
const GREETED: [&str; 7] = ["get", "exists", "update", "delete", "count", "print", "ping"];
const HISTORY: &str = ".ios_history";

/// Talks until the input ends. The exit code is that of the worst outcome.
pub fn run(global: &Global, repl: &Repl) -> Result<Exit, Failure> {
    let application = application(global, repl)?;
    let mut talk = Talk { connection: Connection::open(global)?, application, worst: Exit::Ok };
    if io::stdin().is_terminal() {
        on_terminal(&mut talk)?;
    } else {
        piped(&mut talk)?;
    }
    talk.connection.close();
    Ok(talk.worst)
}

fn application(global: &Global, repl: &Repl) -> Result<Application, Failure> {
    if let Some(name) = &repl.application {
        return name.parse().map_err(|error: UnknownApplication| Failure::new(Exit::Usage, error.to_string()));
    }
    let file = global.config.as_deref().map_or(Ok(ClientFile::default()), ClientFile::load)?;
    match file.application {
        Some(application) => Ok(application),
        None => Ok(ClusterFile::built_in()?.application),
    }
}

struct Talk {
    connection: Connection,
    application: Application,
    worst: Exit,
}

impl Talk {
    /// What the client prints after one line.
    fn answer(&mut self, line: &str) -> String {
        let (access, request) = match self.application.parse_line(line) {
            Ok(parsed) => parsed,
            Err(invalid) => return invalid.to_string(),
        };
        match self.connection.ask(access, request) {
            Ok(answer) => self.application.format_reply(&answer.reply),
            Err(failure) => {
                // An unknown outcome is what a caller must not overlook.
                let unknown = [self.worst, failure.exit].contains(&Exit::Unknown);
                self.worst = if unknown { Exit::Unknown } else { self.worst.max(failure.exit) };
                failure.message
            }
        }
    }

    fn greeting(&self) -> String {
        let mut text = "Starting Ios client in interactive mode.\n\nThe following commands are available:\n".to_owned();
        for verb in self.application.verbs().iter().filter(|verb| GREETED.contains(&verb.name)) {
            text.push_str(&describe(verb));
        }
        text
    }

    fn help(&self) -> String {
        let verbs: String = self.application.verbs().iter().map(describe).collect();
        format!("{verbs}    a; b; c: several of them as one\n    help, exit: this text, the end\n")
    }
}

fn describe(verb: &ios_core::service::application::Verb) -> String {
    let space = if verb.arguments.is_empty() { "" } else { " " };
    format!("    {}{space}{}: {}\n", verb.name, verb.arguments, verb.meaning)
}

fn piped(talk: &mut Talk) -> Result<(), Failure> {
    for typed in io::stdin().lock().lines() {
        let typed = typed.map_err(|error| Failure::system("read standard input", error))?;
        line(talk.answer(&typed))?;
    }
    Ok(())
}

fn on_terminal(talk: &mut Talk) -> Result<(), Failure> {
    let failed = |error: ReadlineError| Failure::system("use the terminal", error);
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor: Editor<Verbs, FileHistory> = Editor::with_config(config).map_err(failed)?;
    let names = talk.application.verbs().iter().map(|verb| verb.name.to_owned()).collect();
    editor.set_helper(Some(Verbs { names, hinter: HistoryHinter::new() }));
    let history = history_file();
    if let Some(history) = &history {
        // The first time there is none.
        let _ = editor.load_history(history);
    }
    line(talk.greeting())?;
    loop {
        match editor.readline(PROMPT) {
            Ok(typed) => match typed.trim() {
                "exit" | "quit" => break,
                "help" => line(talk.help())?,
                _ => line(talk.answer(&typed))?,
            },
            Err(ReadlineError::Interrupted) => say::talk("(exit or Ctrl-D ends)"),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(history) = &history
        && let Err(error) = editor.save_history(history)
    {
        say::talk(format_args!("ios: the history is not saved to {}: {error}", history.display()));
    }
    Ok(())
}

fn history_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(HISTORY))
}

/// Completes the first word of each part of a line, and hints at earlier lines.
struct Verbs {
    names: Vec<String>,
    hinter: HistoryHinter,
}

impl Helper for Verbs {}
impl Highlighter for Verbs {}
impl Validator for Verbs {}

impl Hinter for Verbs {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        self.hinter.hint(line, position, context)
    }
}

impl Completer for Verbs {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..position].rfind("; ").map_or(0, |separator| separator + 2);
        let begun = &line[start..position];
        let names = self.names.iter().filter(|name| name.starts_with(begun)).cloned();
        Ok((start, names.collect()))
    }
}
