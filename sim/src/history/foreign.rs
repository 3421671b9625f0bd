//! Histories that other checkers read: logs of Jepsen, and EDN maps as Knossos and its kin write them.
//!
//! ```text
//! INFO  jepsen.util - 0    :invoke  :write  3
//! {:process 0, :type :invoke, :f :append, :key "0", :value "x"}
//! [{:process 0, :type :invoke, :f :txn, :value [[:r :x nil] [:w :y 1]]} ...]
//! ```
//! A process has one operation under way at a time. `:ok` is done, `:info` unknown, and `:fail` not done, except that a
//! `:fail :cas` tells that the condition was false. What reads asked for and were not told says nothing.
//!
//! Which keys there are in the beginning is part of the model: a register holds nil, a lock is free, values that are
//! appended to are empty, and any other store is.

use super::{
    Answer, Data, History, Outcome, Verb,
    edn::{Edn, Reader},
    text::BadHistory,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a line of Jepsen's log says before the operation.
const LOG_MARK: &str = "jepsen.util - ";
/// How many micro-operations one transaction may have.
const VERBS_MAX: usize = 10_000;

/// What the operations of a history are about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Model {
    /// Read, write and cas; nil in the beginning.
    Register,
    /// Get, put, delete, cas, exists, count, list; empty in the beginning.
    Kv,
    /// Get, put, append; every value is "" in the beginning.
    KvAppend,
    /// Acquire and release.
    Lock,
    /// Several reads and writes at once.
    Transactions,
}

/// How a history is written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Format {
    /// Lines of Jepsen's log.
    Jepsen,
    /// EDN maps, on lines of their own or in a vector.
    Edn,
    /// This simulator's own lines of JSON.
    Json,
}

impl Model {
    /// All of them.
    pub const ALL: [Model; 5] = [Model::Register, Model::Kv, Model::KvAppend, Model::Lock, Model::Transactions];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Model::Register => "register",
            Model::Kv => "kv",
            Model::KvAppend => "kv-append",
            Model::Lock => "lock",
            Model::Transactions => "transactions",
        }
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Jepsen, Format::Edn, Format::Json];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jepsen => "jepsen",
            Format::Edn => "edn",
            Format::Json => "json",
        }
    }

    /// Finds out how a text is written, by its first line that is no comment.
    pub fn detect(text: &str) -> Option<Format> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(';'))?;
        if line.starts_with("{\"") {
            Some(Format::Json)
        } else if line.starts_with(['{', '[', '(', '#']) {
            Some(Format::Edn)
        } else {
            text.contains(LOG_MARK).then_some(Format::Jepsen)
        }
    }
}

/// Reads a history in any of the formats. What is not given is found out.
pub fn read(text: &str, format: Option<Format>, model: Option<Model>) -> Result<(History, Model), BadHistory> {
    let unlike = || BadHistory {
        line: 1,
        why: "expected lines of JSON, EDN maps, or lines of a log with `jepsen.util -`, found none of these".into(),
    };
    let mut builder = Builder::default();
    match format.or_else(|| Format::detect(text)).ok_or_else(unlike)? {
        Format::Json => {
            let history: History = text.parse()?;
            let model = model.unwrap_or_else(|| own_model(&history));
            return Ok((history, model));
        }
        Format::Edn => edn(text, &mut builder)?,
        Format::Jepsen => jepsen(text, &mut builder)?,
    }
    if builder.history.operations().is_empty() {
        return Err(BadHistory { line: 1, why: "expected operations, found none".into() });
    }
    Ok(builder.finish(model))
}

fn jepsen(text: &str, builder: &mut Builder) -> Result<(), BadHistory> {
    for (line, number) in text.lines().zip(1..) {
        let Some((_, event)) = line.split_once(LOG_MARK) else { continue };
        let bad = |why: &str| BadHistory { line: number, why: why.into() };
        let mut reader = Reader::new(event, number);
        let mut field = |what: &str| reader.read()?.ok_or_else(|| bad(&format!("expected {what}, found the end")));
        let process = field("a process")?;
        if !matches!(process, Edn::Number(_)) {
            // The nemesis, and what Jepsen says of itself.
            continue;
        }
        let event = Event {
            process: &process,
            kind: &field("one of :invoke, :ok, :fail and :info")?,
            function: &field("what is asked for, such as :read")?,
            key: None,
            value: &field("a value")?,
            line: number,
        };
        builder.event(&event)?;
    }
    Ok(())
}

