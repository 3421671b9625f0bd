//! The prototype's files: sections, keys and values, read against the names that are known.
//!
//! ```ini
//! [section]             ; names of sections and keys may be written with capitals or without
//! key = value           # both signs begin a comment
//! key = "a; b \" c"     ; but not between quotes, where \" \\ \n and \t stand for what they stand for elsewhere
//! key                   ; says yes
//! ```
//! A name that is not known is an error with the nearest known one. So is a key that is given twice, unless it is one
//! of those that make a list: the prototype took the last, which leaves a reader with one that does not hold.

use super::ConfigError;
use crate::suggest::nearest;
use std::str::Chars;

/// A section that may be there, and its keys.
pub struct Known {
    /// Its name.
    pub section: &'static str,
    /// The names of its keys.
    pub keys: &'static [&'static str],
    /// Whether its keys may be given any number of times.
    pub is_list: bool,
}

impl Known {
    /// A section whose keys are given once each.
    pub const fn once(section: &'static str, keys: &'static [&'static str]) -> Self {
        Self { section, keys, is_list: false }
    }

    /// A section whose keys make lists.
    pub const fn list(section: &'static str, keys: &'static [&'static str]) -> Self {
        Self { section, keys, is_list: true }
    }
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'f> {
    file: &'f str,
    /// Its line, from 1.
    pub line: usize,
    /// The section it is in, as it is known.
    pub section: &'static str,
    /// The key, as it is known.
    pub key: &'static str,
    /// Nothing if no value was given.
    value: Option<String>,
}

/// Reads the text of a file, which errors will say to be `file`.
pub fn read<'f>(file: &'f str, text: &str, known: &[Known]) -> Result<Vec<Entry<'f>>, ConfigError> {
    let mut entries: Vec<Entry<'f>> = Vec::new();
    let mut section: Option<&Known> = None;
    for (text, line) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let wrong = |what| ConfigError { file: file.to_owned(), line: Some(line), what };
        let text = text.trim();
        if text.starts_with('[') {
            section = Some(find_section(text, known).map_err(wrong)?);
        } else if !text.is_empty() && !text.starts_with([';', '#']) {
            let (key, value) = split(text).map_err(wrong)?;
            let section = section.ok_or_else(|| wrong(format!("\"{key}\" stands before [{}]", known[0].section)))?;
            let key = find_key(key, section).map_err(wrong)?;
            let twin = entries.iter().find(|entry| entry.section == section.section && entry.key == key);
            if let Some(twin) = twin.filter(|_| !section.is_list) {
                return Err(wrong(format!("{key} in [{}] is given in line {} already", section.section, twin.line)));
            }
            entries.push(Entry { file, line, section: section.section, key, value });
        }
    }
    Ok(entries)
}

/// The sections that a text begins, whatever they are.
pub fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('['))
        .map(|rest| rest.split(']').next().unwrap_or(rest).trim())
}

fn find_section<'k>(text: &str, known: &'k [Known]) -> Result<&'k Known, String> {
    let (name, rest) = text[1..].split_once(']').ok_or_else(|| format!("\"{text}\" lacks its ]"))?;
    if !rest.trim().is_empty() && !rest.trim_start().starts_with([';', '#']) {
        return Err(format!("\"{}\" does not belong behind [{name}]", rest.trim()));
    }
    let name = name.trim();
    known.iter().find(|known| known.section.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let hint = hint(name, known.iter().map(|known| known.section));
        format!("unknown section [{name}]; {hint}")
    })
}

fn find_key(key: &str, section: &Known) -> Result<&'static str, String> {
    section.keys.iter().find(|known| known.eq_ignore_ascii_case(key)).copied().ok_or_else(|| {
        let hint = hint(key, section.keys.iter().copied());
        format!("unknown key \"{key}\" in [{}]; {hint}", section.section)
    })
}

/// What a mistyped word probably meant, capitals aside.
fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let small: Vec<String> = known.clone().map(str::to_lowercase).collect();
    let near = nearest(&word.to_lowercase(), small.iter().map(String::as_str));
    match near.and_then(|near| known.clone().find(|known| known.eq_ignore_ascii_case(near))) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A key, and its value if it has one.
fn split(text: &str) -> Result<(&str, Option<String>), String> {
    let end = text.find(['=', ';', '#']).unwrap_or(text.len());
    let key = text[..end].trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(format!("\"{text}\" is neither a [section] nor a key, = and a value"));
    }
    match text[end..].strip_prefix('=') {
        Some(rest) => value(rest).map(|value| (key, Some(value))),
        None => Ok((key, None)),
    }
}

/// What stands behind an equals sign, without quotes and comments.
fn value(text: &str) -> Result<String, String> {
    let mut value = String::new();
    // What is quoted is kept to its last blank.
    let mut kept = 0;
    let mut quoted = false;
    let mut rest = text.trim_start().chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => quoted = !quoted,
            ';' | '#' if !quoted => break,
            '\\' => value.push(escaped(&mut rest)?),
            other => value.push(other),
        }
        if quoted || !character.is_whitespace() {
            kept = value.len();
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    value.truncate(kept);
    Ok(value)
}

