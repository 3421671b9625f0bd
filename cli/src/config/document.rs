//! A TOML document that is read key by key and knows where everything stood.
//!
//! A [`Section`] remembers which keys it was asked for. Whatever is left over when it is [finished](Section::finish) is
//! an unknown key: an error that names the line and the nearest known key. So there is no list of keys beside the code
//! that reads them, and none can be accepted and ignored. For the same reason what every key came to, and whence, is
//! noted where it is read.
//!
//! A variable of the environment, `IOS_<SECTION>_<KEY>`, is stronger than the document. It holds a TOML value, or the
//! text of one without its quotes.

use ios_core::{replica::quorum::QuorumSpec, time::Span};
use std::{borrow::Cow, cell::RefCell, fmt};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What is wrong with a configuration file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub file: String,
    /// The line, from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong, and what would do.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for ConfigError {}

/// A parsed file.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    /// If `text` was made from the file instead of being it: which line of the file each of its lines stands for, or 0.
    lines: Option<&'t [usize]>,
    root: DeTable<'t>,
    variables: Vec<Variable<'t>>,
    found: RefCell<Vec<Found>>,
}

/// A variable of the environment that stands for a setting.
struct Variable<'t> {
    name: &'t str,
    text: &'t str,
}

impl Variable<'_> {
    /// Reads it as a TOML value, or else as the text of one.
    fn read<T: Setting>(&self) -> Result<T, String> {
        let text = || T::read(&DeValue::String(Cow::Borrowed(self.text)));
        match DeValue::parse(self.text) {
            Ok(value) => T::read(value.get_ref()).or_else(|why| text().map_err(|_| why)),
            Err(_) => text(),
        }
    }
}

/// What a setting came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The table it belongs to.
    pub section: String,
    /// Where that table begins; tables of one name lie at different places.
    pub begins: Option<usize>,
    /// Its name there.
    pub key: &'static str,
    /// Its value, as TOML.
    pub value: String,
    /// Whence.
    pub origin: Origin,
}

/// Where the value of a setting comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// This line of the file.
    Line(usize),
    /// This variable of the environment.
    Variable(String),
}

impl<'t> Document<'t> {
    /// Parses `text`, which errors will say to be from `file`. `variables` are stronger. If it is not the file's own,
    /// `lines` says which line of the file each of its lines stands for, or 0.
    pub fn parse(
        file: &'t str,
        text: &'t str,
        variables: &'t [(String, String)],
        lines: Option<&'t [usize]>,
    ) -> Result<Self, ConfigError> {
        let variables = variables.iter().map(|(name, text)| Variable { name, text }).collect();
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { file, text, lines, root: root.into_inner(), variables, found: RefCell::default() }),
            Err(error) => Err(ConfigError {
                file: file.to_owned(),
                line: error.span().and_then(|span| line_of(text, lines, span.start)),
                what: error.message().trim().replace('\n', ", "),
            }),
        }
    }

    /// The file as a section.
    pub fn root(&self) -> Section<'_> {
        Section {
            document: self,
            name: String::new(),
            line: None,
            table: Some(&self.root),
            is_listed: false,
            known: Vec::new(),
        }
    }

    /// What every setting came to, in the order in which they were read.
    pub fn found(self) -> Vec<Found> {
        self.found.into_inner()
    }

    /// An error about no line in particular.
    pub fn error(&self, what: impl Into<String>) -> ConfigError {
        self.error_at(None, what)
    }

    /// An error about the first of these settings that somebody gave a value; `section.key`, or `key` alone. It names
    /// the line or the variable.
    pub fn error_about(&self, settings: &[&str], what: impl Into<String>) -> ConfigError {
        let found = self.found.borrow();
        let given = settings.iter().find_map(|setting| {
            let named = |found: &&Found| {
                let section = setting.strip_suffix(found.key).and_then(|section| section.strip_suffix('.'));
                *setting == found.key || section == Some(&found.section)
            };
            found.iter().filter(named).map(|found| &found.origin).find(|origin| **origin != Origin::Default)
        });
        match given {
            Some(Origin::Line(line)) => self.error_at(Some(*line), what),
            Some(Origin::Variable(name)) => ConfigError { file: name.clone(), line: None, what: what.into() },
            Some(Origin::Default) | None => self.error(what),
        }
    }

    /// The line of the file that a place in the text stands for.
    fn line_of(&self, offset: usize) -> Option<usize> {
        line_of(self.text, self.lines, offset)
    }

    /// An error about a line.
    pub fn error_at(&self, line: Option<usize>, what: impl Into<String>) -> ConfigError {
        ConfigError { file: self.file.to_owned(), line, what: what.into() }
    }
}