fn edn(text: &str, builder: &mut Builder) -> Result<(), BadHistory> {
    let mut reader = Reader::new(text, 1);
    let mut inside = None;
    loop {
        match inside {
            Some(close) if reader.leave(close)? => {
                inside = None;
                continue;
            }
            None => {
                inside = reader.enter()?;
                if inside.is_some() {
                    continue;
                }
            }
            Some(_) => {}
        }
        let Some(form) = reader.read()? else { return Ok(()) };
        let line = reader.line();
        let field = |name: &str| {
            let why = || format!("expected a map with :process, :type and :f, found {:.60}", form.content());
            form.get(name).ok_or_else(|| BadHistory { line, why: why() })
        };
        let (process, kind, function) = (field("process")?, field("type")?, field("f")?);
        let value = form.get("value").unwrap_or(&Edn::Nil);
        if matches!(process, Edn::Number(_)) {
            builder.event(&Event { process, kind, function, key: form.get("key"), value, line })?;
        }
    }
}

/// What one line says.
struct Event<'a> {
    process: &'a Edn,
    kind: &'a Edn,
    function: &'a Edn,
    key: Option<&'a Edn>,
    value: &'a Edn,
    line: usize,
}

impl Event<'_> {
    fn bad(&self, why: String) -> BadHistory {
        BadHistory { line: self.line, why }
    }

    fn key(&self) -> Data {
        self.key.map_or(Data::default(), data)
    }

    fn pair(&self) -> Result<(&Edn, &Edn), BadHistory> {
        match self.value.items() {
            Some([expected, value]) => Ok((expected, value)),
            _ => Err(self.bad(format!("expected two values such as [1 2], found {:.60}", self.value.content()))),
        }
    }

    fn micro_operations(&self) -> Result<Vec<(&str, Data, &Edn)>, BadHistory> {
        let bad =
            || self.bad(format!("expected reads and writes such as [[:r :x nil]], found {:.60}", self.value.content()));
        let items = self.value.items().filter(|items| (1..=VERBS_MAX).contains(&items.len())).ok_or_else(bad)?;
        let micro = items.iter().map(|item| match item.items() {
            Some([Edn::Keyword(name), key, value]) => Ok((name.as_str(), data(key), value)),
            _ => Err(bad()),
        });
        micro.collect()
    }

    /// What is asked for.
    fn request(&self, function: &str) -> Result<Vec<Verb>, BadHistory> {
        let key = self.key();
        Ok(vec![match function {
            "read" | "get" => Verb::Get { key },
            "write" | "put" => Verb::Put { key, value: data(self.value) },
            "append" => Verb::Append { key, value: data(self.value) },
            "delete" => Verb::Delete { key },
            "exists" => Verb::Exists { key },
            "count" => Verb::Count,
            "cas" => {
                let (expected, value) = self.pair()?;
                Verb::Cas { key, expected: some(expected), value: data(value) }
            }
            "acquire" => Verb::Cas { key, expected: None, value: "held".into() },
            "release" => Verb::Delete { key },
            "txn" => return self.transaction(),
            _ => return Err(self.bad(format!("there is no operation :{function} in any model"))),
        }])
    }

    fn transaction(&self) -> Result<Vec<Verb>, BadHistory> {
        let verb = |(name, key, value): (&str, Data, &Edn)| match name {
            "r" | "read" => Ok(Verb::Get { key }),
            "w" | "write" => Ok(Verb::Put { key, value: data(value) }),
            _ => Err(self.bad(format!("expected :r or :w, found :{name}"))),
        };
        self.micro_operations()?.into_iter().map(verb).collect()
    }

    /// What was answered, by an operation that is done.
    fn answers(&self, function: &str, request: &[Verb]) -> Result<Vec<Answer>, BadHistory> {
        let value = |value: &Edn| match some(value) {
            Some(value) => Answer::Value { value, marks: None },
            None => Answer::Missing,
        };
        let unlike = |what: &str| self.bad(format!("expected {what}, found {:.60}", self.value.content()));
        Ok(vec![match function {
            "read" | "get" => value(self.value),
            "write" | "put" | "append" => Answer::Written { modified: None },
            "cas" | "acquire" => Answer::Swapped { modified: None },
            "release" => Answer::Deleted { found: true },
            "delete" => match self.value {
                Edn::Bool(found) => Answer::Deleted { found: *found },
                _ => Answer::Untold,
            },
            "exists" => match self.value {
                Edn::Bool(there) => Answer::Exists { there: *there, modified: None },
                _ => return Err(unlike("true or false")),
            },
            "count" => Answer::Count(self.value.content().parse().map_err(|_| unlike("a number of keys"))?),
            _ => {
                let micro = self.micro_operations()?;
                let alike = request.len() == micro.len();
                let answers = request.iter().zip(&micro).map(|(verb, (_, _, told))| match verb {
                    Verb::Get { .. } => value(told),
                    _ => Answer::Written { modified: None },
                });
                return if alike { Ok(answers.collect()) } else { Err(unlike("as many answers as were asked for")) };
            }
        }])
    }
}

