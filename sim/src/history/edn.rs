//! Reads EDN, the notation of Clojure's data, as far as histories use it: nil, booleans, numbers, strings, keywords,
//! symbols, vectors, lists, sets, maps, tags (read past), comments and discarded forms.
//!
//! What is read is untrusted: nothing here panics, depth is bounded, and nothing is set aside by a length that the text
//! claims, for EDN claims none.

use super::text::BadHistory;

/// How deep forms may be nested.
const DEPTH_MAX: usize = 64;

/// One form.
#[derive(Clone, PartialEq, Debug)]
pub enum Edn {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A number, as it was written; only whole ones are ever looked into.
    Number(String),
    /// A string, or a character.
    Text(String),
    /// A keyword without its colon.
    Keyword(String),
    /// Any other word.
    Symbol(String),
    /// A vector, list or set.
    Items(Vec<Edn>),
    /// A map, in the order in which it was written.
    Map(Vec<(Edn, Edn)>),
}

impl Edn {
    /// The value of a keyword in a map.
    pub fn get(&self, keyword: &str) -> Option<&Edn> {
        let Edn::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| matches!(key, Edn::Keyword(name) if name == keyword)).map(|(_, value)| value)
    }

    /// The items of a vector, list or set.
    pub fn items(&self) -> Option<&[Edn]> {
        match self {
            Edn::Items(items) => Some(items),
            _ => None,
        }
    }

    /// As it is written, but for strings, which stand for their content.
    pub fn content(&self) -> String {
        match self {
            Edn::Nil => "nil".into(),
            Edn::Bool(value) => value.to_string(),
            Edn::Number(text) | Edn::Text(text) | Edn::Symbol(text) => text.clone(),
            Edn::Keyword(name) => format!(":{name}"),
            Edn::Items(items) => format!("[{}]", items.iter().map(Edn::content).collect::<Vec<_>>().join(" ")),
            Edn::Map(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("{} {}", key.content(), value.content())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }
}

/// Reads form after form.
pub struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Reads `text`, whose first line has the number `line`.
    pub fn new(text: &'a str, line: usize) -> Self {
        Self { rest: text, line }
    }

    /// The line where the reader is.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The next form; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Edn>, BadHistory> {
        self.skip(0)?;
        if self.rest.is_empty() { Ok(None) } else { self.form(0).map(Some) }
    }

    /// Enters a vector or list, if one begins here: what is in it is then read form by form.
    pub fn enter(&mut self) -> Result<Option<char>, BadHistory> {
        self.skip(0)?;
        Ok(match self.rest.as_bytes().first() {
            Some(b'[') => {
                self.advance(1);
                Some(']')
            }
            Some(b'(') => {
                self.advance(1);
                Some(')')
            }
            _ => None,
        })
    }

    /// Leaves what was entered, if it ends here.
    pub fn leave(&mut self, close: char) -> Result<bool, BadHistory> {
        self.skip(0)?;
        let ends = self.rest.starts_with(close);
        if ends {
            self.advance(1);
        } else if self.rest.is_empty() {
            return Err(self.bad(format!("expected `{close}`, found the end")));
        }
        Ok(ends)
    }

    fn bad(&self, why: String) -> BadHistory {
        BadHistory { line: self.line, why }
    }

    /// Goes on by that many bytes, which end between characters.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        passed
    }

    /// Goes past blanks, commas, comments and discarded forms.
    fn skip(&mut self, depth: usize) -> Result<(), BadHistory> {
        loop {
            let blank = |c: char| c.is_whitespace() || c == ',' || c == '\u{feff}';
            let blanks = self.rest.len() - self.rest.trim_start_matches(blank).len();
            self.advance(blanks);
            if self.rest.starts_with(';') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("#_") {
                if depth > DEPTH_MAX {
                    return Err(self.bad(format!("forms are nested deeper than {DEPTH_MAX}")));
                }
                self.advance(2);
                self.skip(depth + 1)?;
                self.form(depth + 1)?;
            } else {
                return Ok(());
            }
        }
    }

    fn form(&mut self, depth: usize) -> Result<Edn, BadHistory> {
        if depth > DEPTH_MAX {
            return Err(self.bad(format!("forms are nested deeper than {DEPTH_MAX}")));
        }
        let Some(first) = self.rest.chars().next() else {
            return Err(self.bad("expected a value, found the end".into()));
        };
        match first {
            '[' => self.items(']', depth).map(Edn::Items),
            '(' => self.items(')', depth).map(Edn::Items),
            '{' => self.map(depth),
            '"' => self.string(),
            '#' if self.rest.starts_with("#{") => {
                self.advance(1);
                self.items('}', depth).map(Edn::Items)
            }
            '#' => {
                self.advance(1);
                self.word();
                self.skip(depth + 1)?;
                self.form(depth + 1)
            }
            '\\' => {
                self.advance(1);
                let length = self.rest.chars().next().map_or(0, char::len_utf8);
                let mut text = self.advance(length).to_string();
                text.push_str(self.word());
                Ok(Edn::Text(text))
            }
            ']' | ')' | '}' => Err(self.bad(format!("expected a value, found `{first}`"))),
            _ => Ok(self.atom()),
        }
    }

    fn items(&mut self, close: char, depth: usize) -> Result<Vec<Edn>, BadHistory> {
        self.advance(1);
        let mut items = Vec::new();
        while !self.leave_at(close, depth)? {
            items.push(self.form(depth + 1)?);
        }
        Ok(items)
    }

    fn leave_at(&mut self, close: char, depth: usize) -> Result<bool, BadHistory> {
        self.skip(depth)?;
        self.leave(close)
    }

    fn map(&mut self, depth: usize) -> Result<Edn, BadHistory> {
        let line = self.line;
        let mut items = self.items('}', depth)?.into_iter();
        let mut pairs = Vec::new();
        while let Some(key) = items.next() {
            let Some(value) = items.next() else {
                let why = format!("the map has the key {} without a value", key.content());
                return Err(BadHistory { line, why });
            };
            pairs.push((key, value));
        }
        Ok(Edn::Map(pairs))
    }

    fn string(&mut self) -> Result<Edn, BadHistory> {
        let begin = self.line;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance(at + 1);
                    return Ok(Edn::Text(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(BadHistory { line: begin, why: "a string begins here and does not end".into() })
    }

    /// All up to what ends a word.
    fn word(&mut self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || ",;\"[](){}".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        self.advance(end)
    }

    fn atom(&mut self) -> Edn {
        let word = self.word();
        match word {
            "nil" => Edn::Nil,
            "true" => Edn::Bool(true),
            "false" => Edn::Bool(false),
            _ => match word.strip_prefix(':') {
                Some(name) => Edn::Keyword(name.into()),
                None if word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) => {
                    Edn::Number(word.into())
                }
                None => Edn::Symbol(word.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, BadHistory> {
        let mut reader = Reader::new(text, 1);
        let mut forms = Vec::new();
        while let Some(form) = reader.read()? {
            forms.push(form.content());
        }
        Ok(forms)
    }

    #[test]
    fn forms_are_read() {
        let text = "; a comment\n{:a [1 -2 nil], \"k\" #{x}} #_ (gone #_ too) #inst \"2020\" \\a true \"q\\\"\\n\" :b";
        let forms = read(text).unwrap();
        assert_eq!(forms, ["{:a [1 -2 nil], k [x]}", "2020", "a", "true", "q\"\n", ":b"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let deep = "[".repeat(100_000);
        for (text, line, why) in [
            ("[1\n2", 2, "found the end"),
            ("\n]", 2, "found `]`"),
            ("[1)", 1, "found `)`"),
            ("{:a}", 1, "without a value"),
            ("\n\"abc\n", 2, "does not end"),
            ("#_", 1, "found the end"),
            (&*deep, 1, "nested deeper"),
            ("#a #b", 1, "found the end"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{text:.20}: {error}");
        }
        assert!(read(&"#_ ".repeat(100_000)).is_err() && read(&"#a ".repeat(100_000)).is_err());
    }
}