/// One table of a document.
pub struct Section<'d> {
    document: &'d Document<'d>,
    name: String,
    line: Option<usize>,
    table: Option<&'d DeTable<'d>>,
    /// One of several of its name.
    is_listed: bool,
    known: Vec<&'static str>,
}

/// A value that can be read from TOML.
pub trait Setting: Sized {
    /// What to write there, for errors.
    const EXPECTED: &'static str;

    /// Reads it; an error says more than that it is not as expected, or nothing.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;

    /// The TOML that is read as this; nothing if it can only be left out.
    fn write(&self) -> Option<String>;
}

/// A text as TOML.
pub fn quoted(text: impl fmt::Display) -> Option<String> {
    Some(toml::Value::String(text.to_string()).to_string())
}

impl<'d> Section<'d> {
    /// Where the section begins, if it is there.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The table `[name]`, empty if it is not there.
    pub fn section(&mut self, name: &'static str) -> Result<Section<'d>, ConfigError> {
        let Some(value) = self.value(name) else {
            return Ok(self.subsection(name, None, None));
        };
        let line = self.line_at(value);
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.document.error_at(line, format!("{name} must be a table: [{name}]")))?;
        Ok(self.subsection(name, line, Some(table)))
    }

    /// The tables `[[name]]`.
    pub fn sections(&mut self, name: &'static str) -> Result<Vec<Section<'d>>, ConfigError> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let wrong = |line| self.document.error_at(line, format!("{name} must be a list of tables: [[{name}]]"));
        let items = value.get_ref().as_array().ok_or_else(|| wrong(self.line_at(value)))?;
        items
            .iter()
            .map(|item| {
                let line = self.line_at(item);
                let table = item.get_ref().as_table().ok_or_else(|| wrong(line))?;
                Ok(Section { is_listed: true, ..self.subsection(name, line, Some(table)) })
            })
            .collect()
    }

    /// Reads `key` into `target` if it is there.
    pub fn set<T: Setting>(&mut self, key: &'static str, target: &mut T) -> Result<(), ConfigError> {
        let written = self.value(key).map(|value| (value.get_ref(), self.line_at(value)));
        let (read, origin) = match (self.variable(key), written) {
            (Some(variable), _) => (Some(variable.read()), Origin::Variable(variable.name.to_owned())),
            (None, Some((value, line))) => (Some(T::read(value)), line.map_or(Origin::Default, Origin::Line)),
            (None, None) => (None, Origin::Default),
        };
        if let Some(read) = read {
            *target = read.map_err(|why| self.wrong::<T>(key, &origin, &why))?;
        }
        let (section, begins) = (self.name.clone(), self.line);
        let found = target.write().map(|value| Found { section, begins, key, value, origin });
        self.document.found.borrow_mut().extend(found);
        Ok(())
    }

    /// The variable that stands for `key`; tables of which there may be several have none.
    fn variable(&self, key: &str) -> Option<&'d Variable<'d>> {
        let name = variable_name(&self.name, key);
        self.document.variables.iter().find(|variable| !self.is_listed && variable.name == name)
    }

    fn wrong<T: Setting>(&self, key: &str, origin: &Origin, why: &str) -> ConfigError {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let place = if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
        match origin {
            Origin::Variable(name) => {
                let file = name.clone();
                ConfigError { file, line: None, what: format!("{key}{place} must be {}{why}", T::EXPECTED) }
            }
            Origin::Line(line) => {
                self.document.error_at(Some(*line), format!("{key}{place} must be {}{why}", T::EXPECTED))
            }
            Origin::Default => self.document.error(format!("{key}{place} must be {}{why}", T::EXPECTED)),
        }
    }