fn data(value: &Edn) -> Data {
    Data::from(&*value.content())
}

fn some(value: &Edn) -> Option<Data> {
    (*value != Edn::Nil).then(|| data(value))
}

/// The history so far, and what each process has under way.
#[derive(Default)]
struct Builder {
    history: History,
    under_way: BTreeMap<u64, (usize, String)>,
    functions: BTreeSet<String>,
    /// Whether some get was told of no value.
    missing: bool,
}

impl Builder {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BadHistory> {
        let Edn::Keyword(function) = event.function else {
            return Err(event.bad(format!("expected a keyword such as :read, found {:.60}", event.function.content())));
        };
        let process = event.process.content();
        let process: u64 =
            process.parse().map_err(|_| event.bad(format!("expected the number of a process, found {process:.60}")))?;
        let kind = match event.kind {
            Edn::Keyword(kind) => kind.as_str(),
            _ => "",
        };
        if kind == "invoke" {
            let id = self.history.invoke(event.line as u64, process, event.request(function)?);
            if let Some((other, _)) = self.under_way.insert(process, (id, function.clone())) {
                let why = format!("process {process} begins while its operation {other} is still under way");
                return Err(event.bad(why));
            }
            self.functions.insert(function.clone());
            return Ok(());
        }
        if !["ok", "fail", "info"].contains(&kind) {
            let found = event.kind.content();
            return Err(event.bad(format!("expected one of :invoke, :ok, :fail and :info, found {found:.60}")));
        }
        let Some((id, begun)) = self.under_way.remove(&process) else {
            return Err(event.bad(format!("process {process} ends what it did not begin")));
        };
        if begun != *function {
            return Err(event.bad(format!("process {process} ends :{function}, yet it began :{begun}")));
        }
        let outcome = match kind {
            "ok" => {
                let answers = event.answers(function, &self.history.operations()[id].request)?;
                self.missing |= function == "get" && answers.contains(&Answer::Missing);
                Outcome::Done { revision: None, answers }
            }
            "fail" if function == "cas" => {
                Outcome::Done { revision: None, answers: vec![Answer::NotSwapped { modified: None }] }
            }
            "fail" => Outcome::NotDone,
            _ => Outcome::Unknown,
        };
        self.history.end(event.line as u64, id, outcome);
        Ok(())
    }

    fn finish(mut self, model: Option<Model>) -> (History, Model) {
        let model = model.unwrap_or_else(|| self.model());
        if model == Model::KvAppend {
            for operation in self.history.operations().to_vec() {
                for key in operation.request.iter().filter_map(Verb::key) {
                    self.history.initially(key.clone(), Data::default());
                }
            }
        }
        (self.history, model)
    }

    fn model(&self) -> Model {
        let has = |names: &[&str]| names.iter().any(|name| self.functions.contains(*name));
        if has(&["txn"]) {
            Model::Transactions
        } else if has(&["acquire", "release"]) {
            Model::Lock
        } else if has(&["read", "write"]) || !has(&["get", "put", "append", "delete", "count", "exists"]) {
            Model::Register
        } else if self.missing || has(&["delete", "count", "exists", "cas"]) {
            Model::Kv
        } else {
            Model::KvAppend
        }
    }
}

/// What a history in this simulator's own form is about: several verbs at once are a transaction.
fn own_model(history: &History) -> Model {
    let several = history.operations().iter().any(|operation| operation.request.len() > 1);
    if several { Model::Transactions } else { Model::Kv }
}