fn escaped(rest: &mut Chars<'_>) -> Result<char, String> {
    match rest.next() {
        Some(character @ ('"' | '\\')) => Ok(character),
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some(other) => Err(format!("\\{other} stands for nothing; write \\\\ for a \\")),
        None => Err("a line does not go on behind a \\ at its end; write it as one".to_owned()),
    }
}

impl Entry<'_> {
    /// An error about it.
    pub fn wrong(&self, what: impl Into<String>) -> ConfigError {
        ConfigError { file: self.file.to_owned(), line: Some(self.line), what: what.into() }
    }

    /// An error that says what its value must be.
    pub fn must_be(&self, expected: &str) -> ConfigError {
        let found = self.value.as_ref().map_or("absent".to_owned(), |value| format!("\"{value}\""));
        self.wrong(format!("{} in [{}] must be {expected}, not {found}", self.key, self.section))
    }

    /// Its value as it was written.
    pub fn text(&self) -> Result<&str, ConfigError> {
        self.value.as_deref().filter(|value| !value.is_empty()).ok_or_else(|| self.must_be("a text"))
    }

    /// Its value as a whole number within bounds.
    pub fn number(&self, least: i64, most: i64) -> Result<i64, ConfigError> {
        let number = self.value.as_ref().and_then(|value| value.parse::<i64>().ok());
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.must_be(&format!("a whole number from {least} to {most}")))
    }

    /// Its value as yes or no. Without one it says yes.
    pub fn switch(&self) -> Result<bool, ConfigError> {
        match self.value.as_ref().map(|value| value.to_ascii_lowercase()).as_deref() {
            None | Some("true" | "yes" | "on" | "1") => Ok(true),
            Some("false" | "no" | "off" | "0") => Ok(false),
            Some(_) => Err(self.must_be("true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const KNOWN: [Known; 2] = [Known::once("one", &["Size", "maxBatch"]), Known::list("many", &["address"])];

    fn check(text: &str, expected: Expect) {
        let told = match read("x.conf", text, &KNOWN) {
            Ok(entries) => entries.iter().fold(String::new(), |told, entry| {
                told + &format!("{} {}.{} = {:?}\n", entry.line, entry.section, entry.key, entry.value)
            }),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn names_have_no_case_and_values_may_be_quoted() {
        check(
            "\u{feff}; a comment\r\n[ONE] # another\r\n\tSIZE = strict majority ; so it is\nMaxbatch\n[Many]\n\
             address=a\nAddress = \" b;\\\"c\\\\ \" \naddress =\n",
            expect![[r#"
                3 one.Size = Some("strict majority")
                4 one.maxBatch = None
                6 many.address = Some("a")
                7 many.address = Some(" b;\"c\\ ")
                8 many.address = Some("")
            "#]],
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        check("[none]", expect!["x.conf:1: unknown section [none]; did you mean \"one\"?"]);
        check("[other]", expect!["x.conf:1: unknown section [other]; known here: one, many"]);
        check("[one", expect![[r#"x.conf:1: "[one" lacks its ]"#]]);
        check("[one] size = 3", expect![[r#"x.conf:1: "size = 3" does not belong behind [one]"#]]);
        check("size = 3\n[one]", expect![[r#"x.conf:1: "size" stands before [one]"#]]);
        check("[one]\nmaxbach = 3", expect![[r#"x.conf:2: unknown key "maxbach" in [one]; did you mean "maxBatch"?"#]]);
        check("[one]\nsize = 3\nSize = 4", expect!["x.conf:3: Size in [one] is given in line 2 already"]);
        check("[one]\nsize = \"3", expect!["x.conf:2: a quote is not closed"]);
        check("[one]\nsize = \\x", expect![[r"x.conf:2: \x stands for nothing; write \\ for a \"]]);
        check(
            "[one]\nsize = 3 \\",
            expect![[r"x.conf:2: a line does not go on behind a \ at its end; write it as one"]],
        );
        check("[one]\nsize 3", expect![[r#"x.conf:2: "size 3" is neither a [section] nor a key, = and a value"#]]);
    }

    #[test]
    fn values_are_what_they_must_be_or_it_is_said() {
        let entry = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            Entry { file: "x.conf", line: 9, section: "one", key: "Size", value }
        };
        assert_eq!(entry(Some("-1")).number(-1, 3), Ok(-1));
        let said = entry(Some("4")).number(-1, 3).unwrap_err().to_string();
        assert_eq!(said, "x.conf:9: Size in [one] must be a whole number from -1 to 3, not \"4\"");
        assert_eq!(
            entry(None).number(0, 3).unwrap_err().what,
            "Size in [one] must be a whole number from 0 to 3, not absent"
        );
        assert_eq!([Some("YES"), Some("off"), None].map(|text| entry(text).switch()), [Ok(true), Ok(false), Ok(true)]);
        assert_eq!(
            entry(Some("maybe")).switch().unwrap_err().what,
            "Size in [one] must be true or false, not \"maybe\""
        );
        assert_eq!(entry(Some("")).text().unwrap_err().what, "Size in [one] must be a text, not \"\"");
    }
}