    /// Reads a `key` that must be there.
    pub fn require<T: Setting>(&mut self, key: &'static str, mut blank: T) -> Result<T, ConfigError> {
        if self.value(key).is_none() {
            let what = format!("[{}] lacks {key}, which must be {}", self.name, T::EXPECTED);
            return Err(self.document.error_at(self.line, what));
        }
        self.set(key, &mut blank)?;
        Ok(blank)
    }

    /// Refuses every key that was not asked for, here and among the variables for this section.
    pub fn finish(self) -> Result<(), ConfigError> {
        let prefix = variable_name(&self.name, "");
        for variable in self.document.variables.iter().filter(|_| !self.is_listed && !self.name.is_empty()) {
            let Some(key) = variable.name.strip_prefix(&prefix) else { continue };
            if self.known.iter().any(|known| known.to_uppercase() == key) {
                continue;
            }
            let hint = match crate::suggest::nearest(&key.to_lowercase(), self.known.iter().copied()) {
                Some(near) => format!("did you mean {}?", variable_name(&self.name, near)),
                None => format!("known in [{}]: {}", self.name, self.known.join(", ")),
            };
            let file = variable.name.to_owned();
            return Err(ConfigError { file, line: None, what: format!("no setting has this variable; {hint}") });
        }
        let Some(table) = self.table else { return Ok(()) };
        for (key, _) in table.iter() {
            if self.known.iter().any(|known| *known == key.get_ref()) {
                continue;
            }
            let mut what = match self.name.as_str() {
                "" => format!("unknown section or key \"{}\"", key.get_ref()),
                name => format!("unknown key \"{}\" in [{name}]", key.get_ref()),
            };
            match crate::suggest::nearest(key.get_ref(), self.known.iter().copied()) {
                Some(near) => what.push_str(&format!("; did you mean \"{near}\"?")),
                None => what.push_str(&format!("; known here: {}", self.known.join(", "))),
            }
            return Err(self.document.error_at(self.document.line_of(key.span().start), what));
        }
        Ok(())
    }

    fn value(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table?.get(key)
    }

    fn subsection(&self, name: &str, line: Option<usize>, table: Option<&'d DeTable<'d>>) -> Section<'d> {
        Section { document: self.document, name: name.to_owned(), line, table, is_listed: false, known: Vec::new() }
    }

    fn line_at(&self, value: &Spanned<DeValue<'_>>) -> Option<usize> {
        self.document.line_of(value.span().start)
    }
}

/// The variable of the environment for a setting.
fn variable_name(section: &str, key: &str) -> String {
    format!("IOS_{}_{}", section.to_uppercase(), key.to_uppercase())
}

fn line_of(text: &str, lines: Option<&[usize]>, offset: usize) -> Option<usize> {
    let before = text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count();
    match lines {
        None => Some(before + 1),
        Some(lines) => lines.get(before).copied().filter(|line| *line > 0),
    }
}

fn integer(value: &DeValue<'_>) -> Result<i128, String> {
    let number = value.as_integer().ok_or_else(String::new)?;
    i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).map_err(|error| error.to_string())
}

macro_rules! integer_setting {
    ($($type:ty: $expected:literal;)*) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = $expected;
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                let number = integer(value)?;
                number.try_into().map_err(|_| format!("{number} is out of range"))
            }
            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

integer_setting! {
    u8: "a whole number from 0 to 255";
    u32: "a whole number, not negative";
    u64: "a whole number, not negative";
    usize: "a whole number, not negative";
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(String::new)
    }
    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text in quotes";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(String::new)
    }
    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl Setting for Span {
    const EXPECTED: &'static str = "a length of time in quotes, such as \"50ms\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(String::new)?;
        text.parse().map_err(|error| format!("\"{text}\": {error}"))
    }
    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl Setting for QuorumSpec {
    const EXPECTED: &'static str = "a quorum system in quotes, such as \"majority\"";
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().ok_or_else(String::new)?.parse().map_err(|error| format!("{error}"))
    }
    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

/// A setting that is one of a few words.
pub fn one_of<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let text = value.as_str().ok_or_else(String::new)?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(format!("\"{text}\" is unknown")),
    }
}
